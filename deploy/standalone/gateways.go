package main

import (
	"context"
	"fmt"
	"log/slog"

	"gatehouse.internal/gateway/gatewayapp"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
)

// openGateways makes the gateways, on consecutive ports.
func (s *system) openGateways(ctx context.Context) error {
	routes, err := s.around.writeRoutes(s.folder)
	if err != nil {
		return err
	}
	opsAddrs, err := consecutive(ctx, s.options.opsAddr, s.options.gateways)
	if err != nil {
		return err
	}
	files := []string{routes}
	if s.options.routes != "" {
		files = append(files, s.options.routes)
	}
	assertionKey, err := newAssertionKey()
	if err != nil {
		return err
	}
	for i, addr := range s.addrs {
		app, err := gatewayapp.New(ctx, gatewayapp.Config{
			Addr: addr, OpsAddr: opsAddrs[i], NodeID: fmt.Sprintf("gateway-%d", i+1),
			Routes: files, AuthURL: []string{"http://" + s.auth.Addr()}, UserURL: []string{"http://" + s.user.Addr()},
			AssertionKey: assertionKey,
			Issuer:       s.publicURL(), Audience: audience, CredentialLimit: s.options.credentialLimit,
			NATS:     bus.Config{URL: s.around.nats.URL(), Prefix: contract.DefaultPrefix},
			RedisURL: s.around.redis.URL(), RedisPrefix: contract.DefaultPrefix, LogLevel: slog.LevelInfo,
		}, s.log)
		if err != nil {
			return err
		}
		s.gateways = append(s.gateways, app)
	}
	return nil
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/gateway/gatewayapp"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/lifecycle"
	"gatehouse.internal/user-service/userapp"
)

const (
	audience     = "gatehouse"
	mailFrom     = "Gatehouse <no-reply@gatehouse.example>"
	startTimeout = time.Minute
)

// system is everything, started but not yet serving.
type system struct {
	options options
	folder  folder
	log     *slog.Logger
	stdout  io.Writer

	addrs    []string // of the gateways
	around   *around
	auth     *authapp.App
	user     *userapp.App
	gateways []*gatewayapp.App
}

// start opens every part, in the order in which they need one another.
func start(ctx context.Context, o options, stdout, stderr io.Writer) (s *system, err error) {
	s = &system{options: o, log: httpx.Log(stderr, o.logLevel), stdout: stdout}
	if s.folder, err = openFolder(o.data); err != nil {
		return nil, err
	}
	if s.addrs, err = consecutive(ctx, o.addr, o.gateways); err != nil {
		return nil, errors.Join(err, s.folder.close())
	}
	if s.around, err = openAround(s.folder, s.log); err != nil {
		return nil, errors.Join(err, s.folder.close())
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if s.auth, err = s.openAuth(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if s.user, err = userapp.New(ctx, s.userConfig(), s.log); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err = s.openGateways(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// publicURL is where clients reach the first gateway.
func (s *system) publicURL() string { return "http://" + loopback(s.addrs[0]) }

// openAuth makes the auth-service. If there is no administrator yet and no
// password for one was given, it makes one up and prints it.
func (s *system) openAuth(ctx context.Context) (*authapp.App, error) {
	cfg := authapp.Defaults()
	cfg.DatabaseURL = "sqlite:" + s.folder.join("auth.db")
	cfg.NATSURL, cfg.RedisURL = s.around.nats.URL(), s.around.redis.URL()
	cfg.Addr, cfg.OpsAddr = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Issuer, cfg.Audience, cfg.PublicURL = s.publicURL(), []string{audience}, s.publicURL()
	cfg.Roles = s.options.roles
	cfg.EncryptionKey = config.Secret(s.folder.key)
	cfg.AccessTTL, cfg.RefreshTTL, cfg.RefreshGrace = s.options.accessTTL, s.options.refreshTTL, s.options.refreshGrace
	cfg.SessionTTL = max(cfg.SessionTTL, cfg.RefreshTTL)
	cfg.SMTPURL, cfg.MailFrom = s.around.sink.URL(), mailFrom
	if s.options.credentialLimit == 0 { // for tests, which try a lot from one address
		cfg.Limits = authapp.LimitSettings{Recipient: cfg.Limits.Recipient}
	}
	if s.options.signingKey != "" {
		key, err := os.ReadFile(s.options.signingKey)
		if err != nil {
			return nil, fmt.Errorf("read -signing-key: %w", err)
		}
		cfg.SigningKey = config.Secret(key)
	}
	cfg.AdminEmail, cfg.AdminPassword = s.options.adminEmail, config.Secret(s.options.adminPassword)
	if s.options.adminPassword == "" {
		cfg.AdminPassword = config.Secret(rand.Text()) // used only while there is no administrator
	}
	app, err := authapp.New(ctx, cfg, s.log)
	if err != nil || !app.CreatedAdministrator() || s.options.adminPassword != "" {
		return app, err
	}
	_, err = fmt.Fprintf(s.stdout, "administrator %s, password %s (printed this once)\n", cfg.AdminEmail, string(cfg.AdminPassword))
	return app, err
}

func (s *system) userConfig() userapp.Config {
	return userapp.Config{
		Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0",
		AuthURL: []string{"http://" + s.auth.Addr()}, Issuer: s.publicURL(), Audience: audience,
		DatabaseURL: "sqlite:" + s.folder.join("users.db"), NATS: bus.Config{URL: s.around.nats.URL(), Prefix: contract.DefaultPrefix},
	}
}

// run serves until ctx ends. It prints the ready line once every part of every
// service says so.
func (s *system) run(ctx context.Context) error {
	parts := append(s.around.parts(),
		lifecycle.Part{Name: "auth-service", Run: s.auth.Run}, lifecycle.Part{Name: "user-service", Run: s.user.Run})
	opsAddrs := []string{s.auth.OpsAddr(), s.user.OpsAddr()}
	for i, g := range s.gateways {
		parts = append(parts, lifecycle.Part{Name: fmt.Sprintf("gateway-%d", i+1), Run: g.Run})
		opsAddrs = append(opsAddrs, loopback(g.OpsAddr()))
	}
	parts = append(parts, lifecycle.Part{Name: "ready line", Run: func(ctx context.Context) error {
		if err := awaitReady(ctx, opsAddrs); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(s.stdout, "gatehouse ready: %s\n", s.publicURL()); err != nil {
			return fmt.Errorf("print the ready line: %w", err)
		}
		<-ctx.Done()
		return nil
	}})
	return errors.Join(lifecycle.Run(ctx, s.log, parts...), s.close())
}

// close gives back what is around the services, and the folder last.
func (s *system) close() error { return errors.Join(s.around.close(), s.folder.close()) }

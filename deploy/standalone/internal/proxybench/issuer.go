package proxybench

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/embedded"
	"gatehouse.internal/shared/httpx"
)

// Issuer is what a gateway needs to know of the system around it.
type Issuer struct {
	Auth  string `json:"auth"` // host and port of the auth-service
	Ops   string `json:"ops"`
	NATS  string `json:"nats"` // URL
	Redis string `json:"redis"`
}

// ServeIssuer runs an auth-service on embedded parts, signing with the key in
// the PEM file, until ctx ends. It writes an Issuer as JSON.
func ServeIssuer(ctx context.Context, folder, keyFile string, out io.Writer) (err error) {
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return fmt.Errorf("read the signing key: %w", err)
	}
	nats, err := embedded.StartNATS(filepath.Join(folder, "nats"), 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nats.Close()) }()
	redis, err := embedded.StartRedis()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	cfg := authapp.Defaults()
	cfg.DatabaseURL = "sqlite:" + filepath.Join(folder, "auth.db")
	cfg.NATSURL, cfg.RedisURL = nats.URL(), redis.URL()
	cfg.Addr, cfg.OpsAddr = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Issuer, cfg.Audience, cfg.PublicURL = issuerName, []string{audience}, issuerName
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	cfg.EncryptionKey = config.Secret(base64.StdEncoding.EncodeToString(secret))
	cfg.SigningKey = config.Secret(key)
	cfg.SMTPURL, cfg.MailFrom = "smtp://127.0.0.1:1", "Bench <bench@bench.example>"
	cfg.AdminEmail, cfg.AdminPassword = "admin@bench.example", config.Secret(rand.Text())
	app, err := authapp.New(ctx, cfg, httpx.Log(os.Stderr, slog.LevelWarn.String()))
	if err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(Issuer{Auth: app.Addr(), Ops: app.OpsAddr(), NATS: nats.URL(), Redis: redis.URL()}); err != nil {
		return fmt.Errorf("tell where the issuer is: %w", err)
	}
	return app.Run(ctx)
}

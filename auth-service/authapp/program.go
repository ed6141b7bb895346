package authapp

import (
	"context"
	"io"

	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/httpx"
)

// Main is the program: it reads the settings from the environment, carries out
// "config check", "config print" or one of the commands if the arguments say so,
// and else serves until ctx ends. Its log goes to stderr.
func Main(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	if done, err := runCommand(ctx, args, environ, stdout); done {
		return err
	}
	var cfg Config
	if done, err := config.Command(&cfg, args, environ, stdout, Prefix); done || err != nil {
		return err
	}
	log := httpx.Log(stderr, cfg.LogLevel)
	app, err := New(ctx, cfg, log)
	if err != nil {
		return err
	}
	log.Info("auth-service is up", "addr", app.Addr(), "ops_addr", app.OpsAddr())
	return app.Run(ctx)
}

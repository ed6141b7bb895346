package gatewayapp

import (
	"context"
	"io"

	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/httpx"
)

// Command is the program: settings from environ, then either one of the config
// commands or the gateway until ctx ends. Logs go to stderr as JSON.
func Command(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	var cfg Config
	done, err := config.Command(&cfg, args, environ, stdout, EnvPrefix)
	if done || err != nil {
		return err
	}
	app, err := New(ctx, cfg, httpx.Log(stderr, cfg.LogLevel.String()))
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

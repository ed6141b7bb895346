package userapp

import (
	"context"
	"io"
	"log/slog"

	"gatehouse.internal/shared/config"
)

// Command is the program: settings from environ, then either one of the config
// commands or the service until ctx ends. Logs go to stderr as JSON.
func Command(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	var cfg Config
	done, err := config.Command(&cfg, args, environ, stdout, EnvPrefix)
	if done || err != nil {
		return err
	}
	handler := slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: cfg.LogLevel})
	app, err := New(ctx, cfg, slog.New(handler).With("service", "user-service"))
	if err != nil {
		return err
	}
	return app.Run(ctx)
}

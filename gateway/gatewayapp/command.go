package gatewayapp

import (
	"context"
	"fmt"
	"io"
	"strings"

	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/httpx"
)

// Command is the program: one of the config or routes commands, or the gateway
// until ctx ends, with settings from environ. Logs go to stderr as JSON. For an
// error, ExitStatus gives the exit status; its text may be empty.
func Command(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "routes" {
		return runRoutes(ctx, args[1:], environ, stdout)
	}
	if len(args) > 0 && args[0] != "config" {
		return fmt.Errorf("unknown arguments %q; there are: config check, config print, routes COMMAND, or none to serve", strings.Join(args, " "))
	}
	var cfg Config
	done, err := config.Command(&cfg, args, environ, stdout, EnvPrefix)
	if done || err != nil {
		return err
	}
	paced := tuneMemory(environ)
	app, err := New(ctx, cfg, httpx.Log(stderr, cfg.LogLevel.String()))
	if err != nil {
		return err
	}
	if paced {
		app.pacer = newPacer()
	}
	return app.Run(ctx)
}

// Command standalone is the whole system in one process: the three services on
// embedded parts, for development, tests and trying it out. It starts a broker,
// a Redis, a mailbox and an example upstream on loopback ports, and gives the
// services ordinary addresses: they do not know where they run. Nothing else
// needs to be installed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills at once
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "standalone:", err)
		os.Exit(1)
	}
}

// run starts everything and serves until ctx ends.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	o, err := parseOptions(args, environ, stderr)
	if err != nil {
		return err
	}
	s, err := start(ctx, o, stdout, stderr)
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// Command gateway is the front door: it checks who is calling and whether that is
// still true, and hands the request to the service behind.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"gatehouse.internal/gateway/gatewayapp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills at once
	err := gatewayapp.Command(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	if err != nil && err.Error() != "" {
		fmt.Fprintln(os.Stderr, "gateway:", err)
	}
	if status := gatewayapp.ExitStatus(err); status != 0 {
		os.Exit(status)
	}
}

// Devtools are what stands beside the three services on a development machine:
// a mailbox in place of a mail server, a service behind the gateway that
// answers with the request it received, and the route file for both.
//
//	devtools mailbox -addr 127.0.0.1:8381 -smtp-addr 127.0.0.1:2525
//	devtools echo    -addr 127.0.0.1:8382
//	devtools routes  -mailbox-url http://127.0.0.1:8381 -example-url http://127.0.0.1:8382
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"gatehouse.internal/deploy/standalone/internal/example"
	"gatehouse.internal/deploy/standalone/internal/mailbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills at once
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "devtools:", err)
		os.Exit(1)
	}
}

// run reads the command line and runs the program that it names until ctx
// ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errors.New("which program? mailbox, echo or routes")
	}
	flags := flag.NewFlagSet("devtools "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "where to listen for HTTP")
	smtpAddr := flags.String("smtp-addr", "127.0.0.1:0", "where the mailbox listens for mail")
	exampleURL := flags.String("example-url", "", "where echo is, for routes")
	mailboxURL := flags.String("mailbox-url", "", "where the mailbox is, for routes")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("what is %q?", flags.Arg(0))
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil)).With("service", args[0])
	switch args[0] {
	case "mailbox":
		return runMailbox(ctx, *addr, *smtpAddr, log)
	case "echo":
		return serve(ctx, *addr, example.Handler(), log)
	case "routes":
		if *exampleURL == "" || *mailboxURL == "" {
			return errors.New("routes needs -example-url and -mailbox-url")
		}
		_, err := io.WriteString(stdout, example.Routes(*exampleURL, *mailboxURL))
		return err
	default:
		return fmt.Errorf("there is no program %q, only mailbox, echo and routes", args[0])
	}
}

// runMailbox takes mail and shows it under /dev/mail.
func runMailbox(ctx context.Context, addr, smtpAddr string, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	box := new(mailbox.Mailbox)
	sink, err := mailbox.Listen(smtpAddr, box, time.Now, log)
	if err != nil {
		return err
	}
	log.Info("takes mail", "url", sink.URL())
	taken := make(chan error, 1)
	go func() {
		defer cancel()
		taken <- sink.Run(ctx)
	}()
	mux := http.NewServeMux()
	mux.Handle("/dev/mail", box)
	err = serve(ctx, addr, mux, log)
	cancel()
	return errors.Join(err, <-taken)
}

// serve answers HTTP until ctx ends and what was begun is answered.
func serve(ctx context.Context, addr string, h http.Handler, log *slog.Logger) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	log.Info("listens", "addr", listener.Addr().String())
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		stopped <- server.Shutdown(draining)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve: %w", err)
	}
	return <-stopped
}

// Command devtools is what stands beside the three services on a development machine:
// a mailbox in place of a mail server, a service behind the gateway that
// answers with the request it received, the route file for both, and the end of
// the streams of a system that is no more.
//
//	devtools mailbox -addr 127.0.0.1:8381 -smtp-addr 127.0.0.1:2525
//	devtools echo    -addr 127.0.0.1:8382
//	devtools routes  -mailbox-url http://127.0.0.1:8381 -example-url http://127.0.0.1:8382
//	devtools purge   -nats-url nats://127.0.0.1:4222 -nats-prefix gatehouse_up
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
	"gatehouse.internal/shared/bus"
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
		return errors.New("which program? mailbox, echo, routes or purge")
	}
	flags := flag.NewFlagSet("devtools "+args[0], flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "where to listen for HTTP")
	smtpAddr := flags.String("smtp-addr", "127.0.0.1:0", "where the mailbox listens for mail")
	public := flags.Bool("public", false, "let the mailbox listen beyond loopback, in a container")
	exampleURL := flags.String("example-url", "", "where echo is, for routes")
	mailboxURL := flags.String("mailbox-url", "", "where the mailbox is, for routes")
	natsURL := flags.String("nats-url", "", "the broker, for purge")
	natsPrefix := flags.String("nats-prefix", "", "whose streams to delete, for purge")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("what is %q?", flags.Arg(0))
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil)).With("service", args[0])
	switch args[0] {
	case "mailbox":
		listen := mailbox.Listen
		if *public {
			listen = mailbox.ListenPublic
		}
		sink, err := listen(*smtpAddr, new(mailbox.Mailbox), time.Now, log)
		if err != nil {
			return err
		}
		return runMailbox(ctx, *addr, sink, log)
	case "echo":
		return serve(ctx, *addr, example.Handler(), log)
	case "routes":
		if *exampleURL == "" || *mailboxURL == "" {
			return errors.New("routes needs -example-url and -mailbox-url")
		}
		_, err := io.WriteString(stdout, example.Routes(*exampleURL, *mailboxURL))
		return err
	case "purge":
		return purge(ctx, bus.Config{URL: *natsURL, Prefix: *natsPrefix, Name: "devtools"}, log)
	default:
		return fmt.Errorf("there is no program %q, only mailbox, echo, routes and purge", args[0])
	}
}

// runMailbox takes mail and shows it under /dev/mail.
func runMailbox(ctx context.Context, addr string, sink *mailbox.Sink, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log.Info("takes mail", "url", sink.URL())
	taken := make(chan error, 1)
	go func() {
		defer cancel()
		taken <- sink.Run(ctx)
	}()
	mux := http.NewServeMux()
	mux.Handle("/dev/mail", sink.Mailbox())
	err := serve(ctx, addr, mux, log)
	cancel()
	return errors.Join(err, <-taken)
}

// serve answers HTTP until ctx ends and what was begun is answered.
func serve(ctx context.Context, addr string, h http.Handler, log *slog.Logger) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
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

// purge deletes the streams under a prefix, and all that is in them.
func purge(ctx context.Context, cfg bus.Config, log *slog.Logger) error {
	if cfg.URL == "" || cfg.Prefix == "" {
		return errors.New("purge needs -nats-url and -nats-prefix")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	b, err := bus.Connect(cfg, log)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Ready(ctx); err != nil {
		return err
	}
	names, err := b.StreamNames(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := b.DeleteStream(ctx, name); err != nil {
			return err
		}
		log.Info("stream deleted", "stream", name)
	}
	return nil
}

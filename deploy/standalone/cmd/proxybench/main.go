// Command proxybench measures what a request costs the gateway beside other
// proxies, in one run on one machine, and prints the figures beside the aims.
// nginx and HAProxy are used if they are installed. See the package of the same
// name.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"gatehouse.internal/deploy/standalone/internal/proxybench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "proxybench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "part" {
		return proxybench.Part(ctx, args[1:])
	}
	flags := flag.NewFlagSet("proxybench", flag.ContinueOnError)
	scenarios := flags.String("scenarios", "", "which ones, separated by commas; all if empty: "+strings.Join(proxybench.Names(), ","))
	proxies := flags.String("proxies", "", "which ones, separated by commas, by the names in the tables; all if empty")
	rounds := flags.Int("rounds", 3, "how often each proxy is measured in a scenario")
	seconds := flags.Float64("seconds", 2, "for how long each time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *rounds < 1 || *seconds <= 0 || *seconds > 30 {
		return errors.New("there are flags only; rounds must be 1 or more, seconds up to 30")
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	o := proxybench.Options{Rounds: *rounds, Seconds: *seconds, Out: os.Stdout}
	if *scenarios != "" {
		o.Scenarios = strings.Split(*scenarios, ",")
	}
	if *proxies != "" {
		o.Proxies = strings.Split(*proxies, ",")
	}
	return proxybench.Run(ctx, self, o)
}

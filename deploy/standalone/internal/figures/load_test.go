package figures

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The load and the service behind the gateways are processes of their own: this
// test's binary, called with other arguments. They do as little for a request
// as can be done, so that what they take from the machine is small.

// serve answers every request at once; args are "-addr ADDRESS".
func serve(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: echo -addr ADDRESS")
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", args[1])
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go func() { // ends with its connection, or the process
			defer conn.Close() //nolint:errcheck // nobody is told
			in := bufio.NewReader(conn)
			for skipHead(in) == nil {
				if _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")); err != nil {
					return
				}
			}
		}()
	}
}

// skipHead reads up to the empty line that ends a head.
func skipHead(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil || len(line) <= 2 {
			return err
		}
	}
}

// loaded is what a load has seen.
type loaded struct {
	Seconds float64        `json:"seconds"`
	OK      int            `json:"ok"`
	Refused map[string]int `json:"refused"` // answers other than 200 by status, and "broken"
	P50     float64        `json:"p50_ms"`
	P99     float64        `json:"p99_ms"`
	Max     float64        `json:"max_ms"`
}

// generate calls gateways at a steady rate until it is told to end, and prints
// what it saw.
func generate(args []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	rate := flags.Int("rate", 1000, "requests a second")
	each := flags.Int("connections", 8, "to each gateway")
	file := flags.String("tokens", "", "file with an access token a line")
	urls := flags.String("urls", "", "of the gateways")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return fmt.Errorf("read the tokens: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	all, nodes := strings.Fields(string(text)), strings.Split(*urls, ",")
	lines := make([]caller, *each*len(nodes))
	var group sync.WaitGroup
	began := time.Now()
	for i := range lines {
		host := strings.TrimPrefix(nodes[i%len(nodes)], "http://")
		c := &lines[i]
		c.host, c.period, c.refused = host, time.Second*time.Duration(len(lines))/time.Duration(*rate), map[string]int{}
		c.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", probed, host, all[i%len(all)])
		group.Go(func() { c.run(ctx) })
	}
	group.Wait()
	return json.NewEncoder(os.Stdout).Encode(sum(lines, time.Since(began)))
}

func sum(lines []caller, took time.Duration) loaded {
	out := loaded{Seconds: took.Seconds(), Refused: map[string]int{}}
	var times []time.Duration
	for i := range lines {
		times = append(times, lines[i].times...)
		for what, n := range lines[i].refused {
			out.Refused[what] += n
		}
	}
	out.OK = len(times)
	out.P50, out.P99, out.Max = percentiles(times)
	return out
}

// percentiles gives the median, the 99th and the largest in milliseconds.
func percentiles(times []time.Duration) (p50, p99, most float64) {
	if len(times) == 0 {
		return 0, 0, 0
	}
	slices.Sort(times)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return ms(times[len(times)/2]), ms(times[len(times)*99/100]), ms(times[len(times)-1])
}

// caller is one connection.
type caller struct {
	host    string
	request []byte
	period  time.Duration
	times   []time.Duration // of the calls that were answered with 200
	refused map[string]int
}

// run calls once in a period. What it is behind by more than a period is not
// made up for, so that a busy machine is not asked for ever more.
func (c *caller) run(ctx context.Context) {
	next := time.Now()
	for ctx.Err() == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.host)
		if err == nil {
			err = c.use(ctx, conn, &next)
			_ = conn.Close() // it is of no more use
		}
		if err != nil && ctx.Err() == nil {
			c.refused["broken"]++
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func (c *caller) use(ctx context.Context, conn net.Conn, next *time.Time) error {
	in := bufio.NewReader(conn)
	for ctx.Err() == nil {
		time.Sleep(time.Until(*next))
		*next = next.Add(c.period)
		began := time.Now()
		if next.Before(began) {
			*next = began
		}
		if err := conn.SetDeadline(began.Add(10 * time.Second)); err != nil {
			return err
		}
		if _, err := conn.Write(c.request); err != nil {
			return err
		}
		status, err := readAnswer(in)
		if err != nil {
			return err
		}
		if status == "200" {
			c.times = append(c.times, time.Since(began))
		} else {
			c.refused[status]++
		}
	}
	return nil
}

// readAnswer reads an answer of known length, and gives its status.
func readAnswer(in *bufio.Reader) (status string, err error) {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if len(line) <= 2 {
			break
		}
		const name = "content-length:"
		switch {
		case first && len(line) > 12:
			status = string(line[9:12])
		case len(line) > len(name) && strings.EqualFold(string(line[:len(name)]), name):
			if length, err = strconv.Atoi(strings.TrimSpace(string(line[len(name):]))); err != nil {
				return "", fmt.Errorf("the length of an answer: %w", err)
			}
		}
	}
	_, err = in.Discard(length)
	return status, err
}

// startLoad has a process call the gateways, and gives what ends it.
func (w *clients) startLoad(tb testing.TB, rate int, access []string) (stop func() loaded) {
	tb.Helper()
	file := w.Dir + "/load-tokens"
	if err := os.WriteFile(file, []byte(strings.Join(access, "\n")), 0o600); err != nil {
		tb.Fatal(err)
	}
	p, err := w.Add(fmt.Sprintf("load-%d", rate), os.Args[0], nil, "load", "-rate", strconv.Itoa(rate), "-tokens", file, "-urls", strings.Join(w.URLs, ","))
	if err != nil {
		tb.Fatal(err)
	}
	return func() loaded {
		if err := p.Stop(); err != nil {
			tb.Fatal(err)
		}
		var out loaded
		lines := strings.Split(strings.TrimSpace(p.Log(4096)), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &out); err != nil {
			tb.Fatalf("the load has not said what it saw: %v in %v", err, lines)
		}
		return out
	}
}

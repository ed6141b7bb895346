package proxybench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

var errPart = errors.New("a part needs the file to tell its address in, its name, and what belongs to it")

// Part plays one part of a run, in a process of its own: args are the file into
// which it tells where it is, the part's name, and its arguments. It returns
// when ctx ends, if the part can be ended at all; else the process must be.
func Part(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errPart
	}
	file, name, args := args[0], args[1], args[2:]
	if name == "issuer" {
		if len(args) != 2 {
			return errPart
		}
		return ServeIssuer(ctx, args[0], args[1], teller(file))
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	if _, err := fmt.Fprintln(teller(file), l.Addr()); err != nil {
		return err
	}
	switch {
	case name == "upstream" && len(args) == 0:
		return ServeUpstream(l)
	case name == "reverse" && len(args) == 1:
		return ServeReverse(l, args[0])
	case name == "checker" && len(args) == 1:
		return ServeChecker(l, args[0])
	}
	return errPart
}

// teller writes each text into a file of its name, which then holds all of it.
type teller string

// Write replaces the file.
func (t teller) Write(p []byte) (int, error) {
	if !bytes.HasSuffix(p, []byte("\n")) {
		return 0, errors.New("a line was to be told")
	}
	if err := os.WriteFile(string(t)+".new", p, 0o600); err != nil {
		return 0, fmt.Errorf("tell: %w", err)
	}
	if err := os.Rename(string(t)+".new", string(t)); err != nil {
		return 0, fmt.Errorf("tell: %w", err)
	}
	return len(p), nil
}

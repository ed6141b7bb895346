package authapp

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"gatehouse.internal/auth-service/internal/auth/trail"
)

// purposeTrail is that of the key which seals the audit trail.
const purposeTrail = "gatehouse auth-service: seals of the audit trail, 1"

func (a *App) openTrail(context.Context) error {
	sealer, err := a.cfg.sealer()
	if err != nil {
		return err
	}
	a.trail = &trail.Keeper{Store: a.store, Seal: sealer, Now: time.Now, Log: a.log, Events: a.service, Retention: a.cfg.AuditRetention}
	return a.registry.Register(trailCollector{a.trail})
}

// sealer proves where the audit trail begins and ends.
func (c *Config) sealer() (*trail.Sealer, error) {
	key, others, err := c.subkeys(purposeTrail)
	if err != nil {
		return nil, err
	}
	return trail.NewSealer(key, others...)
}

// errTrail is why "audit verify" exits with 1.
var errTrail = errors.New("the audit trail is not whole")

// auditVerify is the command "audit verify": it reads the whole trail and
// prints every problem. With -log it looks for the heads that services have
// logged, in a file with their log or, for -, on standard input; -anchor gives
// one head as NUMBER:HASH.
func auditVerify(ctx context.Context, cfg *Config, args []string, stdout io.Writer) error {
	var anchors []trail.Anchor
	flags := flag.NewFlagSet("audit verify", flag.ContinueOnError)
	flags.SetOutput(stdout)
	flags.Func("anchor", "a head that was told, as NUMBER:HASH; may be repeated", func(text string) error {
		a, err := parseAnchor(text)
		anchors = append(anchors, a)
		return err
	})
	flags.Func("log", "a file with the services' log, - for standard input; may be repeated", func(path string) error {
		found, err := anchorsOf(path)
		anchors = append(anchors, found...)
		return err
	})
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("audit verify: unknown argument %q", flags.Arg(0))
	}
	return cfg.verifyTrail(ctx, anchors, stdout)
}

func (c *Config) verifyTrail(ctx context.Context, anchors []trail.Anchor, stdout io.Writer) error {
	sealer, err := c.sealer()
	if err != nil {
		return err
	}
	store, db, err := readDatabase(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // nothing was written
	r, err := trail.Verify(ctx, store, sealer, time.Now(), anchors)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintln(&text, p)
	}
	for _, g := range r.Gaps {
		fmt.Fprintln(&text, "note:", g)
	}
	fmt.Fprintf(&text, "%d entries after number %d, head %d:%s; %d pseudonymised, %d waiting, %d of %d told heads found\n",
		r.Entries, r.Start.Number, r.Head.Number, hex.EncodeToString(r.Head.Hash[:]), r.Erased, r.Waiting, r.Anchors, len(anchors))
	if _, err := io.WriteString(stdout, text.String()); err != nil {
		return err
	}
	if len(r.Problems) > 0 {
		return errTrail
	}
	return nil
}

func parseAnchor(text string) (a trail.Anchor, err error) {
	number, hash, _ := strings.Cut(text, ":")
	if a.Number, err = strconv.ParseUint(number, 10, 63); err == nil {
		a.Hash, err = parseHash(hash)
	}
	if err != nil {
		return a, fmt.Errorf("%q is not of the form NUMBER:HASH", text)
	}
	return a, nil
}

func parseHash(text string) (hash [32]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(hash) {
		return hash, errors.New("not a SHA-256 in hexadecimal")
	}
	return [32]byte(raw), nil
}

// maxLogLine bounds a line of a log.
const maxLogLine = 1 << 20

// anchorsOf finds the heads in a log of JSON lines. Lines of others are left
// out.
func anchorsOf(path string) ([]trail.Anchor, error) {
	file := os.Stdin
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }() // nothing was written
	}
	var found []trail.Anchor
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxLogLine)
	for n := 1; lines.Scan(); n++ {
		if !strings.Contains(lines.Text(), trail.AnchorMessage) {
			continue
		}
		var line struct {
			Message string `json:"msg"`
			Number  uint64 `json:"number"`
			Hash    string `json:"hash"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Message != trail.AnchorMessage {
			continue
		}
		hash, err := parseHash(line.Hash)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		found = append(found, trail.Anchor{Number: line.Number, Hash: hash})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return found, nil
}

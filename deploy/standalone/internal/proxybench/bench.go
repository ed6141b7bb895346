package proxybench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse.internal/shared/token"
)

// The proxies. Those that check tokens know those of one algorithm.
const (
	gatewayRS  = "gateway"            // tokens of RS256
	gatewayES  = "gateway es256"      // tokens of ES256
	gatewayBig = "gateway 10k routes" // of ES256
	reverse    = "reverseproxy"
	nginx      = "nginx"
	nginxAuth  = "nginx auth_request" // of RS256
	haproxy    = "haproxy"
	haproxyRS  = "haproxy rs256"
	haproxyES  = "haproxy es256"
)

// proxy is a running proxy.
type proxy struct {
	name    string
	address string
	pids    []int
	signer  *signer // of the tokens it accepts; nil if it looks at none
}

// bench is everything that runs.
type bench struct {
	folder   string // for files
	self     string // this program, which plays most of the parts
	gateway  string // the binary
	out      io.Writer
	log      *os.File
	upstream string
	rs, es   *signer
	running  []*process
	proxies  map[string]*proxy
	many     map[string][]string // tokens that a proxy has seen
}

// Options say what is measured.
type Options struct {
	Scenarios []string // by name; all if empty
	Proxies   []string // by name; all if empty
	Rounds    int
	Seconds   float64 // that a phase is measured for
	Out       io.Writer
}

// Run starts everything, measures, and prints. Self is the path of a program
// that plays a part when its first argument is "part" (see Part).
func Run(ctx context.Context, self string, o Options) (err error) {
	chosen, err := choose(o.Scenarios, o.Proxies)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "proxybench")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	b := &bench{folder: folder, self: self, out: o.Out, proxies: map[string]*proxy{}, many: map[string][]string{}}
	if b.log, err = os.Create(filepath.Join(folder, "log")); err != nil {
		return fmt.Errorf("make a log: %w", err)
	}
	defer b.log.Close() //nolint:errcheck // only the programs write to it
	defer b.stop()
	if err := b.start(ctx, needed(chosen)); err != nil {
		return errors.Join(err, b.tellLog())
	}
	return b.measureAll(ctx, chosen, o)
}

// tellLog gives the end of what the programs have said.
func (b *bench) tellLog() error {
	text, err := os.ReadFile(b.log.Name())
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	return fmt.Errorf("the programs said: %s", text[max(0, len(text)-4000):])
}

func (b *bench) stop() {
	for _, p := range slices.Backward(b.running) {
		p.stop()
	}
}

// start starts the upstream and the proxies that are needed.
func (b *bench) start(ctx context.Context, names []string) (err error) {
	b.gateway = filepath.Join(b.folder, "gateway")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.gateway, "gatehouse.internal/gateway") //nolint:gosec // arguments of our own
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the gateway: %w\n%s", err, text)
	}
	if b.rs, err = newSigner(b.folder, token.AlgRS256); err != nil {
		return err
	}
	if b.es, err = newSigner(b.folder, token.AlgES256); err != nil {
		return err
	}
	if _, b.upstream, err = b.part(ctx, "upstream"); err != nil {
		return err
	}
	var rs, es Issuer
	for s, issuer := range map[*signer]*Issuer{b.rs: &rs, b.es: &es} {
		if *issuer, err = b.startIssuer(ctx, s); err != nil {
			return err
		}
	}
	starts := map[string]func() error{
		gatewayRS:  func() error { return b.startGateway(ctx, gatewayRS, rs, b.rs, 10) },
		gatewayES:  func() error { return b.startGateway(ctx, gatewayES, es, b.es, 10) },
		gatewayBig: func() error { return b.startGateway(ctx, gatewayBig, es, b.es, 10_000) },
		reverse:    func() error { return b.startReverse(ctx) },
		nginx:      func() error { return b.startNginx(ctx, nginx, Issuer{}) },
		nginxAuth:  func() error { return b.startNginx(ctx, nginxAuth, rs) },
		haproxy:    func() error { return b.startHAProxy(ctx, haproxy, nil) },
		haproxyRS:  func() error { return b.startHAProxy(ctx, haproxyRS, b.rs) },
		haproxyES:  func() error { return b.startHAProxy(ctx, haproxyES, b.es) },
	}
	for _, name := range names {
		if err := starts[name](); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// run starts a program, which is stopped with the bench.
func (b *bench) run(env []string, path string, args ...string) (pid int, err error) {
	p, err := spawn(b.log, env, path, args...)
	if err != nil {
		return 0, err
	}
	b.running = append(b.running, p)
	return p.command.Process.Pid, nil
}

// part has this program play a part, in a process of its own, at an address
// that it tells.
func (b *bench) part(ctx context.Context, args ...string) (pid int, told string, err error) {
	file := filepath.Join(b.folder, fmt.Sprintf("told-%d", len(b.running)))
	pid, err = b.run(nil, b.self, append([]string{"part", file}, args...)...)
	if err != nil {
		return 0, "", err
	}
	err = await(ctx, strings.Join(args, " "), func() error {
		text, err := os.ReadFile(file)
		told = strings.TrimSpace(string(text))
		if err == nil && !strings.HasSuffix(string(text), "\n") {
			err = errors.New("it has not told its address")
		}
		return err
	})
	return pid, told, err
}

// startIssuer starts an auth-service and finds out how it names its key.
func (b *bench) startIssuer(ctx context.Context, s *signer) (issuer Issuer, err error) {
	folder := filepath.Join(b.folder, s.algorithm)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return Issuer{}, fmt.Errorf("make a folder: %w", err)
	}
	keyFile := filepath.Join(folder, "key.pem")
	if err := writeConfig(keyFile, s.private); err != nil {
		return Issuer{}, err
	}
	_, told, err := b.part(ctx, "issuer", folder, keyFile)
	if err != nil {
		return Issuer{}, err
	}
	if err := json.Unmarshal([]byte(told), &issuer); err != nil {
		return Issuer{}, fmt.Errorf("read what the issuer told: %w", err)
	}
	err = await(ctx, "the issuer's key set", func() error {
		text, err := get(ctx, issuer.keySet())
		if err != nil {
			return err
		}
		s.kid, err = keyID(text, s.key.Public())
		return err
	})
	return issuer, err
}

func (i Issuer) keySet() string { return "http://" + i.Auth + "/.well-known/jwks.json" }

// keyID finds the name of a key in a key set, which may have others of the
// same algorithm.
func keyID(text []byte, public crypto.PublicKey) (string, error) {
	var set struct {
		Keys []struct{ Kid, N, X string }
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return "", fmt.Errorf("read the key set: %w", err)
	}
	number := base64.RawURLEncoding.EncodeToString
	for _, key := range set.Keys {
		switch p := public.(type) {
		case *rsa.PublicKey:
			if key.N == number(p.N.Bytes()) {
				return key.Kid, nil
			}
		case *ecdsa.PublicKey:
			if key.X == number(p.X.FillBytes(make([]byte, 32))) { //nolint:staticcheck // a number is what the set has
				return key.Kid, nil
			}
		}
	}
	return "", errors.New("the key set does not have the key")
}

// get fetches something small.
func get(ctx context.Context, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", address, err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // only read from
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("fetch %s: %s", address, res.Status)
	}
	return text, err
}

// freeAddress gives an address that nobody listens on now.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

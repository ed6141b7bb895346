package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/mail"
	"os"
	"strconv"
	"strings"
	"time"
)

// options are the flags of CONTRACT.md. Each is also an environment variable:
// GATEHOUSE_ and the flag in capitals.
type options struct {
	addr            string
	gateways        int
	opsAddr         string
	data            string
	routes          string
	roles           string
	adminEmail      string
	adminPassword   string
	accessTTL       time.Duration
	refreshTTL      time.Duration
	refreshGrace    time.Duration
	credentialLimit int
	signingKey      string
	logLevel        string
}

const environPrefix = "GATEHOUSE_"

// parseOptions reads the environment, then the command line, which wins, and
// names every problem of the values at once.
func parseOptions(args, environ []string, output io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("standalone", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8080", "where the first gateway listens; port 0 picks free ports")
	flags.IntVar(&o.gateways, "gateways", 1, "number of gateways, on consecutive ports")
	flags.StringVar(&o.opsAddr, "ops-addr", "127.0.0.1:9080", "where the first gateway's health and metrics are; the others follow on consecutive ports")
	flags.StringVar(&o.data, "data", "./.data", "folder that keeps everything; an empty one is a first start")
	flags.StringVar(&o.routes, "routes", "", "file or folder with further routes")
	flags.StringVar(&o.roles, "roles", "", "file that says which roles there are and what they permit")
	flags.StringVar(&o.adminEmail, "admin-email", "admin@example.com", "address of the administrator whom the first start creates")
	flags.StringVar(&o.adminPassword, "admin-password", "", "password of that administrator; without one it is generated and printed once")
	flags.DurationVar(&o.accessTTL, "access-ttl", 15*time.Minute, "lifetime of access tokens")
	flags.DurationVar(&o.refreshTTL, "refresh-ttl", 168*time.Hour, "idle lifetime of refresh tokens")
	flags.DurationVar(&o.refreshGrace, "refresh-grace", time.Minute, "how long a retried refresh gets the same successor")
	flags.IntVar(&o.credentialLimit, "credential-limit", 100, "calls per address and 15 minutes on the credential endpoints; 0 means no limit")
	flags.StringVar(&o.signingKey, "signing-key", "", "file with a private key, PEM or JWK, to sign tokens with instead of a generated one")
	flags.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	if err := fromEnviron(flags, environ); err != nil {
		return options{}, err
	}
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("what is %q? there are flags only, see -help", flags.Arg(0))
	}
	return o, o.validate()
}

// fromEnviron sets the flags that the environment names. A GATEHOUSE_ variable
// that is neither a flag nor a setting of the tests is a mistake.
func fromEnviron(flags *flag.FlagSet, environ []string) error {
	names := map[string]string{}
	flags.VisitAll(func(f *flag.Flag) {
		names[environPrefix+strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))] = f.Name
	})
	var problems []error
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, environPrefix) || ofTests(name) {
			continue
		}
		if flagName, known := names[name]; !known {
			problems = append(problems, fmt.Errorf("%s is not a setting", name))
		} else if err := flags.Set(flagName, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: not a value for -%s", name, flagName))
		}
	}
	return errors.Join(problems...)
}

func ofTests(name string) bool {
	return name == "GATEHOUSE_REQUIRE_SERVICES" || strings.HasPrefix(name, "GATEHOUSE_TEST_") || strings.HasPrefix(name, "GATEHOUSE_E2E_")
}

// maxGateways keeps consecutive ports within reason.
const maxGateways = 64

func (o *options) validate() error {
	var problems []error
	report := func(flag, format string, args ...any) {
		problems = append(problems, fmt.Errorf("-%s: "+format, append([]any{flag}, args...)...))
	}
	for name, addr := range map[string]string{"addr": o.addr, "ops-addr": o.opsAddr} {
		if _, port, err := net.SplitHostPort(addr); err != nil {
			report(name, "%q is not host:port", addr)
		} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535-maxGateways {
			report(name, "port %q is not within 0 and %d", port, 65535-maxGateways)
		}
	}
	if o.gateways < 1 || o.gateways > maxGateways {
		report("gateways", "%d is not within 1 and %d", o.gateways, maxGateways)
	}
	if o.data == "" {
		report("data", "a folder is needed")
	}
	if _, err := mail.ParseAddress(o.adminEmail); err != nil {
		report("admin-email", "not a mail address")
	}
	for name, path := range map[string]string{"routes": o.routes, "roles": o.roles, "signing-key": o.signingKey} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			report(name, "%w", err)
		}
	}
	if o.credentialLimit < 0 {
		report("credential-limit", "%d is negative", o.credentialLimit)
	}
	return errors.Join(problems...)
}

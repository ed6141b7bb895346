package gatewayapp

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/gateway/internal/routefile"
	"gatehouse.internal/shared/config"
)

// routesUsage lists the commands about route files.
const routesUsage = `usage: gateway routes COMMAND

  lint [FILE|FOLDER]...      every problem of the files, with its place
  list [FILE|FOLDER]...      the table that they make, built-in routes included
  public [FILE|FOLDER]...    all that can be reached without a token
  explain METHOD URL [--role R]... [--permission P]... [--unverified] [--mfa] [FILE|FOLDER]...
                             which route a request takes, who may pass, where it goes
  diff OLD NEW               who gains or loses access; each a file or a folder
  schema                     the JSON Schema of a route file, for editors

Without files, those of GATEWAY_ROUTES are read. The exit status is 0 for yes,
1 for no (problems, a refusal, a difference), and 2 for trouble`

// routesConfig is what the commands take from the environment, which may be
// empty: where the built-in services are does not change who may pass.
type routesConfig struct {
	Routes          []string `env:"GATEWAY_ROUTES"`
	AuthURL         []string `env:"GATEWAY_AUTH_URL" envDefault:"http://auth-service"`
	UserURL         []string `env:"GATEWAY_USER_URL" envDefault:"http://user-service"`
	CredentialLimit int      `env:"GATEWAY_CREDENTIAL_LIMIT" envDefault:"100"`
}

// routesCommand answers questions about route files. It reads them as the
// gateway does, and asks the very table that would serve.
type routesCommand struct {
	cfg    routesConfig
	stdout io.Writer
	ctx    context.Context // of this one command
}

// runRoutes carries out "gateway routes ...".
func runRoutes(ctx context.Context, args, environ []string, stdout io.Writer) error {
	c := &routesCommand{stdout: stdout, ctx: ctx}
	if err := config.Load(&c.cfg, environ); err != nil {
		return trouble(err)
	}
	for _, list := range [][]string{c.cfg.Routes, c.cfg.AuthURL, c.cfg.UserURL} {
		trimAll(list)
	}
	commands := map[string]func([]string) error{
		"lint": c.lint, "list": c.list, "public": c.public, "explain": c.explain, "diff": c.diff, "schema": c.schema,
	}
	if len(args) == 0 {
		return trouble(errors.New(routesUsage))
	}
	command, known := commands[args[0]]
	if !known {
		return trouble(fmt.Errorf("unknown command %q\n%s", args[0], routesUsage))
	}
	return command(args[1:])
}

// parse reads flags wherever they stand, and gives what is no flag.
func parse(flags *flag.FlagSet, args []string) ([]string, error) {
	flags.SetOutput(io.Discard)
	var rest []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, trouble(fmt.Errorf("%w\n%s", err, routesUsage))
		}
		if flags.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, flags.Arg(0)), flags.Args()[1:]
	}
}

// table reads files as the gateway would, or those of GATEWAY_ROUTES if none
// are named.
func (c *routesCommand) table(paths []string) (*route.Table, error) {
	if len(paths) == 0 {
		paths = c.cfg.Routes
	}
	loader, err := routefile.Open(routefile.Config{Paths: paths, Settings: routefile.Settings{
		AuthTargets: c.cfg.AuthURL, UserTargets: c.cfg.UserURL, CredentialLimit: c.cfg.CredentialLimit,
	}})
	if err != nil {
		return nil, err
	}
	return loader.Table(), nil
}

// lint prints every problem of the files, a line each.
func (c *routesCommand) lint(args []string) error {
	paths, err := parse(flag.NewFlagSet("lint", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	if len(paths) == 0 && len(c.cfg.Routes) == 0 {
		return trouble(errors.New("lint: no files are named, and GATEWAY_ROUTES is not set"))
	}
	table, err := c.table(paths)
	if problems, ok := errors.AsType[route.Problems](err); ok {
		for _, p := range problems {
			if err := c.say("%s\n", p); err != nil {
				return err
			}
		}
		return answerNo()
	}
	if err != nil {
		return trouble(err)
	}
	own := 0
	for _, r := range table.Routes() {
		if r.BuiltIn {
			own++
		}
	}
	return c.say("the routes are good: %d, beside %d built-in ones\n", len(table.Routes())-own, own)
}

func (c *routesCommand) schema(args []string) error {
	if len(args) > 0 {
		return trouble(errors.New("schema: takes no arguments"))
	}
	text, err := routefile.Schema()
	if err != nil {
		return trouble(err)
	}
	return c.say("%s", text)
}

// say prints to the standard output.
func (c *routesCommand) say(format string, args ...any) error {
	if _, err := fmt.Fprintf(c.stdout, format, args...); err != nil {
		return trouble(fmt.Errorf("write the answer: %w", err))
	}
	return nil
}

// where is the host and the pattern of a route.
func where(r *route.Route) string { return r.Match.Host + r.Match.Path }

// methodsOf are the methods of a route in short.
func methodsOf(r *route.Route) string {
	if r.TakesEveryMethod() {
		return "*"
	}
	return strings.Join(r.Methods(), ",")
}

func trimAll(list []string) {
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
}

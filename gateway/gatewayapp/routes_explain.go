package gatewayapp

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"gatehouse.internal/gateway/internal/access"
	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

// explain says what becomes of a request, step by step as the pipeline goes.
func (c *routesCommand) explain(args []string) error {
	var roles, permissions []string
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	flags.Func("role", "a role of the caller", func(role string) error {
		roles = append(roles, role)
		return nil
	})
	flags.Func("permission", "a permission that the caller's roles give", func(permission string) error {
		permissions = append(permissions, permission)
		return nil
	})
	unverified := flags.Bool("unverified", false, "the caller's e-mail address is not verified")
	factor := flags.Bool("mfa", false, "the caller has shown a second factor")
	rest, err := parse(flags, args)
	if err != nil {
		return err
	}
	if len(rest) < 2 {
		return trouble(errors.New("explain: needs a method and a URL or path"))
	}
	table, err := c.table(rest[2:])
	if err != nil {
		return trouble(err)
	}
	e := &explanation{ctx: c.ctx, table: table, method: rest[0], target: rest[1], out: tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)}
	if len(roles)+len(permissions) > 0 || *unverified || *factor {
		e.permissions = permissions
		e.caller = &contract.Claims{Roles: roles, EmailVerified: !*unverified}
		if *factor {
			e.caller.Methods = []string{contract.MethodMFA}
		}
	}
	passes := e.tell()
	if err := e.out.Flush(); err != nil {
		return trouble(fmt.Errorf("write the explanation: %w", err))
	}
	if !passes {
		return answerNo()
	}
	return nil
}

// explanation is the answer to one explain. Errors of writing are those of
// the tabwriter's Flush.
type explanation struct {
	ctx            context.Context // of the one command
	table          *route.Table
	method, target string
	caller         *contract.Claims // nil if nobody in particular asks
	permissions    []string         // that its roles give
	out            *tabwriter.Writer
}

func (e *explanation) line(label, format string, args ...any) {
	_, _ = fmt.Fprintf(e.out, "%s\t%s\n", label, fmt.Sprintf(format, args...))
}

// tell goes through the steps, and reports whether the request would pass.
func (e *explanation) tell() bool {
	host := hostOf(e.target)
	if !plainHost(host) {
		return e.refused("the host is none", fault.New(fault.Malformed, "The host of the request is not a name or an address."))
	}
	path, err := route.CheckTarget(e.method, e.target, host)
	if err != nil {
		because := "the path has more than one reading"
		if e.method != http.MethodOptions && !slices.Contains(route.Methods(), e.method) {
			because = "no route can have this method"
		}
		return e.refused(because, err)
	}
	r, allow := e.table.Match(e.method, host, path)
	if r == nil {
		return e.noRoute(host, path, allow)
	}
	e.line("route", "%s, at %v", r.Name, r.Source)
	e.line("matches", "%s %s", methodsOf(r), where(r))
	e.others(r, host, path)
	e.line("may pass", "%s, by %v", r.Callers(), r.DecidedAt(""))
	e.terms(r)
	e.forwarded(r, path)
	return e.verdict(r)
}

// noRoute explains why there is no route.
func (e *explanation) noRoute(host, path, allow string) bool {
	defer e.others(nil, host, path)
	switch {
	case allow != "" && e.method == "OPTIONS":
		e.line("answer", "204 by the gateway itself, with Allow: %s", allow)
		return true
	case allow != "":
		return e.refused("the path answers to "+allow, fault.New(fault.MethodNotAllowed, "This path does not answer to this method."))
	case route.HasParameters(path):
		return e.refused("no route takes these path parameters", fault.New(fault.Malformed, "The path has a parameter, which is not allowed here."))
	}
	return e.refused("no route is for this path", fault.New(fault.RouteNotFound, "There is no route for this path."))
}

// refused tells of a refusal and why.
func (e *explanation) refused(because string, err error) bool {
	p := httpx.ProblemFor(err)
	e.line("refused", "%d %s: %s", p.Status, p.Code, p.Detail)
	e.line("because", "%s", because)
	return false
}

// others names the routes that fit as well and are less specific, or fit but
// for the method.
func (e *explanation) others(chosen *route.Route, host, path string) {
	for _, r := range e.table.Fitting(host, path) {
		if r != chosen {
			e.line("fits too", "%s, %s %s, at %v", r.Name, methodsOf(r), where(r), r.Source)
		}
	}
}

// terms tells on what terms the route is served.
func (e *explanation) terms(r *route.Route) {
	if r.Auth != route.AuthNone {
		e.line("revocations", "known as of at most %v ago, or else 503", r.MaxStaleness)
	}
	if l := r.RateLimit; l != nil {
		e.line("limit", "%d requests per %v by %s", l.Requests, l.Per, l.By)
	}
	e.line("body", "at most %d bytes", r.MaxBody)
	if len(r.Compress) > 0 {
		e.line("answers", "in %s, where clients take that", strings.Join(r.Compress, " or "))
	}
}

// forwarded tells where the request goes.
func (e *explanation) forwarded(r *route.Route, path string) {
	if r.Upstream == route.GatewayUpstream {
		e.line("answer", "by the gateway itself")
		return
	}
	forward := r.ForwardPath(path)
	if _, query, found := strings.Cut(e.target, "?"); found {
		forward += "?" + query
	}
	for _, u := range e.table.Upstreams() {
		if u.Name == r.Upstream {
			e.line("forwards", "%s %s to %s: %s", e.method, forward, u.Name, strings.Join(u.Targets, ", "))
		}
	}
}

// verdict asks the gate that decides in the gateway.
func (e *explanation) verdict(r *route.Route) bool {
	gate := access.Gate{Tokens: described{caller: e.caller}, Revocations: described{}, Permissions: described{permissions: e.permissions}}
	request := access.Request{Method: e.method}
	who := "a caller without a token"
	if e.caller != nil {
		request.Token, who = "the caller's", "this caller"
	}
	_, err := gate.Decide(e.ctx, demands(r), &request)
	if err == nil {
		e.line("verdict", "%s passes", who)
		return true
	}
	p := httpx.ProblemFor(err)
	e.line("verdict", "%s is refused: %d %s, by %v", who, p.Status, p.Code, r.DecidedAt(p.Code))
	return e.caller == nil // nobody in particular asked
}

// described stands for a caller of whom only what matters is known.
type described struct {
	caller      *contract.Claims
	permissions []string
}

// Permit goes by what was said of the caller, whatever its roles.
func (d described) Permit(_, permissions []string) (bool, error) {
	return !slices.ContainsFunc(permissions, func(p string) bool { return !slices.Contains(d.permissions, p) }), nil
}

// Verify takes every token for the caller's.
func (d described) Verify(context.Context, string) (*contract.Claims, error) { return d.caller, nil }

// Check knows of no revocation.
func (described) Check(context.Context, *contract.Claims, time.Duration) error { return nil }

// hostOf is the host that a URL names, or nothing.
func hostOf(target string) string {
	_, rest, found := strings.Cut(target, "://")
	if !found {
		return ""
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

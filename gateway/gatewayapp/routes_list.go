package gatewayapp

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"gatehouse.internal/gateway/internal/route"
)

// list prints the table, ordered by path.
func (c *routesCommand) list(args []string) error {
	routes, err := c.sorted("list", args)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	lines := []string{"METHODS\tWHERE\tCALLERS\tUPSTREAM\tNAME\tPLACE"}
	for _, r := range routes {
		lines = append(lines, strings.Join([]string{methodsOf(r), where(r), r.Callers(), r.Upstream, r.Name, r.Source.String()}, "\t"))
	}
	if _, err := fmt.Fprintln(out, strings.Join(lines, "\n")); err != nil {
		return trouble(fmt.Errorf("write the table: %w", err))
	}
	if err := out.Flush(); err != nil {
		return trouble(fmt.Errorf("write the table: %w", err))
	}
	return nil
}

// publicHead begins what public prints, so that the file explains itself.
const publicHead = `# All that can be reached without an access token (gateway routes public).
# The most specific path decides alone, and built-in routes before all others.
`

// public prints what needs no token. A line says nothing of where the route is
// written and is not aligned with others: it changes only when the route does,
// so that the whole can be kept in review.
func (c *routesCommand) public(args []string) error {
	routes, err := c.sorted("public", args)
	if err != nil {
		return err
	}
	if err := c.say("%s", publicHead); err != nil {
		return err
	}
	for _, r := range routes {
		if r.Auth == route.AuthRequired {
			continue
		}
		note := ""
		if r.Auth == route.AuthOptional {
			note = ", a token is checked if there is one"
		}
		if err := c.say("%s %s (%s to %s%s)\n", methodsOf(r), where(r), r.Name, r.Upstream, note); err != nil {
			return err
		}
	}
	return nil
}

// sorted reads files and gives their routes by path, host and method.
func (c *routesCommand) sorted(name string, args []string) ([]*route.Route, error) {
	paths, err := parse(flag.NewFlagSet(name, flag.ContinueOnError), args)
	if err != nil {
		return nil, err
	}
	table, err := c.table(paths)
	if err != nil {
		return nil, trouble(err)
	}
	routes := slices.Clone(table.Routes())
	slices.SortFunc(routes, func(a, b *route.Route) int {
		return cmp.Or(cmp.Compare(a.Match.Path, b.Match.Path), cmp.Compare(a.Match.Host, b.Match.Host), cmp.Compare(methodsOf(a), methodsOf(b)))
	})
	return routes, nil
}

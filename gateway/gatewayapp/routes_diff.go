package gatewayapp

import (
	"errors"
	"flag"
	"strings"

	"gatehouse.internal/gateway/internal/route"
)

// diff prints who gains or loses access between two sets of files, and what
// else changes for those who pass.
func (c *routesCommand) diff(args []string) error {
	paths, err := parse(flag.NewFlagSet("diff", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	if len(paths) != 2 {
		return trouble(errors.New("diff: needs two files or folders, the old and the new"))
	}
	var tables [2]*route.Table
	for i := range tables {
		if tables[i], err = c.table(paths[i : i+1]); err != nil {
			return trouble(err)
		}
	}
	changes, err := route.Compare(tables[0], tables[1])
	if err != nil {
		return trouble(err)
	}
	for _, change := range changes {
		if err := c.say("%s", changeText(change)); err != nil {
			return err
		}
	}
	upstreams := route.CompareUpstreams(tables[0], tables[1])
	for _, line := range upstreams {
		if err := c.say("~ %s\n", line); err != nil {
			return err
		}
	}
	if len(changes)+len(upstreams) > 0 {
		return answerNo()
	}
	return nil
}

// changeText gives a change in lines: what it is about, what decides it now
// and did before, and who gains (+), loses (-) or is served otherwise (~).
func changeText(change route.Change) string {
	var b strings.Builder
	methods := strings.Join(change.Methods, ",")
	if len(change.Methods) == len(route.Methods()) {
		methods = "*"
	}
	b.WriteString(methods + " " + change.Host + change.Path + "\n")
	b.WriteString("  now " + sideText(change.New) + "\n")
	b.WriteString("  was " + sideText(change.Old) + "\n")
	for _, part := range []struct {
		sign  string
		lines []string
	}{{"+", change.Gains}, {"-", change.Loses}, {"~", change.Terms}} {
		for _, line := range part.lines {
			b.WriteString("  " + part.sign + " " + line + "\n")
		}
	}
	return b.String()
}

func sideText(r *route.Route) string {
	if r == nil {
		return "no route"
	}
	return r.Name + " at " + r.Source.String() + ": " + r.Callers()
}

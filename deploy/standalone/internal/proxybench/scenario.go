package proxybench

import (
	"fmt"
	"slices"
	"strings"
)

// manyTokens is how many different tokens go round.
const manyTokens = 100_000

// freshTokens is how many never-seen tokens a phase uses up, in a second of
// its time.
const freshTokens = 8_000

// scenario is what is measured of some proxies.
type scenario struct {
	name    string
	what    string
	load    load
	tokens  tokens
	entries []entry
	idle    bool // nothing is sent: what connections cost in memory
}

// tokens says which tokens requests have.
type tokens byte

const (
	hot   tokens = iota // one for all
	many                // manyTokens in turn
	fresh               // each its own
)

// entry is a proxy in a scenario, under a name of its own if it is there twice.
type entry struct {
	proxy  string
	label  string
	public bool   // by the route that asks for no token
	tokens tokens // of the gateway alone
}

func plainly(names ...string) []entry {
	var all []entry
	for _, name := range names {
		all = append(all, entry{proxy: name, label: name})
	}
	return all
}

var everyProxy = []string{gatewayRS, gatewayES, reverse, nginx, nginxAuth, haproxy, haproxyRS, haproxyES}

// scenarios are all there are.
func scenarios() []scenario {
	small := load{path: "small", connections: 64}
	thousand, new, ten, big := small, small, small, small
	thousand.connections = 1000
	new.fresh = true
	ten.path, big.path = "10k", "1m"
	post, upload := small, small
	post.body, upload.body = mediumSize, largeSize
	big.connections, upload.connections = 16, 16
	public := entry{proxy: gatewayRS, label: "gateway, public route", public: true}
	return []scenario{
		{name: "memory", what: "1,000 idle connections, before anything else has used memory", load: load{path: "small", connections: 1000}, idle: true, entries: plainly(gatewayRS, reverse, nginx, haproxy)},
		{name: "small", what: "100-byte answers, 64 connections kept alive, one hot token", load: small, entries: append(plainly(everyProxy...), public)},
		{name: "thousand", what: "the same with 1,000 connections", load: thousand, entries: plainly(gatewayRS, reverse, nginx, haproxyRS)},
		{name: "new", what: "the same with a new connection for each request", load: new, entries: plainly(gatewayRS, reverse, nginx, haproxyRS)},
		{name: "10k", what: "10 KiB answers", load: ten, entries: plainly(gatewayRS, reverse, nginx, haproxyRS)},
		{name: "1m", what: "1 MiB answers, 16 connections", load: big, entries: plainly(gatewayRS, reverse, nginx, haproxy)},
		{name: "post", what: "10 KiB bodies of requests", load: post, entries: plainly(gatewayRS, reverse, nginx, haproxyRS)},
		{name: "upload", what: "1 MiB bodies of requests, 16 connections", load: upload, entries: plainly(gatewayRS, reverse, nginx, haproxy)},
		{name: "tokens", what: "100,000 different tokens of ES256 in turn, and one", load: small, entries: []entry{
			{proxy: gatewayES, label: gatewayES}, {proxy: gatewayES, label: "gateway es256, many", tokens: many}, {proxy: haproxyES, label: haproxyES},
		}},
		{name: "unseen", what: "every request with a token of ES256 that was never seen before", load: small, tokens: fresh, entries: plainly(gatewayES, haproxyES)},
		{name: "routes", what: "10,000 routes and 10", load: small, entries: plainly(gatewayES, gatewayBig)},
	}
}

// choose gives the scenarios of these names with the proxies of these names;
// all if there are none.
func choose(names, proxies []string) ([]scenario, error) {
	if len(names) == 0 {
		names = Names()
	}
	var chosen []scenario
	all := scenarios()
	for _, name := range names {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %s; there are %s", name, strings.Join(Names(), ", "))
		}
		s := all[i]
		s.entries = slices.DeleteFunc(s.entries, func(e entry) bool { return len(proxies) > 0 && !slices.Contains(proxies, e.proxy) })
		if len(s.entries) > 0 {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("none of the scenarios has one of these proxies: %s", strings.Join(proxies, ", "))
	}
	return chosen, nil
}

// Names are the names of all scenarios.
func Names() []string {
	var names []string
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// needed are the proxies of some scenarios.
func needed(chosen []scenario) []string {
	var names []string
	for _, s := range chosen {
		for _, e := range s.entries {
			if !slices.Contains(names, e.proxy) {
				names = append(names, e.proxy)
			}
		}
	}
	return names
}

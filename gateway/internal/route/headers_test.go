package route_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/gateway/internal/route"
)

// ruled compiles a route with header rules for one direction.
func ruled(field string, rules route.HeaderRules) (*route.Table, error) {
	change := func(d *route.Definition) {
		if field == "request_headers" {
			d.RequestHeaders = rules
		} else {
			d.ResponseHeaders = rules
		}
	}
	return route.Compile(route.Definitions{
		Upstreams: []route.UpstreamDefinition{upstream("service")},
		Routes:    []route.Definition{define("r", "GET /a", change)}})
}

func TestCompile_RefusesHeaderRules(t *testing.T) {
	const both = "request_headers response_headers"
	for _, c := range []struct{ name, fields, names, want string }{
		{"no token", both, "|a b|a:b|a\r\nb|ä|" + strings.Repeat("a", 65), "is not the name of a header field"},
		{"S-P3 framing", both, "content-length|Transfer-Encoding|Trailer|TE|Content-Encoding|content-range", "frames the message"},
		{"S-P3 one hop", both, "Connection|keep-alive|Upgrade|Proxy-Connection|Proxy-Authorization|proxy-authenticate", "frames the message"},
		{"a handshake", both, "Sec-WebSocket-Key|Sec-WebSocket-Accept|sec-fetch-site", "frames the message"},
		{"S-P1 identity, in every spelling", both, "X-User-Id|x_user_id|X.User.Roles|X-Session-Id|X-Forwarded-For|Forwarded|X-Request-Id|x_forwarded_proto|X-Gatehouse-Assertion|content_length", "is the gateway's own"},
		{"another host", "request_headers", "Host|Expect", "frames the message"},
		{"the token", "request_headers", "authorization", "forward_authorization: false"},
		{"the way and the trace", "request_headers", "Via|traceparent|tracestate", "is the gateway's own"},
		{"CORS and limits", "response_headers", "access-control-allow-origin|Ratelimit-Limit|RateLimit", "is the gateway's own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for field := range strings.FieldsSeq(c.fields) {
				for name := range strings.SplitSeq(c.names, "|") {
					for verb, rules := range map[string]route.HeaderRules{
						"set": {Set: []route.Field{{Name: name, Value: "v"}}}, "remove": {Remove: []string{name}},
					} {
						_, err := ruled(field, rules)
						problems, _ := errors.AsType[route.Problems](err)
						if len(problems) != 1 || !strings.HasPrefix(problems[0].Message, field+"."+verb+": ") || !strings.Contains(problems[0].Message, c.want) {
							t.Errorf("%s %s %q: %v", field, verb, name, err)
						}
					}
				}
			}
		})
	}
	t.Run("cookies can be removed, not set", func(t *testing.T) {
		for field, name := range map[string]string{"request_headers": "cookie", "response_headers": "set-cookie"} {
			if _, err := ruled(field, route.HeaderRules{Remove: []string{name}}); err != nil {
				t.Errorf("remove %s: %v", name, err)
			}
			if _, err := ruled(field, route.HeaderRules{Set: []route.Field{{Name: name, Value: "a=b"}}}); err == nil || !strings.Contains(err.Error(), "can remove it only") {
				t.Errorf("set %s: %v", name, err)
			}
		}
	})
	t.Run("S-P5 values that would end a line", func(t *testing.T) {
		for _, value := range []string{"a\r\nb", "a\nb", "a\rb", "a\x00", "a\x7f", "\ta", " a", "a ", "a\tb", "ä", strings.Repeat("a", 2049)} {
			if _, err := ruled("request_headers", route.HeaderRules{Set: []route.Field{{Name: "X-A", Value: value}}}); err == nil || !strings.Contains(err.Error(), "the value of X-A is not") {
				t.Errorf("%q: %v", value, err)
			}
		}
	})
	t.Run("one field twice", func(t *testing.T) {
		_, err := ruled("request_headers", route.HeaderRules{Set: []route.Field{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}}, Remove: []string{"X-a"}})
		if err == nil || strings.Count(err.Error(), "X-A appears twice") != 2 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("too many", func(t *testing.T) {
		var rules route.HeaderRules
		for i := range 33 {
			rules.Remove = append(rules.Remove, "X-"+strings.Repeat("A", i+1))
		}
		if _, err := ruled("response_headers", rules); err == nil || !strings.Contains(err.Error(), "response_headers.remove: names 33 fields, more than 32") {
			t.Errorf("got %v", err)
		}
	})
}

func TestHeaderRules_Apply(t *testing.T) {
	table, err := ruled("request_headers", route.HeaderRules{
		Set: []route.Field{{Name: "x-team", Value: "orders"}, {Name: "X-Empty", Value: ""}}, Remove: []string{"x-debug", "COOKIE"}})
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{"X-Team": {"forged", "twice"}, "X-Debug": {"1"}, "Cookie": {"a=b"}, "Accept": {"*/*"}}
	table.Routes()[0].RequestHeaders.Apply(h)
	if diff := cmp.Diff(http.Header{"X-Team": {"orders"}, "X-Empty": {""}, "Accept": {"*/*"}}, h); diff != "" {
		t.Error(diff)
	}
}

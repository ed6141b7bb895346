package routefile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"gatehouse.internal/gateway/internal/routefile"
)

// validator gives the schema as an editor would use it.
func validator(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := routefile.Schema()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("routes.json", parsed); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("routes.json") // against the schema of schemas, too
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// judge holds a text to the schema.
func judge(t testing.TB, s *jsonschema.Schema, text string) error {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

func TestSchema_TakesWhatTheGatewayTakes(t *testing.T) {
	s := validator(t)
	files := []string{"defaults.yaml", "../../../deploy/routes/example.yaml"}
	teams, err := filepath.Glob("../../gatewayapp/testdata/routes/teams/*.yaml")
	if err != nil || len(teams) == 0 {
		t.Fatalf("no files of teams: %v", err)
	}
	for _, name := range append(files, teams...) {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		if name == "defaults.yaml" { // whose targets come from the environment
			text = strings.ReplaceAll(text, "balance: least_conn", "balance: least_conn\n    targets: [http://a]")
		}
		if err := judge(t, s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := judge(t, s, example); err != nil {
		t.Error(err)
	}
}

// TestSchema_AgreesWithTheGateway changes one line of a good file, and asks
// both whether it is good still.
func TestSchema_AgreesWithTheGateway(t *testing.T) {
	s := validator(t)
	const upstream = "upstreams: { a: { targets: [http://a] LINE } }\nroutes: []"
	const of = "upstreams: { a: { targets: [http://a] } }\nroutes: [ { name: r, match: { path: /r }, upstream: a, auth: required LINE } ]"
	for _, c := range []struct{ base, line, not string }{
		{of, "", ""},
		{of, ", roles: [admin]", ""},
		{of, ", roles: admin", ""},
		{of, ", roles: []", ""},
		{of, ", roles: [1]", ""},
		{of, ", verified_email: true", ""},
		{of, ", verified_email: yes-please", ""},
		{of, ", mfa: true", ""},
		{of, ", mfa: once", ""},
		{of, ", max_staleness: 1m30.5s", ""},
		{of, ", max_staleness: 30", ""},
		{of, ", max_staleness: soon", ""},
		{of, ", timeout: 5m1", ""},
		{of, ", rate_limit: { requests: 5, per: 1m, by: ip }", ""},
		{of, ", rate_limit: { requests: 5, per: 1m }", ""},
		{of, ", rate_limit: { requests: 5, per: 1m, by: moon }", ""},
		{of, ", rate_limit: { requests: five, per: 1m, by: ip }", ""},
		{of, ", rate_limit: 5", ""},
		{of, ", max_body: 500", ""},
		{of, ", max_body: 1MiB", ""},
		{of, ", max_body: 1 MiB", ""},
		{of, ", max_body: 1.5MiB", ""},
		{of, ", max_body: -1", ""},
		{of, ", max_body: 0", ""},
		{of, ", rate_limit: { requests: 0, per: 1m, by: ip }", ""},
		{of, ", rewrite: { strip_prefix: /r }", ""},
		{of, ", rewrite: { replace_prefix: /x }", ""},
		{of, ", request_headers: { set: { X-A: b }, remove: [X-C] }", ""},
		{of, ", request_headers: { set: { X-A: 1 } }", ""},
		{of, ", request_headers: { set: {} }", ""},
		{of, ", request_headers: { add: { X-A: b } }", ""},
		{of, ", response_headers: { remove: [] }", ""},
		{of, ", forward_authorization: false", ""},
		{of, ", forward_authorization: never", ""},
		{of, ", path_parameters: true", ""},
		{of, ", websocket: 1", ""},
		{of, ", compress: true", ""},
		{of, ", compress: false", ""},
		{of, ", compress: [gzip]", ""},
		{of, ", compress: gzip", ""},
		{of, ", compress: [br]", ""},
		{of, ", compress: []", ""},
		{of, ", compress: [1]", ""},
		{of, ", permissions: [x]", ""},
		{of, ", permissions: [orders:read, a.b-c:d_e:f]", ""},
		{of, ", permissions: [\"orders:*\"]", ""},
		{of, ", permissions: []", ""},
		{of, ", permission: [orders:read]", ""},
		{of, "", "name: r, "},
		{of, "", "upstream: a, "},
		{of, "", ", auth: required"},
		{of, "", "path: /r"},
		{upstream, ", balance: random_two", ""},
		{upstream, ", balance: luck", ""},
		{upstream, ", health: { path: /livez }", ""},
		{upstream, ", health: { interval: 1s }", ""},
		{upstream, ", timeout: 10s", ""},
		{upstream, ", weight: 1", ""},
		{upstream, ", protocol: h2c", ""},
		{upstream, ", protocol: spdy", ""},
		{upstream, ", health: { path: /livez, timeout: 1s, unhealthy: 3, healthy: 2, statuses: [200, 204] }", ""},
		{upstream, ", health: { path: /livez, statuses: [] }", ""},
		{upstream, ", health: { path: /livez, statuses: [ok] }", ""},
		{upstream, ", health: { path: /livez, unhealthy: 0 }", ""},
		{upstream, ", ejection: { failures: 3, first: 2s, max: 10s }", ""},
		{upstream, ", ejection: 3", ""},
		{upstream, ", retries: { attempts: 2, budget_percent: 10 }", ""},
		{upstream, ", retries: { budget_percent: 10 }", ""},
		{upstream, ", retries: { attempts: 0 }", ""},
		{upstream, ", breaker: { failure_percent: 30, min_calls: 5, open_for: 1s }", ""},
		{upstream, ", breaker: {}", ""},
		{upstream, ", breaker: { open_for: 5 }", ""},
		{upstream, ", failure_statuses: [502, 503]", ""},
		{upstream, ", failure_statuses: [404]", ""},
		{upstream, ", failure_statuses: 503", ""},
		{upstream, ", max_requests: 10, connect_timeout: 1s, idle_timeout: 2m", ""},
		{upstream, ", max_requests: many", ""},
		{upstream, "", "targets: [http://a]"},
		{strings.Replace(upstream, "[http://a]", "[http://a, { url: http://b, weight: 3 }]", 1), "", ""},
		{strings.Replace(upstream, "[http://a]", "[{ url: http://b }]", 1), "", ""},
		{strings.Replace(upstream, "[http://a]", "[{ weight: 3 }]", 1), "", ""},
		{strings.Replace(upstream, "[http://a]", "[{ url: http://b, weight: 0 }]", 1), "", ""},
		{strings.Replace(upstream, "[http://a]", "[{ url: http://b, weigth: 2 }]", 1), "", ""},
		{strings.Replace(upstream, "[http://a]", "[[http://b]]", 1), "", ""},
		{strings.Replace(upstream, "http://a]", "https://a]", 1), ", protocol: h2, tls: { ca: /ca.pem, cert: /c.pem, key: /k.pem, server_name: orders }", ""},
		{strings.Replace(upstream, "http://a]", "https://a]", 1), ", tls: { insecure: true }", ""},
		{of, ", total_timeout: 1m", ""},
		{of, ", assertion: orders", ""},
		{of, ", assertion: [orders]", ""},
		{of, ", total_timeout: 1", ""},
		{upstream, "", "targets: [http://a]"},
	} {
		text := strings.Replace(c.base, "LINE", c.line, 1)
		if c.not != "" {
			text = strings.Replace(text, c.not, "", 1)
		}
		_, reads := routefile.Open(routefile.Config{Paths: []string{folder(t, map[string]string{"r.yaml": text})}, Settings: settings()})
		if completes := judge(t, s, text); (reads == nil) != (completes == nil) {
			t.Errorf("%s\nthe gateway says: %v\nthe schema says: %v", text, reads, completes)
		}
	}
}

// TestSchema_ExplainsEveryKey sees to it that an editor has something to show.
func TestSchema_ExplainsEveryKey(t *testing.T) {
	var look func(at string, s *jsonschema.Schema)
	keys := 0
	look = func(at string, s *jsonschema.Schema) {
		for name, inner := range s.Properties {
			keys++
			if inner.Description == "" {
				t.Errorf("%s/%s says nothing", at, name)
			}
			look(at+"/"+name, inner)
		}
		if items, ok := s.Items2020, s.Items2020 != nil; ok {
			look(at+"[]", items)
		}
		if more, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
			look(at+"/*", more)
		}
	}
	look("", validator(t))
	if keys < 30 {
		t.Errorf("only %d keys were looked at", keys)
	}
}

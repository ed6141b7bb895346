package routefile

import (
	"go.yaml.in/yaml/v3"

	"gatehouse.internal/gateway/internal/route"
)

// upstreamKeys are those of an upstream, with what editors show of them.
// Reading them fills in u.
func (d *document) upstreamKeys(u *route.UpstreamDefinition) keys {
	var health route.Health
	var retries route.Retries
	var breaker route.Breaker
	var tls route.TLS
	return keys{
		"targets": d.targets(u).must().about("The replicas: http://host:port or https://host:port, or with a weight: { url: http://host:port, weight: 3 }."),
		"balance": text(&u.Balance).of("round_robin", "least_conn", "random_two").unless("round_robin").
			about("How a replica is chosen for a request."),
		"protocol": text(&u.Protocol).of("http1", "h2", "h2c").unless("http1").
			about("What the replicas speak: HTTP/1.1, HTTP/2 over TLS, or HTTP/2 in clear."),
		"tls": given(d.inner("tls.", u.At, keys{
			"ca":          text(&tls.CA).about("File with the authorities that may speak for the replicas, PEM; left out for the system's."),
			"cert":        text(&tls.Cert).about("File with the gateway's certificate for the replicas, PEM."),
			"key":         text(&tls.Key).about("File with its key, PEM."),
			"server_name": text(&tls.ServerName).about("The name that a replica must prove, in place of its host."),
		}), &u.TLS, &tls).about("What https replicas are held to. Absolute paths; files are read again when they change."),
		"health":           given(d.health(&health, u.At), &u.Health, &health).about("How the replicas are probed; left out for no probes."),
		"failure_statuses": d.numbers(&u.Failing, u.At, "failure_statuses", 500).about("Answers that count as failures, such as 503; left out for none."),
		"ejection": d.inner("ejection.", u.At, keys{
			"failures": number(&u.Ejection.Failures).unless(5).about("Failures in a row that leave a replica out."),
			"first":    duration(&u.Ejection.First).unless("1s").about("For how long at first; twice as long each time in a row."),
			"max":      duration(&u.Ejection.Max).unless("30s").about("For how long at most."),
		}).about("When replicas that fail get nothing for a while; never more than half of them."),
		"retries": given(d.inner("retries.", u.At, keys{
			"attempts":       number(&retries.Attempts).must().about("How often beside the first time, 5 at most."),
			"budget_percent": number(&retries.BudgetPercent).unless(route.DefaultBudgetPercent).about("How many retries for a hundred calls; a few a second are allowed always."),
		}), &u.Retries, &retries).about("Repeats GET, HEAD, OPTIONS, PUT and DELETE without a body that failed. Left out for none but on refused connections."),
		"breaker": given(d.inner("breaker.", u.At, keys{
			"failure_percent": number(&breaker.FailurePercent).unless(route.DefaultFailurePercent).about("Share of failed calls, of the last 10 s, that opens it."),
			"min_calls":       number(&breaker.MinCalls).unless(route.DefaultMinCalls).about("So many calls before anything is concluded."),
			"open_for":        duration(&breaker.OpenFor).unless("5s").about("How long no call is made, until one tries again."),
		}), &u.Breaker, &breaker).about("When the upstream as a whole is left alone and callers get 503 at once; left out for never."),
		"max_requests":    number(&u.MaxInFlight).unless(2048).about("Requests at once for each replica; more get 503 overloaded."),
		"timeout":         duration(&u.Timeout).unless("30s").about("Until an answer begins, for each try."),
		"connect_timeout": duration(&u.ConnectTimeout).unless("3s").about("Until there is a connection."),
		"idle_timeout":    duration(&u.IdleTimeout).unless("60s").about("How long an answer that has begun may stand still; event streams and gRPC excepted."),
	}
}

func (d *document) health(h *route.Health, at route.Places) key {
	return d.inner("health.", at, keys{
		"path":      text(&h.Path).must().about("Where a GET asks a replica whether it is well."),
		"interval":  duration(&h.Interval).unless("5s").about("How often it is asked."),
		"timeout":   duration(&h.Timeout).unless("2s").about("How long it has for an answer, and no longer than the interval."),
		"unhealthy": number(&h.Unhealthy).unless(2).about("Missed probes in a row that make it sick."),
		"healthy":   number(&h.Healthy).unless(1).about("Probes in a row that make it well again."),
		"statuses":  d.numbers(&h.Statuses, at, "health.statuses", 200).about("Answers that say it is well; left out for every one below 500."),
	})
}

// targets reads addresses, each alone or with a weight, and notes the place of
// each.
func (d *document) targets(u *route.UpstreamDefinition) key {
	var address string
	var weight int
	weighted := func() keys {
		return keys{
			"url":    text(&address).must().about("http://host:port or https://host:port."),
			"weight": number(&weight).unless(1).about("Its share of the requests beside the others', 1 to 100."),
		}
	}
	items := &schema{AnyOf: []*schema{{Type: "string"}, object(weighted())}}
	return key{schema: &schema{Type: "array", Items: items, MinItems: 1}, read: func(v *yaml.Node) string {
		if v.Kind != yaml.SequenceNode {
			return "not a list like [a, b]"
		}
		weights, isWeighted := []int{}, false
		for i, item := range v.Content {
			address, weight = "", 1
			place := route.Place{Position: d.position(item)}
			var wrong string
			if item.Kind == yaml.MappingNode {
				isWeighted = true
				inside := make(route.Places)
				wrong = d.mapping(item, "targets.", inside, weighted())
				_, named := inside["targets.url"]
				place.Broken = inside["targets.url"].Broken || inside["targets.weight"].Broken
				if wrong == "" && !named {
					wrong = "without its url"
				}
			} else {
				wrong = text(&address).read(item)
			}
			if wrong != "" {
				d.report(item, "targets: item %d is %s", i+1, wrong)
				place.Broken = true
			}
			if place.Broken {
				u.At["targets"] = route.Place{Position: d.position(v), Broken: true}
			}
			u.At[route.ItemName("targets", i)] = place
			u.Targets, weights = append(u.Targets, address), append(weights, weight)
		}
		if isWeighted {
			u.Weights = weights
		}
		return ""
	}}
}

// numbers reads a list of whole numbers and notes the place of each.
func (d *document) numbers(into *[]int, at route.Places, field string, lowest int) key {
	return key{schema: &schema{Type: "array", Items: &schema{Type: "integer", Minimum: lowest}, MinItems: 1}, read: func(v *yaml.Node) string {
		if v.Kind != yaml.SequenceNode {
			return "not a list like [502, 503]"
		}
		for i, item := range v.Content {
			var n int
			place := route.Place{Position: d.position(item)}
			if wrong := number(&n).read(item); wrong != "" {
				d.report(item, "%s: item %d is %s", field, i+1, wrong)
				place.Broken = true
				at[field] = route.Place{Position: d.position(v), Broken: true}
			}
			at[route.ItemName(field, i)] = place
			*into = append(*into, n)
		}
		return ""
	}}
}

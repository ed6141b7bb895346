package httpx_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

func TestNew_metrics_count_requests_by_route_and_class(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := newService(httpx.Options{Registry: registry, Service: "auth"})
	twin := newService(httpx.Options{Registry: registry, Service: "auth"}) // counts into the same metrics
	for _, e := range []*service{s, twin} {
		e.GET("/users/:id", ok)
		e.POST("/users/:id", func(echo.Context) error { return fault.New(fault.Conflict, "") })
		e.GET("/named", func(c echo.Context) error {
			httpx.LogRoute(c.Request().Context(), "orders")
			return errors.New("x")
		})
	}
	s.call("GET", "/users/1", "")
	twin.call("GET", "/users/2", "")
	s.call("POST", "/users/1", "")
	s.call("GET", "/named", "")
	s.call("GET", "/made/up", "")
	s.call("INVENTED", "/made/up", "")
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP gatehouse_http_requests_total Requests answered.
# TYPE gatehouse_http_requests_total counter
gatehouse_http_requests_total{class="2xx",method="GET",route="/users/:id",service="auth"} 2
gatehouse_http_requests_total{class="4xx",method="GET",route="none",service="auth"} 1
gatehouse_http_requests_total{class="4xx",method="POST",route="/users/:id",service="auth"} 1
gatehouse_http_requests_total{class="4xx",method="other",route="none",service="auth"} 1
gatehouse_http_requests_total{class="5xx",method="GET",route="orders",service="auth"} 1
# HELP gatehouse_http_requests_in_flight Requests being answered.
# TYPE gatehouse_http_requests_in_flight gauge
gatehouse_http_requests_in_flight{service="auth"} 0
`), "gatehouse_http_requests_total", "gatehouse_http_requests_in_flight")
	if err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(registry, "gatehouse_http_request_duration_seconds"); n != 3 || err != nil {
		t.Errorf("%d histograms, want one for each of 3 routes: %v", n, err)
	}
}

func TestNew_a_name_that_is_taken_by_another_metric_does_no_harm(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_http_requests_total", Help: "other"}))
	s := newService(httpx.Options{Registry: registry, Service: "auth"})
	s.GET("/x", ok)
	if w := s.call("GET", "/x", ""); w.Code != http.StatusOK {
		t.Errorf("got %d", w.Code)
	}
}

package httpx

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// Options say how a service wants to be served. The zero value works.
type Options struct {
	Log     *slog.Logger // slog.Default() if nil
	Service string       // its name, for metrics

	// MaxBody bounds request bodies: 0 means DefaultMaxBody, less than 0 that
	// each handler sees to it with LimitBody.
	MaxBody int64
	// TrustedProxies may tell whom they speak for (X-Forwarded-For, -Proto).
	TrustedProxies []netip.Prefix
	// TrustRequestID keeps the X-Request-Id that a trusted proxy sends.
	TrustRequestID bool
	// Registry receives the metrics; nil means none. Several servers of the
	// same service can share one.
	Registry prometheus.Registerer
	Now      func() time.Time // time.Now if nil
}

// New returns an Echo which does around its handlers what the package comment
// says. A handler that passes on an upstream's answer should write it to
// c.Response().Writer, which lets informational answers (1xx) through, and
// call PassThrough.
func New(o Options) *echo.Echo {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Logger.SetOutput(echoLog{o.Log})
	e.HTTPErrorHandler = handleError
	e.IPExtractor = func(r *http.Request) string {
		if addr := ClientAddr(r, o.TrustedProxies); addr.IsValid() {
			return addr.String()
		}
		return ""
	}
	e.SchemeExtractor = func(r *http.Request) string { return clientScheme(r, o.TrustedProxies) }
	ob := &observer{Options: o, metrics: newMetrics(o.Registry, o.Service)}
	e.Pre(ob.middleware)
	return e
}

// echoLog passes on what Echo itself has to say.
type echoLog struct{ log *slog.Logger }

// Write logs one line.
func (l echoLog) Write(line []byte) (int, error) {
	l.log.Warn("echo", "text", string(line))
	return len(line), nil
}

package proxy

import (
	"context"
	"crypto/sha1" // RFC 6455 wants it; it protects nothing here
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"gatehouse.internal/gateway/internal/proxy/h1"
	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/fault"
)

var errSwitched = errors.New("the upstream switched protocols in a way that it was not asked to")

// judge turns an error of the reverse proxy into what the client is told, and
// into what it tells about the target. The client's own faults come first:
// they are often the cause of what then looks like the upstream's.
func (x *exchange) judge(err error) (upstream.Outcome, error) {
	if mine := x.body.fault(); mine != nil {
		return upstream.Neutral, mine
	}
	if x.overdue() {
		return upstream.Failed, errOverdue
	}
	if x.Err() != nil || errors.Is(err, context.Canceled) {
		return upstream.Neutral, fault.Wrap(fault.Malformed, "The client ended the request.", err)
	}
	if _, ours := errors.AsType[*fault.Error](err); ours {
		return upstream.Neutral, err // no target could be had
	}
	if unreachable(err) {
		f := fault.Wrap(fault.UpstreamUnavailable, "The service behind this route cannot be reached.", err)
		f.RetryAfter = time.Second
		return upstream.Unreachable, f
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return upstream.Failed, fault.Wrap(fault.UpstreamTimeout, "The service behind this route did not answer in time.", err)
	}
	return upstream.Failed, fault.Wrap(fault.UpstreamError, "The service behind this route did not give a valid answer.", err)
}

// unreachable reports whether no connection could be had.
func unreachable(err error) bool {
	_, is := errors.AsType[*dialError](err)
	return is || errors.Is(err, h1.ErrBusy)
}

// checkSwitch refuses a 101 that nobody asked for, or that does not grant what
// was asked for (RFC 6455 section 4.2.2). It would otherwise turn the
// connection into a tunnel past every check.
func checkSwitch(out *http.Request, res *http.Response) error {
	if res.StatusCode != http.StatusSwitchingProtocols {
		return nil
	}
	sum := sha1.Sum([]byte(out.Header.Get("Sec-Websocket-Key") + webSocketGUID))
	if strings.EqualFold(out.Header.Get("Upgrade"), "websocket") &&
		len(res.Header["Upgrade"]) == 1 && strings.EqualFold(res.Header["Upgrade"][0], "websocket") && hasToken(res.Header["Connection"], "upgrade") &&
		res.Header.Get("Sec-Websocket-Accept") == base64.StdEncoding.EncodeToString(sum[:]) {
		return nil
	}
	_ = res.Body.Close()
	return errSwitched
}

// hasToken reports whether a list has a token, in any case and on any of its
// lines (RFC 9110 section 5.6.1).
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(element, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// webSocketGUID is what both ends of a WebSocket handshake add to the key.
const webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

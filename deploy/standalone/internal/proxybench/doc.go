// Package proxybench measures what a request costs the gateway, beside other
// proxies that carry the same requests to the same upstream in the same run:
// a bare httputil.ReverseProxy, nginx, nginx with auth_request, and HAProxy,
// which verifies tokens itself. The gateway is the real binary with a real
// auth-service behind it. Programs that are not installed are left out.
//
// Each scenario goes round all proxies several times, so that whatever else
// the machine does meets all of them; the figures are the medians of the
// rounds. What counts is the processor time of all processes of a proxy, from
// /proc (clock ticks of 10 ms), for each answered request. Everything runs on
// one machine, so requests per second and times tell of that machine's load
// generator and upstream as well; ratios between proxies mean more.
//
// It runs on Linux alone.
package proxybench

package proxybench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"gatehouse.internal/shared/token"
)

// ServeReverse carries everything to the upstream with httputil.ReverseProxy
// and checks nothing: what a Go program gets for a few lines. Its connections
// are kept, and its buffers reused.
func ServeReverse(l net.Listener, upstream string) error {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(&url.URL{Scheme: "http", Host: upstream})
			pr.SetXForwarded()
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 2048, DisableCompression: true},
		BufferPool: &pool{},
	}
	return serve(l, proxy)
}

// ServeChecker answers nginx's auth_request: 204 to a good token, and 401. It
// remembers the signatures that it has checked, as the gateway does.
func ServeChecker(l net.Listener, jwks string) error {
	set, err := fetchKeys(jwks)
	if err != nil {
		return err
	}
	verifier, err := token.NewVerifier(token.Settings{Issuer: issuerName, Audience: audience}, set, time.Now)
	if err != nil {
		return err
	}
	cache := token.NewCache(verifier, 100_000)
	return serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := cache.Verify(r.Context(), raw); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
}

func serve(l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	if err := server.Serve(l); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// pool lends the buffers of httputil.ReverseProxy.
type pool struct{ sync.Pool }

const copySize = 32 << 10

// Get lends a buffer.
func (p *pool) Get() []byte {
	if b, ok := p.Pool.Get().(*[copySize]byte); ok {
		return b[:]
	}
	return make([]byte, copySize)
}

// Put takes it back.
func (p *pool) Put(b []byte) { p.Pool.Put((*[copySize]byte)(b)) }

// nginxConfig is a plain proxy; with a checker it asks that about every
// request.
func nginxConfig(folder, listen, upstream, checker string) string {
	auth, location := "", ""
	if checker != "" {
		auth = "auth_request /_check; "
		location = `location = /_check { internal; proxy_pass http://checker; proxy_pass_request_body off;
			proxy_set_header Content-Length ""; proxy_http_version 1.1; proxy_set_header Connection ""; }`
	}
	return fmt.Sprintf(`worker_processes 2; daemon off; pid %[1]s/nginx.pid; error_log %[1]s/nginx.log warn;
		events { worker_connections 4096; }
		http {
			access_log off; keepalive_requests 1000000000; client_max_body_size 16m; client_body_buffer_size 2m;
			client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi; uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
			upstream up { server %[3]s; keepalive 1024; keepalive_requests 1000000000; }
			%[6]s
			server { listen %[2]s backlog=4096;
				location / { %[4]sproxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr; }
				%[5]s }
		}`, folder, listen, upstream, auth, location, checkerUpstream(checker))
}

func checkerUpstream(checker string) string {
	if checker == "" {
		return ""
	}
	return fmt.Sprintf("upstream checker { server %s; keepalive 1024; keepalive_requests 1000000000; }", checker)
}

// haproxyConfig is a plain proxy; with an algorithm it verifies the signature
// and the times of every token, and demands the issuer.
func haproxyConfig(listen, upstream, algorithm, publicKey string) string {
	check := ""
	if algorithm != "" {
		check = fmt.Sprintf(`
	http-request set-var(txn.bearer) http_auth_bearer
	http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
	http-request set-var(txn.iss) var(txn.bearer),jwt_payload_query('$.iss')
	http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
	http-request set-var(txn.now) date()
	http-request deny deny_status 401 unless { var(txn.alg) -m str %[1]s }
	http-request deny deny_status 401 unless { var(txn.iss) -m str %[2]s }
	http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
	http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"%[3]s") -m int 1 }`, algorithm, issuerName, publicKey)
	}
	return fmt.Sprintf(`global
	nbthread 2
	maxconn 8000
defaults
	mode http
	timeout connect 5s
	timeout client 60s
	timeout server 60s
	option http-keep-alive
	option forwardfor
frontend in
	bind %s%s
	default_backend up
backend up
	http-reuse always
	server up %s pool-max-conn 2048
`, listen, check, upstream)
}

// fetchKeys reads a key set.
func fetchKeys(address string) (*token.Set, error) {
	text, err := get(context.Background(), address)
	if err != nil {
		return nil, err
	}
	return token.ParseSet(text)
}

// writeConfig writes a file that a program is started with.
func writeConfig(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write a configuration: %w", err)
	}
	return nil
}

package workload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

// The bounds of single requests.
const (
	callTimeout = 3 * time.Second
	opTimeout   = 8 * time.Second
)

// request is what a client sends to a gateway.
type request struct {
	method, path string
	node         int
	token        string     // access token, unless empty
	form         url.Values // sent by the program, unless nil
	body         any        // sent as JSON, unless nil
	timeout      time.Duration
}

// answer is what came back; its status is 0 if nothing did.
type answer struct {
	status int
	body   struct {
		Code         string `json:"code"`
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
		SessionID    string `json:"session_id"`
		User         struct {
			ID string `json:"id"`
		} `json:"user"`
		Items []json.RawMessage `json:"items"`
	}
}

// do sends a request and notes the moments around it in o.
func (w *Workload) do(ctx context.Context, r request, o *history.Op) answer {
	var a answer
	if r.timeout == 0 {
		r.timeout = opTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var body io.Reader = http.NoBody
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return a // never: the bodies are maps of strings
		}
		body = bytes.NewReader(encoded)
	}
	if r.form != nil {
		body = strings.NewReader(r.form.Encode())
	}
	req, err := http.NewRequestWithContext(ctx, r.method, w.urls[r.node]+r.path, body)
	if err != nil {
		return a
	}
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(w.Program.ID, w.Program.Secret)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	o.Node, o.Start = r.node, w.Recorder.Now()
	defer func() { o.End = w.Recorder.Now() }()
	response, err := w.client.Do(req)
	if err != nil {
		return a
	}
	defer response.Body.Close() //nolint:errcheck // read to its end
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return a
	}
	a.status = response.StatusCode
	_ = json.Unmarshal(text, &a.body) // an answer without these fields has none of them
	o.Status, o.Code = a.status, a.body.Code
	return a
}

// codeOf is the code of a problem (RFC 9457), "" if the answer is none.
func codeOf(answer io.Reader) string {
	var problem struct {
		Code string `json:"code"`
	}
	_ = json.NewDecoder(io.LimitReader(answer, 1<<16)).Decode(&problem) // see above
	return problem.Code
}

// claims are the parts of an access token that the history names.
type claims struct {
	ID      string `json:"jti"`
	Session string `json:"sid"`
	Key     string `json:"-"` // the kid of its header
}

// read takes the claims out of a token without checking it.
func read(token string) claims {
	var c claims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return c
	}
	var head struct {
		Key string `json:"kid"`
	}
	for i, into := range []any{&head, &c} {
		if text, err := base64.RawURLEncoding.DecodeString(parts[i]); err == nil {
			_ = json.Unmarshal(text, into) // then it has no id, and is not used
		}
	}
	c.Key = head.Key
	return c
}

// hash names a refresh token without giving it away.
func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

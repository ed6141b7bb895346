package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

func (w *Workload) signInAdmin(ctx context.Context, node int) error {
	var o history.Op
	a := w.do(ctx, request{method: "POST", path: "/auth/login", node: node, body: map[string]string{"email": w.Admin.Email, "password": w.Admin.Password}}, &o)
	if a.status != http.StatusOK {
		return fmt.Errorf("the administrator cannot sign in: %d %s", a.status, a.body.Code)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.admin, w.adminAt = a.body.AccessToken, w.Recorder.Now()
	return nil
}

// adminToken is the administrator's access token. He signs in anew when it has
// grown old; if he cannot, the old one is used, and may be refused.
func (w *Workload) adminToken(ctx context.Context, node int) string {
	w.mu.Lock()
	old := w.Recorder.Now()-w.adminAt > adminLife
	w.mu.Unlock()
	if old {
		_ = w.signInAdmin(ctx, node) // see above
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.admin
}

// adminRefused has the administrator sign in anew before his next act.
func (w *Workload) adminRefused() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adminAt = -adminLife - time.Second
}

// byAdmin sends a request of the administrator.
func (w *Workload) byAdmin(ctx context.Context, r request, o *history.Op) answer {
	r.token = w.adminToken(ctx, r.node)
	a := w.do(ctx, r, o)
	if a.status == http.StatusUnauthorized {
		w.adminRefused()
	}
	return a
}

// View is what a gateway says of itself.
type View struct {
	ID       string  `json:"id"`
	Epoch    uint64  `json:"epoch"`
	Applied  uint64  `json:"applied"`
	Head     uint64  `json:"head"`
	Age      float64 `json:"age_ms"`
	Degraded bool    `json:"degraded"`
}

// Views asks the auth-service, through a gateway, for the views of all
// gateways.
func (w *Workload) Views(ctx context.Context, node int) ([]View, error) {
	var o history.Op
	a := w.byAdmin(ctx, request{method: "GET", path: "/admin/nodes", node: node, timeout: callTimeout}, &o)
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("ask for the nodes: %d %s", a.status, a.body.Code)
	}
	return decode[View](a.body.Items)
}

func decode[T any](items []json.RawMessage) ([]T, error) {
	out := make([]T, len(items))
	for i, item := range items {
		if err := json.Unmarshal(item, &out[i]); err != nil {
			return nil, fmt.Errorf("decode an answer: %w", err)
		}
	}
	return out, nil
}

// RotateKey has the administrator change the signing key.
func (w *Workload) RotateKey(ctx context.Context, node int) error {
	var o history.Op
	a := w.byAdmin(ctx, request{method: "POST", path: "/admin/keys/rotate", node: node}, &o)
	if a.status != http.StatusCreated {
		return fmt.Errorf("change the signing key: %d %s", a.status, a.body.Code)
	}
	return nil
}

// RevokeKey has the administrator revoke the key that signs access tokens, in
// an emergency. Every token that is out dies, his own as well; sessions live.
func (w *Workload) RevokeKey(ctx context.Context, node int) error {
	kid, err := w.signingKey(ctx, node)
	if err != nil {
		return err
	}
	o := history.Op{Kind: history.RevokeKey, Key: kid}
	a := w.byAdmin(ctx, request{method: "POST", path: "/admin/keys/" + kid + "/revoke", node: node}, &o)
	w.Recorder.Add(o)
	w.adminRefused()
	if a.status != http.StatusOK {
		return fmt.Errorf("revoke the signing key: %d %s", a.status, a.body.Code)
	}
	return nil
}

// SignInEverywhere has the administrator sign in through every gateway, and
// use what he gets there.
func (w *Workload) SignInEverywhere(ctx context.Context) error {
	for node := range w.urls {
		if err := w.signInAdmin(ctx, node); err != nil {
			return err
		}
		if _, err := w.Views(ctx, node); err != nil {
			return err
		}
	}
	return nil
}

// signingKey asks for the id of the key that signs access tokens.
func (w *Workload) signingKey(ctx context.Context, node int) (string, error) {
	var o history.Op
	a := w.byAdmin(ctx, request{method: "GET", path: "/admin/keys", node: node, timeout: callTimeout}, &o)
	keys, err := decode[struct {
		ID    string `json:"kid"`
		Use   string `json:"use"`
		State string `json:"state"`
	}](a.body.Items)
	if err != nil {
		return "", err
	}
	for _, k := range keys {
		if k.Use == "sig" && k.State == "active" {
			return k.ID, nil
		}
	}
	return "", fmt.Errorf("ask for the signing key: %d %s, %d keys", a.status, a.body.Code, len(keys))
}

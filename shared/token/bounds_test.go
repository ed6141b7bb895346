package token

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The set below is the example of RFC 8037 appendix A.2.
const oneKey = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`

func TestRemoteKeys_S_T4_UnknownKidsAreRememberedWithinABound(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(oneKey)) }))
	defer server.Close()
	at := time.Unix(1e9, 0)
	r := NewRemoteKeys(RemoteKeysConfig{URLs: []string{server.URL}, Now: func() time.Time { return at }, SearchEvery: time.Nanosecond})
	defer r.client.CloseIdleConnections()
	for i := range maxUnknown + 10 {
		at = at.Add(time.Microsecond)
		if _, err := r.Key(t.Context(), fmt.Sprint("garbage-", i)); err == nil {
			t.Fatal("a key was found")
		}
		if got := len(r.unknown); got > maxUnknown {
			t.Fatalf("%d unknown kids are remembered, want at most %d", got, maxUnknown)
		}
	}
	if len(r.unknown) == 0 {
		t.Error("nothing is remembered")
	}
}

package passkey_test

import (
	"encoding/json"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/passkey"
	"gatehouse.internal/shared/fault"
)

func TestNew_takesTheSiteFromThePublicURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://gateway.example.com": "gateway.example.com", "http://localhost:8080": "localhost", "https://gateway.example.com:8443/": "gateway.example.com",
		"http://127.0.0.1:8080": "", "https://[2001:db8::1]": "",
	} {
		c, err := passkey.New(url)
		if err != nil || (c == nil) != (want == "") {
			t.Errorf("%s: %v, %v", url, c, err)
		}
		if c == nil {
			continue
		}
		options, _, err := c.BeginRegistration(auth.PasskeyOwner{UserID: "01890a5d-ac96-774b-bcce-000000000001", Name: "ada@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			RP        struct{ ID string }
			Selection struct {
				ResidentKey      string `json:"residentKey"`
				UserVerification string `json:"userVerification"`
			} `json:"authenticatorSelection"`
			Attestation string
		}
		if err := json.Unmarshal(options, &got); err != nil || got.RP.ID != want ||
			got.Selection.ResidentKey != "required" || got.Selection.UserVerification != "required" || got.Attestation != "none" {
			t.Errorf("%s asks for %s (%v)", url, options, err)
		}
	}
	if _, err := passkey.New("no url"); err == nil {
		t.Error("a URL without a host is accepted")
	}
}

func TestFinish_refusesWhatIsNoAnswer(t *testing.T) {
	c, err := passkey.New("https://gateway.example.com")
	if err != nil {
		t.Fatal(err)
	}
	owner := auth.PasskeyOwner{UserID: "u", Name: "n"}
	_, state, err := c.BeginRegistration(owner)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"", "null", "[]", "{}", `{"id":"a"}`} {
		if _, err := c.FinishRegistration(owner, state, []byte(answer)); !fault.Is(err, fault.ValidationFailed) {
			t.Errorf("registration, %q: %v", answer, err)
		}
		if _, err := c.FinishAssertion(owner, state, []byte(answer)); !fault.Is(err, fault.ValidationFailed) {
			t.Errorf("assertion, %q: %v", answer, err)
		}
		if _, err := c.Credential([]byte(answer)); !fault.Is(err, fault.ValidationFailed) {
			t.Errorf("credential of %q: %v", answer, err)
		}
	}
}

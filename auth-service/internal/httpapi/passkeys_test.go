package httpapi_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
)

// device is an authenticator in software, in the browser of one user.
type device struct {
	w      *world
	rp     virtualwebauthn.RelyingParty
	device virtualwebauthn.Authenticator
	key    virtualwebauthn.Credential
}

func (w *world) device(s tokens) *device {
	return &device{
		w: w, rp: virtualwebauthn.RelyingParty{Name: "gateway.example.com", ID: "gateway.example.com", Origin: issuer},
		device: virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(s.User.ID)}),
		key:    virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2),
	}
}

type question struct {
	Token     string          `json:"passkey_token"`
	PublicKey json.RawMessage `json:"public_key"`
}

// create answers a registration's question.
func (d *device) create(q question) json.RawMessage {
	d.w.t.Helper()
	options, err := virtualwebauthn.ParseAttestationOptions(string(q.PublicKey))
	if err != nil {
		d.w.t.Fatalf("%v: %s", err, q.PublicKey)
	}
	return json.RawMessage(virtualwebauthn.CreateAttestationResponse(d.rp, d.device, d.key, *options))
}

// sign answers an assertion's question, with a counter one higher.
func (d *device) sign(q question) json.RawMessage {
	d.w.t.Helper()
	options, err := virtualwebauthn.ParseAssertionOptions(string(q.PublicKey))
	if err != nil {
		d.w.t.Fatalf("%v: %s", err, q.PublicKey)
	}
	d.key.Counter++
	return json.RawMessage(virtualwebauthn.CreateAssertionResponse(d.rp, d.device, d.key, *options))
}

func (w *world) ask(path string, body any, options ...option) question {
	w.t.Helper()
	a := w.call("POST", path, body, options...).want(200)
	if a.header.Get("Cache-Control") != "no-store" {
		w.t.Errorf("%s may be cached", path)
	}
	return decoded[question](a)
}

type passkeyView struct {
	ID, Name      string
	Suspect       bool     `json:"clone_suspected"`
	RecoveryCodes []string `json:"recovery_codes"`
}

// registered adds a passkey to the account of the session.
func (d *device) registered(s tokens, name string) passkeyView {
	d.w.t.Helper()
	q := d.w.ask("/auth/passkey-options", fields{"password": password}, bearer(s.AccessToken))
	a := d.w.call("POST", "/auth/passkeys", fields{"passkey_token": q.Token, "name": name, "credential": d.create(q)}, bearer(s.AccessToken)).want(201)
	return decoded[passkeyView](a)
}

func TestAPI_passkeys_are_registered_listed_renamed_and_removed(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	w.call("POST", "/auth/passkey-options", fields{"password": nextPassword}, bearer(s.AccessToken)).wantProblem(401, "invalid_credentials")
	d := w.device(s)
	p := d.registered(s, " Laptop ")
	if p.Name != "Laptop" || len(p.RecoveryCodes) != 10 {
		t.Fatalf("registered %+v", p)
	}
	q := w.ask("/auth/passkey-options", fields{"password": password}, bearer(s.AccessToken))
	w.call("POST", "/auth/passkeys", fields{"passkey_token": q.Token, "name": "again", "credential": d.create(q)}, bearer(s.AccessToken)).wantProblem(409, "conflict")
	w.call("POST", "/auth/passkeys", fields{"passkey_token": q.Token, "name": "", "credential": d.create(q)}, bearer(s.AccessToken)).wantProblem(422, "validation_failed")
	w.call("POST", "/auth/passkeys", fields{"passkey_token": q.Token, "name": "x", "credential": fields{}}, bearer(s.AccessToken)).wantProblem(422, "validation_failed")
	renamed := decoded[passkeyView](w.call("PATCH", "/auth/passkeys/"+p.ID, fields{"name": "Desk"}, bearer(s.AccessToken)).want(200))
	list := decoded[page[passkeyView]](w.call("GET", "/auth/passkeys", nil, bearer(s.AccessToken)).want(200))
	if diff := cmp.Diff([]passkeyView{{ID: p.ID, Name: "Desk"}}, list.Items); diff != "" || renamed.Name != "Desk" {
		t.Errorf("passkeys (-want +got):\n%s", diff)
	}
	foreign := w.admin()
	w.call("PATCH", "/auth/passkeys/"+p.ID, fields{"name": "Mine"}, bearer(foreign.AccessToken)).wantProblem(404, "not_found")
	w.call("DELETE", "/auth/passkeys/"+p.ID, fields{"password": adminPassword}, bearer(foreign.AccessToken)).wantProblem(404, "not_found")
	w.call("DELETE", "/auth/passkeys/"+p.ID, fields{"password": nextPassword}, bearer(s.AccessToken)).wantProblem(401, "invalid_credentials")
	w.call("DELETE", "/auth/passkeys/"+p.ID, fields{"password": password}, bearer(s.AccessToken)).want(204)
	w.call("DELETE", "/auth/passkeys/"+p.ID, fields{"password": password}, bearer(s.AccessToken)).wantProblem(404, "not_found")
	w.login(ada, password) // the last factor is gone
}

func TestAPI_a_passkey_signs_in(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	d := w.device(s)
	d.registered(s, "Phone")
	q := w.ask("/auth/login/passkey/options", nil)
	answer := d.sign(q)
	got := decoded[tokens](w.call("POST", "/auth/login/passkey", fields{"passkey_token": q.Token, "credential": answer}).want(200))
	if claims := claimsOf(t, got.AccessToken); !slices.Equal(claims.Methods, []string{"pop", "mfa"}) || got.User.ID != s.User.ID {
		t.Errorf("amr %v of user %s", claims.Methods, got.User.ID)
	}
	login := func(token string, credential any) answerTo {
		return answerTo{w.call("POST", "/auth/login/passkey", fields{"passkey_token": token, "credential": credential})}
	}
	login(q.Token, answer).refused("the same answer again")
	login(q.Token+"\n", answer).refused("the same answer again, to another spelling of the token")
	later := w.ask("/auth/login/passkey/options", nil)
	login(later.Token, answer).refused("an old answer to a new question")
	login("AAAA"+later.Token, d.sign(later)).refused("a forged token")
	w.clock.advance(5 * 60e9)
	login(later.Token, d.sign(later)).refused("a token that has expired")

	fresh := func() question { return w.ask("/auth/login/passkey/options", nil) }
	evil := *d
	evil.rp.Origin = "https://gateway.example.com.evil.example"
	q = fresh()
	login(q.Token, evil.sign(q)).refused("another origin")
	evil = *d
	evil.rp.ID = "example.com"
	q = fresh()
	login(q.Token, evil.sign(q)).refused("another site")
	evil = *d
	evil.device.Options.UserNotVerified = true
	q = fresh()
	login(q.Token, evil.sign(q)).refused("a user who was not verified")
	evil = *d
	evil.device.Options.UserHandle = []byte(w.admin().User.ID)
	q = fresh()
	login(q.Token, evil.sign(q)).refused("another user's handle")
	evil = *d
	evil.key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	q = fresh()
	login(q.Token, evil.sign(q)).refused("an unknown passkey")

	admin := w.admin()
	w.call("POST", "/admin/users/"+s.User.ID+"/lock", nil, bearer(admin.AccessToken)).want(204)
	d.key.Counter += 10
	q = fresh()
	w.call("POST", "/auth/login/passkey", fields{"passkey_token": q.Token, "credential": d.sign(q)}).wantProblem(403, "account_locked")
}

// answerTo is an answer to a sign-in by passkey.
type answerTo struct{ answer }

func (a answerTo) refused(what string) {
	a.t.Helper()
	if a.status != 401 {
		a.t.Errorf("%s: %d %s", what, a.status, a.body)
		return
	}
	a.wantProblem(401, "invalid_credentials")
}

func TestAPI_a_passkey_is_the_second_factor(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	old, s := w.login(ada, password), w.login(ada, password)
	d := w.device(s)
	p := d.registered(s, "Key")
	first := func() mfaProblem {
		m := decoded[mfaProblem](w.call("POST", "/auth/login", fields{"email": ada, "password": password}).wantProblem(403, "mfa_required"))
		if !slices.Equal(m.Methods, []string{"passkey", "recovery_code"}) {
			t.Errorf("methods %v", m.Methods)
		}
		return m
	}
	begun := first()
	w.call("POST", "/auth/login/mfa", fields{"mfa_token": begun.MFAToken, "credential": fields{}}).wantProblem(401, "invalid_credentials")
	q := w.ask("/auth/login/mfa/passkey", fields{"mfa_token": begun.MFAToken})
	w.call("POST", "/auth/login/mfa", fields{"mfa_token": begun.MFAToken, "code": "1", "credential": d.sign(q)}).wantProblem(422, "validation_failed")
	answer := d.sign(q)
	got := decoded[tokens](w.call("POST", "/auth/login/mfa", fields{"mfa_token": begun.MFAToken, "credential": answer}).want(200))
	if c := claimsOf(t, got.AccessToken); !slices.Equal(c.Methods, []string{"pwd", "pop", "mfa"}) {
		t.Errorf("amr %v", c.Methods)
	}
	w.call("POST", "/auth/login/mfa", fields{"mfa_token": begun.MFAToken, "credential": answer}).wantProblem(401, "invalid_credentials")
	w.call("POST", "/auth/login/mfa", fields{"mfa_token": first().MFAToken, "code": p.RecoveryCodes[0]}).want(200)

	w.call("POST", "/auth/mfa/totp", nil, bearer(old.AccessToken)).wantProblem(403, "mfa_required") // the thief of a password adds no factor
	q = w.ask("/auth/mfa/step-up/options", nil, bearer(old.AccessToken))
	up := decoded[tokens](w.call("POST", "/auth/mfa/step-up", fields{"passkey_token": q.Token, "credential": d.sign(q)}, bearer(old.AccessToken)).want(200))
	if c := claimsOf(t, up.AccessToken); c.SessionID != old.SessionID || !c.SecondFactor() {
		t.Errorf("step-up gave %v in session %s", c.Methods, c.SessionID)
	}
	q = w.ask("/auth/mfa/step-up/options", nil, bearer(old.AccessToken))
	w.call("POST", "/auth/mfa/step-up", fields{"passkey_token": q.Token, "credential": d.sign(q)}, bearer(s.AccessToken)).wantProblem(401, "invalid_credentials")
}

// What a session began before there was a second factor must not make it one
// of the second factors, unless it shows one.
func TestAPI_a_factor_that_was_begun_before_another_came_is_refused(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	thief, s := w.login(ada, password), w.login(ada, password)
	e := decoded[struct{ Secret string }](w.call("POST", "/auth/mfa/totp", nil, bearer(thief.AccessToken)).want(200))
	evil := w.device(s)
	q := w.ask("/auth/passkey-options", fields{"password": password}, bearer(thief.AccessToken))
	w.device(s).registered(s, "Key")
	w.call("POST", "/auth/mfa/totp/confirm", fields{"code": w.code(e.Secret)}, bearer(thief.AccessToken)).wantProblem(403, "mfa_required")
	a := w.call("POST", "/auth/passkeys", fields{"passkey_token": q.Token, "name": "Mine", "credential": evil.create(q)}, bearer(thief.AccessToken))
	if a.status < 400 || a.status >= 500 {
		t.Errorf("the passkey: %d %s", a.status, a.body)
	}
	f := decoded[map[string]any](w.call("GET", "/auth/mfa", nil, bearer(s.AccessToken)).want(200))
	if f["totp"] != false || f["passkeys"] != 1.0 {
		t.Errorf("factors %v, want the owner's passkey alone", f)
	}
}

func TestAPI_a_passkey_whose_counter_goes_back_is_refused(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	d := w.device(s)
	d.registered(s, "Key")
	in := func() answer {
		q := w.ask("/auth/login/passkey/options", nil)
		return w.call("POST", "/auth/login/passkey", fields{"passkey_token": q.Token, "credential": d.sign(q)})
	}
	d.key.Counter = 10
	in().want(200)
	d.key.Counter = 5
	in().wantProblem(401, "invalid_credentials")
	list := decoded[page[passkeyView]](w.call("GET", "/auth/passkeys", nil, bearer(s.AccessToken)).want(200))
	if !list.Items[0].Suspect {
		t.Error("nothing tells of the copy")
	}
	w.mailToken(ada, auth.MailPasskeyCloned) // fails without such a letter
	d.key.Counter = 20
	in().want(200)
}

// FuzzAPI_passkey_answers sends whatever strangers may send as the answer of a
// browser.
func FuzzAPI_passkey_answers(f *testing.F) {
	for _, seed := range []string{`{}`, `null`, `{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA","userHandle":"AA"}}`, `"x"`, `{"response":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, credential []byte) {
		w := newWorld(t)
		q := w.ask("/auth/login/passkey/options", nil)
		a := w.call("POST", "/auth/login/passkey", `{"passkey_token":"`+q.Token+`","credential":`+string(credential)+`}`)
		if a.status < 400 || a.status >= 500 {
			t.Errorf("%q: %d %s", credential, a.status, a.body)
		}
	})
}

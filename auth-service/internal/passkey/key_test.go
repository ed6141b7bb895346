package passkey_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/passkey"
	"gatehouse.internal/shared/fault"
)

const site = "gateway.example.com"

// browser answers questions with whatever it is told to.
type browser struct {
	t     testing.TB
	c     *passkey.Ceremonies
	owner auth.PasskeyOwner
}

func newBrowser(t testing.TB) browser {
	t.Helper()
	c, err := passkey.New("https://" + site)
	if err != nil {
		t.Fatal(err)
	}
	return browser{t, c, auth.PasskeyOwner{UserID: "01890a5d-ac96-774b-bcce-000000000001", Name: "ada@example.com"}}
}

// clientData is what a browser says of the question in the state.
func (b browser) clientData(kind string, state []byte) string {
	b.t.Helper()
	var s struct{ Challenge string }
	if err := json.Unmarshal(state, &s); err != nil {
		b.t.Fatal(err)
	}
	return b.json(map[string]any{"type": kind, "challenge": s.Challenge, "origin": "https://" + site})
}

func (b browser) json(v any) string {
	b.t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(out)
}

func (b browser) cbor(v any) []byte {
	b.t.Helper()
	out, err := webauthncbor.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// authData is what an authenticator signs, with the flags.
func authData(flags byte) []byte {
	rp := sha256.Sum256([]byte(site))
	return append(rp[:], flags, 0, 0, 0, 0)
}

var credentialID = make([]byte, 16)

// register hands in a key that is not attested, or whatever statement there is.
func (b browser) register(key []byte, format string, statement map[string]any) (auth.NewPasskey, error) {
	b.t.Helper()
	_, state, err := b.c.BeginRegistration(b.owner)
	if err != nil {
		b.t.Fatal(err)
	}
	data := append(authData(0x45), make([]byte, 16)...)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(credentialID))), credentialID...)
	object := b.cbor(map[string]any{"fmt": format, "attStmt": statement, "authData": append(data, key...)})
	return b.c.FinishRegistration(b.owner, state, []byte(b.json(map[string]any{
		"id": b64(credentialID), "rawId": b64(credentialID), "type": "public-key",
		"response": map[string]any{"attestationObject": b64(object), "clientDataJSON": b64([]byte(b.clientData("webauthn.create", state)))},
	})))
}

// use hands in a signature of the only passkey.
func (b browser) use(record, signature []byte) error {
	b.t.Helper()
	o := b.owner
	o.Records = [][]byte{record}
	_, state, err := b.c.BeginAssertion(&o)
	if err != nil {
		b.t.Fatal(err)
	}
	_, err = b.c.FinishAssertion(o, state, []byte(b.json(map[string]any{
		"id": b64(credentialID), "rawId": b64(credentialID), "type": "public-key",
		"response": map[string]any{"authenticatorData": b64(authData(5)), "signature": b64(signature), "userHandle": b64([]byte(o.UserID)),
			"clientDataJSON": b64([]byte(b.clientData("webauthn.get", state)))},
	})))
	return err
}

// odd is a number of so many bits that serves as the modulus of a key.
func odd(bits int) []byte {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return n.SetBit(n, 0, 1).Bytes()
}

func (b browser) rsaKey(alg int, modulus []byte, exponent ...byte) []byte {
	return b.cbor(map[int]any{1: 3, 3: alg, -1: modulus, -2: exponent})
}

// A user chooses the key of a passkey, and with it what each signature costs.
func TestFinishRegistration_takesNoKeyThatIsDearToCheck(t *testing.T) {
	b := newBrowser(t)
	p256, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point := p256.PublicKey().Bytes()
	ec := func(alg int) []byte {
		return b.cbor(map[int]any{1: 2, 3: alg, -1: 1, -2: point[1:33], -3: point[33:]})
	}
	long := make([]byte, 20_000)
	long[0], long[len(long)-1] = 0x80, 1
	for _, c := range []struct {
		name string
		key  []byte
		want fault.Kind
	}{
		{"ES256", ec(-7), ""},
		{"RS256 of 2048 bits", b.rsaKey(-257, odd(2048), 1, 0, 1), ""},
		{"RS256 of 4096 bits, with a leading zero", b.rsaKey(-257, append([]byte{0}, odd(4096)...), 1, 0, 1), ""},
		{"RS256 of 2047 bits", b.rsaKey(-257, odd(2047), 1, 0, 1), fault.InvalidCredentials},
		{"RS256 of 4097 bits", b.rsaKey(-257, odd(4097), 1, 0, 1), fault.InvalidCredentials},
		{"RS256 of 40,000 bits", b.rsaKey(-257, odd(40_000), 1, 0, 1), fault.InvalidCredentials},
		{"RS256 of 160,000 bits", b.rsaKey(-257, long, 1, 0, 1), fault.ValidationFailed}, // too long to be read
		{"RS256 with a long exponent", b.rsaKey(-257, odd(2048), 0x7f, 0xff, 0xff, 0xff), fault.InvalidCredentials},
		{"RS256 with the exponent 3", b.rsaKey(-257, odd(2048), 3), fault.InvalidCredentials},
		{"RS512", b.rsaKey(-259, odd(2048), 1, 0, 1), fault.InvalidCredentials},
		{"PS256", b.rsaKey(-37, odd(2048), 1, 0, 1), fault.InvalidCredentials},
		{"no key", []byte{0xa0}, fault.InvalidCredentials},
	} {
		if _, err := b.register(c.key, "none", nil); fault.KindOf(err) != c.want {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// The key signs for itself at registration: it must be judged before.
func TestFinishRegistration_judgesTheKeyBeforeItsSignature(t *testing.T) {
	b := newBrowser(t)
	_, err := b.register(b.rsaKey(-257, odd(20_000), 1, 0, 1), "packed", map[string]any{"alg": -257, "sig": odd(19_000)})
	if !fault.Is(err, fault.InvalidCredentials) || !strings.Contains(fmt.Sprint(err), "too long") {
		t.Errorf("a long key with a wrong signature: %v, want a word about its length", err)
	}
	if _, err := b.register(b.rsaKey(-257, odd(2048), 1, 0, 1), "packed", map[string]any{"alg": -257, "sig": odd(2047)}); !fault.Is(err, fault.InvalidCredentials) {
		t.Errorf("a key with a wrong signature: %v, want invalid_credentials", err)
	}
}

// Certificates have keys as well, and nobody asked for one.
func TestFinishRegistration_looksAtNoCertificate(t *testing.T) {
	b := newBrowser(t)
	for format, statement := range map[string]map[string]any{
		"packed":   {"alg": -257, "sig": []byte{1}, "x5c": []any{[]byte("no certificate")}},
		"fido-u2f": {"sig": []byte{1}, "x5c": []any{[]byte("no certificate")}},
		"unheard":  {"of": 1},
	} {
		if _, err := b.register(b.rsaKey(-257, odd(2048), 1, 0, 1), format, statement); err != nil {
			t.Errorf("%s: %v, want it taken as not attested", format, err)
		}
	}
}

// stored is a passkey as it was stored before keys were judged.
func (b browser) stored(key []byte) []byte {
	c := webauthn.Credential{ID: credentialID, PublicKey: key, AttestationType: "none"}
	c.Flags.UserPresent, c.Flags.UserVerified = true, true
	return []byte(b.json(c))
}

func TestFinishAssertion_judgesTheStoredKeyBeforeTheSignature(t *testing.T) {
	b := newBrowser(t)
	err := b.use(b.stored(b.rsaKey(-257, odd(160_000), 0x7f, 0xff, 0xff, 0xff)), make([]byte, 2000))
	if !fault.Is(err, fault.InvalidCredentials) || !strings.Contains(fmt.Sprint(err), "too long") {
		t.Errorf("a stored key of 160,000 bits: %v, want a word about its length", err)
	}
	if err := b.use(b.stored(b.rsaKey(-257, odd(2048), 1, 0, 1)), make([]byte, 9000)); !fault.Is(err, fault.ValidationFailed) {
		t.Errorf("an answer of 12 KiB: %v, want validation_failed", err)
	}
}

func TestBeginRegistration_asksForKeysThatItTakes(t *testing.T) {
	b := newBrowser(t)
	options, _, err := b.c.BeginRegistration(b.owner)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Params []struct{ Alg int } `json:"pubKeyCredParams"`
	}
	if err := json.Unmarshal(options, &got); err != nil {
		t.Fatal(err)
	}
	var algs []int
	for _, p := range got.Params {
		algs = append(algs, p.Alg)
	}
	if !slices.Equal(algs, []int{-8, -7, -257}) {
		t.Errorf("asks for %v, want EdDSA, ES256 and RS256", algs)
	}
}

// BenchmarkFinishAssertion_theDearestKey is what one request can cost that
// anybody may make: a signature of the longest key.
func BenchmarkFinishAssertion_theDearestKey(b *testing.B) {
	br := newBrowser(b)
	key, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		b.Fatal(err)
	}
	record := br.stored(br.rsaKey(-257, key.N.Bytes(), 1, 0, 1))
	signature := key.N.Bytes()
	signature[0] = 0
	for b.Loop() {
		if err := br.use(record, signature); !fault.Is(err, fault.InvalidCredentials) {
			b.Fatal(err)
		}
	}
}

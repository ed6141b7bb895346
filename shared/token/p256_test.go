package token

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
)

//go:embed testdata/wycheproof_p256.txt
var wycheproof string

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	if text == "-" {
		return nil
	}
	out, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Also S-T14: r and s are 32 bytes each, neither more nor less.
func TestP256Table_S_T14_judges_as_Wycheproof(t *testing.T) {
	tables := map[string]*p256Table{}
	valid, invalid := 0, 0
	for line := range strings.Lines(wycheproof) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var number, key, message, signature, result string
		if _, err := fmt.Sscan(line, &number, &key, &message, &signature, &result); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		raw := unhex(t, signature)
		if len(raw) != es256Size { // refused before by Key.verify
			continue
		}
		table := tables[key]
		if table == nil {
			public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), unhex(t, key))
			if err != nil {
				t.Fatal(err)
			}
			if table, err = newP256Table(public); err != nil {
				t.Fatal(err)
			}
			tables[key] = table
		}
		digest := sha256.Sum256(unhex(t, message))
		if got := table.verify(&digest, raw); got != (result == "valid") {
			t.Errorf("case %s is %s, and was judged %t", number, result, got)
		}
		if result == "valid" {
			valid++
		} else {
			invalid++
		}
	}
	if valid != 146 || invalid != 64 {
		t.Errorf("%d valid and %d invalid cases", valid, invalid)
	}
}

func newP256(t testing.TB) (*ecdsa.PrivateKey, *p256Table) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	table, err := newP256Table(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, table
}

func sign(t testing.TB, key *ecdsa.PrivateKey, digest *[sha256.Size]byte) []byte {
	t.Helper()
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func TestP256Table_holds_the_multiples(t *testing.T) {
	key, table := newP256(t)
	encoded, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range [][2]int{{0, 0}, {0, 254}, {1, 0}, {7, 99}, {31, 0}, {31, 254}} {
		k := make([]byte, 32)
		k[31-at[0]] = byte(at[1] + 1)
		want := table[0][0]
		if _, err := want.SetBytes(encoded); err != nil {
			t.Fatal(err)
		}
		if _, err := want.ScalarMult(&want, k); err != nil {
			t.Fatal(err)
		}
		if got := table[at[0]][at[1]]; !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("at %v is another point", at)
		}
	}
}

// TestP256Verifier_both_ways checks the same signatures until there is a table
// and after, by many at once.
func TestP256Verifier_both_ways(t *testing.T) {
	key, _ := newP256(t)
	v := &p256Verifier{public: &key.PublicKey}
	digest := sha256.Sum256([]byte("text"))
	good := sign(t, key, &digest)
	bad := bytes.Clone(good)
	bad[40] ^= 1
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range worthATable {
				if !v.verify(&digest, good) || v.verify(&digest, bad) {
					t.Error("misjudged")
					return
				}
			}
		})
	}
	all.Wait()
	if v.table.Load() == nil {
		t.Error("there is no table")
	}
}

// FuzzP256Table holds the table against crypto/ecdsa: with signatures that were
// made by the key and changed, and with such that were not.
func FuzzP256Table(f *testing.F) {
	key, table := newP256(f)
	n := elliptic.P256().Params().N
	one, last := big.NewInt(1), new(big.Int).Sub(n, big.NewInt(1))
	for _, r := range []*big.Int{new(big.Int), one, last, n} {
		for _, s := range []*big.Int{new(big.Int), one, last, n} {
			f.Add([]byte("text"), append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), false)
		}
	}
	f.Add([]byte("text"), make([]byte, 64), true)
	f.Add([]byte{}, bytes.Repeat([]byte{0, 1}, 32), true)
	f.Fuzz(func(t *testing.T, text, signature []byte, change bool) {
		if len(signature) != es256Size {
			return
		}
		digest := sha256.Sum256(text)
		if change { // a good one, with some bits of it turned
			for i, b := range sign(t, key, &digest) {
				signature[i] ^= b
			}
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		want := ecdsa.Verify(&key.PublicKey, digest[:], r, s)
		if got := table.verify(&digest, signature); got != want {
			t.Errorf("%x of %x by %x: %t, and not %t", signature, digest, key.PublicKey, got, want)
		}
	})
}

// TestSet_inherit has a key keep its table while its issuer's set changes
// around it, and lose it with the key.
func TestSet_inherit(t *testing.T) {
	parse := func(keys ...*ecdsa.PrivateKey) *Set {
		var items []string
		for i, key := range keys {
			encoded, err := key.PublicKey.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"k%d","x":"%s","y":"%s"}`, i,
				base64.RawURLEncoding.EncodeToString(encoded[1:33]), base64.RawURLEncoding.EncodeToString(encoded[33:])))
		}
		set, err := ParseSet([]byte(`{"keys":[` + strings.Join(items, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	one, _ := newP256(t)
	two, _ := newP256(t)
	before := parse(one, one)
	for range worthATable + 1 {
		if err := before.keys["k0"].verify("text", make([]byte, es256Size)); err == nil {
			t.Fatal("no signature is a good one")
		}
	}
	if before.keys["k0"].p256.table.Load() == nil {
		t.Fatal("there is no table")
	}
	after := parse(one, two, two)
	after.inherit(before)
	if after.keys["k0"].p256 != before.keys["k0"].p256 {
		t.Error("the key that stayed has lost its table")
	}
	if after.keys["k1"].p256 == before.keys["k1"].p256 || !after.keys["k1"].p256.public.Equal(two.Public()) {
		t.Error("another key of the same id has taken over what was prepared")
	}
}

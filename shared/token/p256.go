package token

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"

	"filippo.io/nistec"
)

// worthATable is how many signatures by one key are checked before it gets a
// table: as many as cost together about what making it does.
const worthATable = 256

// p256Verifier checks ECDSA signatures by one key of P-256, as crypto/ecdsa
// does. An issuer has few keys, each for months, so the multiples of a key that
// is in use are worth being kept: with them a check costs less than half. All
// that goes in is public, so the time it takes may depend on it.
type p256Verifier struct {
	public *ecdsa.PublicKey
	uses   atomic.Int64
	once   sync.Once
	table  atomic.Pointer[p256Table] // nil until it is worth it
}

// check checks a signature over text.
func (v *p256Verifier) check(text string, signature []byte) error {
	digest := sha256.Sum256([]byte(text))
	if !v.verify(&digest, signature) {
		return errSignature
	}
	return nil
}

// verify reports whether a signature, r||s of 64 bytes, is one of the digest.
func (v *p256Verifier) verify(digest *[sha256.Size]byte, signature []byte) bool {
	if t := v.table.Load(); t != nil {
		return t.verify(digest, signature)
	}
	if v.uses.Add(1) > worthATable {
		v.once.Do(v.prepare)
	}
	r, s := new(big.Int).SetBytes(signature[:es256Size/2]), new(big.Int).SetBytes(signature[es256Size/2:])
	return ecdsa.Verify(v.public, digest[:], r, s)
}

// prepare makes the table. A key of which none can be made is checked without.
func (v *p256Verifier) prepare() {
	if t, err := newP256Table(v.public); err == nil {
		v.table.Store(t)
	}
}

// p256Table holds the multiples of a public key Q by each value of each byte of
// a number: at [i][j] is (j+1) * 256^i * Q. It takes 0.8 MB.
type p256Table [32][255]nistec.P256Point

func newP256Table(public *ecdsa.PublicKey) (*p256Table, error) {
	encoded, err := public.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	base, err := nistec.NewP256Point().SetBytes(encoded)
	if err != nil {
		return nil, fmt.Errorf("decode public key: %w", err)
	}
	t := new(p256Table)
	for i := range t {
		t[i][0].Set(base)
		for j := 1; j < len(t[i]); j++ {
			t[i][j].Add(&t[i][j-1], base)
		}
		base.Add(&t[i][len(t[i])-1], base)
	}
	return t, nil
}

// addMultiple adds k * Q to p; k is a big-endian number.
func (t *p256Table) addMultiple(p *nistec.P256Point, k *[32]byte) {
	for i := range t {
		if digit := k[len(k)-1-i]; digit != 0 {
			p.Add(p, &t[i][digit-1])
		}
	}
}

// verify follows FIPS 186-5 section 6.4.2.
func (t *p256Table) verify(digest *[sha256.Size]byte, signature []byte) bool {
	n := elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes(signature[:es256Size/2]), new(big.Int).SetBytes(signature[es256Size/2:])
	if r.Sign() == 0 || r.Cmp(n) >= 0 || s.Sign() == 0 || s.Cmp(n) >= 0 {
		return false
	}
	w := s.ModInverse(s, n)
	e := new(big.Int).SetBytes(digest[:]) // as long as n, so all of it counts
	var u [32]byte
	e.Mul(e, w).Mod(e, n).FillBytes(u[:])
	p, err := nistec.NewP256Point().ScalarBaseMult(u[:])
	if err != nil {
		return false
	}
	w.Mul(w, r).Mod(w, n).FillBytes(u[:])
	t.addMultiple(p, &u)
	x, err := p.BytesX()
	if err != nil { // the point at infinity
		return false
	}
	v := e.SetBytes(x)
	return v.Mod(v, n).Cmp(r) == 0
}

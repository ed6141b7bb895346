package token

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"

	"gatehouse.internal/shared/contract"
)

// MaxSetBytes bounds a key set document.
const MaxSetBytes = 64 << 10

// ErrUnknownKey says that the issuer has no key of that id. Every other error
// of Keys means that the answer could not be had.
var ErrUnknownKey = errors.New("the issuer has no such key")

// ErrRevokedKey says that the issuer took the key of that id back in an
// emergency.
var ErrRevokedKey = errors.New("the issuer has revoked the key")

// Set is an issuer's key set at one time. It never changes; as Keys it serves
// where the set is known and fixed.
type Set struct {
	keys map[string]Key
	// Ignored tells why keys of the document were left out.
	Ignored []error
}

// ParseSet reads a JWK set (RFC 7517 section 5). Keys of unknown kinds are
// ignored, unfit ones too; a set with one kid twice, or without a key that can
// sign tokens, is refused as a whole.
func ParseSet(data []byte) (*Set, error) {
	if len(data) > MaxSetBytes {
		return nil, fmt.Errorf("key set has more than %d bytes", MaxSetBytes)
	}
	m, err := parseObject(data)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	value, ok := m.get("keys")
	if !ok {
		return nil, errors.New("key set has no keys member")
	}
	elements, err := parseArray(value)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	set := &Set{keys: make(map[string]Key, len(elements))}
	signing := false
	for _, element := range elements {
		key, err := parseKey(element)
		if err != nil {
			set.Ignored = append(set.Ignored, err)
			continue
		}
		if _, twice := set.keys[key.ID]; twice {
			return nil, fmt.Errorf("key set has the kid %q twice", key.ID)
		}
		set.keys[key.ID] = key
		signing = signing || key.Use == contract.KeyUseSignature
	}
	if !signing {
		return nil, errors.Join(append([]error{errors.New("key set has no key that signs tokens")}, set.Ignored...)...)
	}
	return set, nil
}

// Key returns the key of that id, or ErrUnknownKey.
func (s *Set) Key(_ context.Context, kid string) (Key, error) {
	if key, ok := s.keys[kid]; ok {
		return key, nil
	}
	return Key{}, ErrUnknownKey
}

// Generation is always 1, because a Set never changes.
func (s *Set) Generation() uint64 { return 1 }

// EventKey returns the key of that id if it is one for signing revocation
// events.
func (s *Set) EventKey(kid string) (ed25519.PublicKey, bool) {
	key := s.keys[kid]
	public, ok := key.Public.(ed25519.PublicKey)
	return public, ok && key.Use == contract.KeyUseEvents
}

// KeyIDs returns the ids of all keys, sorted.
func (s *Set) KeyIDs() []string { return slices.Sorted(maps.Keys(s.keys)) }

// equal reports whether both sets hold the same keys.
func (s *Set) equal(other *Set) bool { return maps.EqualFunc(s.keys, other.keys, Key.equal) }

// inherit takes over what was prepared for keys that are in an earlier set, too.
// It is for a set that nobody uses yet.
func (s *Set) inherit(earlier *Set) {
	for kid, key := range s.keys {
		if before, known := earlier.keys[kid]; known && key.equal(before) {
			s.keys[kid] = before
		}
	}
}

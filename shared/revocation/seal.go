package revocation

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
)

// Purpose separates the kinds of sealed messages, so that one can never be
// taken for another.
type Purpose string

// The purposes of sealed messages.
const (
	PurposeBatch Purpose = "gatehouse revocation batch"
	PurposeHead  Purpose = "gatehouse revocation head"
	PurposeProof Purpose = "gatehouse redis proof"
)

// EventKeys gives the public keys that may sign messages of the auth-service.
type EventKeys interface {
	// EventKey returns the Ed25519 key of that id with the use
	// contract.KeyUseEvents, and whether the issuer's key set has it.
	EventKey(kid string) (ed25519.PublicKey, bool)
}

// ErrUnknownKey says that a message names a key which the issuer's key set,
// as far as it is known here, does not have.
var ErrUnknownKey = errors.New("sealed by an unknown key")

// ErrForged says that a message was not sealed by the key it names.
var ErrForged = errors.New("signature does not hold")

const sealVersion = 1

// Seal signs payload for a purpose (Ed25519, RFC 8032). The result is a
// version byte, the length and text of kid, the signature, and the payload.
func Seal(purpose Purpose, kid string, key ed25519.PrivateKey, payload []byte) []byte {
	out := make([]byte, 0, 2+len(kid)+ed25519.SignatureSize+len(payload))
	out = append(out, sealVersion, byte(len(kid)))
	out = append(out, kid...)
	out = append(out, ed25519.Sign(key, signed(purpose, kid, payload))...)
	return append(out, payload...)
}

// Open returns the payload of a message that Seal made for the same purpose
// with a key that keys knows. Every other input gives an error.
func Open(purpose Purpose, keys EventKeys, message []byte) ([]byte, error) {
	if len(message) < 2 || message[0] != sealVersion {
		return nil, fmt.Errorf("open %s: not a sealed message of version %d", purpose, sealVersion)
	}
	rest := message[2:]
	n := int(message[1])
	if len(rest) < n+ed25519.SignatureSize {
		return nil, fmt.Errorf("open %s: truncated", purpose)
	}
	kid, signature, payload := string(rest[:n]), rest[n:n+ed25519.SignatureSize], rest[n+ed25519.SignatureSize:]
	key, known := keys.EventKey(kid)
	if !known {
		return nil, fmt.Errorf("open %s: key %.64q: %w", purpose, kid, ErrUnknownKey)
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, signed(purpose, kid, payload), signature) {
		return nil, fmt.Errorf("open %s: key %.64q: %w", purpose, kid, ErrForged)
	}
	return payload, nil
}

// signed is what the signature covers: purpose and kid with their lengths, so
// that no two different messages have the same bytes, and the payload.
func signed(purpose Purpose, kid string, payload []byte) []byte {
	out := make([]byte, 0, 16+len(purpose)+len(kid)+len(payload))
	out = binary.AppendUvarint(out, uint64(len(purpose)))
	out = append(out, purpose...)
	out = binary.AppendUvarint(out, uint64(len(kid)))
	out = append(out, kid...)
	return append(out, payload...)
}

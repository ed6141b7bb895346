package auth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"gatehouse.internal/shared/contract"
)

// refreshPrefix lets people and scanners tell what a leaked text is.
const refreshPrefix = "ghr_"

const (
	refreshSecretSize = 32
	refreshTagSize    = 16
	refreshBodySize   = 16 + 4 + refreshSecretSize
)

// refreshToken is what a refresh token says: its session, its number in the
// session, and its secret. As text it also carries a tag by which the server
// knows its own tokens again: one that was made long ago is recognised without
// a record of it, and a forged one cannot end anybody's session.
type refreshToken struct {
	session    [16]byte
	generation uint32
	secret     [refreshSecretSize]byte
}

// refreshKeys are those of all keys of the server that are known, the one in use
// first. Replicas that know the same keys give a token the same successor, also
// while they do not agree on which one is in use.
type refreshKeys []refreshKey

// refreshKey is made from a key of the server, a part for each purpose.
type refreshKey struct{ successor, tag []byte }

func newRefreshKeys(key []byte, others ...[]byte) (refreshKeys, error) {
	var all refreshKeys
	for _, k := range append([][]byte{key}, others...) {
		made, err := newRefreshKey(k)
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return all, nil
}

func newRefreshKey(key []byte) (refreshKey, error) {
	successor, err := hkdf.Key(sha256.New, key, nil, "gatehouse refresh successor", sha256.Size)
	if err != nil {
		return refreshKey{}, fmt.Errorf("derive refresh key: %w", err)
	}
	tag, err := hkdf.Key(sha256.New, key, nil, "gatehouse refresh tag", sha256.Size)
	if err != nil {
		return refreshKey{}, fmt.Errorf("derive refresh key: %w", err)
	}
	return refreshKey{successor: successor, tag: tag}, nil
}

// body is the token without prefix and tag.
func (t refreshToken) body() []byte {
	out := make([]byte, 0, refreshBodySize+refreshTagSize)
	out = append(out, t.session[:]...)
	out = binary.BigEndian.AppendUint32(out, t.generation)
	return append(out, t.secret[:]...)
}

// hash is what is stored of a token.
func (t refreshToken) hash() []byte {
	sum := sha256.Sum256(t.body())
	return sum[:]
}

// sessionID is the id of the session in its canonical spelling.
func (t refreshToken) sessionID() string { return uuidText(t.session) }

// next works out the one token that may follow t. The same t has the same
// successor always: that is why a retry can be given it again although only its
// hash was stored, and why there can never be a second lineage.
func (all refreshKeys) next(t refreshToken) refreshToken { return all[0].next(t) }

// again gives the successor of t that was given out, of which the hash is known.
// It was worked out with the key that was in use then.
func (all refreshKeys) again(t refreshToken, hash []byte) refreshToken {
	for _, k := range all {
		if next := k.next(t); same(next.hash(), hash) {
			return next
		}
	}
	return all.next(t)
}

func (k refreshKey) next(t refreshToken) refreshToken {
	next := refreshToken{session: t.session, generation: t.generation + 1}
	mac := hmac.New(sha256.New, k.successor)
	mac.Write(t.session[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, next.generation))
	mac.Write(t.secret[:])
	mac.Sum(next.secret[:0])
	return next
}

// encode gives the text of a token.
func (all refreshKeys) encode(t refreshToken) string {
	body := t.body()
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(append(body, all[0].tagOf(body)...))
}

// decode reads a token that encode wrote, and refuses every other text.
func (all refreshKeys) decode(text string) (refreshToken, bool) {
	var t refreshToken
	text, ok := strings.CutPrefix(text, refreshPrefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(refreshBodySize+refreshTagSize) {
		return t, false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(data) != refreshBodySize+refreshTagSize { // line ends count for nothing in base64
		return t, false
	}
	body, tag := data[:refreshBodySize], data[refreshBodySize:]
	if !slices.ContainsFunc(all, func(k refreshKey) bool { return hmac.Equal(tag, k.tagOf(body)) }) {
		return t, false
	}
	copy(t.session[:], body)
	t.generation = binary.BigEndian.Uint32(body[16:])
	copy(t.secret[:], body[20:])
	return t, true
}

func (k refreshKey) tagOf(body []byte) []byte {
	mac := hmac.New(sha256.New, k.tag)
	mac.Write(body)
	return mac.Sum(nil)[:refreshTagSize]
}

// firstRefreshToken is the first token of a session.
func firstRefreshToken(sessionID string, secret [refreshSecretSize]byte) refreshToken {
	return refreshToken{session: contract.ParseSubjectID(sessionID), secret: secret}
}

// OwnRefreshToken reports whether a refresh token was made for the caller's
// session, whatever has become of both.
func (s *Service) OwnRefreshToken(c Caller, refreshToken string) bool {
	t, ok := s.refreshKeys.decode(refreshToken)
	return ok && c.Claims != nil && t.sessionID() == c.Claims.SessionID
}

package auth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
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

// refreshKeys are made from the server's key, one for each purpose.
type refreshKeys struct{ successor, tag []byte }

func newRefreshKeys(key []byte) (refreshKeys, error) {
	successor, err := hkdf.Key(sha256.New, key, nil, "gatehouse refresh successor", sha256.Size)
	if err != nil {
		return refreshKeys{}, fmt.Errorf("derive refresh key: %w", err)
	}
	tag, err := hkdf.Key(sha256.New, key, nil, "gatehouse refresh tag", sha256.Size)
	if err != nil {
		return refreshKeys{}, fmt.Errorf("derive refresh key: %w", err)
	}
	return refreshKeys{successor: successor, tag: tag}, nil
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
func (k refreshKeys) next(t refreshToken) refreshToken {
	next := refreshToken{session: t.session, generation: t.generation + 1}
	mac := hmac.New(sha256.New, k.successor)
	mac.Write(t.session[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, next.generation))
	mac.Write(t.secret[:])
	mac.Sum(next.secret[:0])
	return next
}

// encode gives the text of a token.
func (k refreshKeys) encode(t refreshToken) string {
	body := t.body()
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(append(body, k.tagOf(body)...))
}

// decode reads a token that encode wrote, and refuses every other text.
func (k refreshKeys) decode(text string) (refreshToken, bool) {
	var t refreshToken
	text, ok := strings.CutPrefix(text, refreshPrefix)
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(refreshBodySize+refreshTagSize) {
		return t, false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return t, false
	}
	body, tag := data[:refreshBodySize], data[refreshBodySize:]
	if !hmac.Equal(tag, k.tagOf(body)) {
		return t, false
	}
	copy(t.session[:], body)
	t.generation = binary.BigEndian.Uint32(body[16:])
	copy(t.secret[:], body[20:])
	return t, true
}

func (k refreshKeys) tagOf(body []byte) []byte {
	mac := hmac.New(sha256.New, k.tag)
	mac.Write(body)
	return mac.Sum(nil)[:refreshTagSize]
}

// firstRefreshToken is the first token of a session.
func firstRefreshToken(sessionID string, secret [refreshSecretSize]byte) refreshToken {
	return refreshToken{session: contract.ParseSubjectID(sessionID), secret: secret}
}

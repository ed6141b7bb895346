package contract

import (
	"crypto/sha256"
	"encoding/hex"
)

// SubjectID is a user, session or token id in the 16 bytes under which
// revocations are looked up.
type SubjectID [16]byte

// ParseSubjectID returns the bytes of a UUID in its canonical spelling (RFC
// 9562: lower case, with dashes), and for every other text the first 16 bytes
// of its SHA-256, so that two spellings never share an id by accident.
func ParseSubjectID(text string) SubjectID {
	var id SubjectID
	if decodeUUID(&id, text) {
		return id
	}
	sum := sha256.Sum256([]byte(text))
	copy(id[:], sum[:])
	return id
}

// decodeUUID fills id from a canonical UUID and reports whether text is one.
func decodeUUID(id *SubjectID, text string) bool {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return false
	}
	var digits [32]byte
	n := 0
	for i := range len(text) {
		c := text[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
		digits[n] = c
		n++
	}
	_, err := hex.Decode(id[:], digits[:])
	return err == nil
}

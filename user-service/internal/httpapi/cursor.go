package httpapi

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"gatehouse.internal/user-service/internal/user"
)

// maxCursor bounds a cursor that comes back.
const maxCursor = 200

// encodeCursor gives a cursor as clients see it. It is opaque to them, not
// secret: a forged one only begins the list elsewhere.
func encodeCursor(c user.Cursor) string {
	text := strconv.FormatInt(c.CreatedAt.UnixMicro(), 10) + " " + c.ID
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// decodeCursor is the reverse of encodeCursor.
func decodeCursor(text string) (user.Cursor, bool) {
	if len(text) > maxCursor {
		return user.Cursor{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return user.Cursor{}, false
	}
	micros, id, ok := strings.Cut(string(raw), " ")
	at, err := strconv.ParseInt(micros, 10, 64)
	if !ok || err != nil || id == "" {
		return user.Cursor{}, false
	}
	return user.Cursor{CreatedAt: time.UnixMicro(at).UTC(), ID: id}, true
}

package auth

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse.internal/shared/fault"
)

// Sizes of a page.
const (
	defaultLimit = 50
	maxLimit     = 200
)

func (p PageRequest) limit() (int, error) {
	if p.Limit == 0 {
		return defaultLimit, nil
	}
	if p.Limit < 1 || p.Limit > maxLimit {
		return 0, fault.Invalid(fault.Field{Field: "limit", Message: fmt.Sprintf("must be within 1 and %d", maxLimit)})
	}
	return p.Limit, nil
}

// The lists that give out cursors. A cursor is good for its own list alone:
// in another one its place would mean something else, or nothing.
const auditList = "audit"

// sessionList names the list of one user's sessions, live or ended.
func sessionList(q LiveQuery) string {
	if q.Ended {
		return "ended:" + q.UserID
	}
	return "sessions:" + q.UserID
}

// cursor is the place of the last item of a page of a list. Lists that are
// ordered by id alone leave at zero.
type cursor struct {
	list string
	at   time.Time
	id   string
}

// text gives the opaque form.
func (c cursor) text() string {
	var micros int64
	if !c.at.IsZero() {
		micros = c.at.UnixMicro()
	}
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s.%d.%s", c.list, micros, c.id))
}

// openCursor reads what text wrote for the list; an empty text is the zero
// cursor.
func openCursor(list, text string) (cursor, error) {
	if text == "" {
		return cursor{}, nil
	}
	bad := fault.Invalid(fault.Field{Field: "cursor", Message: "is not one that this list gave out"})
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	place, own := strings.CutPrefix(string(data), list+".")
	stampText, id, found := strings.Cut(place, ".")
	if err != nil || !own || !found || len(id) > 64 || !isPlainID(id) {
		return cursor{}, bad
	}
	micros, err := strconv.ParseInt(stampText, 10, 64)
	if err != nil {
		return cursor{}, bad
	}
	c := cursor{list: list, id: id}
	if micros != 0 {
		c.at = time.UnixMicro(micros).UTC()
	}
	return c, nil
}

func isPlainID(id string) bool {
	return id != "" && strings.Trim(id, "0123456789abcdef-") == ""
}

// cut makes a page of the first limit of items; one more item says that there
// is another page.
func cut[T any](items []T, limit int, place func(T) cursor) Page[T] {
	if len(items) <= limit {
		return Page[T]{Items: items}
	}
	items = items[:limit]
	return Page[T]{Items: items, Next: place(items[limit-1]).text()}
}

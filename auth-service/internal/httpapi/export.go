package httpapi

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
)

// exportedPart is a line of an export: one of its members is there.
type exportedPart struct {
	Account *accountAnswer `json:"account,omitempty"`
	Session *sessionAnswer `json:"session,omitempty"`
	Event   *eventAnswer   `json:"event,omitempty"`
}

// exportAccount writes all that is kept of the caller's account as JSON lines.
// What fails after the first line cuts the answer off, as in exportAudit.
func (a *api) exportAccount(c echo.Context, who auth.Caller) error {
	w := c.Response()
	encoder := json.NewEncoder(w)
	return a.Service.ExportAccount(c.Request().Context(), who, func(part auth.ExportedAccount) error {
		if !w.Committed {
			w.Header().Set("Content-Type", "application/x-ndjson")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("Content-Disposition", `attachment; filename="account.jsonl"`)
			w.WriteHeader(http.StatusOK)
		}
		var line exportedPart
		switch {
		case part.Account != nil:
			line.Account = new(accountOf(*part.Account))
		case part.Session != nil:
			line.Session = new(sessionOf(*part.Session))
		case part.Event != nil:
			line.Event = new(eventOf(*part.Event))
		}
		return encoder.Encode(line)
	})
}

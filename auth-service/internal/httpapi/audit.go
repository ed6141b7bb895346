package httpapi

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
)

// eventAnswer is an audit event as administrators see it.
type eventAnswer struct {
	ID        string    `json:"id"`
	At        time.Time `json:"at"`
	Event     string    `json:"event"`
	Outcome   string    `json:"outcome"`
	Reason    string    `json:"reason,omitempty"`
	ActorID   string    `json:"actor_id,omitempty"`
	TargetID  string    `json:"target_id,omitempty"`
	SessionID string    `json:"session_id,omitempty"`
	IP        string    `json:"ip,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	RequestID string    `json:"request_id,omitempty"`
}

func eventOf(e auth.AuditEvent) eventAnswer {
	return eventAnswer{
		ID: e.ID, At: e.At.UTC(), Event: e.Event, Outcome: e.Outcome, Reason: e.Reason,
		ActorID: e.ActorID, TargetID: e.TargetID, SessionID: e.SessionID,
		IP: e.Address, UserAgent: e.UserAgent, RequestID: e.RequestID,
	}
}

// auditFilter reads the filter that the list and the export share.
func auditFilter(q *query) auth.AuditFilter {
	f := auth.AuditFilter{
		UserID: q.word("user"), ActorID: q.word("actor"), TargetID: q.word("target"), SessionID: q.word("session"),
		Address: q.word("ip"), RequestID: q.word("request_id"), Event: q.word("event"), Outcome: q.word("outcome"),
		From: q.time("from"), To: q.time("to"),
	}
	if f.Outcome != "" && f.Outcome != auth.OutcomeSuccess && f.Outcome != auth.OutcomeFailure {
		q.refuse("outcome", "must be success or failure")
	}
	return f
}

func (a *api) audit(c echo.Context, who auth.Caller) error {
	q := queryOf(c)
	wanted := auth.AuditQuery{AuditFilter: auditFilter(&q), Page: q.page()}
	if err := q.err(); err != nil {
		return err
	}
	page, err := a.Service.AuditEvents(c.Request().Context(), who, wanted)
	if err != nil {
		return err
	}
	return answerPage(c, page, eventOf)
}

// exportedEvent is a line of an export: an event and its place in the trail.
type exportedEvent struct {
	Number uint64 `json:"number"`
	Hash   string `json:"hash"`
	eventAnswer
}

// exportAudit writes events as JSON lines, oldest first. What fails after the
// first line cannot be told with a status: the answer is cut off, so that nobody
// takes a part for the whole.
func (a *api) exportAudit(c echo.Context, who auth.Caller) error {
	q := queryOf(c)
	filter, after := auditFilter(&q), q.number("after")
	if err := q.err(); err != nil {
		return err
	}
	w := c.Response()
	begin := func() {
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Disposition", `attachment; filename="audit.jsonl"`)
		w.WriteHeader(http.StatusOK)
	}
	encoder := json.NewEncoder(w)
	err := a.Service.ExportAudit(c.Request().Context(), who, filter, after, func(e auth.NumberedEvent) error {
		if !w.Committed {
			begin()
		}
		return encoder.Encode(exportedEvent{Number: e.Number, Hash: hex.EncodeToString(e.Hash[:]), eventAnswer: eventOf(e.AuditEvent)})
	})
	if err == nil && !w.Committed {
		begin()
	}
	return err // after the first line, httpx cuts the answer off
}

// number reads a parameter that counts from 0.
func (q *query) number(name string) uint64 {
	text := q.value(name)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		q.refuse(name, "must be a whole number from 0 on")
	}
	return n
}

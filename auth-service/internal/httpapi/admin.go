package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
)

func (a *api) setRoles(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var body struct {
		Roles *[]string `json:"roles"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if body.Roles == nil {
		return required("roles", "")
	}
	account, err := a.Service.SetRoles(c.Request().Context(), who, id, *body.Roles)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, accountOf(account))
}

// onUser makes an endpoint of a rule that does something to a user and has
// nothing to say about it.
func (a *api) onUser(rule func(ctx context.Context, who auth.Caller, userID string) error) handler {
	return func(c echo.Context, who auth.Caller) error {
		id, err := pathID(c)
		if err != nil {
			return err
		}
		if err := bindNothing(c); err != nil {
			return err
		}
		if err := rule(c.Request().Context(), who, id); err != nil {
			return err
		}
		return c.NoContent(http.StatusNoContent)
	}
}

func (a *api) userSessions(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	q := queryOf(c)
	wanted := q.page()
	if err := q.err(); err != nil {
		return err
	}
	page, err := a.Service.UserSessions(c.Request().Context(), who, id, wanted)
	if err != nil {
		return err
	}
	return answerPage(c, page, sessionOf)
}

// endAnySession tells with ?wait=1 how many of the live gateways refuse the
// session's tokens by now. The rules wait for them in any case.
func (a *api) endAnySession(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	q := queryOf(c)
	wait := q.flag("wait")
	if err := q.err(); err != nil {
		return err
	}
	if err := bindNothing(c); err != nil {
		return err
	}
	reached, err := a.Service.EndAnySession(c.Request().Context(), who, id)
	if err != nil {
		return err
	}
	if !wait {
		return c.NoContent(http.StatusNoContent)
	}
	return answerJSON(c, http.StatusOK, reachedOf(reached))
}

// reachedAnswer tells how far a revocation has come.
type reachedAnswer struct {
	Nodes         int     `json:"nodes"`   // live gateways
	Applied       int     `json:"applied"` // of these, how many refuse the tokens
	ElapsedMillis float64 `json:"elapsed_ms"`
}

func reachedOf(p auth.Propagation) reachedAnswer {
	return reachedAnswer{p.Nodes, p.Applied, float64(p.Elapsed.Microseconds()) / 1000}
}

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

func (a *api) audit(c echo.Context, who auth.Caller) error {
	q := queryOf(c)
	wanted := auth.AuditQuery{
		UserID: q.word("user"), Event: q.word("event"),
		From: q.time("from"), To: q.time("to"), Page: q.page(),
	}
	if err := q.err(); err != nil {
		return err
	}
	page, err := a.Service.AuditEvents(c.Request().Context(), who, wanted)
	if err != nil {
		return err
	}
	return answerPage(c, page, func(e auth.AuditEvent) eventAnswer {
		return eventAnswer{
			ID: e.ID, At: e.At.UTC(), Event: e.Event, Outcome: e.Outcome, Reason: e.Reason,
			ActorID: e.ActorID, TargetID: e.TargetID, SessionID: e.SessionID,
			IP: e.Address, UserAgent: e.UserAgent, RequestID: e.RequestID,
		}
	})
}

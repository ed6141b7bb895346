package httpapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
)

// tokenAnswer is the answer to a sign-in or a refresh (CONTRACT.md). With
// cookies the two tokens are left out.
type tokenAnswer struct {
	AccessToken      string     `json:"access_token,omitempty"`
	TokenType        string     `json:"token_type"`
	ExpiresIn        int64      `json:"expires_in"`
	RefreshToken     string     `json:"refresh_token,omitempty"`
	RefreshExpiresIn int64      `json:"refresh_expires_in"`
	SessionID        string     `json:"session_id"`
	DeviceToken      string     `json:"device_token,omitempty"`
	User             userAnswer `json:"user"`
}

type userAnswer struct {
	ID            string   `json:"id"`
	Email         string   `json:"email"`
	EmailVerified bool     `json:"email_verified"`
	Roles         []string `json:"roles"`
}

// answerTokens gives new tokens, in the body or as cookies, and lets nobody
// keep the answer (RFC 6749 section 5.1).
func answerTokens(c echo.Context, t auth.Tokens, asCookies bool) error {
	answer := tokenAnswer{
		AccessToken: t.AccessToken, TokenType: "Bearer", ExpiresIn: seconds(t.ExpiresIn),
		RefreshToken: t.RefreshToken, RefreshExpiresIn: seconds(t.RefreshExpiresIn),
		SessionID: t.SessionID, DeviceToken: t.DeviceToken, User: userOf(t.Account),
	}
	if asCookies {
		setCookies(c, answer)
		answer.AccessToken, answer.RefreshToken, answer.DeviceToken = "", "", ""
	}
	return answerJSON(c, http.StatusOK, answer)
}

// answerJSON gives an answer about a caller, which no cache may keep.
func answerJSON(c echo.Context, status int, body any) error {
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(status, body)
}

// accepted is the answer to a request whose effect comes later or by mail.
func accepted(c echo.Context, status string) error {
	return answerJSON(c, http.StatusAccepted, map[string]string{"status": status})
}

func userOf(a auth.Account) userAnswer {
	return userAnswer{ID: a.ID, Email: a.Email, EmailVerified: a.EmailVerified, Roles: list(a.Roles)}
}

type meAnswer struct {
	userAnswer
	MFAEnabled bool      `json:"mfa_enabled"`
	CreatedAt  time.Time `json:"created_at"`
}

// accountAnswer is an account as administrators see it.
type accountAnswer struct {
	userAnswer
	Status      string     `json:"status"`
	MFAEnabled  bool       `json:"mfa_enabled"`
	CreatedAt   time.Time  `json:"created_at"`
	LastLoginAt *time.Time `json:"last_login_at"`
}

func accountOf(a auth.Account) accountAnswer {
	return accountAnswer{
		userAnswer: userOf(a), Status: a.Status, MFAEnabled: a.MFAEnabled,
		CreatedAt: a.CreatedAt.UTC(), LastLoginAt: optional(a.LastLoginAt),
	}
}

type sessionAnswer struct {
	ID         string     `json:"id"`
	Current    bool       `json:"current"`
	CreatedAt  time.Time  `json:"created_at"`
	LastSeenAt time.Time  `json:"last_seen_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	IP         string     `json:"ip"`
	UserAgent  string     `json:"user_agent"`
	Methods    []string   `json:"amr"`
	EndedAt    *time.Time `json:"ended_at,omitempty"`
	EndCause   string     `json:"end_cause,omitempty"`
}

func sessionOf(s auth.SessionInfo) sessionAnswer {
	return sessionAnswer{
		ID: s.ID, Current: s.Current, CreatedAt: s.CreatedAt.UTC(), LastSeenAt: s.LastSeenAt.UTC(),
		ExpiresAt: s.ExpiresAt.UTC(), IP: s.Address, UserAgent: s.UserAgent,
		Methods: list(s.Methods), EndedAt: optional(s.EndedAt), EndCause: s.EndCause,
	}
}

// pageAnswer is one page of a list.
type pageAnswer[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"`
}

// answerPage gives one page of a list, with each item as show puts it.
func answerPage[From, To any](c echo.Context, page auth.Page[From], show func(From) To) error {
	answer := pageAnswer[To]{Items: make([]To, 0, len(page.Items))}
	for _, item := range page.Items {
		answer.Items = append(answer.Items, show(item))
	}
	if page.Next != "" {
		answer.NextCursor = &page.Next
	}
	return answerJSON(c, http.StatusOK, answer)
}

// optional gives nil, which is null in JSON, for a time that never was.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// list makes sure that an empty list is [] and not null.
func list(items []string) []string {
	if items == nil {
		return []string{}
	}
	return items
}

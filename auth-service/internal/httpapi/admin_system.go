package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
)

// Keys keeps the signing keys.
type Keys interface {
	// Set returns the public keys that are published.
	Set(ctx context.Context) contract.JWKSet
	// List returns all keys that ever were.
	List(ctx context.Context) []SigningKey
	// Rotate makes the next key sign, and returns it. Who calls is in the audit
	// trail as soon as the key signs; so for Revoke.
	Rotate(ctx context.Context, c auth.Caller) (SigningKey, error)
	// Revoke takes a key out at once, in an emergency, and returns when every
	// live gateway refuses what it has signed, or after a bounded wait.
	Revoke(ctx context.Context, c auth.Caller, keyID string) (SigningKey, auth.Propagation, error)
}

// SigningKey is what administrators may see of a key. Times that have not come
// are zero.
type SigningKey struct {
	KeyID, Use, Algorithm, State                string
	CreatedAt, ActivatedAt, RetiredAt, NotAfter time.Time
}

type keyAnswer struct {
	KeyID       string     `json:"kid"`
	Use         string     `json:"use"`
	Algorithm   string     `json:"alg"`
	State       string     `json:"state"`
	CreatedAt   time.Time  `json:"created_at"`
	ActivatedAt *time.Time `json:"activated_at"`
	RetiredAt   *time.Time `json:"retired_at"`
	NotAfter    *time.Time `json:"not_after"`
}

func keyOf(k SigningKey) keyAnswer {
	return keyAnswer{
		KeyID: k.KeyID, Use: k.Use, Algorithm: k.Algorithm, State: k.State, CreatedAt: k.CreatedAt.UTC(),
		ActivatedAt: optional(k.ActivatedAt), RetiredAt: optional(k.RetiredAt), NotAfter: optional(k.NotAfter),
	}
}

func (a *api) listKeys(c echo.Context, _ auth.Caller) error {
	return answerPage(c, auth.Page[SigningKey]{Items: a.Keys.List(c.Request().Context())}, keyOf)
}

func (a *api) rotateKeys(c echo.Context, caller auth.Caller) error {
	if err := bindNothing(c); err != nil {
		return err
	}
	key, err := a.Keys.Rotate(c.Request().Context(), caller)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusCreated, keyOf(key))
}

// revokedKey is the answer to an emergency: the key, and how many of the live
// gateways refuse its tokens by now.
type revokedKey struct {
	keyAnswer
	reachedAnswer
}

// revokeKey ends every token that a key has signed, the caller's own too if it
// is one of them. Sessions live on: a refresh gives a token of another key.
func (a *api) revokeKey(c echo.Context, caller auth.Caller) error {
	if err := bindNothing(c); err != nil {
		return err
	}
	key, reached, err := a.Keys.Revoke(c.Request().Context(), caller, c.Param("kid"))
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, revokedKey{keyOf(key), reachedOf(reached)})
}

// nodeAnswer is a live gateway node. Its age is negative, as in its report,
// while it has never known the revocations to be complete.
type nodeAnswer struct {
	ID        string  `json:"id"`
	Address   string  `json:"address"`
	Version   string  `json:"version"`
	Epoch     uint64  `json:"epoch"`
	Applied   uint64  `json:"applied"`
	Head      uint64  `json:"head"`
	AgeMillis float64 `json:"age_ms"`
	Degraded  bool    `json:"degraded"`
}

func (a *api) listNodes(c echo.Context, _ auth.Caller) error {
	return answerPage(c, auth.Page[contract.Report]{Items: a.Nodes.List()}, func(r contract.Report) nodeAnswer {
		return nodeAnswer{
			ID: r.Node, Address: r.Address, Version: r.Version, Epoch: r.Epoch,
			Applied: r.Applied, Head: r.Head, AgeMillis: r.AgeMillis, Degraded: r.Degraded,
		}
	})
}

package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/outbox"
	"gatehouse.internal/shared/sqldb"
)

// AddRevocation appends to the revocation log.
func (t *tx) AddRevocation(ctx context.Context, r auth.Revocation) error {
	_, err := t.exec(ctx, "add revocation", `INSERT INTO revocations (id, number, kind, subject, min_version, cause, expires_at, created_at)
		VALUES ($1, NULL, $2, $3, $4, $5, $6, $7)`,
		r.ID, int64(r.Kind), r.Subject, int64(r.MinVersion), r.Cause, sqldb.Micros(r.ExpiresAt), sqldb.Micros(r.CreatedAt))
	return err
}

// Enqueue puts a message into the outbox.
func (t *tx) Enqueue(ctx context.Context, m auth.OutboxMessage, at time.Time) error {
	err := outbox.Add(ctx, t.tx, outbox.Message{ID: m.ID, Topic: m.Topic, Payload: m.Payload}, at)
	return failed("add to outbox", err)
}

// NoteMail notes a letter unless too many went to its recipient.
func (t *tx) NoteMail(ctx context.Context, n auth.MailNote) (bool, error) {
	var sent int
	err := t.tx.GetContext(ctx, &sent, `SELECT COUNT(*) FROM mail_notes WHERE recipient = $1 AND sent_at > $2`,
		n.Recipient, sqldb.Micros(n.Since))
	if err != nil || sent >= n.Most {
		return false, failed("count letters", err)
	}
	_, err = t.exec(ctx, "note letter", `INSERT INTO mail_notes (id, recipient, sent_at) VALUES ($1, $2, $3)`,
		n.ID, n.Recipient, sqldb.Micros(n.At))
	return err == nil, err
}

// mailTokenRow is a row of mail_tokens.
type mailTokenRow struct {
	Hash      []byte `db:"hash"`
	Purpose   string `db:"purpose"`
	UserID    string `db:"user_id"`
	Address   string `db:"address"`
	CreatedAt int64  `db:"created_at"`
	ExpiresAt int64  `db:"expires_at"`
}

// MailToken returns the mail token with the hash.
func (r reader) MailToken(ctx context.Context, hash []byte) (auth.MailToken, error) {
	var x mailTokenRow
	err := r.q.GetContext(ctx, &x, `SELECT hash, purpose, user_id, address, created_at, expires_at FROM mail_tokens WHERE hash = $1`, hash)
	if err != nil {
		return auth.MailToken{}, failed("read mail token", err)
	}
	return auth.MailToken{Hash: x.Hash, Purpose: x.Purpose, UserID: x.UserID, Address: x.Address,
		CreatedAt: sqldb.Time(x.CreatedAt), ExpiresAt: sqldb.Time(x.ExpiresAt)}, nil
}

// AddMailToken adds a mail token.
func (t *tx) AddMailToken(ctx context.Context, m auth.MailToken) error {
	_, err := t.exec(ctx, "add mail token", `INSERT INTO mail_tokens (hash, purpose, user_id, address, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6)`,
		m.Hash, m.Purpose, m.UserID, m.Address, sqldb.Micros(m.CreatedAt), sqldb.Micros(m.ExpiresAt))
	return err
}

// TakeMailToken deletes the token and reports whether it was there.
func (t *tx) TakeMailToken(ctx context.Context, hash []byte) (bool, error) {
	n, err := t.exec(ctx, "take mail token", `DELETE FROM mail_tokens WHERE hash = $1`, hash)
	return n > 0, err
}

// DropMailTokens deletes the user's tokens for a purpose.
func (t *tx) DropMailTokens(ctx context.Context, userID, purpose string) error {
	_, err := t.exec(ctx, "drop mail tokens", `DELETE FROM mail_tokens WHERE user_id = $1 AND purpose = $2`, userID, purpose)
	return err
}

// pruning lists what Prune deletes: table, key and the time that counts.
var pruning = []struct{ table, key, time string }{
	{"sessions", "id", "expires_at"},
	{"mail_tokens", "hash", "expires_at"},
	{"mail_notes", "id", "sent_at"},
	{"challenges", "hash", "expires_at"},
}

// Prune deletes what has expired; see auth.Store.
func (s *Store) Prune(ctx context.Context, before time.Time, limit int) (int, error) {
	total := 0
	for _, p := range pruning {
		query := fmt.Sprintf(`DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE %[3]s < $1 LIMIT $2)`, p.table, p.key, p.time)
		n := 0
		err := sqldb.InTx(ctx, s.db, func(ctx context.Context, x *sqlx.Tx) (err error) {
			n, err = (&tx{tx: x}).exec(ctx, "prune "+p.table, query, sqldb.Micros(before), limit)
			return err
		})
		if err != nil {
			return total, sqldb.Unavailable(err)
		}
		total += n
	}
	return total, nil
}

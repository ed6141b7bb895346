package sqlstore

import (
	"context"
	"fmt"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

// machineRow is a row of service_accounts.
type machineRow struct {
	ID           string `db:"id"`
	Name         string `db:"name"`
	Description  string `db:"description"`
	Roles        string `db:"roles"`
	Version      int64  `db:"version"`
	LeastVersion int64  `db:"least_version"`
	CreatedAt    int64  `db:"created_at"`
	UpdatedAt    int64  `db:"updated_at"`
}

func (x machineRow) account() auth.ServiceAccount {
	return auth.ServiceAccount{
		ID: x.ID, Name: x.Name, Description: x.Description, Roles: words(x.Roles), Version: uint64(max(0, x.Version)),
		LeastVersion: uint64(max(0, x.LeastVersion)), CreatedAt: sqldb.Time(x.CreatedAt), UpdatedAt: sqldb.Time(x.UpdatedAt),
	}
}

// selectMachine reads a service account, and the least version of new tokens as
// selectUser does.
func (r reader) selectMachine() string {
	return fmt.Sprintf(`SELECT id, name, description, roles, version, created_at, updated_at,
		(SELECT (s.epoch + CASE WHEN s.incarnation = %s THEN 0 ELSE %d END) / %d FROM revocation_state s WHERE s.id = 1) AS least_version
		FROM service_accounts`, r.incarnation, contract.EpochSpan/2, contract.EpochsPerVersion)
}

func (r reader) machine(ctx context.Context, what, ending, id string) (auth.ServiceAccount, error) {
	var x machineRow
	if err := r.q.GetContext(ctx, &x, r.selectMachine()+` WHERE id = $1`+ending, id); err != nil {
		return auth.ServiceAccount{}, failed(what, err)
	}
	return x.account(), nil
}

// ServiceAccount returns the account with the id.
func (r reader) ServiceAccount(ctx context.Context, id string) (auth.ServiceAccount, error) {
	return r.machine(ctx, "read service account", "", id)
}

// LockServiceAccount returns the account as of the moment the lock was got.
func (t *tx) LockServiceAccount(ctx context.Context, id string) (auth.ServiceAccount, error) {
	return t.machine(ctx, "lock service account", t.forUpdate, id)
}

// ServiceAccounts returns accounts by id.
func (r reader) ServiceAccounts(ctx context.Context, after string, limit int) ([]auth.ServiceAccount, error) {
	var rows []machineRow
	if err := r.q.SelectContext(ctx, &rows, r.selectMachine()+` WHERE id > $1 ORDER BY id LIMIT $2`, after, limit); err != nil {
		return nil, failed("list service accounts", err)
	}
	out := make([]auth.ServiceAccount, 0, len(rows))
	for _, x := range rows {
		out = append(out, x.account())
	}
	return out, nil
}

// AddServiceAccount adds an account, or fails with fault.Conflict for a taken
// name.
func (t *tx) AddServiceAccount(ctx context.Context, a auth.ServiceAccount) error {
	n, err := t.exec(ctx, "add service account", `INSERT INTO service_accounts (id, name, description, roles, version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING`,
		a.ID, a.Name, a.Description, list(a.Roles), int64(a.Version), sqldb.Micros(a.CreatedAt), sqldb.Micros(a.UpdatedAt))
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "There is a service account of that name.")
	}
	return err
}

// SaveServiceAccount writes roles, version and the time of the change.
func (t *tx) SaveServiceAccount(ctx context.Context, a auth.ServiceAccount) error {
	_, err := t.exec(ctx, "save service account", `UPDATE service_accounts SET roles = $1, version = $2, updated_at = $3 WHERE id = $4`,
		list(a.Roles), int64(a.Version), sqldb.Micros(a.UpdatedAt), a.ID)
	return err
}

// DeleteServiceAccount removes the account with its secrets.
func (t *tx) DeleteServiceAccount(ctx context.Context, id string) error {
	_, err := t.exec(ctx, "delete service account", `DELETE FROM service_accounts WHERE id = $1`, id)
	return err
}

// secretRow is a row of service_secrets.
type secretRow struct {
	ID        string `db:"id"`
	AccountID string `db:"account_id"`
	Hash      []byte `db:"secret_hash"`
	CreatedAt int64  `db:"created_at"`
	ExpiresAt int64  `db:"expires_at"`
}

const selectSecret = `SELECT id, account_id, secret_hash, created_at, expires_at FROM service_secrets`

func (x secretRow) secret() auth.ServiceSecret {
	return auth.ServiceSecret{ID: x.ID, AccountID: x.AccountID, Hash: x.Hash, CreatedAt: sqldb.Time(x.CreatedAt), ExpiresAt: sqldb.Time(x.ExpiresAt)}
}

// ServiceSecret returns the secret with the id.
func (r reader) ServiceSecret(ctx context.Context, id string) (auth.ServiceSecret, error) {
	var x secretRow
	err := r.q.GetContext(ctx, &x, selectSecret+` WHERE id = $1`, id)
	return x.secret(), failed("read secret", err)
}

// ServiceSecretByHash returns the secret with the hash.
func (r reader) ServiceSecretByHash(ctx context.Context, hash []byte) (auth.ServiceSecret, error) {
	var x secretRow
	err := r.q.GetContext(ctx, &x, selectSecret+` WHERE secret_hash = $1`, hash)
	return x.secret(), failed("find secret", err)
}

// ServiceSecrets returns the secrets of an account, oldest first.
func (r reader) ServiceSecrets(ctx context.Context, accountID string) ([]auth.ServiceSecret, error) {
	var rows []secretRow
	if err := r.q.SelectContext(ctx, &rows, selectSecret+` WHERE account_id = $1 ORDER BY id`, accountID); err != nil {
		return nil, failed("list secrets", err)
	}
	out := make([]auth.ServiceSecret, 0, len(rows))
	for _, x := range rows {
		out = append(out, x.secret())
	}
	return out, nil
}

// AddServiceSecret adds a secret.
func (t *tx) AddServiceSecret(ctx context.Context, x auth.ServiceSecret) error {
	_, err := t.exec(ctx, "add secret", `INSERT INTO service_secrets (id, account_id, secret_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)`,
		x.ID, x.AccountID, x.Hash, sqldb.Micros(x.CreatedAt), sqldb.Micros(x.ExpiresAt))
	return err
}

// SaveServiceSecret writes when a secret expires.
func (t *tx) SaveServiceSecret(ctx context.Context, x auth.ServiceSecret) error {
	_, err := t.exec(ctx, "save secret", `UPDATE service_secrets SET expires_at = $1 WHERE id = $2`, sqldb.Micros(x.ExpiresAt), x.ID)
	return err
}

// DeleteServiceSecret removes a secret.
func (t *tx) DeleteServiceSecret(ctx context.Context, id string) error {
	_, err := t.exec(ctx, "remove secret", `DELETE FROM service_secrets WHERE id = $1`, id)
	return err
}

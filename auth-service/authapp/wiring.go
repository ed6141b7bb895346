package authapp

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/password"
	"gatehouse.internal/auth-service/internal/auth/role"
	"gatehouse.internal/auth-service/internal/events"
	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/mail"
	"gatehouse.internal/auth-service/internal/sequencer"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/auth-service/internal/totp"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/outbox"
	"gatehouse.internal/shared/revocation"
	"gatehouse.internal/shared/sqldb"
	"gatehouse.internal/shared/token"
)

// Purposes of the keys that are derived from AUTH_ENCRYPTION_KEY. Each key has
// one purpose; changing a text here would lose what the key was for.
const (
	purposeSigningKeys = "gatehouse auth-service: encryption of signing keys, 1"
	purposeRefresh     = "gatehouse auth-service: successors of refresh tokens, 1"
	purposeFactors     = "gatehouse auth-service: encryption of second factors, 1"
	purposeKeyName     = "gatehouse auth-service: name of the key, 1"
)

// startTimeout bounds each step of New that works on a database which answers.
const startTimeout = 30 * time.Second

func (a *App) openStore(ctx context.Context) (err error) {
	if a.db, err = sqldb.Open(ctx, a.cfg.DatabaseURL); err != nil {
		return err
	}
	a.closers = append(a.closers, a.db.Close)
	a.health.Add("database", func(ctx context.Context) error { return named("ping", a.db.PingContext(ctx)) })
	a.store, err = sqlstore.New(ctx, a.db)
	return err
}

func (a *App) openBus(context.Context) (err error) {
	a.bus, err = bus.Connect(bus.Config{
		URL: a.cfg.NATSURL, Creds: a.cfg.NATSCreds, Prefix: a.cfg.NATSPrefix, Replicas: a.cfg.NATSReplicas, Name: "auth-service",
	}, a.log)
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() error { a.bus.Close(); return nil })
	a.health.Add("broker", once(a.bus.Ready))
	return nil
}

// once makes a check that holds for good as soon as it has held. Without a
// broker the service answers all the same: what is committed is published
// later, and the gateways say for themselves when they know too little. Taking
// every replica out of service would turn that into an outage.
func once(check func(context.Context) error) func(context.Context) error {
	var held atomic.Bool
	return func(ctx context.Context) error {
		if held.Load() {
			return nil
		}
		err := check(ctx)
		held.Store(err == nil)
		return err
	}
}

func (a *App) openPublisher(context.Context) error {
	letters, err := mail.New(mail.Config{
		URL: a.cfg.SMTPURL, From: a.cfg.MailFrom, PublicURL: a.cfg.PublicURL, Templates: a.cfg.MailTemplates, Now: time.Now,
	})
	if err != nil {
		return err
	}
	if a.publisher, err = events.NewPublisher(a.bus, letters, a.log, a.registry); err != nil {
		return err
	}
	a.accounts = &outbox.Relay{
		DB: a.db, Deliver: a.publisher.DeliverAccount, Now: time.Now, Log: a.log, Topics: auth.TopicAccount,
	}
	// A letter waits for hours before it is parked: greylisting and a full
	// mailbox pass. Few leave at once, so as not to look like a flood.
	a.mails = &outbox.Relay{
		DB: a.db, Deliver: a.publisher.DeliverMail, Now: time.Now, Log: a.log, Topics: auth.TopicMail,
		Concurrency: 4, Timeout: 25 * time.Second, Lease: time.Minute, MaxAttempts: 40, MaxBackoff: 10 * time.Minute,
	}
	a.bus.OnReconnect(a.accounts.Retry)
	return a.registry.Register(outboxCollector{db: a.db})
}

func (a *App) openKeys(ctx context.Context) error {
	encryptionKey, otherKeys, err := a.cfg.subkeys(purposeSigningKeys)
	if err != nil {
		return err
	}
	imported, err := a.cfg.importedKey()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	a.keys, err = keys.Open(ctx, keys.Options{
		Store: keyStore{a.store}, EncryptionKey: encryptionKey, OtherKeys: otherKeys, Algorithm: a.cfg.SigningAlg, Imported: imported,
		TokenLifetime: a.cfg.AccessTTL, Now: time.Now, Log: a.log, Changed: a.publisher.KeysChanged,
	})
	if err != nil {
		return err
	}
	name, err := a.cfg.keyName()
	if err != nil {
		return err
	}
	if err := a.store.NoteEncryptionKey(ctx, name, time.Now()); err != nil { // the keys open with it
		return err
	}
	a.health.Add("signing keys", func(ctx context.Context) error {
		_, _, err := a.keys.EventSigner(ctx)
		return err
	})
	return nil
}

func (a *App) openSequencer(context.Context) error {
	client, err := revocation.NewRedisClient(a.cfg.RedisURL)
	if err != nil {
		return named("REDIS_URL", err)
	}
	a.closers = append(a.closers, client.Close)
	a.sequencer, err = sequencer.New(sequencer.Config{
		DB: a.db, Bus: a.bus, Redis: client, RedisPrefix: a.cfg.RedisPrefix,
		Signer: a.keys, Keys: eventKeys{a.keys}, Now: time.Now, Log: a.log, Registry: a.registry,
	})
	if err != nil {
		return err
	}
	a.health.Add("sequencer", a.sequencer.Ready)
	return nil
}

func (a *App) openService(ctx context.Context) error {
	refreshKey, otherRefreshKeys, err := a.cfg.subkeys(purposeRefresh)
	if err != nil {
		return err
	}
	factorKey, otherFactorKeys, err := a.cfg.subkeys(purposeFactors)
	if err != nil {
		return err
	}
	ceremonies, err := a.ceremonies()
	if err != nil {
		return err
	}
	if a.hasher, err = password.NewArgon2id(password.Settings{Concurrent: a.cfg.HashConcurrency}); err != nil {
		return err
	}
	verifier, err := a.verifier()
	if err != nil {
		return err
	}
	tries, err := a.openThrottle()
	if err != nil {
		return err
	}
	clients, err := a.cfg.clients()
	if err != nil {
		return err
	}
	roles, err := a.publishRoles(ctx)
	if err != nil {
		return err
	}
	a.service, err = auth.New(auth.Config{
		Issuer: a.cfg.Issuer, Audience: a.cfg.Audience,
		AccessTTL: a.cfg.AccessTTL, RefreshTTL: a.cfg.RefreshTTL, SessionTTL: a.cfg.SessionTTL, RefreshGrace: a.cfg.RefreshGrace,
		MaxSessions:       a.cfg.MaxSessions,
		PasswordMinLength: a.cfg.PasswordMinLength, PasswordHistory: a.cfg.PasswordHistory, RefreshKey: refreshKey, Clients: clients, Roles: roles, Limits: a.cfg.Limits.limits(),
		FactorKeys: append([][]byte{factorKey}, otherFactorKeys...), EarlierRefreshKeys: otherRefreshKeys, MFARoles: a.cfg.MFARequiredRoles,
	}, auth.Parts{
		Store: a.store, Signer: a.keys, Verifier: verifier, Revoker: a.sequencer, Hasher: a.hasher, Throttle: tries,
		Codes: totp.Codes{Issuer: a.siteName()}, Ceremonies: ceremonies, WakeOutbox: func() { a.accounts.Wake(); a.mails.Wake() }, Log: a.log,
	})
	if err != nil {
		return err
	}
	if err := a.warnOfServiceAccounts(ctx); err != nil {
		return err
	}
	return a.ensureAdministrator(ctx)
}

// warnOfServiceAccounts tells of roles that the settings or the role file have
// taken from service accounts which have them.
func (a *App) warnOfServiceAccounts(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	found, err := a.service.UnsuitableAccounts(ctx)
	for _, x := range found {
		a.log.Warn("tokens of a service account do not name roles that are not for service accounts any more", "account", x.AccountID, "roles", x.Roles)
	}
	return err
}

// publishRoles reads the roles, and has them told to gateways and services.
func (a *App) publishRoles(ctx context.Context) (*role.Table, error) {
	roles, err := a.cfg.roles()
	if err != nil {
		return nil, named("AUTH_ROLES", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return roles, a.store.PublishRoles(ctx, roles.Published(), time.Now())
}

func (a *App) ensureAdministrator(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if a.cfg.AdminEmail != "" {
		a.madeAdmin, err = a.service.EnsureAdministrator(ctx, a.cfg.AdminEmail, string(a.cfg.AdminPassword))
		if fields := explained(err); fields != nil {
			return fields
		}
		return err
	}
	has, err := a.service.HasAdministrator(ctx)
	if err == nil && !has {
		a.log.Warn("there is no administrator; set AUTH_ADMIN_EMAIL and AUTH_ADMIN_PASSWORD to have one created")
	}
	return err
}

// explained gives the problems of the administrator's settings in their own
// words, and nil for every other failure.
func explained(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || len(f.Fields) == 0 {
		return nil
	}
	problems := make([]error, 0, len(f.Fields))
	for _, field := range f.Fields {
		problems = append(problems, fmt.Errorf("first administrator: %s %s", field.Field, field.Message))
	}
	return errors.Join(problems...)
}

// verifier checks tokens as everybody else does, but with the keys at hand.
func (a *App) verifier() (*token.Cache, error) {
	v, err := token.NewVerifier(token.Settings{Issuer: a.cfg.Issuer, Audience: a.cfg.Audience[0]}, a.keys, time.Now)
	if err != nil {
		return nil, err
	}
	return token.NewCache(v, cachedTokens), nil
}

// cachedTokens bounds the tokens whose signature is remembered.
const cachedTokens = 10_000

// named says what was attempted.
func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

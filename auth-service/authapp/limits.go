package authapp

import (
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/throttle"
)

// LimitSettings bound what can be tried: so many times at once, and as they are
// used up, further ones evenly over the period ("10/15m"), or "none".
type LimitSettings struct {
	Pair      auth.Limit `env:"AUTH_LIMIT_ACCOUNT_ADDRESS" envDefault:"10/15m"`
	Account   auth.Limit `env:"AUTH_LIMIT_ACCOUNT" envDefault:"100/24h"`
	Address   auth.Limit `env:"AUTH_LIMIT_ADDRESS" envDefault:"100/15m"`
	Device    auth.Limit `env:"AUTH_LIMIT_DEVICE" envDefault:"10/15m"`
	Confirm   auth.Limit `env:"AUTH_LIMIT_CONFIRM" envDefault:"10/15m"`
	Sender    auth.Limit `env:"AUTH_LIMIT_LETTERS_FROM" envDefault:"60/1h"`
	Refresh   auth.Limit `env:"AUTH_LIMIT_REFRESH" envDefault:"600/1h"`
	Recipient auth.Limit `env:"AUTH_LIMIT_LETTERS_TO" envDefault:"5/1h"`
}

func (l *LimitSettings) check(p *problems) {
	for _, s := range []struct {
		name  string
		limit auth.Limit
	}{
		{"AUTH_LIMIT_ACCOUNT_ADDRESS", l.Pair}, {"AUTH_LIMIT_ACCOUNT", l.Account}, {"AUTH_LIMIT_ADDRESS", l.Address},
		{"AUTH_LIMIT_DEVICE", l.Device}, {"AUTH_LIMIT_CONFIRM", l.Confirm}, {"AUTH_LIMIT_LETTERS_FROM", l.Sender},
		{"AUTH_LIMIT_REFRESH", l.Refresh}, {"AUTH_LIMIT_LETTERS_TO", l.Recipient},
	} {
		p.add(s.name, s.limit.Check())
	}
	p.refuse("AUTH_LIMIT_LETTERS_TO", l.Recipient.Tries == 0, "is none: anybody could fill anybody's mailbox")
	p.refuse("AUTH_LIMIT_LETTERS_TO", l.Recipient.Per > longestLetterNote, "has a period over 24h")
}

// longestLetterNote is how long it is remembered that a letter was sent.
const longestLetterNote = 24 * time.Hour

func (l *LimitSettings) limits() auth.Limits {
	return auth.Limits{
		Pair: l.Pair, Account: l.Account, Address: l.Address, Device: l.Device, Confirm: l.Confirm,
		Sender: l.Sender, Refresh: l.Refresh, Recipient: l.Recipient,
	}
}

// openThrottle makes what counts tries, in the Redis of the revocations.
func (a *App) openThrottle() (*throttle.Throttle, error) {
	t, err := throttle.New(throttle.Config{
		URL: a.cfg.RedisURL, Prefix: a.cfg.RedisPrefix, Now: time.Now, Log: a.log, Registry: a.registry,
	})
	if err != nil {
		return nil, named("REDIS_URL", err)
	}
	a.closers = append(a.closers, t.Close)
	return t, nil
}

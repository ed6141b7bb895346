// Package totp makes and checks the codes of authenticator apps: time-based
// one-time passwords of six digits, a step of 30 s, with HMAC-SHA-1 as every
// app understands it (RFC 6238 section 4, RFC 4226 section 5.3).
//
// It decides whether a code belongs to a moment. It promises that a code of
// the step that was accepted last, or of an earlier one, is never accepted
// (RFC 6238 section 5.2), and that telling right from wrong takes the same time.
// It refuses codes that are more than one step early or late.
package totp

import (
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"gatehouse.internal/auth-service/internal/auth"
)

const (
	period = 30 // seconds
	skew   = 1  // steps that a code may be early or late
)

// Codes makes and checks codes. Issuer is what apps call the site.
type Codes struct{ Issuer string }

var _ auth.OneTimeCodes = Codes{}

// Match returns the step that the code belongs to, if it is within one step of
// the given time and after the step last.
func (Codes) Match(secret []byte, code string, at time.Time, last int64) (step int64, ok bool) {
	now := at.Unix() / period
	spelled := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	for s := now - skew; s <= now+skew; s++ {
		want, err := hotp.GenerateCodeCustom(spelled, uint64(max(0, s)), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && s > last && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = s, true
		}
	}
	return step, ok
}

// Enrolment spells the secret as apps read it, by hand and as a URL for a QR
// code.
func (c Codes) Enrolment(account string, secret []byte) (auth.Enrolment, error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: c.Issuer, AccountName: account, Secret: secret, Period: period, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return auth.Enrolment{}, fmt.Errorf("spell the secret of an authenticator app: %w", err)
	}
	return auth.Enrolment{Secret: key.Secret(), URL: key.URL()}, nil
}

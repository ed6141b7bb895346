package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse.internal/shared/fault"
)

// Bounds of guessing. A code has a million values and three of them are good
// at a time, so an account is blocked for longer and longer; recovery codes are
// too long to be guessed and stay usable meanwhile, so that whoever knows the
// password cannot lock the owner out.
const (
	freeWrongCodes = 5
	firstBlock     = time.Minute
	longestBlock   = 24 * time.Hour
)

// blockAfter is how long codes are refused after so many wrong ones in a row.
func blockAfter(wrong int) time.Duration {
	if wrong < freeWrongCodes {
		return 0
	}
	block := firstBlock
	for range wrong - freeWrongCodes {
		if block *= 2; block >= longestBlock {
			return longestBlock
		}
	}
	return block
}

// checkCode judges a code for the user, whom the transaction has locked, and
// returns what it proves for "amr". A wrong one is recorded as a failure of the
// event and leaves the verdict; the methods are nil then.
func (w *work) checkCode(ctx context.Context, u User, event, code string) ([]string, error) {
	code = strings.TrimSpace(code)
	if isTOTPCode(code) {
		return w.checkTOTP(ctx, u, event, code)
	}
	taken, err := w.TakeRecoveryCode(ctx, u.ID, recoveryHash(u.ID, code))
	if err != nil {
		return nil, fmt.Errorf("take recovery code: %w", err)
	}
	if !taken {
		return nil, w.refuseCode(ctx, u, event, reasonWrongCode)
	}
	if err := w.notice(ctx, u, Mail{Template: MailRecoveryCodeUsed}); err != nil {
		return nil, err
	}
	return []string{MethodRecovery, MethodMFA}, w.record(ctx, AuditEvent{Event: EventRecoveryCodeUsed, ActorID: u.ID, TargetID: u.ID})
}

func (w *work) checkTOTP(ctx context.Context, u User, event, code string) ([]string, error) {
	t, err := w.TOTP(ctx, u.ID)
	if fault.Is(err, fault.NotFound) || err == nil && !t.active() {
		return nil, w.refuseCode(ctx, u, event, reasonWrongCode)
	}
	if err != nil {
		return nil, fmt.Errorf("read authenticator app: %w", err)
	}
	ok, err := w.matchTOTP(ctx, u, &t, event, code)
	if err != nil || !ok {
		return nil, err
	}
	return []string{MethodOTP, MethodMFA}, nil
}

// matchTOTP judges a code and notes the outcome with the app. The user's lock
// makes codes follow one another, so that one is accepted once and every wrong
// one is counted, whichever replica it comes to.
func (w *work) matchTOTP(ctx context.Context, u User, t *TOTP, event, code string) (bool, error) {
	if wait := t.BlockedUntil.Sub(w.now); wait > 0 {
		if err := w.refuseCode(ctx, u, event, reasonTooManyWrongCodes); err != nil {
			return false, err
		}
		f := fault.New(fault.RateLimited, "Too many wrong codes were tried; try again later, or use a recovery code.")
		f.RetryAfter = wait
		w.verdict = f
		return false, nil
	}
	secret, err := w.svc.factorKeys.open(t.Sealed, boundTOTP(u.ID))
	if err != nil {
		return false, err
	}
	step, ok := w.svc.codes.Match(secret, code, w.now, t.LastStep)
	if ok { // with the key that is in use now
		t.Sealed = w.seal(secret, boundTOTP(u.ID))
	}
	clear(secret)
	if ok {
		t.LastStep, t.Wrong, t.BlockedUntil = step, 0, time.Time{}
		return true, w.saveTOTP(ctx, *t)
	}
	t.Wrong++
	if block := blockAfter(t.Wrong); block > 0 {
		t.BlockedUntil = w.now.Add(block)
	}
	if err := w.saveTOTP(ctx, *t); err != nil {
		return false, err
	}
	if t.Wrong == freeWrongCodes && t.active() {
		if err := w.notice(ctx, u, Mail{Template: MailCodesRefused}); err != nil {
			return false, err
		}
	}
	return false, w.refuseCode(ctx, u, event, reasonWrongCode)
}

func (w *work) saveTOTP(ctx context.Context, t TOTP) error {
	if err := w.SaveTOTP(ctx, t); err != nil {
		return fmt.Errorf("save authenticator app: %w", err)
	}
	return nil
}

func (w *work) refuseCode(ctx context.Context, u User, event, reason string) error {
	w.verdict = fault.New(fault.InvalidCredentials, "The code is wrong, was used before, or is no longer good.")
	return w.recordRefusal(ctx, u.ID, AuditEvent{Event: event, Reason: reason})
}

// isTOTPCode tells codes of apps from recovery codes by their form alone.
func isTOTPCode(code string) bool {
	return len(code) == 6 && strings.Trim(code, "0123456789") == ""
}

// Recovery codes have 80 random bits each.
const (
	recoveryCodes    = 10
	recoveryCodeSize = 10 // bytes
)

var recoverySpelling = base32.StdEncoding.WithPadding(base32.NoPadding)

// makeRecoveryCodes replaces the user's recovery codes and returns the new
// ones, which nobody can ever be shown again.
func (w *work) makeRecoveryCodes(ctx context.Context, u User) ([]string, error) {
	codes, hashes := make([]string, recoveryCodes), make([][]byte, recoveryCodes)
	for i := range codes {
		secret := make([]byte, recoveryCodeSize)
		w.fill(secret)
		text := strings.ToLower(recoverySpelling.EncodeToString(secret))
		codes[i] = strings.Join([]string{text[:4], text[4:8], text[8:12], text[12:]}, "-")
		hashes[i] = recoveryHash(u.ID, codes[i])
	}
	if err := w.SetRecoveryCodes(ctx, u.ID, hashes); err != nil {
		return nil, fmt.Errorf("store recovery codes: %w", err)
	}
	return codes, w.record(ctx, AuditEvent{Event: EventRecoveryCodesMade, TargetID: u.ID})
}

// recoveryHash is what is stored of a recovery code, however it is typed. It is
// a plain hash because nobody can try 2^80 codes.
func recoveryHash(userID, code string) []byte {
	plain := strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(code))
	sum := sha256.Sum256([]byte("gatehouse recovery code\x00" + userID + "\x00" + plain))
	return sum[:]
}

// joined is a session's "amr" with what was shown now.
func joined(methods, shown []string) []string {
	out := slices.Clone(methods)
	for _, m := range shown {
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

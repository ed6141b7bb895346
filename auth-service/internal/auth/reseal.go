package auth

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/fault"
)

// resealEvery is how often a replica looks for secrets that another one, which
// has not got the new key for its own yet, has sealed meanwhile.
const resealEvery = time.Hour

// Resealed is what ResealFactors found.
type Resealed struct {
	Secrets int // of second factors, all together
	Anew    int // of them, how many were sealed with another key and are with the newest now
	Lost    int // how many no known key opens
}

// ResealFactors has every secret of a second factor sealed with the newest key,
// so that the others can be given up. It goes on where it was when it is run
// again, and users can sign in meanwhile.
func (s *Service) ResealFactors(ctx context.Context) (Resealed, error) {
	var out Resealed
	for after := ""; ; {
		page, err := s.store.TOTPs(ctx, after, maxLimit)
		if err != nil {
			return out, fmt.Errorf("read secrets of second factors: %w", err)
		}
		for i := range page {
			out.Secrets++
			if s.factorKeys.current(page[i].Sealed, boundTOTP(page[i].UserID)) {
				continue
			}
			anew, lost, err := s.resealTOTP(ctx, page[i].UserID)
			if err != nil {
				return out, fmt.Errorf("seal the secret of a second factor anew: %w", err)
			}
			out.Anew += anew
			out.Lost += lost
		}
		if len(page) < maxLimit {
			return out, nil
		}
		after = page[len(page)-1].UserID
	}
}

// resealTOTP does it for one user, as things are once the user is locked.
func (s *Service) resealTOTP(ctx context.Context, userID string) (anew, lost int, err error) {
	_, err = s.do(ctx, Caller{}, func(w *work) error {
		anew, lost = 0, 0
		if _, err := w.LockUser(ctx, userID); err != nil {
			return err
		}
		t, err := w.TOTP(ctx, userID)
		if err != nil || s.factorKeys.current(t.Sealed, boundTOTP(userID)) {
			return err
		}
		secret, err := s.factorKeys.open(t.Sealed, boundTOTP(userID))
		if err != nil {
			lost = 1
			return nil // the others can be sealed all the same
		}
		defer clear(secret)
		t.Sealed, anew = w.seal(secret, boundTOTP(userID)), 1
		return w.saveTOTP(ctx, t)
	})
	if fault.Is(err, fault.NotFound) {
		return 0, 0, nil // removed meanwhile
	}
	return anew, lost, err
}

// KeepSealed runs ResealFactors at once and then now and then, while other keys
// than the newest are known, until ctx ends. A failure is logged and left to the
// next time: secrets open with any key that is known.
func (s *Service) KeepSealed(ctx context.Context) error {
	if len(s.factorKeys.aeads) == 1 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(resealEvery)
	defer ticker.Stop()
	for {
		switch found, err := s.ResealFactors(ctx); {
		case err != nil && ctx.Err() == nil:
			s.log.WarnContext(ctx, "secrets of second factors were not all sealed anew", "error", err)
		case err == nil:
			s.log.InfoContext(ctx, "secrets of second factors are sealed with the key in use", "secrets", found.Secrets, "anew", found.Anew, "lost", found.Lost)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

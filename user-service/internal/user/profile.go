package user

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Profile returns the profile of an account. When the account's first event is
// still on its way, it waits for it as long as Patience says.
func (s *Service) Profile(ctx context.Context, id string) (Profile, error) {
	r, err := s.await(ctx, id)
	if err != nil {
		return Profile{}, fmt.Errorf("find profile: %w", err)
	}
	return r.profile(), nil
}

// Edit is a change of a profile.
type Edit struct {
	ID    string
	Patch Patch
	// Allowed, unless nil, decides by the tag of the profile as it is whether
	// it may be changed. It is asked in the same step as the change.
	Allowed func(tag string) bool
}

// Edit changes a profile and returns the new one. A patch that breaks the rules
// is fault.ValidationFailed, an edit that is not allowed is
// fault.PreconditionFailed, and then nothing has changed.
func (s *Service) Edit(ctx context.Context, e Edit) (Profile, error) {
	patch, err := e.Patch.check()
	if err != nil {
		return Profile{}, err
	}
	if _, err := s.await(ctx, e.ID); err != nil {
		return Profile{}, fmt.Errorf("find profile: %w", err)
	}
	r, err := s.Store.Change(ctx, e.ID, func(r Record) (Record, error) {
		if !r.Known() || r.Deleted() {
			return r, errNoAccount
		}
		before := r.profile()
		if e.Allowed != nil && !e.Allowed(before.Tag()) {
			return r, fault.New(fault.PreconditionFailed, "The profile has changed since it was read.")
		}
		patch.applyTo(&r)
		if r.profile() == before {
			return r, nil
		}
		// Never the same time twice, though a clock may stand or go back.
		r.UpdatedAt = later(micros(s.Now()), r.UpdatedAt.Add(time.Microsecond))
		return r, nil
	})
	if err != nil {
		return Profile{}, fmt.Errorf("edit profile: %w", err)
	}
	return r.profile(), nil
}

// Patch is the wanted change of each field: nil leaves it, "" removes it.
type Patch struct {
	FirstName, LastName, DisplayName, Locale, TimeZone, AvatarURL *string
}

// check returns the patch as it is to be stored, or every problem of it.
func (p Patch) check() (Patch, error) {
	var problems []fault.Field
	for _, f := range []struct {
		name  string
		value **string
		rule  func(string) (string, error)
	}{
		{"first_name", &p.FirstName, contract.CheckName},
		{"last_name", &p.LastName, contract.CheckName},
		{"display_name", &p.DisplayName, contract.CheckName},
		{"locale", &p.Locale, checkLocale},
		{"time_zone", &p.TimeZone, checkTimeZone},
		{"avatar_url", &p.AvatarURL, checkAvatarURL},
	} {
		if *f.value == nil || **f.value == "" {
			continue
		}
		value, err := f.rule(**f.value)
		if err != nil {
			problems = append(problems, fault.Field{Field: f.name, Message: err.Error()})
			continue
		}
		*f.value = &value
	}
	if len(problems) > 0 {
		return p, fault.Invalid(problems...)
	}
	return p, nil
}

// applyTo writes the fields of the patch into the record.
func (p *Patch) applyTo(r *Record) {
	if p.FirstName != nil {
		r.FirstName = p.FirstName
	}
	if p.LastName != nil {
		r.LastName = p.LastName
	}
	for _, f := range []struct {
		from *string
		to   *string
	}{
		{p.DisplayName, &r.DisplayName},
		{p.Locale, &r.Locale},
		{p.TimeZone, &r.TimeZone},
		{p.AvatarURL, &r.AvatarURL},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
}

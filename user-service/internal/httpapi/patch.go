package httpapi

import (
	"encoding/json"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
)

// patchBody is a merge patch of a profile (RFC 7396): a member that is absent
// is left as it is, and null removes. Members are kept as they came because
// encoding/json does not tell the two apart.
type patchBody struct {
	FirstName   json.RawMessage `json:"first_name"`
	LastName    json.RawMessage `json:"last_name"`
	DisplayName json.RawMessage `json:"display_name"`
	Locale      json.RawMessage `json:"locale"`
	TimeZone    json.RawMessage `json:"time_zone"`
	AvatarURL   json.RawMessage `json:"avatar_url"`

	// These are known and cannot be changed here.
	ID        json.RawMessage `json:"id"`
	Email     json.RawMessage `json:"email"`
	CreatedAt json.RawMessage `json:"created_at"`
	UpdatedAt json.RawMessage `json:"updated_at"`
}

// patch gives the wanted changes.
func (b *patchBody) patch() (user.Patch, error) {
	var p user.Patch
	for _, f := range []struct {
		name string
		from json.RawMessage
		to   **string
	}{
		{"first_name", b.FirstName, &p.FirstName},
		{"last_name", b.LastName, &p.LastName},
		{"display_name", b.DisplayName, &p.DisplayName},
		{"locale", b.Locale, &p.Locale},
		{"time_zone", b.TimeZone, &p.TimeZone},
		{"avatar_url", b.AvatarURL, &p.AvatarURL},
	} {
		if f.from == nil {
			continue
		}
		value := "" // also after null, which sets nothing
		if err := json.Unmarshal(f.from, &value); err != nil {
			wrong := fault.Wrap(fault.Malformed, "The field \""+f.name+"\" must be a string or null.", err)
			wrong.Fields = []fault.Field{{Field: f.name, Message: "must be a string or null"}}
			return user.Patch{}, wrong
		}
		*f.to = &value
	}
	return p, b.checkReadOnly()
}

// checkReadOnly refuses changes of what only the auth-service or nobody can
// change.
func (b *patchBody) checkReadOnly() error {
	var problems []fault.Field
	for _, f := range []struct {
		name string
		from json.RawMessage
	}{{"id", b.ID}, {"email", b.Email}, {"created_at", b.CreatedAt}, {"updated_at", b.UpdatedAt}} {
		if f.from != nil {
			problems = append(problems, fault.Field{Field: f.name, Message: "cannot be changed here"})
		}
	}
	if len(problems) > 0 {
		return fault.Invalid(problems...)
	}
	return nil
}

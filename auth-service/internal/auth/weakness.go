package auth

import (
	"errors"
	"strings"

	"gatehouse.internal/shared/fault"
)

// weakness tells why a password cannot be chosen by this user, or nil.
func (s *Service) weakness(field, password string, u User) error {
	local, domain, _ := strings.Cut(u.Email, "@")
	if dot := strings.LastIndexByte(domain, '.'); dot >= 0 {
		domain = domain[:dot]
	}
	problems := s.rules.Problems(password, u.Email, local, domain, u.FirstName, u.LastName)
	if len(problems) == 0 {
		return nil
	}
	fields := make([]fault.Field, 0, len(problems))
	for _, p := range problems {
		fields = append(fields, fault.Field{Field: field, Message: p})
	}
	return invalid(fault.WeakPassword, "The password is too easy to guess.", fields...)
}

func invalid(kind fault.Kind, detail string, fields ...fault.Field) error {
	f := fault.New(kind, detail)
	f.Fields = fields
	return f
}

func fieldsOf(err error) []fault.Field {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Fields
	}
	return nil
}

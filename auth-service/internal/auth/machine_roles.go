package auth

import (
	"context"
	"fmt"
	"slices"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// notForMachines says why a service account cannot have a role, or nothing. No
// program is an administrator, or has what permits an administrator's work:
// whoever holds its secret would, without a second factor and without a session
// that could be seen. Nor has it any other role that takes a second factor.
func (s *Service) notForMachines(role string) string {
	switch {
	case role == contract.RoleAdmin:
		return "is that of administrators"
	case s.config.Roles.Is(role, contract.RoleAdmin):
		return "inherits from " + contract.RoleAdmin
	case len(s.withheld([]string{role})) > 0:
		return "takes a second factor"
	}
	return ""
}

// machineRoles gives the roles sorted, each once.
func (s *Service) machineRoles(roles []string) ([]string, error) {
	out, err := s.cleanRoles(roles)
	if err != nil {
		return nil, err
	}
	for _, r := range out {
		if reason := s.notForMachines(r); reason != "" {
			return nil, fault.Invalid(fault.Field{Field: "roles", Message: "a service account cannot have the role " + r + ", which " + reason})
		}
	}
	if !slices.Contains(roles, contract.RoleUser) { // people have it without being asked; programs do not
		out = slices.DeleteFunc(out, func(r string) bool { return r == contract.RoleUser })
	}
	return out, nil
}

// machineNames are those of an account's roles that its tokens name. One that
// has come to be not for machines since the account got it, because the settings
// or the role file changed, is no longer among them.
func (s *Service) machineNames(roles []string) []string {
	return slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return s.notForMachines(r) != "" })
}

// Unsuitable is a service account with roles that its tokens do not name.
type Unsuitable struct {
	AccountID string
	Roles     []string
}

// UnsuitableAccounts finds service accounts with roles that have come to be not
// for machines since they got them.
func (s *Service) UnsuitableAccounts(ctx context.Context) ([]Unsuitable, error) {
	var out []Unsuitable
	for after := ""; ; {
		page, err := s.store.ServiceAccounts(ctx, after, maxLimit)
		if err != nil {
			return nil, fmt.Errorf("list service accounts: %w", err)
		}
		for _, a := range page {
			if lost := s.unsuitable(a.Roles); len(lost) > 0 {
				out = append(out, Unsuitable{AccountID: a.ID, Roles: lost})
			}
		}
		if len(page) < maxLimit {
			return out, nil
		}
		after = page[len(page)-1].ID
	}
}

// unsuitable are those among the roles that are not for machines.
func (s *Service) unsuitable(roles []string) []string {
	return slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return s.notForMachines(r) == "" })
}

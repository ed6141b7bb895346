package contract

// RolesPath is where the auth-service publishes its RoleTable to gateways and
// services. It is no route of the gateway: what roles there are is nobody's
// business outside.
const RolesPath = "/internal/roles.json"

// RoleTable says what roles permit. Tokens name roles alone; whoever is asked
// for a permission looks it up here, so that tokens stay small and a changed
// role is good for tokens that are out already.
type RoleTable struct {
	// Version grows with every table that an auth-service has begun to use. A
	// table never takes the place of one with a higher version.
	Version int64 `json:"version"`
	// Roles are the permissions of each role, those that it inherits too, in
	// order.
	Roles map[string][]string `json:"roles"`
}

// Bounds of a RoleTable.
const (
	MaxRoles       = 1000
	MaxPermissions = 1000 // of one role
	MaxPermission  = 128  // characters
)

// IsPermission reports whether a text can be a permission: two to four words of
// small letters, digits, dots, dashes and underscores, with colons between them,
// such as orders:read.
func IsPermission(text string) bool {
	if len(text) > MaxPermission {
		return false
	}
	words, length := 1, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			length++
		case c == '.' || c == '-' || c == '_':
			if length == 0 {
				return false
			}
			length++
		case c == ':' && length > 0:
			words, length = words+1, 0
		default:
			return false
		}
	}
	return words >= 2 && words <= 4 && length > 0
}

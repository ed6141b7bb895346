package contract

// SessionUses is what a gateway tells the auth-service now and then, on
// Subjects.SessionUses: which sessions have made requests since it told last.
// It is for people to look at, and nothing else hangs on it.
type SessionUses struct {
	Sessions []string `json:"sessions"` // session ids, each once
}

// MaxSessionUses is how many sessions one SessionUses may name.
const MaxSessionUses = 500

// SessionUses is where gateways send SessionUses, and one auth-service answers.
func (s Subjects) SessionUses() string { return s.Prefix + ".sessions.used" }

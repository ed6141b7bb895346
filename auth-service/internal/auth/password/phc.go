package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// phc is a hash with its parameters. Its text is a PHC string:
// $argon2id$v=19$m=19456,t=2,p=1$salt$key.
type phc struct {
	parameters
	salt, key []byte
}

// parameters say how much work a hash is.
type parameters struct {
	memory, passes uint32 // KiB, and how often it is gone over
	threads        uint8
}

// Bounds of parameters. The least work is that of the weakest of OWASP's
// equivalent settings (7 MiB, 5 passes); the most is that of libsodium's moderate
// ones (256 MiB, 3 passes), about a second: strangers have it done as often as
// they may guess.
const (
	leastMemory = 7168 // KiB
	mostMemory  = 256 << 10
	mostWork    = 3 * mostMemory // memory and passes multiplied
	mostPasses  = 64
	mostThreads = 16
)

var errPHC = errors.New("not an argon2id PHC string")

// String gives the PHC string.
func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return p.prefix() + b64.EncodeToString(p.salt) + "$" + b64.EncodeToString(p.key)
}

// prefix is what hashes with the parameters begin with, up to the salt.
func (p parameters) prefix() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$", argon2.Version, p.memory, p.passes, p.threads)
}

// parsePHC reads what String wrote, and refuses parameters that would take the
// machine down.
func parsePHC(text string) (phc, error) {
	end := 0
	for range strings.Count(parameters{}.prefix(), "$") {
		end += strings.IndexByte(text[end:], '$') + 1
	}
	salt, key, found := strings.Cut(text[end:], "$")
	if !found {
		return phc{}, errPHC
	}
	p, err := parseParameters(text[:end])
	if err != nil {
		return phc{}, err
	}
	b64 := base64.RawStdEncoding.Strict()
	out := phc{parameters: p}
	var errSalt, errKey error
	out.salt, errSalt = b64.DecodeString(salt)
	out.key, errKey = b64.DecodeString(key)
	if errSalt != nil || errKey != nil || len(out.salt) < 8 || len(out.key) < 16 || len(out.key) > 64 {
		return phc{}, errPHC
	}
	return out, nil
}

// parseParameters reads what prefix wrote.
func parseParameters(prefix string) (parameters, error) {
	var p parameters
	_, err := fmt.Sscanf(prefix, "$argon2id$v=19$m=%d,t=%d,p=%d$", &p.memory, &p.passes, &p.threads)
	if err != nil || p.prefix() != prefix { // such as numbers with a sign
		return parameters{}, errPHC
	}
	return p, p.check()
}

// check holds the parameters to what is neither weak nor ruinous.
func (p parameters) check() error {
	switch {
	case p.threads < 1 || p.threads > mostThreads:
		return fmt.Errorf("argon2id: %d threads are not within 1 and %d", p.threads, mostThreads)
	case p.passes < 1 || p.passes > mostPasses:
		return fmt.Errorf("argon2id: %d passes are not within 1 and %d", p.passes, mostPasses)
	case p.memory < leastMemory || p.memory > mostMemory:
		return fmt.Errorf("argon2id: %d KiB of memory are not within %d and %d", p.memory, leastMemory, mostMemory)
	case p.work() > mostWork:
		return fmt.Errorf("argon2id: %d passes over %d KiB of memory are more than %d KiB in all", p.passes, p.memory, mostWork)
	}
	return nil
}

// work tells how long a hash takes, compared with others.
func (p parameters) work() uint64 { return uint64(p.memory) * uint64(p.passes) }

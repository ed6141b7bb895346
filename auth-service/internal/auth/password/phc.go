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
	memory, passes uint32
	threads        uint8
	salt, key      []byte
}

var errPHC = errors.New("not an argon2id PHC string")

// String gives the PHC string.
func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.memory, p.passes, p.threads, b64.EncodeToString(p.salt), b64.EncodeToString(p.key))
}

// parsePHC reads what String wrote, and refuses parameters that would take the
// machine down.
func parsePHC(text string) (phc, error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errPHC
	}
	var p phc
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.threads); err != nil {
		return phc{}, errPHC
	}
	b64 := base64.RawStdEncoding.Strict()
	var errSalt, errKey error
	p.salt, errSalt = b64.DecodeString(parts[4])
	p.key, errKey = b64.DecodeString(parts[5])
	if errSalt != nil || errKey != nil || len(p.salt) < 8 || len(p.key) < 16 || len(p.key) > 64 {
		return phc{}, errPHC
	}
	return p, p.check()
}

// check holds the parameters to what is neither weak nor ruinous. The least
// cost is that of the weakest of OWASP's equivalent settings (7 MiB, 5 passes).
func (p phc) check() error {
	switch {
	case p.threads < 1 || p.threads > 64:
		return fmt.Errorf("argon2id: %d threads are not within 1 and 64", p.threads)
	case p.passes < 1 || p.passes > 64:
		return fmt.Errorf("argon2id: %d passes are not within 1 and 64", p.passes)
	case p.memory < 7168 || p.memory > 1<<20:
		return fmt.Errorf("argon2id: %d KiB of memory are not within 7168 and 1048576", p.memory)
	}
	return nil
}

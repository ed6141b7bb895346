package contract_test

import (
	"strings"
	"testing"

	"gatehouse.internal/shared/contract"
)

func TestCheckName(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "Ada": "Ada", " Ada\t": "Ada", "Дмитрий": "Дмитрий", "a b": "a b", "👩‍🚀": "👩‍🚀", "<b>": "<b>",
		strings.Repeat("é", contract.MaxName): strings.Repeat("é", contract.MaxName),
	} {
		if got, err := contract.CheckName(name); err != nil || got != want {
			t.Errorf("%q gives %q, %v", name, got, err)
		}
	}
	for _, name := range []string{
		strings.Repeat("é", contract.MaxName+1), "a\tb", "a\nb", "a\x00b", "\x7fb", "a\u0085b", "a\u2028b", "a\u2029b", "a\u202ab", "a\u202eb",
		"a\u2066b", "a\u2069b", "\ufeffb", "a\ufffe", "\U0001ffff", "\ufdd0", "\xff",
	} {
		if got, err := contract.CheckName(name); err == nil || got != "" {
			t.Errorf("%q is taken, as %q", name, got)
		}
	}
}

package example

import (
	_ "embed" // for the routes
	"strings"
)

//go:embed routes.yaml
var routes string

// Routes gives the route file of the example upstream and the mailbox, which
// are at these addresses.
func Routes(exampleURL, mailboxURL string) string {
	return strings.NewReplacer("@EXAMPLE_URL@", exampleURL, "@MAILBOX_URL@", mailboxURL).Replace(routes)
}

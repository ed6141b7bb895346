package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Build compiles the binaries under test into a folder: the three services and
// devtools from this tree, and the NATS server of the version in go.mod.
func Build(ctx context.Context, folder string, flags ...string) error {
	args := append([]string{"build", "-o", folder + string(os.PathSeparator)}, flags...)
	args = append(args, "gatehouse.internal/gateway", "gatehouse.internal/auth-service", "gatehouse.internal/user-service",
		"gatehouse.internal/deploy/standalone/cmd/devtools", "github.com/nats-io/nats-server/v2")
	if output, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil { //nolint:gosec // arguments of our own
		return fmt.Errorf("build the binaries under test: %w\n%s", err, output)
	}
	return nil
}

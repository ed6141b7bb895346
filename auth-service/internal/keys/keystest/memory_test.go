package keystest_test

import (
	"testing"

	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/keys/keystest"
)

func TestMemory(t *testing.T) {
	keystest.TestStore(t, func(*testing.T) keys.Store { return keystest.NewMemory() })
}

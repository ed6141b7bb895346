package usertest

import (
	"testing"

	"gatehouse.internal/user-service/internal/user"
)

func TestMemory(t *testing.T) {
	TestStore(t, func(*testing.T) user.Store { return new(Memory) })
}

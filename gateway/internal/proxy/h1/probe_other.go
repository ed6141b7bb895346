//go:build !unix

package h1

import (
	"errors"
	"net"
)

// probe cannot look here, so no connection is used twice.
type probe struct{}

func (*probe) open(net.Conn) {}

func (*probe) quiet() bool { return false }

func (*probe) swaps() bool { return false }

func (*probe) swap([]byte, *reader) (sent int, err error) { return 0, errors.ErrUnsupported }

func (*probe) receive(*reader) error { return errors.ErrUnsupported }

//go:build !unix

package sockio

import "errors"

// Supported says whether the functions work here.
const Supported = false

// Read is not supported here.
func Read(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

// Write is not supported here.
func Write(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

// Peek is not supported here.
func Peek(uintptr) (int, error) { return 0, errors.ErrUnsupported }

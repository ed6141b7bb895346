package gatewayapp

import "errors"

// The exit statuses of the program, as diff and grep have them.
const (
	exitNo      = 1 // the answer is no: problems, a refusal, a difference
	exitTrouble = 2 // there is no answer
)

// exitError is an error with an exit status. Its text may be empty: then all
// has been said.
type exitError struct {
	status int
	err    error // nil if all has been said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// ExitStatus is the exit status of the program for what Command returned: 0
// without an error, and 1 for an error that says nothing about it.
func ExitStatus(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.status
	}
	return 1
}

// trouble is an error that leaves a question open.
func trouble(err error) error { return &exitError{status: exitTrouble, err: err} }

// answerNo is a no that was said in full on the standard output.
func answerNo() error { return &exitError{status: exitNo} }

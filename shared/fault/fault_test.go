package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"gatehouse.internal/shared/fault"
)

func TestKindOf(t *testing.T) {
	cause := errors.New("connection refused")
	for _, c := range []struct {
		name string
		err  error
		want fault.Kind
	}{
		{"no error has no kind", nil, ""},
		{"an ordinary error is internal", cause, fault.Internal},
		{"a failure has its own", fault.New(fault.Conflict, "Taken."), fault.Conflict},
		{"it is found below other errors", fmt.Errorf("rotate: %w", fmt.Errorf("tx: %w", fault.New(fault.Conflict, ""))), fault.Conflict},
		{"it is found among joined errors", errors.Join(cause, fault.New(fault.Overloaded, "")), fault.Overloaded},
		{"the outer of two counts", fault.Wrap(fault.Unavailable, "", fault.New(fault.Conflict, "")), fault.Unavailable},
		{"invalid fields are a failed validation", fault.Invalid(fault.Field{Field: "email"}), fault.ValidationFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fault.KindOf(c.err); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if c.err != nil && !fault.Is(c.err, c.want) {
				t.Errorf("Is(%v, %s) is false", c.err, c.want)
			}
			if fault.Is(c.err, fault.TokenStale) {
				t.Errorf("Is(%v, %s) is true", c.err, fault.TokenStale)
			}
		})
	}
}

func TestIs_no_error_is_of_no_kind(t *testing.T) {
	if fault.Is(nil, "") || fault.Is(nil, fault.Internal) {
		t.Error("nil has a kind")
	}
}

func TestError_tells_the_log_everything(t *testing.T) {
	cause := errors.New("connection refused")
	for _, c := range []struct {
		err  *fault.Error
		want string
	}{
		{fault.New(fault.Conflict, ""), "conflict"},
		{fault.New(fault.Conflict, "Taken."), "conflict: Taken."},
		{fault.Wrap(fault.Unavailable, "The store is away.", cause), "service_unavailable: The store is away.: connection refused"},
		{fault.Wrap(fault.Unavailable, "", cause), "service_unavailable: connection refused"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if !errors.Is(fault.Wrap(fault.Unavailable, "", cause), cause) {
		t.Error("the cause is not found")
	}
}

func TestInvalid_names_the_fields(t *testing.T) {
	f := fault.Invalid(fault.Field{Field: "email", Message: "is needed"}, fault.Field{Field: "code"})
	if len(f.Fields) != 2 || f.Fields[0].Field != "email" || f.Detail == "" {
		t.Errorf("got %+v", f)
	}
}

func ExampleWrap() {
	err := fmt.Errorf("refresh session: %w", fault.Wrap(fault.Unavailable, "The session store is away.", errors.New("dial tcp: refused")))
	fmt.Println(fault.KindOf(err))
	fmt.Println(err)
	// Output:
	// service_unavailable
	// refresh session: service_unavailable: The session store is away.: dial tcp: refused
}

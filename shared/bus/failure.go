package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.internal/shared/fault"
)

// ErrNoReply is what a handler of Respond returns to leave a request without
// an answer.
var ErrNoReply = errors.New("no reply")

// away are the errors which mean that the server cannot serve us right now.
var away = []error{
	nats.ErrDisconnected, nats.ErrConnectionClosed, nats.ErrConnectionReconnecting, nats.ErrConnectionDraining,
	nats.ErrReconnectBufExceeded, nats.ErrStaleConnection, nats.ErrNoResponders, nats.ErrTimeout, nats.ErrNoServers,
	nats.ErrHeadersNotSupported, // what the library says before the first connection
	context.DeadlineExceeded,
	jetstream.ErrNoStreamResponse, jetstream.ErrAsyncPublishTimeout, jetstream.ErrNoHeartbeat, jetstream.ErrJetStreamNotEnabled,
	jetstream.ErrJetStreamNotEnabledForAccount, jetstream.ErrServerShutdown, jetstream.ErrConsumerDeleted,
}

// failure adds what was attempted and gives the error its kind.
func (b *Bus) failure(attempted string, err error) error {
	if err == nil {
		return nil
	}
	wrapped := fmt.Errorf("%s: %w", attempted, err)
	if errors.Is(err, nats.ErrMaxPayload) {
		return fault.Wrap(fault.PayloadTooLarge, "The message is larger than the broker takes.", wrapped)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fault.Wrap(fault.NotFound, "", wrapped)
	}
	serverSide := false
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		serverSide = api.Code >= 500
	}
	if serverSide || slices.ContainsFunc(away, func(target error) bool { return errors.Is(err, target) }) {
		return fault.Wrap(fault.Unavailable, "The message broker cannot be reached right now.", wrapped)
	}
	return wrapped
}

// headerFault carries a fault in an answer.
const headerFault = "Gatehouse-Fault"

// wireFault is a fault in an answer's header. It is JSON, which has no line
// breaks that could start another header.
type wireFault struct {
	Kind        fault.Kind     `json:"kind"`
	Detail      string         `json:"detail,omitempty"`
	Fields      []fault.Field  `json:"fields,omitempty"`
	RetryMillis int64          `json:"retry_ms,omitempty"`
	Extra       map[string]any `json:"extra,omitempty"`
}

// encodeFault gives the header for an error. Only what is meant for a caller
// goes out: an error without a kind is internal, and its text stays here.
func encodeFault(err error) string {
	wire := wireFault{Kind: fault.Internal}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		wire = wireFault{Kind: f.Kind, Detail: f.Detail, Fields: f.Fields, RetryMillis: f.RetryAfter.Milliseconds(), Extra: f.Extra}
	}
	text, err := json.Marshal(wire)
	if err != nil { // only Extra can hold what JSON cannot
		text, _ = json.Marshal(wireFault{Kind: wire.Kind, Detail: wire.Detail})
	}
	return string(text)
}

// decodeFault is the reverse of encodeFault.
func decodeFault(text string) error {
	var wire wireFault
	if err := json.Unmarshal([]byte(text), &wire); err != nil {
		return fmt.Errorf("answer holds a fault that cannot be read: %w", err)
	}
	return &fault.Error{
		Kind: wire.Kind, Detail: wire.Detail, Fields: wire.Fields, Extra: wire.Extra,
		RetryAfter: time.Duration(wire.RetryMillis) * time.Millisecond,
	}
}

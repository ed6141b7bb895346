package proxy

import "context"

// outliveBody has the exchange go on when the transport has had enough of the
// client's body: the read that Close ends fails, by which the server ends the
// request, but the answer, which came early, is still on its way. What it
// returns gives back what that takes.
func (x *exchange) outliveBody() (stop func()) {
	asked := x.Context
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(asked))
	x.Context = ctx
	stopped := context.AfterFunc(asked, func() {
		if !x.body.endedByClose() {
			cancel(context.Cause(asked))
		}
	})
	return func() { stopped(); cancel(nil) }
}

package h1

import "context"

// afterFuncer is a context that calls functions at its end by itself, for less
// than context.AfterFunc needs.
type afterFuncer interface {
	AfterFunc(f func()) (stop func() bool)
}

// watch has f called when the context ends. What it returns takes that back;
// it is nil if the context never ends.
func watch(ctx context.Context, f func()) (stop func() bool) {
	if direct, ok := ctx.(afterFuncer); ok {
		return direct.AfterFunc(f)
	}
	if ctx.Done() == nil {
		return nil
	}
	return context.AfterFunc(ctx, f)
}

package proxy

import "context"

// AfterFunc has f called in a goroutine of its own when the request ends, as
// context.AfterFunc does, without the memory that it would need for that.
func (x *exchange) AfterFunc(f func()) (stop func() bool) {
	if direct, ok := x.Context.(interface {
		AfterFunc(f func()) (stop func() bool)
	}); ok {
		return direct.AfterFunc(f)
	}
	return context.AfterFunc(x.Context, f)
}

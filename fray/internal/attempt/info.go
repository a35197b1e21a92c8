package attempt

import "context"

type infoKey[T any] struct{}

// WithInfo returns the context of an attempt that [Info] finds info in.
func WithInfo[T any](ctx context.Context, info T) context.Context {
	return context.WithValue(ctx, infoKey[T]{}, info)
}

// Info returns what [WithInfo] gave the attempt that ctx belongs to. It reports false outside of
// one.
func Info[T any](ctx context.Context) (T, bool) {
	info, ok := ctx.Value(infoKey[T]{}).(T)
	return info, ok
}

// Needed has the values of the tasks that the attempt's task needs, by the ids of these tasks, as far as they
// came along with it. [WithInfo] passes it on.
type Needed[T any] map[string]T

// Environment is what the tasks of a job see. [WithInfo] passes it on, and it does not change.
type Environment map[string]string

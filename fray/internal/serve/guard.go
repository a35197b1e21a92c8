package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"connectrpc.com/validate"
)

// errInternal is all that a caller learns of a bug.
var errInternal = errors.New("internal error: the server's log has the cause")

// validator checks requests against the rules of their schemas. INVALID_ARGUMENT carries the
// violations.
type validator struct {
	connect.Interceptor

	// Procedures that pass unchecked.
	except []string
}

// strict is one for all servers of a process: it compiles the rules of a message when it first sees one,
// which takes as long as hundreds of calls.
var strict = sync.OnceValues(func() (protovalidate.Validator, error) {
	return protovalidate.New(protovalidate.WithFailFast())
})

// Validated has a handler check requests against the rules of their schemas, but those of the
// procedures that are named. It fails at the first rule that is broken: a message can break as many
// as it has items, and telling of each takes a thousand times the room.
func Validated(except ...string) (connect.HandlerOption, error) {
	rules, err := strict()
	if err != nil {
		return nil, fmt.Errorf("prepare validation: %w", err)
	}
	return connect.WithInterceptors(&validator{Interceptor: validate.NewInterceptor(validate.WithValidator(rules)), except: except}), nil
}

// WrapUnary implements connect.Interceptor.
func (v *validator) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	checked := v.Interceptor.WrapUnary(next)
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if slices.Contains(v.except, req.Spec().Procedure) {
			return next(ctx, req)
		}
		return checked(ctx, req)
	}
}

// guard turns errors without a code into INTERNAL without their text, and logs them; its method
// recovered does so with panics.
type guard struct{ logger *slog.Logger }

// WrapUnary implements connect.Interceptor.
func (g *guard) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		res, err := next(ctx, req)
		return res, g.coded(ctx, req.Spec(), err)
	}
}

// WrapStreamingHandler implements connect.Interceptor.
func (g *guard) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return g.coded(ctx, conn.Spec(), next(ctx, conn))
	}
}

// WrapStreamingClient implements connect.Interceptor; a server makes no calls.
func (*guard) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// recovered is for connect.WithRecover.
func (g *guard) recovered(ctx context.Context, spec connect.Spec, _ http.Header, p any) error {
	g.logger.ErrorContext(ctx, "handler panicked", "procedure", spec.Procedure, "panic", p, "stack", string(debug.Stack()))
	return connect.NewError(connect.CodeInternal, errInternal)
}

func (g *guard) coded(ctx context.Context, spec connect.Spec, err error) error {
	var coded *connect.Error
	switch {
	case err == nil, errors.As(err, &coded):
		return err
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, context.DeadlineExceeded)
	}
	g.logger.ErrorContext(ctx, "handler returned an error without a code", "procedure", spec.Procedure, "error", err)
	return connect.NewError(connect.CodeInternal, errInternal)
}

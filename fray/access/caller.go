package access

import "context"

// Credential says what a caller has shown.
type Credential string

// The kinds of credentials.
const (
	NoCredential Credential = ""
	Token        Credential = "token"
	Certificate  Credential = "certificate"
)

// Caller is who makes a call.
type Caller struct {
	// Name is what the policy calls it; jobs belong to names. Empty: no credential was asked for.
	Name  string
	Roles Roles
	// Shown is what it has shown.
	Shown Credential
	// Shared says that the credential is one that all callers have: what it submits is everybody's.
	Shared bool
}

// everybody is who calls where nobody is asked who they are.
var everybody = Caller{Roles: Everything, Shared: true}

type callerKey struct{}

// With returns a context with a caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, &c)
}

// From returns the caller of a context. Without one it is who may do everything.
func From(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return *c
	}
	return everybody
}

// Owns returns the name that jobs belong to which the caller submits to first. Empty: they are
// everybody's.
func (c Caller) Owns() string {
	if c.Shared {
		return ""
	}
	return c.Name
}

// Confined returns whose jobs a call may be about, besides those of nobody; empty: any. So it goes by
// the caller and by the table's row for the procedure.
func Confined(ctx context.Context, procedure string) string {
	c := From(ctx)
	if c.Roles.Any(table[procedure].AnyJob) {
		return ""
	}
	return c.Owns()
}

package access

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/outgoing"
)

// logGap is the least time between two lines of the log about failed logins.
const logGap = 10 * time.Second

// GuardConfig is what a Guard needs. Policy has no default.
type GuardConfig struct {
	// Policy is asked with every call, so that it may change.
	Policy func() *Policy
	// Audit is told of every call that is refused. Nil: nobody is.
	Audit *slog.Logger
	// Log is told of failed logins, at a bounded rate. Nil: nobody is.
	Log *slog.Logger
}

// Guard stands before a server and lets in who may call what they call. It is safe for concurrent use.
type Guard struct {
	cfg      GuardConfig
	refusal  *connect.ErrorWriter
	failures *failures

	mu     sync.Mutex
	logged time.Time
	since  int // failed logins since then
}

// NewGuard returns a guard.
func NewGuard(cfg GuardConfig) *Guard {
	cfg.Audit = cmp.Or(cfg.Audit, slog.New(slog.DiscardHandler))
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	return &Guard{cfg: cfg, refusal: connect.NewErrorWriter(), failures: newFailures()}
}

// Wrap returns what hands requests on with their caller in the context, see From. It answers others:
// UNAUTHENTICATED where the credential is unknown, RESOURCE_EXHAUSTED with a Retry-After once too many
// of an address were, and PERMISSION_DENIED where the caller is known and may not. A caller with a good
// credential is never refused for what others from its address have tried.
func (g *Guard) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		row, listed := table[r.URL.Path]
		if row.Open {
			next.ServeHTTP(w, r)
			return
		}
		policy := g.cfg.Policy()
		caller, known := policy.Identify(r)
		switch {
		case !known:
			g.stranger(w, r, policy)
		case caller.Shared, listed && caller.Roles.Any(row.Roles):
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
		case !listed:
			g.refuse(w, r, *caller, wire.Error(wire.ReasonForbidden, 0, "caller %q may not call %s: it is nothing that any role may call", caller.Name, clip(r.URL.Path)))
		default:
			g.refuse(w, r, *caller, wire.Error(wire.ReasonForbidden, 0, "caller %q has the roles %v, and may not call %s: it takes one of %v",
				caller.Name, caller.Roles, row.Procedure, row.Roles))
		}
	})
}

// stranger answers who has no credential that the policy knows.
func (g *Guard) stranger(w http.ResponseWriter, r *http.Request, policy *Policy) {
	// Whoever is refused keeps no connection that somebody else could use.
	w.Header().Set("Connection", "close")
	now := time.Now()
	if wait := g.failures.note(now, addressOf(r.RemoteAddr)); wait > 0 {
		seconds := int64((wait + time.Second - 1) / time.Second)
		wait = number.FromSeconds(seconds)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
		g.answer(w, r, wire.Error(wire.ReasonTooManyLogins, wait, "too many calls from this address had an unknown credential: show a good one, or try again in %v", wait))
		return
	}
	g.tell(now, r)
	if policy.shared {
		g.refuse(w, r, Caller{}, wire.Error(wire.ReasonUnknownCaller, 0, "this cluster wants a token: set "+outgoing.TokenVariable+" to what its controller was started with"))
		return
	}
	g.refuse(w, r, Caller{}, wire.Error(wire.ReasonUnknownCaller, 0,
		"this cluster does not know the caller: show a token, by "+outgoing.TokenVariable+" or a file, or a certificate, that its access file has"))
}

// tell logs failed logins, not more often than every so often.
func (g *Guard) tell(now time.Time, r *http.Request) {
	g.mu.Lock()
	g.since++
	n := g.since
	due := now.Sub(g.logged) >= logGap
	if due {
		g.logged, g.since = now, 0
	}
	g.mu.Unlock()
	if due {
		g.cfg.Log.WarnContext(r.Context(), "refused calls with unknown credentials", "count", n, "last_address", r.RemoteAddr, "last_procedure", clip(r.URL.Path))
	}
}

// refuse answers with an error, and has the audit tell of it.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, c Caller, err *connect.Error) {
	record(r.Context(), g.cfg.Audit, c, r.RemoteAddr, r.URL.Path, err)
	g.answer(w, r, err)
}

// statuses are how errors are told to who speaks no RPC.
var statuses = map[connect.Code]int{
	connect.CodeUnauthenticated:   http.StatusUnauthorized,
	connect.CodePermissionDenied:  http.StatusForbidden,
	connect.CodeResourceExhausted: http.StatusTooManyRequests,
}

func (g *Guard) answer(w http.ResponseWriter, r *http.Request, err *connect.Error) {
	if !g.refusal.IsSupported(r) {
		http.Error(w, err.Message(), statuses[err.Code()])
		return
	}
	_ = g.refusal.Write(w, r, err) // the caller may be gone
}

// Package access says who may do what: which [Caller] a credential stands for, which [Roles] it has,
// and which procedures these may call.
//
//	policy, err := access.Read("access")
//	guard := access.NewGuard(access.GuardConfig{Policy: func() *access.Policy { return policy }})
//	http.ListenAndServe(address, guard.Wrap(handler))
//
// A [Policy] maps credentials to callers; [Procedures] is the table of what roles may call, and what
// is not in it nobody may. A [Guard] stands before a server: it finds out who calls, refuses who may
// not, and hands on the rest with the caller in the context, where [From] finds it. Handlers ask
// [Confined] whose jobs a call may be about.
//
// Without a guard there is no caller in the context, and a call may do everything.
package access

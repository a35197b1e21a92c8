// Package rayjobs is a client of the Jobs REST API of Ray, which runs programs on the nodes of a Ray
// cluster. It knows nothing of Fray.
//
//	client, err := rayjobs.New(rayjobs.Config{URL: "http://head:8265", Token: token})
//	if err != nil { ... }
//	if err := client.CheckVersion(ctx, rayjobs.LeastVersion); err != nil { ... }
//	err = client.Submit(ctx, &rayjobs.Submission{ID: "mine-1", Entrypoint: "./worker"}, false)
//	job, err := client.Job(ctx, "mine-1")
//
// The API is that of Ray 2.2 to 2.60: its documentation ("Ray Jobs REST API"), and where that is
// silent the sources on Ray's main branch in November 2026, when 2.60.0 was the release: dashboard/modules/job and
// dashboard/modules/dashboard_sdk.py for calls, dashboard/modules/version.py, and _private/authentication for tokens.
//
// # Calls
//
// Every call is bounded in time and in the bytes of its answer. One that fails for a reason that
// passes is made again, a few times: all of them may be, submission too, because the caller chooses
// the id, and Ray refuses an id that it has. Such a refusal of a repetition is success.
//
// # Errors
//
// An error says what was asked of which address, and what the answer was, cut. errors.Is finds in it
// [ErrNotRay], [ErrTooOld], [ErrUnauthorized], [ErrUnknown] or [ErrRefused]; an error without one
// of them is of the network, or of a server that is not well.
package rayjobs

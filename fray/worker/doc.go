// Package worker executes functions for a controller: it leases attempts, runs as many at once as
// it has slots, and reports what became of each.
//
//	w, err := worker.New(worker.Config{
//		ControllerURL: "http://127.0.0.1:7070",
//		ID:            "worker-1",
//		Functions:     []fray.Function{Resize, Classify},
//		Logger:        logger,
//	})
//	if err != nil { ... }
//	return w.Run(ctx) // until ctx is done, or an operator drains it
//
// A program that is a worker and nothing else is made by package workermain, in one line, with flags,
// signals and metrics.
//
// # What holds
//
// Every attempt that arrives is reported exactly once, however it ends: with a value, with an error
// or a panic, past its timeout, stopped, or given back. A report is kept until a controller has
// judged it, over outages, lost replies and sessions; a call that fails never makes a failure of a
// value.
//
// A worker has a session, which heartbeats renew however busy it is. When the controller says that
// the session is gone, the worker registers again, and stops what the new session does not let it
// keep. It tries to reach its controller for ever; but one that is there for a job (Config.JobLease)
// leaves once no client watches that any longer.
//
// A function that is stopped has its context cancelled, with one of this package's errors as the
// cause. One that does not return within the grace is abandoned: it is reported, and keeps its slot
// until it does return.
//
// An actor lives in an attempt of its own, the one that constructed it, which lends its slot from then
// on: calls are attempts, too, and take slots as others do. It ends with that attempt, and the calls
// that run on it are stopped then. A worker that leaves gives an actor back once the calls that it has
// for it have ended and the controller has judged their reports, so that the next incarnation goes on
// from all of them. What an actor has made is closed, if it is an [io.Closer], before its end is
// reported, unless that comes to be abandoned.
//
// # What does not
//
// An attempt may run although another one of its task runs elsewhere: execution is at least once,
// and the controller commits one result. A function that never returns cannot be ended; Run returns
// without it.
//
// # How
//
// All decisions are made by a [slots.Machine] under one lock: what runs, what waits, what to ask
// for. Around it run four loops: one polls for work, one sends heartbeats, one sends reports, and
// one waits for the next deadline. Each has at most one call under way, and everything that gathers
// meanwhile goes into its next. Each running attempt has a goroutine, which goes on to the next
// attempt when there is one.
package worker

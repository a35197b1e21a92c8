// Package core holds the state machine that decides what the controller does, the [Scheduler];
// package slots, below it, has the one that decides what a worker does.
//
// Both are pure. They are told the time and what happened; they answer with what must be done. They
// read no clock, start no goroutine, do no I/O, draw no unseeded random number and never let the
// order of a map show. The same events give the same effects, byte for byte, which is what makes a
// simulated failure replay.
//
//	s := core.NewScheduler(core.Config{Incarnation: 1})
//	var out core.Effects
//	s.Step(now, &out, &core.Submit{Call: 1, Job: "j", Tasks: tasks})
//	// Write out.Records to the store, then send out.Replies.
//
// # Terms
//
// A task is one unit of work, known by an id that its client chose. A lease hands it to a worker
// and thereby makes an attempt, known by a [Token] that is never given twice. A session is one
// registration of a worker. A report is a worker's word on an attempt, and counts only while that
// attempt is its task's current one: execution is at least once, and exactly one result is
// committed.
//
// # Who pays
//
// An attempt that ends without a result is charged to one of three budgets. Delivery failures (the
// attempt never started) cost nothing. The death of the worker that ran it costs one of
// MaxWorkerLosses. A failure or timeout of the function costs one of MaxRetries. An attempt granted
// to a free slot is taken to have started, because a task that kills its worker at once would else
// be handed out for ever; one that was granted ahead of a free slot is not, until its worker says
// so. If other attempts may have run at a worker that died, the last attempt that MaxWorkerLosses
// allows runs alone: see alone.go.
package core

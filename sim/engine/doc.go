// Package engine runs scenarios. It has all of a run that does not depend on where it takes place:
// what clients submit, what functions do, when faults strike, what is expected, and what is made of
// it in the end. Where it takes place is a [Backend]: package virtual has one on package sim, with
// the unmodified controller, workers and clients on simulated hosts, in virtual time, so that a
// seed always gives the same run; package process has one of real processes.
//
//	result, err := virtual.Run(ctx, s, seed, virtual.Options{})
//
// Recorders of package check write down what workers and clients see, its oracles judge every
// event, and expectations look at [cluster.Facts], which are counted from the same observations. A
// run goes on until everything that is expected eventually is true, but not before heal; then it
// stops the workers, asks how all tasks stand, compares the metrics, and stops the controller. It
// ends early when an invariant breaks, or when something that is expected is late.
//
// What a task does is drawn from the seed, its id and the number of its attempt, so it is the same
// on whichever worker, whenever.
//
// # Where is what
//
//   - engine.go: the course of a run. backend.go: what it asks of where it takes place.
//   - client.go: what clients submit and await. execution.go: what functions do.
//   - strike.go: which fault strikes whom, and when. onset.go: telling of it.
//   - tally.go: facts, counted. conditions.go: expectations, judged. result.go: the verdict.
//   - backup.go, reader.go: operators who make backups, and look at a cluster.
package engine

// Package engine runs scenarios of any subject. It has all of a run that depends neither on what
// runs nor on where: when faults strike and whom, what is expected, and what is made of it in the
// end. What runs is a [System] of a [Subject]: package cluster/system has Fray's, and [Blank] is
// what a small one embeds. Where it runs is a [Backend]: package virtual has one on package sim, in
// virtual time, so that a seed always gives the same run; package live has one of a cluster that
// runs somewhere.
//
//	result, err := virtual.Run(ctx, subject, s, seed, virtual.Options{})
//
// A run goes on until everything that is expected eventually is true, but not before heal; then the
// system stops its hosts and asks how things stand. It ends early when an invariant breaks, or when
// something that is expected is late.
//
// # Where is what
//
//   - engine.go: the course of a run. backend.go: what it asks of where it takes place. system.go:
//     what it asks of what runs. blank.go: the usual answers.
//   - strike.go: which fault strikes whom, and when. onset.go: telling of it. leave.go: hosts that
//     are told to leave.
//   - conditions.go: expectations, judged. result.go: the verdict.
package engine

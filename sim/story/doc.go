// Package story tells what happened to one thing in a run, such as a task, and why a run failed.
//
// A [Recorder] listens to a run and keeps the events of its history, and what its faults did. Of one
// thing it has the [Recorder.Life]: all that touched it, whoever saw it.
//
// [Find] looks for the nearest run that passes: the same one without a single fault, or without a
// single act of a fault, or under another seed. What differs between the two in the life of the
// thing that the failure is about is the [Why].
package story

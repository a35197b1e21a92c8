// Package virtual runs scenarios on package sim: the unmodified controller, workers and clients, on
// simulated hosts and links, in virtual time. [Run] gives the same run for the same seed, and
// [Verify] makes sure of that.
//
// A controller with a disk keeps its records in Pebble, on a filesystem in memory that takes the
// time of each sync, can be full, and forgets at a power loss what was not synced.
package virtual

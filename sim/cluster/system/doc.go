// Package system is Fray's cluster as what scenarios are run of: the unmodified controller, workers
// and clients, on the hosts of a simulation or, by package process, as real processes.
//
//	result, err := system.Run(ctx, s, seed, system.RunOptions{})
//
// Recorders of package check write down what workers and clients see, its oracles judge every
// event, and expectations look at [cluster.Facts], which are counted from the same observations.
//
// A simulated controller with a disk keeps its records in Pebble, on a filesystem in memory that
// takes the time of each sync, can be full, and forgets at a power loss what was not synced.
//
// What a task does is drawn from the seed, its id and the number of its attempt, so it is the same
// on whichever worker, whenever.
//
// # Where is what
//
//   - system.go: the course of a run. simulated.go, disk.go: its software on simulated hosts.
//   - client.go: what clients submit and await. execution.go: what functions do.
//   - tally.go: facts, counted. work.go: what reports tell.
//   - backup.go, reader.go: operators who make backups, and look at a cluster.
package system

// Package process runs scenarios on real processes: the same files, faults, oracles and
// expectations as in virtual time, with the fray command as the controller, worker processes, TCP
// over loopback, signals, and the time of the clock.
//
//	result, err := process.Run(ctx, s, seed, engine.Options{}, process.Config{
//		Fray:   "/usr/local/bin/fray",
//		Worker: []string{"/usr/local/bin/fray-sim", "worker"},
//	})
//
// # What runs where
//
// The controller is the fray command, started as a user would. A worker is a process that runs
// [Work]: the runtime's worker with the functions of the scenario, which no command line could
// express. Clients are goroutines of this process. A crash is SIGKILL, a pause SIGSTOP and SIGCONT,
// a start a new process. Faults in messages are plans that the processes are given by
// faults.v1.FaultService.
//
// # The history
//
// There is one, in this process. A worker's recorder asks for the place of a call in it before the
// call is sent, and has events taken in before anything comes of them: a function starts, or the
// answer of a call goes on to its caller, once the history has it. So its order is one in which
// things may have happened, for all processes alike, and its times are those of one clock; no
// clocks are compared. A call counts as made no later than it was sent, and an answer as seen no
// earlier than it came, which is what oracles allow for. A worker that is killed has told all that
// others can have heard from it.
//
// A crash is noted when the process is gone and all that it said has been taken in, and before
// another takes its place. What the dead controller had answered may be noted after that: it
// belongs to calls that were made before, which is what counts.
//
// # What holds
//
// A seed decides what is drawn, and not what happens: runs do not repeat. No process outlives the
// run, or this process.
package process

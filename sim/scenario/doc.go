// Package scenario describes a run of Fray under faults as one YAML file, and executes it.
//
// A scenario names hosts (a controller, workers, clients), the tasks that the clients run, the faults that strike, when they
// stop, and what must be true in the end:
//
//	apiVersion: fray.sim/v1
//	kind: Scenario
//	metadata:
//	  name: worker-crash
//	  summary: A worker dies with tasks in its hands, and others finish them.
//	topology:
//	  workers:
//	    - {name: worker, count: 3, slots: 2}
//	workload:
//	  clients:
//	    - {name: client, tasks: 40}
//	targets:
//	  - {name: victim, role: worker, when: running}
//	faults:
//	  - id: kill
//	    when: {at: 2s}
//	    action: {restart: {target: victim, down: 3s}}
//
// [Parse] reads such a file, and reports all that is wrong with it at once, each with its place, the line, and a suggestion.
// A file that passes it can be run: every name in it refers to something, every expression compiles, and no fault is known
// to be impossible. [Schema] is the same format for editors; docs/scenarios.md tells what each key means. Both are made
// from the struct tags of the types here, which the reader itself goes by.
//
// [List] and [Load] give the scenarios of the built-in library.
//
// # Running
//
// [Run] builds the cluster on package sim: the unmodified controller, workers and clients, on simulated hosts, in virtual time,
// and so that a seed always gives the same run; [Verify] makes sure of that. Recorders of package check write down what workers
// and clients see, its oracles judge every event, and expectations look at [Facts], which are counted from the same
// observations. A run goes on until everything that is expected eventually is true, but not before heal; then it stops the
// workers, asks how all tasks stand, compares the metrics, and stops the controller. It ends early when an invariant breaks, or
// when something that is expected is late.
//
// What a task does is drawn from the seed, its id and the number of its attempt, so it is the same on whichever worker, whenever.
package scenario

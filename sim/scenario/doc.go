// Package scenario is the format in which one YAML file describes a run of a service under faults.
// Package engine executes it.
//
// A scenario names hosts, what clients do, the faults that strike, when they stop, and what must be
// true in the end. Which hosts and what work there are is up to the subject that it is about, which
// a program has as a [Subject]. This one is about Fray, as package cluster has it:
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
// [Subjects.Parse] reads such a file, and reports all that is wrong with it at once, each with its
// place, the line, and a suggestion. A file that passes it can be run: every name in it refers to
// something, every expression compiles, and no fault is known to be impossible. [Subject.Schema] is
// the same format for editors; docs/scenario-reference.md tells what each key means. Both are made
// from the struct tags of the types here, which the reader itself goes by. docs/scenarios.md shows
// by example how to write a scenario.
package scenario

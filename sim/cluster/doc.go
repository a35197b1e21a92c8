// Package cluster is Fray as a subject of scenarios: what files say about a controller, workers,
// clients and their tasks, the library of such files, and the unmodified software on simulated
// hosts, with the oracles of package check.
//
//	topology:
//	  workers:
//	    - {name: worker, count: 3, slots: 2}
//	workload:
//	  clients:
//	    - {name: client, tasks: 40}
//
// [Parse] and [Load] read scenarios, and package system runs them. docs/scenario-reference.md tells
// what each key means.
package cluster

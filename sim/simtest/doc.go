// Package simtest runs scenarios of any service: with [Main], which makes a command with the verbs
// of fray-sim (run, sweep, chaos, shrink, coverage, pages, reports), and with [Test], in go test.
//
// A service becomes a subject with an [engine.Subject]: what its files may say (package scenario
// reads them by the struct tags of its own types), its software on simulated hosts, what its
// clients do, its facts for expectations, and its invariants. Everything else is there: the
// network, faults, targets, heal, expectations in CEL, replay of each seed to the byte. Fray's own
// command is a [Program], in cmd/fray-sim, and examples/counter has a small one.
//
//	func main() { simtest.Main(counter.Subject(), counter.Scenarios()) }
package simtest

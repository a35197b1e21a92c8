package scenario

import (
	"errors"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/frayrpc/fray/faults"
)

// Columns of a Coverage besides the phases of a call.
const (
	// ColumnMessage is a message of a stream.
	ColumnMessage = "stream-message"
	// ColumnHost is what strikes a host at a time, or what hosts do by themselves.
	ColumnHost = "host"
)

// A Coverage tells which kinds of faults are injected in which phases, by which scenarios.
type Coverage struct {
	// Columns are the phases of a call in their order, then ColumnMessage and ColumnHost.
	Columns []string
	// Rows are the actions of faults, then what workers, tasks and the network do wrong by
	// themselves.
	Rows []CoverageRow
}

// A CoverageRow is one kind of fault. Its cells are in the order of the columns.
type CoverageRow struct {
	// Kind is the key that the format has for it.
	Kind  string
	Cells []CoverageCell
}

// A CoverageCell is one kind of fault in one phase.
type CoverageCell struct {
	// Scenarios are those that inject it, by name, in the order in which they were given.
	Scenarios []string
	// Impossible says why there can be none; empty if there can.
	Impossible string
}

// A failing is something that goes wrong in a scenario without a fault.
type failing struct {
	kind    string
	columns []string
	in      func(*Scenario) bool
}

func failings() []failing {
	host := []string{ColumnHost}
	tasks := func(is func(*TaskKind) bool) func(*Scenario) bool {
		return func(s *Scenario) bool {
			return slices.ContainsFunc(s.Workload.Mix, func(k TaskKind) bool { return is(&k) })
		}
	}
	workers := func(is func(*WorkerGroup) bool) func(*Scenario) bool {
		return func(s *Scenario) bool {
			return slices.ContainsFunc(s.Topology.Workers, func(g WorkerGroup) bool { return is(&g) })
		}
	}
	disk := func(left string) func(*Scenario) bool {
		return func(s *Scenario) bool {
			return slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Action.Leaves() == left })
		}
	}
	return []failing{
		{"disk: " + DiskLost, host, disk(DiskLost)},
		{"disk: " + DiskPowerLoss, host, disk(DiskPowerLoss)},
		{"disk: " + DiskTorn, host, disk(DiskTorn)},
		{"mix.failureProbability", host, tasks(func(k *TaskKind) bool { return k.FailureProbability > 0 })},
		{"mix.failFirst", host, tasks(func(k *TaskKind) bool { return k.FailFirst > 0 })},
		{"mix.crashesWorker", host, tasks(func(k *TaskKind) bool { return k.CrashesWorker })},
		{"mix.ignoresStop", host, tasks(func(k *TaskKind) bool { return k.IgnoresStop })},
		{"mix.undecodable", host, tasks(func(k *TaskKind) bool { return k.Undecodable != "" })},
		{"workers.failureProbability", host, workers(func(g *WorkerGroup) bool { return g.FailureProbability > 0 })},
		{"workers.startAfter", host, workers(func(g *WorkerGroup) bool { return g.StartAfter > 0 })},
		{"network.loss", []string{string(faults.RequestInFlight), string(faults.ResponseInFlight)}, func(s *Scenario) bool {
			return s.Topology.Network.Loss > 0
		}},
	}
}

// Cover tells what some scenarios cover. What is impossible is what package faults refuses, and
// what the format or the procedures of fray.v1 have no place for.
func Cover(scenarios []*Scenario) *Coverage {
	c := &Coverage{}
	for _, phase := range faults.Phases() {
		c.Columns = append(c.Columns, string(phase))
	}
	c.Columns = append(c.Columns, ColumnMessage, ColumnHost)
	for _, action := range Examples() {
		row := CoverageRow{Kind: action.Key()}
		for _, column := range c.Columns {
			cell := CoverageCell{Impossible: action.Impossible(column)}
			for _, s := range scenarios {
				if slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Action.Key() == row.Kind && slices.Contains(f.columns(), column) }) {
					cell.Scenarios = append(cell.Scenarios, s.Metadata.Name)
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		c.Rows = append(c.Rows, row)
	}
	for _, f := range failings() {
		row := CoverageRow{Kind: f.kind}
		for _, column := range c.Columns {
			var cell CoverageCell
			if !slices.Contains(f.columns, column) {
				cell.Impossible = "it is no fault that strikes: it shows at " + strings.Join(f.columns, " and ")
			}
			for _, s := range scenarios {
				if cell.Impossible == "" && f.in(s) {
					cell.Scenarios = append(cell.Scenarios, s.Metadata.Name)
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		c.Rows = append(c.Rows, row)
	}
	return c
}

// Count returns how many cells are possible, and how many of them are covered.
func (c *Coverage) Count() (covered, possible int) {
	for _, row := range c.Rows {
		for _, cell := range row.Cells {
			if cell.Impossible != "" {
				continue
			}
			possible++
			if len(cell.Scenarios) > 0 {
				covered++
			}
		}
	}
	return covered, possible
}

// columns returns where the fault acts.
func (f *Fault) columns() []string {
	if f.OnHosts() {
		return []string{ColumnHost}
	}
	var columns []string
	for _, phase := range f.Rule(nil, nil, "").Phases() {
		columns = append(columns, string(phase))
	}
	return columns
}

// Impossible says why the action cannot be in a column, or nothing if it can.
func (a *Actions) Impossible(column string) string {
	switch {
	case column == ColumnHost && a.OnHost():
		return ""
	case a.OnDisk():
		return "it is done to a host's disk, at a time"
	case a.OnClock():
		return "it is done to a host's clocks, at a time"
	case column == ColumnHost:
		return "it acts upon messages, not upon hosts"
	case column == ColumnMessage && !streams():
		return "no procedure of fray.v1 streams: each message is a call's one request or one response"
	}
	// The side that the phase implies gives the reason; one side that allows it is enough.
	var reason string
	for _, side := range append([]faults.Side{""}, faults.Sides()...) {
		f := Fault{ID: "example", Match: &Match{Side: string(side)}, Action: *a}
		rule := f.Rule(nil, nil, "")
		if column == ColumnMessage {
			rule.Message = faults.EveryMessage
		} else {
			rule.Phase = faults.Phase(column)
		}
		var invalid *faults.RuleError
		if !errors.As(rule.Validate(), &invalid) {
			return ""
		}
		if reason == "" {
			reason = strings.TrimPrefix(invalid.Problem, "the rule can never act: ")
		}
	}
	return reason
}

// streams says whether a procedure of fray.v1 has a stream of messages.
func streams() bool {
	found := false
	protoregistry.GlobalFiles.RangeFilesByPackage("fray.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				found = found || m.IsStreamingClient() || m.IsStreamingServer()
			}
		}
		return !found
	})
	return found
}

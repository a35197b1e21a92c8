package scenario

import (
	"errors"
	"slices"
	"strings"

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

// A Failing is something that goes wrong in a scenario without a fault.
type Failing struct {
	// Kind is where the file says so, and Columns are where it shows.
	Kind    string
	Columns []string
	// In says whether it does in a scenario.
	In func(*Scenario) bool
}

// failings are those of any subject: what becomes of disks, and of messages on the network.
func failings() (all []Failing) {
	for _, left := range []string{DiskLost, DiskPowerLoss, DiskTorn} {
		all = append(all, Failing{"disk: " + left, []string{ColumnHost}, func(s *Scenario) bool {
			return slices.ContainsFunc(s.Faults, func(f Fault) bool { return f.Action.Leaves() == left })
		}})
	}
	return all
}

func lossy() Failing {
	return Failing{"network.loss", []string{string(faults.RequestInFlight), string(faults.ResponseInFlight)}, func(s *Scenario) bool {
		return s.Topology.Network.Loss > 0
	}}
}

// Cover tells what some scenarios of the subject cover. What is impossible is what package faults
// refuses, and what the format or the subject's procedures have no place for.
func (s *Subject) Cover(scenarios []*Scenario) *Coverage {
	c := &Coverage{}
	for _, phase := range faults.Phases() {
		c.Columns = append(c.Columns, string(phase))
	}
	c.Columns = append(c.Columns, ColumnMessage, ColumnHost)
	for _, action := range Examples() {
		row := CoverageRow{Kind: action.Key()}
		for _, column := range c.Columns {
			cell := CoverageCell{Impossible: s.impossible(&action, column)}
			for _, in := range scenarios {
				if slices.ContainsFunc(in.Faults, func(f Fault) bool { return f.Action.Key() == row.Kind && slices.Contains(f.columns(), column) }) {
					cell.Scenarios = append(cell.Scenarios, in.Metadata.Name)
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		c.Rows = append(c.Rows, row)
	}
	for _, f := range slices.Concat(failings(), s.Failings, []Failing{lossy()}) {
		row := CoverageRow{Kind: f.Kind}
		for _, column := range c.Columns {
			var cell CoverageCell
			if !slices.Contains(f.Columns, column) {
				cell.Impossible = "it is no fault that strikes: it shows at " + strings.Join(f.Columns, " and ")
			}
			for _, in := range scenarios {
				if cell.Impossible == "" && f.In(in) {
					cell.Scenarios = append(cell.Scenarios, in.Metadata.Name)
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

// impossible says why the action cannot be in a column, or nothing if it can.
func (s *Subject) impossible(a *Actions, column string) string {
	reason := a.Impossible(column)
	if column == ColumnMessage && !s.Streams && !a.AtTime() {
		return "no procedure of " + s.Name + " streams: each message is a call's one request or one response"
	}
	return reason
}

// Impossible says why the action cannot be in a column of any subject, or nothing if it can.
func (a *Actions) Impossible(column string) string {
	switch {
	case column == ColumnHost && a.OnHost():
		return ""
	case a.OnDisk():
		return "it is done to a host's disk, at a time"
	case a.OnClock():
		return "it is done to a host's clocks, at a time"
	case a.byOperator():
		return "an operator does it to a host, at a time"
	case column == ColumnHost:
		return "it acts upon messages, not upon hosts"
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

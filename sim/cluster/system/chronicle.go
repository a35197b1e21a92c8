package system

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/frayrpc/fray/sim/check"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

// Event implements engine.System.
func (s *System) Event(event any) engine.Event {
	return eventOf(event.(*check.Event)) //nolint:errcheck // Of a cluster they are.
}

// Last implements engine.System.
func (s *System) Last(n int) []engine.Event {
	return events(s.history.Where(s.last, n, func(*check.Event) bool { return true }))
}

// About implements engine.Chronicle.
func (s *System) About(task string) []engine.Event {
	found := s.history.Where(s.last, math.MaxInt, func(e *check.Event) bool { return e.About(task) || e.OfAll() })
	return events(found[max(0, slices.IndexFunc(found, func(e check.Event) bool { return !e.OfAll() })):])
}

// Around implements engine.Chronicle.
func (s *System) Around(seq uint64, before, after int) []engine.Event {
	until := min(seq+uint64(after), s.last)                                                                                 //nolint:gosec // It is a small number.
	return events(s.history.Where(until, before+1+after, func(e *check.Event) bool { return e.Seq+uint64(before) >= seq })) //nolint:gosec // As above.
}

// Open implements engine.Chronicle.
func (s *System) Open(n int) engine.Tasks {
	return s.standing(n, s.tally.snapshot().Tasks.Open, (*check.Standing).Open)
}

// Failed implements engine.Chronicle.
func (s *System) Failed(n int) engine.Tasks {
	return s.standing(n, s.tally.snapshot().Tasks.Failed, func(t *check.Standing) bool { return t.Failed })
}

// standing returns n tasks at most that stand as f wants it, of so many.
func (s *System) standing(n, total int, f func(*check.Standing) bool) engine.Tasks {
	t := engine.Tasks{Total: total}
	if total == 0 {
		return t
	}
	found := s.history.Standings(s.last)
	found = slices.DeleteFunc(found, func(t check.Standing) bool { return !f(&t) })
	slices.SortFunc(found, func(a, b check.Standing) int {
		return cmp.Or(cmp.Compare(a.Since, b.Since), strings.Compare(a.Task, b.Task))
	})
	for i := range found[:min(n, len(found))] {
		last := eventOf(found[i].Last)
		t.Tasks = append(t.Tasks, engine.Task{Task: found[i].Task, State: found[i].State, Since: found[i].Since, Last: &last})
	}
	return t
}

// events returns events of a history as any system has them.
func events(own []check.Event) []engine.Event {
	var all []engine.Event
	for i := range own {
		all = append(all, eventOf(&own[i]))
	}
	return all
}

func eventOf(e *check.Event) engine.Event {
	record, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("write an event of the history: %v", err)) // It has nothing that JSON lacks.
	}
	all := engine.Event{
		Seq: e.Seq, At: e.At, Host: e.Host, Kind: e.Kind.String(), Text: e.Details(), Procedure: procedures[e.Kind],
		Tasks: e.Tasks(), Missing: e.Unlisted(), All: e.OfAll(), Aside: e.Aside(), Gist: e.Gist(), Record: record,
	}
	if e.Carried {
		all.Procedure = procedures[check.GrantReply]
	}
	switch {
	case e.Kind.Reply():
		all.From, all.To = cluster.ControllerHost, e.Host
		if e.InvokedAt != e.At {
			all.Asked = e.InvokedAt
		}
	case strings.HasSuffix(all.Kind, "-call"):
		all.From, all.To = e.Host, cluster.ControllerHost
	}
	return all
}

// procedures are how the names of procedures begin whose calls events tell of.
var procedures = map[check.EventKind]string{
	check.SubmitCall: "Submit", check.SubmitReply: "Submit",
	check.CancelCall: "Cancel", check.CancelReply: "Cancel",
	check.RegisterCall: "Register", check.RegisterReply: "Register", check.UnregisterCall: "Unregister",
	check.HeartbeatCall: "Heartbeat", check.HeartbeatReply: "Heartbeat", check.HeartbeatLost: "Heartbeat", check.StopOrder: "Heartbeat",
	check.GrantReply: "Lease", check.ReportCall: "Report", check.ReportReply: "Report",
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A bound is one of those in the table of docs/architecture.md, and a place that tells when it is
// reached.
type bound struct {
	// row is how its row begins, up to the first cell's end.
	row string
	// expr is in the file, and true when the bound is reached, or false with not. Of several like it,
	// which is meant, from 1; 0: there is one.
	file, expr string
	not        bool
	which      int
	// outside says why no simulation comes to it. There is no place then.
	outside string
}

const (
	onProcesses = "commands run on processes"
	byOthers    = "it is kept by what is not simulated"
	byGuard     = "it is of the guard and the server before a controller, which simulated ones do without"
	byCore      = "it is about memory, and steps that large are made by tests of package core"
)

var bounds = []bound{
	{row: "open tasks, bytes of their specs", file: "fray/core/share.go", expr: "!share.Fits(tasks, of.tasks, own.tasks, 1)"},
	{row: "open tasks, bytes of their specs", file: "fray/core/share.go", expr: "!share.Fits(bytes, of.bytes, own.bytes, n)"},
	{row: "objects", file: "fray/core/object_put.go", expr: "!c.roomForPiece(j, o, e)"},
	{row: "tasks and objects that one task needs", outside: "tasks of scenarios need far fewer"},
	{row: "calls that an actor is handed at once", file: "fray/core/actor.go", expr: "len(a.hand)+a.lingering >= a.concurrency"},
	{row: "open calls of an actor that has died", outside: byCore},
	{row: "one checkpoint of an actor", outside: "what scenarios' actors keep has 8 bytes"},
	{row: "results that open tasks need past their retention", outside: byCore},
	{row: "those who need a task that has ended", outside: byCore},
	{row: "what a job holds that is known for nothing else", file: "fray/core/object_hold.go", expr: "again <= c.now"},
	{row: "one payload or result", file: "fray/controller/service.go", expr: "n > s.c.cfg.MaxPayloadBytes"},
	{row: "one payload or result", file: "fray/controller/worker_service.go", expr: "n > s.c.cfg.MaxPayloadBytes", which: 1},
	{row: "one payload or result", file: "fray/controller/worker_service.go", expr: "n > s.c.cfg.MaxPayloadBytes", which: 2},
	{row: "outputs of a command", outside: onProcesses},
	{row: "outputs of map that wait to be printed", outside: onProcesses},
	{row: "outputs of a command of map", outside: onProcesses},
	{row: "blocks of input of map's `--pipe`", outside: onProcesses},
	{row: "inputs of map that stand in memory: of all sources but the first, and what is shuffled or counted", outside: onProcesses},
	{row: "commands of map at once, `-j 0`; rows for one; one input; a line of `--joblog`, jobs in it", outside: onProcesses},
	{row: "a line that `--line-buffer` waits for", outside: onProcesses},
	{row: "starts of a program that cannot be for now", outside: onProcesses},
	{row: "ended tasks kept", file: "fray/core/retain.go", expr: "c.expiry(t) <= c.now"},
	{row: "ended tasks kept", file: "fray/core/retain.go", expr: "c.retained() > c.cfg.MaxRetained"},
	{row: "ended tasks kept", file: "fray/core/retain.go", expr: "c.retainedBytes > c.cfg.MaxRetainedBytes", which: 1},
	{row: "ended tasks kept", file: "fray/core/retain.go", expr: "c.retainedBytes > c.cfg.MaxRetainedBytes", which: 2},
	{row: "watchers of jobs", file: "fray/core/retain.go", expr: "!c.mayWatch(j)"},
	{row: "classes and jobs with open tasks, sessions", file: "fray/core/submit.go", expr: "c.classFor(sh, o.Submit) == nil"},
	{row: "classes and jobs with open tasks, sessions", file: "fray/core/share.go", expr: "newJob && !share.Fits(jobs, allHave.jobs, of.jobs, 1)"},
	{row: "classes and jobs with open tasks, sessions", file: "fray/core/session.go", expr: "len(c.sessions) >= c.cfg.MaxSessions"},
	{
		row:     "jobs from the root of a tree to any of it; variables that tasks of a job see; its weight",
		outside: "jobs of scenarios have few options, and trees of two",
	},
	{row: "limits of one task; tasks of a limit at once, starts in a period; the period", outside: "scenarios are refused that name more"},
	{row: "tasks of a gang; gangs for which workers are kept at the same time", outside: "gangs of scenarios are small and few"},
	{row: "keys of limits that open tasks name, or whose buckets are not full", outside: "scenarios name few keys"},
	{row: "those who wait for a limit that gets room", outside: byCore},
	{row: "schedules", outside: "scenarios have few schedules"},
	{row: "times of schedules that have come", outside: byCore},
	{row: "workers set aside for tasks that are to run alone", file: "fray/core/alone.go", expr: "g.aside >= max(1, g.workers/asideShare)"},
	{row: "calls waiting at the controller", file: "fray/controller/inbox.go", expr: "!share.Fits(b.limit, all-1, own-1, 1)"},
	{row: "tasks in one SubmitTasks", file: "fray/controller/service.go", expr: "n > maxSubmit"},
	{row: "bytes of a request", outside: byOthers},
	{row: "tokens of a session that nobody knows", file: "fray/core/heartbeat.go", expr: "len(s.unknown) >= c.cfg.MaxUnknown"},
	{row: "a worker's slots, prefetch, held reports", file: "fray/core/slots/poll.go", expr: "room < 1"},
	{row: "bytes of a worker's reports without a verdict", file: "fray/core/slots/machine.go", expr: "s.bytes >= s.cfg.MaxOutboxBytes"},
	{row: "room kept from one step to the next", outside: byCore},
	{row: "room on the disk", file: "fray/store/pebblestore/room.go", expr: "usage.AvailBytes < reserve"},
	{row: "steps that are decided and not committed", file: "fray/controller/controller.go", expr: "len(l.free) == 0", which: 1},
	{row: "bytes of messages in flight, each counted twice", outside: byOthers},
	{row: "workers of a ray backend, what is uploaded for them", outside: "simulations have no Ray cluster"},
	{row: "time for the body of a request or an answer", outside: byOthers},
	{row: "live memory, where GOMEMLIMIT is set", outside: byOthers},
	{row: "functions that metrics tell apart", outside: byOthers},
	{row: "what live workers say of themselves", outside: byOthers},
	{row: "callers of a policy file, bytes of a line", outside: byGuard},
	{row: "unknown credentials of an address", outside: byGuard},
	{row: "task ids, bytes of a text in a line of the audit", outside: byGuard},
	{row: "connections of the metrics' own port", outside: byGuard},
	{row: "connections", outside: byOthers},
	{row: "connections over QUIC (`--http3`), of these unfinished handshakes", outside: byOthers},
	{row: "unfinished handshakes of addresses that are not proven", outside: byOthers},
	{row: "requests at a time on one connection", outside: byOthers},
	{row: "bytes sent ahead of their reader over QUIC", outside: byOthers},
	{row: "a value of the memory store in the heap", file: "fray/store/memory.go", expr: "len(op.Value) >= SpillBytes"},
	{row: "a call without payload", file: "fray/internal/dial/pace.go", expr: "left > 0", not: true},
	{row: "a call with payload", file: "fray/internal/dial/pace.go", expr: "left > 0"},
	{row: "the store's memory outside of the heap", outside: byOthers},
}

// errUnreached says that a bound is not reached.
var errUnreached = errors.New("no scenario reaches some of the bounds: narrow them in one, or give one more to do")

// mutant returns the bound as a mutant that changes nothing: it tells where it is true.
func (b *bound) mutant(root string, n int) (*mutant, error) {
	source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(b.file)))
	if err != nil {
		return nil, err
	}
	text := string(source)
	if found := strings.Count(text, b.expr); found != max(b.which, 1) && (b.which == 0 || found < b.which) {
		return nil, fmt.Errorf("%s has %q %d times, and not once: bring the table of bounds up to date", b.file, b.expr, found)
	}
	at := strings.Index(text, b.expr)
	for range b.which - 1 {
		at += len(b.expr) + strings.Index(text[at+len(b.expr):], b.expr)
	}
	e := edit{at, at + len(b.expr), "mutantSees(" + number + ", ", ")"}
	if b.not {
		e.before, e.after = "!mutantSees("+number+", !(", "))"
	}
	return &mutant{n: n, file: b.file, line: 1 + strings.Count(text[:at], "\n"), kind: "bound", text: b.expr, edits: []edit{e}}, nil
}

// writeBounds tells of each bound which trial reaches it in the least time.
func writeBounds(w io.Writer, trials []*trial) error {
	missing := 0
	for i := range bounds {
		b := &bounds[i]
		how := "NOT REACHED"
		switch first, times := reachedBy(trials, i+1); {
		case b.outside != "":
			how = "not simulated: " + b.outside
		case times > 0:
			how = fmt.Sprintf("%s and %d more", first.name, times-1)
		default:
			missing++
		}
		fmt.Fprintf(w, "%-52s %-58s %s\n", b.row, b.expr, how)
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d: %w", missing, len(bounds), errUnreached)
	}
	return nil
}

// reachedBy returns the quickest trial that comes to a place, and how many do.
func reachedBy(trials []*trial, n int) (first *trial, times int) {
	for _, t := range trials {
		if t.reaches[n] {
			times++
			if first == nil || t.takes < first.takes {
				first = t
			}
		}
	}
	return first, times
}

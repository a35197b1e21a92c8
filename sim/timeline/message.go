package timeline

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/sim"
	"github.com/frayrpc/fray/sim/check"
)

// Fates of messages besides the reasons of sim.EventDrop.
const (
	fateDelivered = "delivered"
	fateUnderWay  = "under way"
	fateFault     = "fault"
)

// maxCarried is how many tasks a page names for one call.
const maxCarried = 64

// A message is one that a host sent, or would have without a fault.
type message struct {
	kind      sim.MessageKind
	from, to  string
	procedure string
	call      uint64 // 0: it never left
	sent      time.Duration
	over      time.Duration // when it arrived or was lost
	fate      string
	fault     int // that lost it, counting from 1
	code      string
	size      int
}

// A mention is a task that a call is about, by what one side of it saw at an instant.
type mention struct {
	at      time.Duration
	host    string
	calling bool   // the request left; else the response came
	calls   string // how the procedure's name begins
	task    string
}

// messages pairs what was sent with what arrived.
type messages struct {
	kept     *kept[*message]
	mentions *kept[mention]
	open     map[messageKey][]*message
	// The response that arrived last, which a fault may yet lose.
	last *message
}

type messageKey struct {
	call uint64
	kind sim.MessageKind
}

func newMessages() messages {
	return messages{
		kept:     newKept(MaxMessages, func(m *message) time.Duration { return m.sent }),
		mentions: newKept(maxMentions, func(m mention) time.Duration { return m.at }),
		open:     map[messageKey][]*message{},
	}
}

func (m *messages) sent(e *sim.Event) {
	sent := &message{
		kind: e.Message, from: e.From, to: e.To, procedure: lastPart(e.Procedure), call: e.Call, sent: e.Time, over: e.Time,
		fate: fateUnderWay, code: e.Code, size: e.Size,
	}
	m.kept.add(sent)
	key := messageKey{e.Call, e.Message}
	m.open[key] = append(m.open[key], sent)
}

// arrived takes in how a message ended. Those of one call and kind end in the order in which they
// left.
func (m *messages) arrived(e *sim.Event, fate string) {
	key := messageKey{e.Call, e.Message}
	waiting := m.open[key]
	if len(waiting) == 0 {
		return // A copy, which nobody sent.
	}
	over := waiting[0]
	if waiting = waiting[1:]; len(waiting) == 0 {
		delete(m.open, key)
	} else {
		m.open[key] = waiting
	}
	over.over, over.fate = e.Time, fate
	if fate == fateDelivered && (e.Message == sim.KindResponse || e.Message == sim.KindReset) {
		m.last = over
	}
}

// lost takes in that a fault lost a message of the call from e.From to e.To: the response that has
// just arrived, or the request, which does not leave.
func (m *messages) lost(e *sim.Event, fault int) {
	procedure := lastPart(e.Procedure)
	if e.Message == sim.KindRequest {
		m.kept.add(&message{
			kind: sim.KindRequest, from: e.From, to: e.To, procedure: procedure, sent: e.Time, over: e.Time, fate: fateFault, fault: fault,
		})
		return
	}
	if r := m.last; r != nil && r.over == e.Time && r.to == e.From && r.from == e.To && r.procedure == procedure {
		r.fate, r.fault = fateFault, fault
	}
}

// mention takes in that a call which a client or worker just makes, or which just ended, is about a
// task.
func (m *messages) mention(e *check.Event, task string) {
	n := mention{at: e.At, host: e.Host, task: task}
	switch e.Kind {
	case check.SubmitCall:
		n.calling, n.calls = true, "Submit"
	case check.CancelCall:
		n.calling, n.calls = true, "Cancel"
	case check.ReportCall:
		n.calling, n.calls = true, "Report"
		if e.Carried {
			n.calls = "Lease"
		}
	case check.ExecutionStart, check.ExecutionEnd:
		return // No call.
	default:
	}
	m.mentions.add(n)
}

// carried tells which tasks messages are about: for each message the number of a group of tasks,
// from 1, or 0. All messages of one call have the group of the call.
func (m *messages) carried(all []*message, taskIndex func(string) int) (groups []int, tasks [][]int) {
	type instant struct {
		host string
		at   time.Duration
	}
	leaving, coming := map[instant][]int{}, map[instant][]int{}
	for i, msg := range all {
		if msg.kind == sim.KindRequest {
			key := instant{msg.from, msg.sent}
			leaving[key] = append(leaving[key], i)
		} else {
			key := instant{msg.to, msg.over}
			coming[key] = append(coming[key], i)
		}
	}
	// What is about tasks: a call by its number, or a message that never left.
	type subject struct {
		call    uint64
		message int
	}
	about := func(i int) subject {
		if call := all[i].call; call != 0 {
			return subject{call, -1}
		}
		return subject{0, i}
	}
	sets := map[subject]map[string]bool{}
	mentions, _ := m.mentions.all("")
	for _, n := range mentions {
		found := coming
		if n.calling {
			found = leaving
		}
		for _, i := range found[instant{n.host, n.at}] {
			if !strings.HasPrefix(all[i].procedure, n.calls) {
				continue
			}
			s := about(i)
			if sets[s] == nil {
				sets[s] = map[string]bool{}
			}
			sets[s][n.task] = true
		}
	}
	groups = make([]int, len(all))
	numbers := map[subject]int{}
	for i := range all {
		s := about(i)
		if sets[s] == nil {
			continue
		}
		if numbers[s] == 0 {
			var group []int
			for _, task := range slices.Sorted(maps.Keys(sets[s])) {
				if len(group) == maxCarried {
					break
				}
				group = append(group, taskIndex(task))
			}
			tasks = append(tasks, group)
			numbers[s] = len(tasks)
		}
		groups[i] = numbers[s]
	}
	return groups, tasks
}

// lastPart returns the method of a path such as "/package.Service/Method".
func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

package fray

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// Bounds of what a ledger keeps of tasks that have ended. Past them the oldest is forgotten, as a
// controller forgets what is past its retention, and its id is free again.
const (
	maxLedgerEnded = 10_000
	maxLedgerBytes = 64 << 20
)

// ledger knows the tasks of a local backend whose ids their clients chose, so that such an id is
// that of one task, as it is at a controller: what is submitted again ends as the first did, and
// another task under the same id is refused. It also knows those whose ids are about: of futures that
// have travelled, or were asked for their ids.
type ledger struct {
	mu      sync.Mutex
	entries map[string]*ledgerEntry
	ended   []*ledgerEntry // oldest first
	bytes   int            // of the values of ended
}

type ledgerEntry struct {
	call  *call
	spec  [sha256.Size]byte // of what was asked for, if the client chose the id
	bytes int
}

func newLedger() *ledger { return &ledger{entries: make(map[string]*ledgerEntry)} }

// claim reports true if c is to be run. If not, it is a repeat of a call that ends it, too, or it
// is refused.
func (l *ledger) claim(c *call) bool {
	if n, limit := len(c.input.Data), c.jc.maxPayload; n > limit {
		c.deny(connect.CodeInvalidArgument, "task %q: payload has %d bytes, this job context takes at most %d", c.id, n, limit)
		return false
	}
	if c.config.taskID == "" {
		return l.admit(c) // Its id is its own.
	}
	// The wire's form of the call, which is what a controller compares.
	spec, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.newSpec())
	if err != nil {
		c.deny(connect.CodeInvalidArgument, "task %q: %v", c.id, err)
		return false
	}
	sum := sha256.Sum256(spec)
	l.mu.Lock()
	known := l.entries[c.id]
	if known == nil || known.call.jc != c.jc { // What others have under the id is none of this one's.
		e := &ledgerEntry{call: c, spec: sum}
		l.entries[c.id] = e
		l.mu.Unlock()
		if !l.admit(c) {
			l.forget(e)
			return false
		}
		c.listen(&listener{ended: func() { l.end(e) }})
		return true
	}
	l.mu.Unlock()
	if known.spec != sum {
		c.deny(connect.CodeAlreadyExists, "task %q exists with another specification: choose another task id", c.id)
		return false
	}
	c.repeat(known.call)
	return false
}

// admit refuses a call whose job has failed, or that needs what is not there, as a controller does, and holds the
// objects that it needs until it ends.
func (l *ledger) admit(c *call) bool {
	if c.needs == nil {
		return c.jc.failing.take(c)
	}
	for _, f := range c.needs.tasks {
		if f.jc != c.jc { // Those of its own have noted themselves.
			l.note(f)
		}
		f.find()
		if _, _, err := f.result(); f.travelled != nil && errors.Is(err, ErrTaskLost) {
			c.denyFor(connect.CodeNotFound, wire.ReasonUnknownTask,
				"task %q: it needs task %q, which this job context does not know, or no longer: submit that one first", c.id, f.id)
			return false
		}
	}
	ids := c.needs.objects
	if len(ids) == 0 {
		return c.jc.failing.take(c)
	}
	local, _ := c.jc.objects.(*localObjects) // There are no others here.
	if missing := local.hold(ids); missing != "" {
		c.denyFor(connect.CodeNotFound, wire.ReasonUnknownObject,
			"task %q: it needs object %s, which this job context does not have, or no longer: put it again", c.id, missing)
		return false
	}
	c.listen(&listener{ended: func() { local.letGo(ids) }})
	return c.jc.failing.take(c)
}

// forget undoes that an entry was made.
func (l *ledger) forget(e *ledgerEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries[e.call.id] == e {
		delete(l.entries, e.call.id)
	}
}

// end files an entry whose call has ended, and forgets others for it.
func (l *ledger) end(e *ledgerEntry) {
	value, _, err := e.call.result()
	e.bytes = len(value.Data)
	if err != nil {
		e.bytes = len(err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, e)
	l.bytes += e.bytes
	for len(l.ended) > maxLedgerEnded || (l.bytes > maxLedgerBytes && len(l.ended) > 1) {
		oldest := l.ended[0]
		l.ended[0] = nil
		l.ended = l.ended[1:]
		l.bytes -= oldest.bytes
		if l.entries[oldest.call.id] == oldest {
			delete(l.entries, oldest.call.id)
		}
	}
}

// note has a call known by its id, if none is.
func (l *ledger) note(c *call) {
	if c.refusal() != nil {
		return
	}
	l.mu.Lock()
	if l.entries[c.id] != nil {
		l.mu.Unlock()
		return
	}
	e := &ledgerEntry{call: c}
	l.entries[c.id] = e
	open := c.listen(&listener{ended: func() { l.end(e) }})
	l.mu.Unlock()
	if !open {
		l.end(e)
	}
}

// find has a call whose task was submitted elsewhere end as the one that is known by its id.
func (l *ledger) find(c *call) {
	l.mu.Lock()
	known := l.entries[c.id]
	l.mu.Unlock()
	if known == nil {
		c.settle(Payload{}, newTaskError(c, ReasonTaskLost, TaskInfo{}, &frayv1.TaskError{
			Message: "this job context does not know it, or no longer",
		}))
		return
	}
	known.call.find()
	c.repeat(known.call)
}

// deny refuses a call as a controller would.
func (c *call) deny(code connect.Code, format string, args ...any) {
	c.denyFor(code, "", format, args...)
}

// denyFor is deny for a reason.
func (c *call) denyFor(code connect.Code, reason, format string, args ...any) {
	c.refuse(fmt.Errorf("submit task %s: %w", c.id, refusal(code, reason, fmt.Sprintf(format, args...))))
}

// repeat has c end as the first call of its id does.
func (c *call) repeat(first *call) {
	c.first = first
	c.accept()
	end := func() {
		value, _, err := first.result()
		if first.cascades.Load() {
			c.cascades.Store(true)
		}
		c.settle(value, c.travelledError(err))
	}
	if !first.listen(&listener{wake: end}) {
		end()
	}
}

// travelledError is what an error of the task is to a future that has travelled: who holds it does not know
// the function, and so none of its declared errors.
func (c *call) travelledError(err error) error {
	if e, ok := err.(*TaskError); ok && c.travelled != nil && e.cause != nil { //nolint:errorlint // What wraps one is no end of a task.
		stranger := *e
		stranger.cause = nil
		return &stranger
	}
	return err
}

// origin is the call that is run for c.
func (c *call) origin() *call {
	for c.first != nil {
		c = c.first
	}
	return c
}

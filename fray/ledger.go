package fray

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// Bounds of what a ledger keeps of tasks that have ended. Past them the oldest is forgotten, as a
// controller forgets what is past its retention, and its id is free again.
const (
	maxLedgerEnded = 10_000
	maxLedgerBytes = 64 << 20
)

// ledger knows the tasks of a local backend whose ids their clients chose, so that such an id is
// that of one task, as it is at a controller: what is submitted again ends as the first did, and
// another task under the same id is refused.
type ledger struct {
	mu      sync.Mutex
	entries map[string]*ledgerEntry
	ended   []*ledgerEntry // oldest first
	bytes   int            // of the values of ended
}

type ledgerEntry struct {
	call  *call
	spec  [sha256.Size]byte // of what was asked for
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
		return true // Its id is its own.
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
	if known == nil {
		e := &ledgerEntry{call: c, spec: sum}
		l.entries[c.id] = e
		c.listen(&listener{ended: func() { l.end(e) }})
		l.mu.Unlock()
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
		delete(l.entries, oldest.call.id)
	}
}

// deny refuses a call as a controller would.
func (c *call) deny(code connect.Code, format string, args ...any) {
	c.refuse(fmt.Errorf("submit task %s: %w", c.id, refusal(code, fmt.Sprintf(format, args...))))
}

// repeat has c end as the first call of its id does.
func (c *call) repeat(first *call) {
	c.first = first
	c.accept()
	end := func() {
		value, _, err := first.result()
		c.settle(value, err)
	}
	if !first.listen(&listener{wake: end}) {
		end()
	}
}

// origin is the call that is run for c.
func (c *call) origin() *call {
	if c.first != nil {
		return c.first
	}
	return c
}

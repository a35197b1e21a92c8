package fray

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/frayrpc/fray/fray/internal/attempt"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// call is one task as its client sees it: what is asked for, and the promise of an end.
type call struct {
	promise

	id       string
	function Function
	config   *callConfig
	jc       *JobContext
	// actor is the id of the one that it calls; empty: it calls none. life says that it is itself the life of
	// one; nil: it is not.
	actor string
	life  *life
	// gang is its place in the gang that it is of; nil: it is of none.
	gang *GangPlace
	// first is the call that this one is a repeat of, by its id; nil: none. Of the local backends.
	first *call
	// input is the backend's to clear once it has no more use for it, and so are needs.
	input Payload
	needs *needs // nil: none
	// travelled is that of a future that came along in a value; nil: its task was submitted with it.
	travelled *travelled
	// cascades says that it is to be cancelled with all that depends on it.
	cascades atomic.Bool
	// receipt is told when the backend has accepted or refused the call. The backend's, like input.
	receipt *receipt

	// awaited says that the caller waits for the end, and has no other use for the call.
	awaited bool

	// Of the remote backend, guarded by its tracker.
	tracked    bool
	acked      uint64             // its place among the acknowledged; 0: it is not
	twin, back *call              // neighbours among the calls with the same id
	ackedTwins int                // those of them that are acknowledged; of the first one only
	early      *frayv1.TaskResult // the end of a task with its id, told before it is known to be its own
	page       *page              // that told it; nil: none did
	// spec is input on the wire, until the controller has accepted it. The submitter's.
	spec *frayv1.TaskSpec
}

// sentinel returns the declared error that has this text; nil if there is none.
func (c *call) sentinel(text string) error {
	declarer, ok := c.function.(interface{ sentinels() []error })
	if !ok {
		return nil
	}
	for _, s := range declarer.sentinels() {
		if s.Error() == text {
			return s
		}
	}
	return nil
}

// group names the calls that the same workers can run.
func (c *call) group() string {
	if c.config.demands == "" {
		return c.function.Name()
	}
	return c.function.Name() + c.config.demands
}

// closed is what an open call ends with when its job context is closed.
func (c *call) closed() error {
	return fmt.Errorf("task %s (%s): %w", c.id, c.function.Name(), ErrClosed)
}

// promise is a value or an error that comes once. It costs no goroutine and, until a goroutine
// waits, no channel.
type promise struct {
	mu        sync.Mutex
	settled   bool
	refused   bool // err is why no backend has it
	value     Payload
	err       error
	done      chan struct{}
	listeners []*listener
}

// listener is told once that a promise has ended, by the goroutine that ends it: first by ended,
// which must wake nobody, and when all that end with it have been told, by wake. Either may be nil.
type listener struct{ ended, wake func() }

// settle ends the promise, unless it has ended.
func (p *promise) settle(value Payload, err error) {
	p.end(value, err).wake()
}

// ending is who waits for a promise that has ended, and is still to be woken.
type ending struct {
	done      chan struct{}
	listeners []*listener
}

// end is settle that wakes nobody. What ends at one instant ends in one order, before any who wait
// go on.
func (p *promise) end(value Payload, err error) ending {
	p.mu.Lock()
	if p.settled {
		p.mu.Unlock()
		return ending{}
	}
	if err != nil {
		value = Payload{}
	}
	p.settled, p.value, p.err = true, value, err
	e := ending{p.done, p.listeners}
	p.listeners = nil
	p.mu.Unlock()
	for _, l := range e.listeners {
		if l.ended != nil {
			l.ended()
		}
	}
	return e
}

func (e ending) wake() {
	if e.done != nil {
		close(e.done)
	}
	for _, l := range e.listeners {
		if l.wake != nil {
			l.wake()
		}
	}
}

// closedChannel is the done channel of promises that were settled before a caller asked for one.
var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Done returns a channel that is closed when the task has ended.
func (p *promise) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		if p.settled {
			p.done = closedChannel
		} else {
			p.done = make(chan struct{})
		}
	}
	return p.done
}

// result returns what the promise ended with; false: it has not ended.
func (p *promise) result() (Payload, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.value, p.settled, p.err
}

// refusal returns why no backend has the task; nil: one does, or may.
func (p *promise) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused {
		return p.err
	}
	return nil
}

func (p *promise) isSettled() bool {
	_, settled, _ := p.result()
	return settled
}

// wait returns when the promise has ended or ctx is done. It lends the slot of the task that ctx
// belongs to meanwhile.
func (p *promise) wait(ctx context.Context) {
	loan := attempt.Lend(ctx)
	defer loan.TakeBack()
	if loan != nil {
		l := &listener{ended: loan.End}
		if !p.listen(l) {
			return
		}
		defer p.unlisten(l)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
	}
}

// listen has l told of the end, and reports false if there was one already.
func (p *promise) listen(l *listener) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.settled {
		return false
	}
	p.listeners = append(p.listeners, l)
	return true
}

// unlisten undoes listen.
func (p *promise) unlisten(l *listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.listeners, l); i >= 0 {
		p.listeners = slices.Delete(p.listeners, i, i+1)
	}
}

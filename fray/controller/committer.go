package controller

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
)

// commitGrace is how long steps that were decided may take to be committed once the controller is
// to end.
const commitGrace = 2 * time.Second

// commits is what the committer tells the loop.
type commits struct {
	durable atomic.Uint64 // the number of the last step that is
	awaited atomic.Bool   // the loop is to be woken by the next commit
}

// committed puts before other events what has become durable since the last ones.
func (l *loop) committed(events []core.Event) []core.Event {
	if n := l.c.commits.durable.Load(); n > l.durable {
		l.durable = n
		events = append(events, &core.Committed{Step: n})
	}
	return events
}

// isNews has the loop woken by the next commit if a call waits for it, and says whether that has
// come already.
func (l *loop) isNews() bool {
	awaits := l.scheduler.AwaitsCommit()
	l.c.commits.awaited.Store(awaits)
	return awaits && l.c.commits.durable.Load() > l.durable
}

// listen serves what only asks, and who only says that it is there, while all steps wait for the
// store. The rest stays in the inbox. It says whether there is more of it.
func (l *loop) listen() bool {
	now := l.c.now()
	for _, e := range l.committed(nil) {
		l.scheduler.Idle(now, &l.idle, e)
	}
	more := l.c.inbox.sift(func(i *item) bool {
		event := i.take()
		if event == nil {
			return true
		}
		if !l.scheduler.Idle(now, &l.idle, event) {
			i.giveBack()
			return false
		}
		l.expect(i, event)
		return true
	})
	l.scheduler.Idle(now, &l.idle, nil)
	for i := range l.idle.Replies {
		l.answer(&l.idle.Replies[i])
	}
	l.idle.Reset()
	return more || l.isNews()
}

// awaitCommits waits for the last commits, and returns why the store failed, if it did. A store
// without room for them is not waited for any longer than the grace.
func (c *Controller) awaitCommits(failed <-chan error) error {
	timer := time.NewTimer(commitGrace)
	defer timer.Stop()
	select {
	case err := <-failed:
		return err
	case <-timer.C:
	}
	c.cfg.Logger.Warn("the store does not commit, and is given up", "waited", commitGrace)
	if s, ok := c.cfg.Store.(store.Abandoner); ok {
		s.Abandon()
	}
	return <-failed
}

// A committer makes steps durable, and only then releases their replies.
type committer struct {
	c       *Controller
	batch   store.Batch
	bytes   int     // of the records in batch
	steps   []*step // whose records they are
	waiting []*step // for the next batch
}

// run commits steps in their order. Those that were handed on during a commit make up the next one:
// they are taken before that commit's steps are given back, so what the loop does with these is
// never part of it, however fast the loop is. When the store fails it ends the loop, which waits
// for free steps; calls without a reply are let go when Run ends.
func (m *committer) run(commits <-chan *step, freed chan<- []*step) error {
	defer close(freed)
	for {
		if len(m.waiting) == 0 {
			s, ok := <-commits
			if !ok {
				return nil
			}
			m.waiting = append(m.waiting, s)
		}
		if err := m.gather(); err != nil {
			return fmt.Errorf("encode records: %w", err)
		}
		if len(m.batch.Ops()) > 0 {
			if err := m.c.cfg.Store.Commit(&m.batch); err != nil {
				return fmt.Errorf("commit records: %w", err)
			}
		}
		m.c.commits.durable.Store(m.steps[len(m.steps)-1].effects.Step)
		m.queue(commits)
		for _, s := range m.steps {
			m.release(s)
		}
		m.batch.Reset()
		done := m.steps
		m.steps = nil
		freed <- done // Has room for a batch of every step there is.
		if m.c.commits.awaited.Load() {
			m.c.inbox.poke()
		}
	}
}

// lost says how many steps have come to nothing, once the loop hands on no more. A caller that one
// was to answer gets no answer.
func (m *committer) lost(commits <-chan *step, cause error) error {
	if cause == nil {
		return nil
	}
	n := len(m.steps) + len(m.waiting)
	for range commits {
		n++
	}
	return fmt.Errorf("%d steps were not committed, and none of them was acknowledged: %w", n, cause)
}

// queue takes the steps that were handed on by now.
func (m *committer) queue(commits <-chan *step) {
	for {
		select {
		case s, ok := <-commits:
			if !ok {
				return
			}
			m.waiting = append(m.waiting, s)
		default:
			return
		}
	}
}

// gather takes the records of steps that wait: of the first, and of more while there is room.
func (m *committer) gather() error {
	m.batch.Lazy = true
	m.bytes = 0
	n := 0
	for n < len(m.waiting) && (n == 0 || m.bytes < maxCommitBytes) {
		if err := m.add(m.waiting[n]); err != nil {
			return err
		}
		n++
	}
	m.waiting = slices.Delete(m.waiting, 0, n)
	return nil
}

func (m *committer) add(s *step) error {
	m.steps = append(m.steps, s)
	for i := range s.effects.Records {
		r := &s.effects.Records[i]
		if err := file(&m.batch, r); err != nil {
			return err
		}
		m.batch.Lazy = m.batch.Lazy && r.Lazy
		m.bytes += len(r.Data)
	}
	return nil
}

// release answers those whom a step answers.
func (m *committer) release(s *step) {
	for i, to := range s.to {
		if to != nil {
			to <- s.effects.Replies[i] // Has room for the one reply that it gets.
		}
	}
	m.c.metrics.observe(s.effects.Attempts)
	s.reset()
}

package controller

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
)

// commitGrace is how long steps that were decided may take to be committed once the controller is to end.
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

// isNews has the loop woken by the next commit if a call waits for it, and says whether that has come already.
func (l *loop) isNews() bool {
	awaits := l.scheduler.AwaitsCommit()
	l.c.commits.awaited.Store(awaits)
	return awaits && l.c.commits.durable.Load() > l.durable
}

// listen serves what only asks, and who only says that it is there, while all steps wait for the store. The rest stays in the
// inbox. It says whether there is more of it.
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

// awaitCommits waits for the last commits, and returns why the store failed, if it did. A store without room for them is not
// waited for any longer than the grace.
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
	c     *Controller
	batch store.Batch
	bytes int     // of the records in batch
	steps []*step // whose records they are
}

// run commits steps in their order, all that wait at once. When the store fails it ends the loop, which waits for free steps;
// calls without a reply are let go when Run ends.
func (m *committer) run(commits <-chan *step, free chan<- *step) error {
	defer close(free)
	for s := range commits {
		if err := m.gather(s, commits); err != nil {
			return fmt.Errorf("encode records: %w", err)
		}
		if len(m.batch.Ops()) > 0 {
			if err := m.c.cfg.Store.Commit(&m.batch); err != nil {
				return fmt.Errorf("commit records: %w", err)
			}
		}
		m.c.commits.durable.Store(m.steps[len(m.steps)-1].effects.Step)
		for _, s := range m.steps {
			m.release(s)
			free <- s // Has room for every step there is.
		}
		m.batch.Reset()
		m.steps = emptied(m.steps)
		if m.c.commits.awaited.Load() {
			m.c.inbox.poke()
		}
	}
	return nil
}

// lost says how many steps have come to nothing, once the loop hands on no more. Whoever was to be answered by one will not be.
func (m *committer) lost(commits <-chan *step, cause error) error {
	if cause == nil {
		return nil
	}
	n := len(m.steps)
	for range commits {
		n++
	}
	return fmt.Errorf("%d steps were not committed, and none of them was acknowledged: %w", n, cause)
}

// gather takes the records of a step, and of those that wait behind it.
func (m *committer) gather(s *step, commits <-chan *step) error {
	m.batch.Lazy = true
	m.bytes = 0
	for {
		if err := m.add(s); err != nil {
			return err
		}
		if m.bytes >= maxCommitBytes {
			return nil
		}
		select {
		case next, ok := <-commits:
			if !ok {
				return nil
			}
			s = next
		default:
			return nil
		}
	}
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

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
}

// committed puts before other events what has become durable since the last ones.
func (l *loop) committed(events []core.Event) []core.Event {
	if n := l.c.commits.durable.Load(); n > l.durable {
		l.durable = n
		events = append(events, &core.Committed{Step: n})
	}
	return events
}

// isNews says whether a commit has come that a call waits for. The loop is woken by the next, as that gives back its
// steps: by this alone, so that how often it looks is not up to who is faster.
func (l *loop) isNews() bool {
	return l.scheduler.AwaitsCommit() && l.c.commits.durable.Load() > l.durable
}

// listen serves what only asks, and who only says that it is there, while all steps wait for the
// store. The rest stays in the inbox. It says whether there is more of it.
func (l *loop) listen() bool {
	if l.c.led != nil { // What it told would have to be proved, which takes a step.
		return l.c.inbox.sift(func(*item) bool { return false })
	}
	now := l.c.now()
	for _, e := range l.c.inbox.takeReads(l.committed(nil), now) {
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
		if err := m.commit(); err != nil {
			return fmt.Errorf("commit records: %w", err)
		}
		m.queue(commits)
		m.join()
		m.c.commits.durable.Store(m.steps[len(m.steps)-1].effects.Step)
		for _, s := range m.steps {
			m.c.release(s)
		}
		m.batch.Reset()
		done := m.steps
		m.steps = nil
		freed <- done // Has room for a batch of every step there is.
	}
}

// commit commits the batch. Of several controllers, one has also shown that it leads once it returns,
// if somebody is answered: a commit that nobody waits for, or none, does not show it.
func (m *committer) commit() error {
	records := len(m.batch.Ops()) > 0
	if led := m.c.led; led != nil && slices.ContainsFunc(m.steps, (*step).answers) {
		if !records {
			return led.Prove()
		}
		m.batch.Lazy = false
	}
	if !records {
		return nil
	}
	return m.c.cfg.Store.Commit(&m.batch)
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

// join takes the first steps that wait into the commit that was just made, if they have no records. What they tell is
// durable with it, and they are given back with it: as a commit of their own, which takes no time, they would be
// while the loop is at work, sooner or later as chance will have it. It does not prove what was asked since it began.
func (m *committer) join() {
	n := 0
	for n < len(m.waiting) && len(m.waiting[n].effects.Records) == 0 && (m.c.led == nil || !m.waiting[n].answers()) {
		n++
	}
	m.steps = append(m.steps, m.waiting[:n]...)
	m.waiting = slices.Delete(m.waiting, 0, n)
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

package core_test

import (
	"cmp"
	"iter"
	"maps"
	"slices"

	"github.com/frayrpc/fray/fray/core"
)

// ledger keeps records as a durable store does.
type ledger struct {
	tasks map[core.TaskNum]*core.Restored
	jobs  map[uint64]core.RestoredJob
	// Batches that nobody waited for, and no later one has made durable.
	lazy [][]core.Record
	gaps []core.Gap
}

func newLedger() *ledger {
	return &ledger{tasks: make(map[core.TaskNum]*core.Restored), jobs: make(map[uint64]core.RestoredJob)}
}

// commit files the records of a step.
func (l *ledger) commit(records []core.Record) {
	if len(records) == 0 {
		return
	}
	l.lazy = append(l.lazy, slices.Clone(records))
	if slices.ContainsFunc(records, func(r core.Record) bool { return !r.Lazy }) {
		l.flush()
	}
}

// flush makes everything durable.
func (l *ledger) flush() {
	for _, records := range l.lazy {
		for i := range records {
			l.file(&records[i])
		}
	}
	l.lazy = nil
}

func (l *ledger) file(r *core.Record) {
	switch r.Kind {
	case core.RecordSpec:
		l.tasks[r.Task] = &core.Restored{Num: r.Task, Job: r.Job, SpecBytes: len(r.Data)}
	case core.RecordState, core.RecordEnd:
		l.tasks[r.Task].State = *r.State
	case core.RecordForget:
		delete(l.tasks, r.Task)
	case core.RecordJob:
		l.jobs[r.JobNum] = core.RestoredJob{
			Num: r.JobNum, ID: r.Job, DoneBase: r.DoneBase, Owner: r.Owner,
			Details: r.Details,
		}
	case core.RecordForgetJob:
		delete(l.jobs, r.JobNum)
	}
}

// restore starts a scheduler anew: after the process died, or with it the machine. about tells what
// specs do.
func (l *ledger) restore(cfg core.Config, now core.Time, power bool, about func(r *core.Restored)) (*core.Scheduler, error) {
	if power {
		l.lazy = nil
	}
	l.flush()
	var tasks iter.Seq2[*core.Restored, error] = func(yield func(*core.Restored, error) bool) {
		for _, num := range slices.Sorted(maps.Keys(l.tasks)) {
			r := *l.tasks[num]
			about(&r)
			if !yield(&r, nil) {
				return
			}
		}
	}
	jobs := slices.SortedFunc(maps.Values(l.jobs), func(a, b core.RestoredJob) int { return cmp.Compare(a.Num, b.Num) })
	s := core.NewScheduler(cfg)
	s.RestoreGaps(l.gaps)
	err := s.Restore(now, jobs, tasks)
	l.gaps = s.Gaps()
	return s, err
}

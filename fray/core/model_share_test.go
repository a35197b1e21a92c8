package core_test

import "github.com/frayrpc/fray/fray/core"

// modelUsage is what some tasks are, of what is bounded.
type modelUsage struct{ tasks, bytes, jobs int }

// usage counts the open tasks that some have.
func (m *model) usage(of func(t *modelTask) bool) modelUsage {
	var u modelUsage
	jobs := make(map[string]bool)
	for _, t := range m.known {
		if !t.status.Terminal() && of(t) {
			u.tasks++
			u.bytes += int(t.size)
			jobs[t.job] = true
		}
	}
	u.jobs = len(jobs)
	return u
}

// modelFits says whether who has own of a bound may have n more, where all have all: there is an eighth
// more than the bound, and who has more than eight times what is left of it gets none.
func modelFits(bound, all, own, n int) bool {
	left := modelSpare(bound) - all - n
	return left >= 0 && own <= 8*left && own+n <= bound
}

func modelSpare(bound int) int { return bound + (bound+7)/8 }

// room says whether a task of a submission has room.
// modelSize is what a task counts: its spec, and 32 bytes for each name in it.
func modelSize(n *core.NewTask) int { return len(n.Spec) + 32*len(n.NeedsTasks) }

// room says whether there is room for a task, and whether it is of one class too many.
func (m *model) room(e *core.Submit, n *core.NewTask) (v core.SubmitVerdict, classless bool) {
	owner := m.ownerToBe(e)
	all := m.usage(func(*modelTask) bool { return true })
	of := m.usage(func(t *modelTask) bool { return m.jobs[t.job].owner == owner })
	own := m.usage(func(t *modelTask) bool { return t.job == e.Job })
	tasks, bytes, jobs, size := m.cfg.MaxOpenTasks, int(m.cfg.MaxQueuedBytes), m.cfg.MaxJobs, modelSize(n)
	switch {
	case all.tasks >= modelSpare(modelSpare(tasks)), all.bytes+size > modelSpare(modelSpare(bytes)),
		own.jobs == 0 && all.jobs >= modelSpare(jobs):
		return core.SubmitFull, false
	case !modelFits(tasks, of.tasks, own.tasks, 1), !modelFits(modelSpare(tasks), all.tasks, of.tasks, 1),
		!modelFits(bytes, of.bytes, own.bytes, size), !modelFits(modelSpare(bytes), all.bytes, of.bytes, size),
		own.jobs == 0 && !modelFits(jobs, all.jobs, of.jobs, 1):
		return core.SubmitShare, false
	}
	classes := m.classes()
	paid := 0
	for class := range classes {
		if payer, ok := m.payers[class]; ok && payer == owner {
			paid++
		}
	}
	return core.SubmitCreated, !classes[modelClass(n.Shape)] && !modelFits(m.cfg.MaxClasses, len(classes), paid, 1)
}

// fresh says whether a job has had no task yet.
func (m *model) fresh(j *modelJob) bool {
	for _, t := range m.known {
		if t.job == j.id {
			return false
		}
	}
	return j.base+uint64(len(j.done)) == 0
}

// pay has the owner of a task pay for the class that it has come to, unless that was there before.
func (m *model) pay(t *modelTask) {
	for _, o := range m.known {
		if o != t && !o.status.Terminal() && o.class() == t.class() {
			return
		}
	}
	m.payers[t.class()] = m.jobs[t.job].owner
}

package core

import "github.com/frayrpc/fray/fray/core/share"

// schedules: each is a task that waits for its next time, or of which a time has come.
func (k *checker) schedules() {
	c := k.c
	for t := range c.log.all() {
		k.want((c.schedules[t] != nil) == (t.shape.Role == Schedule && !t.status.Terminal()), "schedule %s is known while it is open", k.id(t))
		k.want((t.pending == Scheduled) == (c.schedules[t] != nil), "task %s is %v %v, and a schedule: %v", k.id(t), t.status, t.pending, c.schedules[t] != nil)
	}
	due, of := 0, make(map[*job]int)
	for t, s := range c.schedules { // order-free: sums, and each for itself
		of[t.job]++
		k.want(s.task == t && c.scheduleByName[s.key()] == s, "schedule %s has its name", k.id(t))
		k.want(s.next > s.Through && s.LastRun <= s.Through, "schedule %s has come through %d, its last run was at %d, its next is at %d", k.id(t), s.Through, s.LastRun, s.next)
		if s.due {
			due++
			k.want(t.timer() == nil && s.next <= c.now, "a time of schedule %s has come", k.id(t))
		} else {
			k.want((t.timer() != nil) == (s.next < Never), "schedule %s waits for %d, with an alarm: %v", k.id(t), s.next, t.timer() != nil)
		}
	}
	for _, j := range c.jobs { // order-free: each is checked for itself
		k.want(j.schedules == of[j], "job %s has %d schedules, counted %d", j.id, of[j], j.schedules)
	}
	waiting := 0
	for i := range c.due.Len() {
		if s := *c.due.At(i); c.schedules[s.task] == s {
			waiting++
		}
	}
	k.want(due == waiting, "%d schedules are due, listed %d", due, waiting)
	k.want(len(c.scheduleByName) == len(c.schedules), "%d schedules have %d names", len(c.schedules), len(c.scheduleByName))
	k.want(c.all.schedules == int64(len(c.schedules)) && c.all.schedules <= share.All(int64(c.cfg.MaxSchedules)), "%d schedules, counted %d", len(c.schedules), c.all.schedules)
}

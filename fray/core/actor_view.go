package core

import (
	"cmp"
	"slices"

	"github.com/frayrpc/fray/fray/core/internal/enum"
)

// ActorState is where an actor stands.
type ActorState uint8

// What each of them is, the wire says.
const (
	ActorPending ActorState = iota + 1
	ActorPlaced
	ActorLive
	ActorRestarting
	ActorIsDead
	actorStateCount
)

var actorStateNames = [actorStateCount]string{"NONE", "PENDING", "PLACED", "LIVE", "RESTARTING", "DEAD"}

func (s ActorState) String() string { return enum.Name(actorStateNames[:], s) }

func (a *actor) state() ActorState {
	switch t := a.life; {
	case a.dead:
		return ActorIsDead
	case a.live:
		return ActorLive
	case t.status.leased():
		return ActorPlaced
	case t.run == nil || t.run.failures+t.run.losses == 0 && !t.started:
		return ActorPending
	default:
		return ActorRestarting
	}
}

// ActorView is an actor as it stands. It shares no memory with the scheduler.
type ActorView struct {
	Num               TaskNum
	ID, Name          string
	Function, Job     string
	State             ActorState
	WorkerID          string
	Restarts, Allowed uint32
	Open, Handed      int
}

func (a *actor) view() ActorView {
	t := a.life
	v := ActorView{
		Num: t.num, ID: a.id, Name: a.name, Function: t.shape.Function, Job: t.job.id, State: a.state(),
		Allowed: t.shape.MaxWorkerLosses, Open: a.open, Handed: len(a.hand),
	}
	if r := t.run; r != nil {
		v.WorkerID, v.Restarts = r.workerID, min(r.failures+r.losses, v.Allowed)
	}
	return v
}

// ListActors asks for actors whose life has a greater number than After, Max of them at most, or for the one
// that lives under a Name, and is not being deleted. Replied with ActorsReply.
type ListActors struct {
	Call  CallID
	After TaskNum
	Max   int
	Name  string
	// As in Get, and whose name it is.
	Owner, By string
}

// ActorsReply answers ListActors, in the order of their numbers.
type ActorsReply struct {
	Actors []ActorView
	// There are more.
	More bool
}

func (e *ListActors) apply(c *Scheduler) {
	var r ActorsReply
	if e.Name != "" {
		if a := c.actorByName[nameKey{e.By, e.Name}]; a != nil && a.life.job.admits(e.Owner) && !a.life.cancelRequested() {
			r.Actors = append(r.Actors, a.view())
		}
		c.reply(e.Call, r)
		return
	}
	var page []*actor
	page, r.More = pageOf(c, c.actors, e.After, e.Max, e.Owner)
	for _, a := range page {
		r.Actors = append(r.Actors, a.view())
	}
	c.reply(e.Call, r)
}

// pageOf returns those of a map by tasks that come after a number, as many as there may be, in the order of their
// tasks' numbers, and whether there are more. It looks at all of them, for each page.
func pageOf[T any](c *Scheduler, all map[*task]T, after TaskNum, most int, owner string) (page []T, more bool) {
	var tasks []*task
	for t := range all { // order-free: sorted below
		if t.num > after && t.job.admits(owner) {
			tasks = append(tasks, t)
		}
	}
	c.looks += uint64(len(all))
	slices.SortFunc(tasks, func(a, b *task) int { return cmp.Compare(a.num, b.num) })
	if more = len(tasks) > most; more {
		tasks = tasks[:most]
	}
	for _, t := range tasks {
		page = append(page, all[t])
	}
	return page, more
}

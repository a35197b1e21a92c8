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

// apply looks at all actors, for each page.
func (e *ListActors) apply(c *Scheduler) {
	var r ActorsReply
	if e.Name != "" {
		if a := c.actorByName[nameKey{e.By, e.Name}]; a != nil && a.life.job.admits(e.Owner) && !a.life.cancelRequested() {
			r.Actors = append(r.Actors, a.view())
		}
		c.reply(e.Call, r)
		return
	}
	var after []*actor
	for t, a := range c.actors { // order-free: sorted below
		if t.num > e.After && t.job.admits(e.Owner) {
			after = append(after, a)
		}
	}
	c.looks += uint64(len(c.actors))
	slices.SortFunc(after, func(a, b *actor) int { return cmp.Compare(a.life.num, b.life.num) })
	if r.More = len(after) > e.Max; r.More {
		after = after[:e.Max]
	}
	for _, a := range after {
		r.Actors = append(r.Actors, a.view())
	}
	c.reply(e.Call, r)
}

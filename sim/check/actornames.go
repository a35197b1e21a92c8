package check

import "fmt"

// oneActor holds the controller to let one actor live under a name: once the creation of an actor was
// acknowledged, or its caller was told that it is there, none that was created before it under the name is
// granted to a worker, nor are calls of it. Of two that were created at the same time, one is not. It is
// vacuous where no two actors have a name.
type oneActor struct {
	oracle

	byHost bool
	lives  map[string]*namedLife // by id
	names  map[string][]*namedLife
}

type namedLife struct {
	id    string
	name  string // and of whom
	offer *Event // the first
	ack   *Event
	// The first grant that was asked for when the life with this id had been acknowledged.
	after map[string]*Event
}

func newOneActor(cfg *Config) *oneActor {
	return &oneActor{
		oracle: oracle{"one-actor-a-name", "One actor lives under a name."},
		byHost: cfg.NamesByHost, lives: make(map[string]*namedLife), names: make(map[string][]*namedLife),
	}
}

// Observe implements Oracle.
func (o *oneActor) Observe(e *Event, j *Judge) {
	switch {
	case e.Kind == SubmitCall && e.Spec.Actor != nil && e.Spec.Actor.Name != "" && o.lives[e.Task] == nil:
		l := &namedLife{id: e.Task, name: e.Spec.Actor.Name, offer: e, after: make(map[string]*Event)}
		if o.byHost {
			l.name = e.Host + " " + l.name
		}
		o.lives[e.Task] = l
		o.names[l.name] = append(o.names[l.name], l)
	case e.Kind == SubmitReply && e.Answer.acknowledges():
		if l := o.lives[e.Task]; l != nil && l.ack == nil {
			l.ack = e
		}
	case e.Kind == GrantReply:
		l := o.lives[e.Task]
		if e.Spec.Call != nil {
			l = o.lives[e.Spec.Call.Actor]
		}
		if l != nil && l.ack != nil {
			o.granted(l, e, j)
		}
	}
}

func (o *oneActor) granted(l *namedLife, e *Event, j *Judge) {
	for _, other := range o.names[l.name] {
		if other == l || other.ack == nil || !e.follows(other.ack.Seq) {
			continue
		}
		j.Check()
		first := l.after[other.id] == nil
		if first {
			l.after[other.id] = e
		}
		switch {
		case !first:
		case other.offerFollows(l):
			j.Violated(e.Task, fmt.Sprintf("is granted for actor %s after actor %s was created under its name, %s", l.id, other.id, l.offer.Spec.Actor.Name), l.ack, other.ack, e)
		case !l.offerFollows(other) && other.after[l.id] != nil:
			j.Violated(e.Task, fmt.Sprintf("is granted for actor %s, and so was one for actor %s, when both had been created under one name, %s", l.id, other.id, l.offer.Spec.Actor.Name),
				l.ack, other.ack, other.after[l.id], e)
		}
	}
}

// offerFollows says whether l was offered when the other had been acknowledged.
func (l *namedLife) offerFollows(other *namedLife) bool { return l.offer.Seq > other.ack.Seq }

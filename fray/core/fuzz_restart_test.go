package core_test

import (
	"slices"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

type fuzzSpec struct {
	id        string
	shape     *core.Shape
	submitted core.Time
	needs     []string
	actor     *core.NewActor
	mail      *core.NewCall
}

// learnSpecs notes which number each task got.
func (r *fuzzRun) learnSpecs(events []core.Event, replies []core.Reply) {
	for _, event := range events {
		e, ok := event.(*core.Submit)
		if !ok {
			continue
		}
		reply := replies[slices.IndexFunc(replies, func(reply core.Reply) bool { return reply.Call == e.Call })]
		for i, res := range reply.Body.(core.SubmitReply).Results {
			if res.Verdict == core.SubmitCreated {
				r.specs[res.Task] = fuzzSpec{e.Tasks[i].ID, e.Tasks[i].Shape, r.now, e.Tasks[i].NeedsTasks, e.Tasks[i].Actor, e.Tasks[i].ActorCall}
			}
		}
	}
}

// restart has a scheduler whose records outlive it end, and another go on from them. By the bits of
// how: the power goes, the clock is set back, and what waits to happen together is decided and then
// lost.
func (r *fuzzRun) restart(a []byte) {
	if !r.cfg.Durable {
		return
	}
	if a[0]&4 != 0 {
		var lost core.Effects
		r.s.Step(r.now, &lost, r.batch...)
		r.batch, r.batching = nil, 0
	}
	r.flush()
	if a[0]&2 != 0 {
		r.now = r.now.Add(-time.Duration(a[1]) * time.Second)
	}
	r.cfg.Incarnation++
	s, err := r.ledger.restore(r.cfg, r.now, a[0]&1 != 0, func(t *core.Restored) {
		spec := r.specs[t.Num]
		t.ID, t.Shape, t.Submitted = spec.id, spec.shape, spec.submitted
		t.NeedsTasks, t.Actor, t.ActorCall = spec.needs, spec.actor, spec.mail
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		r.t.Fatal(err)
	}
	r.s = s
	clear(r.open)
	clear(r.recorded)
	for num, t := range r.ledger.tasks {
		r.recorded[num] = core.RecordSpec
		if t.State.Status.Terminal() {
			r.recorded[num] = core.RecordEnd
		}
	}
	r.now = s.Now().Add(time.Duration(a[1]%8) * time.Second)
	r.step()
}

// comeback registers a worker that presents the attempts that were granted last, also those of
// others.
func (r *fuzzRun) comeback(a []byte) {
	var held []core.Held
	for i, g := range slices.Backward(r.granted) {
		age := len(r.granted) - 1 - i
		if age >= 8 {
			break
		}
		if phase := core.HeldPhase(a[2] >> (age % 4 * 2) & 3); phase != 0 {
			held = append(held, core.Held{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Phase: phase})
		}
	}
	r.workers[a[0]%4].registrations++
	r.registerWith(a, held)
}

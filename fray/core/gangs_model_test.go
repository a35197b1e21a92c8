package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// TestGangsModel has gangs of all sizes come among other tasks, workers of all sizes do with them as they please,
// come, go and die, and the scheduler start anew. A gang is granted whole in one step, or not at all; it ends whole,
// or all that has not completed of it is cancelled; and with workers enough all goes on in the end.
func TestGangsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := &gangsDriver{
			t: rt, now: epoch, ledger: newLedger(), tasks: make(map[string]*gangsTask), ids: make(map[core.TaskNum]string),
			cfg: core.Config{
				Incarnation: 1, Durable: true, SessionTTL: 20 * time.Second, DeliveryTimeout: 10 * time.Second, CancelGrace: 3 * time.Second,
				Retention: time.Hour, MaxOpenTasks: 20,
			},
		}
		d.s = core.NewScheduler(d.cfg)
		for i := range 4 {
			d.workers = append(d.workers, &gangsWorker{name: fmt.Sprint("w", i)})
		}
		for range rapid.IntRange(1, 100).Draw(rt, "steps") {
			switch rapid.IntRange(0, 14).Draw(rt, "action") {
			case 0, 1, 2:
				d.submit()
			case 3, 4, 5, 6:
				d.poll(d.worker(), rapid.IntRange(0, 3).Draw(rt, "wait"))
			case 7, 8:
				d.report()
			case 9:
				d.cancel()
			case 10, 11:
				d.advance(time.Duration(rapid.IntRange(0, 8000).Draw(rt, "ms")) * time.Millisecond)
			case 12:
				d.register(d.worker())
			case 13:
				d.leave(d.worker())
			case 14:
				d.restart()
			}
		}
		d.end()
	})
}

type gangsDriver struct {
	t       *rapid.T
	cfg     core.Config
	s       *core.Scheduler
	now     core.Time
	calls   core.CallID
	ledger  *ledger
	ids     map[core.TaskNum]string
	order   []string
	tasks   map[string]*gangsTask
	workers []*gangsWorker
	gangs   int
}

type gangsTask struct {
	id        string
	shape     *core.Shape
	gang      *core.Gang
	submitted core.Time
	ended     core.Status
}

type gangsWorker struct {
	name      string
	session   core.Token
	seq, beat uint64
	slots     int
	chips     int64
	waits     core.CallID
	held      []core.Grant
	stop      []core.Token
}

func (d *gangsDriver) call() core.CallID { d.calls++; return d.calls }

func (d *gangsDriver) worker() *gangsWorker { return rapid.SampledFrom(d.workers).Draw(d.t, "worker") }

func (d *gangsDriver) step(events ...core.Event) []core.Reply {
	var out core.Effects
	d.s.Step(d.now, &out, events...)
	for _, r := range out.Records {
		switch r.Kind {
		case core.RecordSpec:
			d.ids[r.Task] = string(r.Data)
		case core.RecordEnd:
			d.tasks[d.ids[r.Task]].ended = r.View.Status
		}
	}
	d.ledger.commit(out.Records)
	if err := d.s.Check(); err != nil {
		d.t.Fatal(err)
	}
	granted := make(map[*core.Gang]int)
	for _, r := range out.Replies {
		for _, w := range d.workers {
			if w.waits != r.Call || r.Call == 0 {
				continue
			}
			w.waits = 0
			if p, ok := r.Body.(core.PollReply); ok {
				w.held = append(w.held, p.Grants...)
				for _, g := range p.Grants {
					if x := d.tasks[g.ID]; x.gang != nil {
						granted[x.gang]++
					}
				}
				if len(w.held) > w.slots {
					d.t.Fatalf("worker %s with %d slots has %d attempts", w.name, w.slots, len(w.held))
				}
			}
		}
		if h, ok := r.Body.(core.HeartbeatReply); ok {
			for _, w := range d.workers {
				for _, g := range w.held {
					if slices.Contains(h.Stop, g.Token) {
						w.stop = append(w.stop, g.Token)
					}
				}
			}
		}
	}
	for gang, n := range granted { // order-free: each for itself
		if open := d.openOf(gang); n != open {
			d.t.Fatalf("%d tasks of gang %s are granted in a step, of %d", n, gang.ID, open)
		}
	}
	return out.Replies
}

func (d *gangsDriver) openOf(gang *core.Gang) (n int) {
	for _, x := range d.tasks { // order-free: a count
		if x.gang == gang && x.ended == 0 {
			n++
		}
	}
	return n
}

// views returns all tasks.
func (d *gangsDriver) views() []core.View {
	for _, r := range d.step(&core.List{Call: d.call(), Max: len(d.order) + 1}) {
		if b, ok := r.Body.(core.ListReply); ok {
			return b.Tasks
		}
	}
	d.t.Fatal("a list is not answered")
	return nil
}

func (d *gangsDriver) settle() {
	for i := 0; d.s.Next() <= d.now; i++ {
		if i > 100 {
			d.t.Fatal("the scheduler wants to be woken for ever")
		}
		d.step()
	}
	over := make(map[*core.Gang]string)
	for _, id := range d.order {
		if x := d.tasks[id]; x.gang != nil && (x.ended == core.Failed || x.ended == core.Cancelled) {
			over[x.gang] = id
		}
	}
	for _, v := range d.views() {
		x := d.tasks[v.ID]
		if x.gang != nil && over[x.gang] != "" && v.Status == core.Pending && v.Pending != core.Recovering {
			d.t.Fatalf("task %s is %v, and %s of its gang has ended", v.ID, v.Pending, over[x.gang])
		}
	}
}

func (d *gangsDriver) submit() {
	n := rapid.SampledFrom([]int{0, 0, 1, 2, 3, 5, 8}).Draw(d.t, "size")
	sh := &core.Shape{
		Function: "f", Priority: int32(rapid.IntRange(0, 1).Draw(d.t, "priority")), MaxRetries: uint32(rapid.IntRange(0, 2).Draw(d.t, "retries")),
		BackoffBase: time.Second, BackoffFactor: 1, BackoffCap: time.Second, MaxWorkerLosses: uint32(rapid.IntRange(0, 3).Draw(d.t, "losses")), Gang: n,
	}
	if chips := rapid.IntRange(0, 2).Draw(d.t, "chips"); chips > 0 {
		sh.Resources = []core.Resource{{Name: "chip", Amount: int64(chips)}}
	}
	var gang *core.Gang
	if n > 0 {
		d.gangs++
		gang = &core.Gang{ID: fmt.Sprint("g", d.gangs), Size: n}
		if rapid.IntRange(0, 9).Draw(d.t, "again") == 0 { // Perhaps with open tasks.
			gang.ID = fmt.Sprint("g", rapid.IntRange(1, d.gangs).Draw(d.t, "name"))
		}
	}
	e := &core.Submit{Call: d.call(), Job: rapid.SampledFrom([]string{"j", "k"}).Draw(d.t, "job")}
	for range max(n, 1) {
		x := &gangsTask{id: fmt.Sprint("t", len(d.order)), shape: sh, gang: gang, submitted: d.now}
		d.order = append(d.order, x.id)
		d.tasks[x.id] = x
		e.Tasks = append(e.Tasks, core.NewTask{ID: x.id, Spec: []byte(x.id), Shape: sh, Gang: gang})
	}
	created := 0
	for _, r := range d.step(e) {
		if b, ok := r.Body.(core.SubmitReply); ok {
			for i, result := range b.Results {
				if result.Verdict == core.SubmitCreated {
					created++
				} else {
					d.tasks[e.Tasks[i].ID].ended = core.Completed // It never was.
				}
			}
		}
	}
	if created != 0 && created != len(e.Tasks) {
		d.t.Fatalf("%d tasks are taken of a gang of %d", created, n)
	}
	d.settle()
}

func (d *gangsDriver) register(w *gangsWorker) {
	e := &core.Register{Call: d.call(), WorkerID: w.name, RegistrationID: fmt.Sprint(d.calls), Functions: []string{"f"}}
	if w.session == 0 || rapid.Bool().Draw(d.t, "fresh") {
		e.Fresh, w.held = true, nil
		w.slots, w.chips = rapid.IntRange(1, 4).Draw(d.t, "slots"), int64(rapid.IntRange(0, 4).Draw(d.t, "has"))
	}
	e.Slots, e.Resources = w.slots, []core.Resource{{Name: "chip", Amount: w.chips}}
	for _, g := range w.held {
		e.Held = append(e.Held, core.Held{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Phase: core.HeldRunning})
	}
	w.waits, w.stop = 0, nil
	for _, r := range d.step(e) {
		if b, ok := r.Body.(core.RegisterReply); ok {
			w.session, w.seq, w.beat = b.Session, 0, 0
			w.held = slices.DeleteFunc(w.held, func(g core.Grant) bool { return !slices.Contains(b.Kept, g.Token) })
		}
	}
	d.settle()
}

// leave has a worker end its session.
func (d *gangsDriver) leave(w *gangsWorker) {
	if w.session != 0 {
		w.waits, w.held, w.stop = 0, nil, nil
		d.step(&core.Unregister{Call: d.call(), Session: w.session})
		w.session = 0
		d.settle()
	}
}

func (d *gangsDriver) poll(w *gangsWorker, wait int) {
	if w.session == 0 {
		d.register(w)
	}
	free := w.slots - len(w.held)
	if free <= 0 {
		return
	}
	w.seq++
	w.waits = d.call()
	d.step(&core.Poll{Call: w.waits, Session: w.session, Seq: w.seq, Received: w.seq - 1, Free: free, Max: free, Held: len(w.held), Until: d.now.Add(time.Duration(wait) * time.Second)})
	d.settle()
}

func (d *gangsDriver) finish(w *gangsWorker, g core.Grant, outcome core.Outcome) {
	same := func(o core.Grant) bool { return o.Token == g.Token }
	w.held = slices.DeleteFunc(w.held, same)
	w.stop = slices.DeleteFunc(w.stop, func(t core.Token) bool { return t == g.Token })
	d.step(&core.Report{Call: d.call(), Session: w.session, Items: []core.ReportItem{
		{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: outcome, Ran: time.Second},
	}})
	d.settle()
}

func (d *gangsDriver) report() {
	w := d.worker()
	if w.session == 0 || len(w.held) == 0 {
		return
	}
	g := rapid.SampledFrom(w.held).Draw(d.t, "attempt")
	d.finish(w, g, rapid.SampledFrom([]core.Outcome{core.Succeeded, core.Succeeded, core.FailedOutcome, core.Returned, core.TimedOut, core.Stopped}).Draw(d.t, "outcome"))
}

func (d *gangsDriver) cancel() {
	if len(d.order) > 0 {
		d.step(&core.Cancel{Call: d.call(), IDs: []string{rapid.SampledFrom(d.order).Draw(d.t, "id")}})
		d.settle()
	}
}

// advance lets time pass, and some of the workers be heard of. They stop what they are told to.
func (d *gangsDriver) advance(by time.Duration) {
	for end := d.now.Add(by); ; {
		d.settle()
		if d.now >= end {
			break
		}
		d.now = min(end, max(d.s.Next(), d.now+1))
	}
	for _, w := range d.workers {
		if w.session != 0 && rapid.IntRange(0, 7).Draw(d.t, "heard") > 0 {
			d.heard(w)
		}
	}
}

func (d *gangsDriver) heard(w *gangsWorker) {
	w.beat++
	e := &core.Heartbeat{Call: d.call(), Session: w.session, Seq: w.beat, Received: w.seq, Until: d.now}
	for _, g := range w.held {
		e.Running = append(e.Running, g.Token)
	}
	for _, r := range d.step(e) {
		if r.Err != nil && r.Call == e.Call { // Its session has ended meanwhile.
			w.session, w.held, w.stop, w.waits = 0, nil, nil, 0
			return
		}
	}
	d.settle()
	for _, token := range slices.Clone(w.stop) {
		if i := slices.IndexFunc(w.held, func(g core.Grant) bool { return g.Token == token }); i >= 0 {
			d.finish(w, w.held[i], core.Stopped)
		}
	}
}

func (d *gangsDriver) restart() {
	d.cfg.Incarnation++
	s, err := d.ledger.restore(d.cfg, d.now, rapid.Bool().Draw(d.t, "power"), func(r *core.Restored) {
		x := d.tasks[d.ids[r.Num]]
		r.ID, r.Shape, r.Gang, r.Submitted = x.id, x.shape, x.gang, x.submitted
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.s = s
	for _, w := range d.workers {
		w.waits, w.stop = 0, nil
	}
	d.settle()
	for _, w := range d.workers {
		if w.session != 0 && rapid.Bool().Draw(d.t, "back") {
			d.register(w)
		} else if w.session != 0 {
			w.session, w.held = 0, nil
		}
	}
}

// end has workers with room for all do all that there is.
func (d *gangsDriver) end() {
	for _, w := range d.workers {
		d.leave(w)
	}
	for range 200 {
		if d.open() == "" {
			return
		}
		for _, w := range d.workers {
			if w.session == 0 {
				w.slots, w.chips, w.held, w.stop, w.waits = 4, 4, nil, nil, 0
				e := &core.Register{
					Call: d.call(), WorkerID: w.name, RegistrationID: fmt.Sprint(d.calls), Functions: []string{"f"}, Fresh: true, Slots: 4,
					Resources: []core.Resource{{Name: "chip", Amount: 4}},
				}
				for _, r := range d.step(e) {
					if b, ok := r.Body.(core.RegisterReply); ok {
						w.session, w.seq, w.beat = b.Session, 0, 0
					}
				}
			}
			d.heard(w)
			for w.session != 0 && len(w.held) > 0 {
				d.finish(w, w.held[0], core.Succeeded)
			}
			if w.session != 0 && w.waits == 0 {
				d.poll(w, 3600)
			}
		}
		d.now = d.now.Add(700 * time.Millisecond)
		d.settle()
	}
	if open := d.open(); open != "" {
		d.t.Fatalf("%s for ever", open)
	}
}

// open tells of a task that has not ended; empty: all have.
func (d *gangsDriver) open() string {
	for _, v := range d.views() {
		if !v.Status.Terminal() {
			return fmt.Sprintf("task %s of gang %+v is %v %v (%s)", v.ID, d.tasks[v.ID].gang, v.Status, v.Pending, v.Detail)
		}
	}
	return ""
}

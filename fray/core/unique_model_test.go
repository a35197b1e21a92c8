package core_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// TestUniqueModel has tasks with few keys come, end in all ways and be forgotten, and the scheduler start anew. It
// foretells who has a key.
func TestUniqueModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := &uniqueDriver{
			t: rt, now: epoch, ledger: newLedger(), tasks: make(map[string]*uniqueTask), ids: make(map[core.TaskNum]string), keys: make(map[string]*uniqueTask),
			cfg: core.Config{Incarnation: 1, Durable: true, SessionTTL: 1000 * time.Hour, DeliveryTimeout: 1000 * time.Hour, Retention: 2 * time.Minute},
		}
		d.s = core.NewScheduler(d.cfg)
		d.register()
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 7).Draw(rt, "action") {
			case 0, 1, 2:
				d.submit()
			case 3, 4:
				d.end()
			case 5, 6:
				d.now = d.now.Add(time.Duration(rapid.IntRange(0, 100).Draw(rt, "seconds")) * time.Second)
				d.step()
			case 7:
				d.restart()
			}
		}
	})
}

type uniqueDriver struct {
	t       *rapid.T
	s       *core.Scheduler
	cfg     core.Config
	now     core.Time
	calls   core.CallID
	ledger  *ledger
	ids     map[core.TaskNum]string
	tasks   map[string]*uniqueTask
	keys    map[string]*uniqueTask // the latest of each
	session core.Token
	polls   uint64
}

type uniqueTask struct {
	id        string
	unique    core.Unique
	submitted core.Time
	status    core.Status // Pending: it is open
}

func (u *uniqueTask) has(now core.Time) bool {
	return u != nil && (u.status == core.Pending || u.status == core.Completed && now < u.submitted.Add(u.unique.Period))
}

func (d *uniqueDriver) call() core.CallID {
	d.calls++
	return d.calls
}

func (d *uniqueDriver) step(events ...core.Event) []core.Reply {
	var out core.Effects
	d.s.Step(d.now, &out, events...)
	for _, r := range out.Records {
		switch r.Kind {
		case core.RecordSpec:
			d.ids[r.Task] = string(r.Data)
		case core.RecordForget: // No period is longer than the retention.
			if u := d.tasks[d.ids[r.Task]]; u.has(d.now) {
				d.t.Fatalf("task %s is forgotten, and has its key", u.id)
			}
		}
	}
	d.ledger.commit(out.Records)
	if err := d.s.Check(); err != nil {
		d.t.Fatal(err)
	}
	return out.Replies
}

func (d *uniqueDriver) register() {
	r := d.step(&core.Register{Call: d.call(), WorkerID: "w", RegistrationID: fmt.Sprint(d.cfg.Incarnation), Slots: 1000, Functions: []string{"f"}, Fresh: true})
	d.session, d.polls = r[0].Body.(core.RegisterReply).Session, 0
}

func (d *uniqueDriver) submit() {
	id := fmt.Sprintf("t%d", len(d.tasks))
	u := &uniqueTask{id: id, submitted: d.now, status: core.Pending, unique: core.Unique{
		Key: rapid.SampledFrom([]string{"a", "b"}).Draw(d.t, "key"), Period: time.Duration(rapid.SampledFrom([]int{0, 30, 120}).Draw(d.t, "period")) * time.Second,
	}}
	other := d.keys[u.unique.Key]
	want := ""
	if other.has(d.now) {
		want = other.id
	} else {
		d.tasks[id], d.keys[u.unique.Key] = u, u
	}
	r := d.step(&core.Submit{Call: d.call(), Job: "j", Tasks: []core.NewTask{{
		ID: id, Spec: []byte(id), Shape: &core.Shape{Function: "f", MaxWorkerLosses: 1000}, Unique: &u.unique,
	}}})
	if got := r[0].Body.(core.SubmitReply).Results[0]; got.ID != want || (got.Verdict == core.SubmitNamed) != (want != "") {
		d.t.Fatalf("%+v of key %q at %v, want %q", got, u.unique.Key, d.now.Sub(epoch), want)
	}
}

// end ends one of the open tasks.
func (d *uniqueDriver) end() {
	open := slices.DeleteFunc(slices.Sorted(maps.Keys(d.tasks)), func(id string) bool { return d.tasks[id].status != core.Pending })
	if len(open) == 0 {
		return
	}
	u := d.tasks[rapid.SampledFrom(open).Draw(d.t, "ends")]
	u.status = rapid.SampledFrom([]core.Status{core.Completed, core.Completed, core.Failed, core.Cancelled}).Draw(d.t, "as")
	if u.status == core.Cancelled {
		d.step(&core.Cancel{Call: d.call(), IDs: []string{u.id}})
		return
	}
	outcome := core.Succeeded
	if u.status == core.Failed {
		outcome = core.FailedOutcome
	}
	d.polls++
	for _, r := range d.step(&core.Poll{Call: d.call(), Session: d.session, Seq: d.polls, Received: d.polls - 1, Free: 1000, Max: 1000, Until: d.now}) {
		p, ok := r.Body.(core.PollReply)
		if !ok {
			continue
		}
		for _, g := range p.Grants {
			item := core.ReportItem{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: core.Returned}
			if g.ID == u.id {
				item.Outcome, item.Ran = outcome, time.Second
			}
			d.step(&core.Report{Call: d.call(), Session: d.session, Items: []core.ReportItem{item}})
		}
	}
}

func (d *uniqueDriver) restart() {
	d.cfg.Incarnation++
	var err error
	d.s, err = d.ledger.restore(d.cfg, d.now, true, func(r *core.Restored) {
		r.ID = d.ids[r.Num]
		r.Shape, r.Submitted, r.Unique = &core.Shape{Function: "f", MaxWorkerLosses: 1000}, d.tasks[r.ID].submitted, &d.tasks[r.ID].unique
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.now = d.s.Now()
	d.step()
	d.register()
}

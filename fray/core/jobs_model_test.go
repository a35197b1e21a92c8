package core_test

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// TestJobsModel has tasks of few jobs come, with options and without, end in all ways and be forgotten, and the
// scheduler start anew. It foretells what the jobs are to each other, what their tasks see, which have failed, and
// what is refused.
func TestJobsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := &jobsDriver{
			t: rt, now: epoch, ledger: newLedger(), jobs: make(map[string]*jobModel),
			tasks: make(map[core.TaskNum]*jobsTask), held: make(map[string]core.Grant),
			cfg: core.Config{
				Incarnation: 1, Durable: true, Commits: rapid.Bool().Draw(rt, "commits"), Retention: 30 * time.Second,
				SessionTTL: 1000 * time.Hour, DeliveryTimeout: 1000 * time.Hour, CancelGrace: 1000 * time.Hour,
			},
		}
		d.s = core.NewScheduler(d.cfg)
		d.register()
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "action") {
			case 0, 1, 2, 3:
				d.submit()
			case 4, 5, 6:
				d.end()
			case 7:
				d.now = d.now.Add(time.Duration(rapid.IntRange(0, 100).Draw(rt, "seconds")) * time.Second)
				d.step()
			case 8:
				d.cancel()
			case 9:
				d.restart()
			}
			d.look()
		}
	})
}

type jobsDriver struct {
	t       *rapid.T
	s       *core.Scheduler
	cfg     core.Config
	now     core.Time
	calls   core.CallID
	ledger  *ledger
	jobs    map[string]*jobModel
	tasks   map[core.TaskNum]*jobsTask
	named   int
	session core.Token
	polls   uint64
	held    map[string]core.Grant
}

type jobsTask struct {
	id, job   string
	needs     []string
	submitted core.Time
	open      bool
}

type jobModel struct {
	options           core.JobOptions
	parent            *jobModel
	id                string
	environment       map[string]string
	submitted, failed uint64
	tasks, open       int
	latest            core.TaskNum
	over              bool // It has failed.
}

func (j *jobModel) overAbove() *jobModel {
	for ; j != nil; j = j.parent {
		if j.over {
			return j
		}
	}
	return nil
}

func (j *jobModel) below(other *jobModel) bool {
	for ; j != nil; j = j.parent {
		if j == other {
			return true
		}
	}
	return false
}

func (d *jobsDriver) call() core.CallID {
	d.calls++
	return d.calls
}

func (d *jobsDriver) step(events ...core.Event) []core.Reply {
	var out core.Effects
	d.s.Step(d.now, &out, events...)
	d.take(out.Records)
	replies := slices.Clone(out.Replies)
	if d.cfg.Commits {
		var more core.Effects
		d.s.Step(d.now, &more, &core.Committed{Step: out.Step})
		d.take(more.Records)
		replies = append(replies, more.Replies...)
	}
	if err := d.s.Check(); err != nil {
		d.t.Fatal(err)
	}
	return replies
}

// take takes down what records say, in their order.
func (d *jobsDriver) take(records []core.Record) {
	d.ledger.commit(records)
	for _, r := range records {
		t := d.tasks[r.Task]
		switch r.Kind {
		case core.RecordSpec:
			j := d.jobs[r.Job]
			j.submitted, j.tasks, j.open, j.latest = j.submitted+1, j.tasks+1, j.open+1, r.Task
			d.tasks[r.Task] = &jobsTask{id: string(r.Data), job: r.Job, submitted: d.now, open: true}
		case core.RecordEnd:
			t.open = false
			delete(d.held, t.id)
			j := d.jobs[t.job]
			j.open--
			if r.View.Status == core.Failed && r.View.Reason != core.DependencyFailed {
				j.failed++
				most := uint64(math.Floor(j.options.MaxFailedShare * float64(j.submitted)))
				if j.options.FailsPast {
					most = max(most, uint64(j.options.MaxFailed))
				}
				j.over = j.over || (j.options.FailsPast || j.options.MaxFailedShare > 0) && j.failed > most
			}
		case core.RecordForget:
			delete(d.tasks, r.Task)
			j := d.jobs[t.job]
			if j.tasks--; j.tasks == 0 {
				delete(d.jobs, j.id)
				for _, other := range d.jobs { // order-free: each for itself
					if other.parent == j {
						other.parent = nil
					}
				}
			}
		}
	}
}

func (d *jobsDriver) register() {
	r := d.step(&core.Register{
		Call: d.call(), WorkerID: "w", RegistrationID: fmt.Sprint(d.cfg.Incarnation),
		Slots: 1000, Functions: []string{"f"}, Fresh: true,
	})
	d.session, d.polls = r[0].Body.(core.RegisterReply).Session, 0
}

var jobNames = []string{"a", "b", "c", "d"}

// options draws what is said of a job; nil: nothing.
func (d *jobsDriver) options() *core.JobOptions {
	if rapid.Bool().Draw(d.t, "none") {
		return nil
	}
	o := &core.JobOptions{
		Parent: rapid.SampledFrom([]string{"", "", "a", "b", "c", "d"}).Draw(d.t, "parent"),
		Weight: uint32(rapid.IntRange(0, 2).Draw(d.t, "weight")),
	}
	if n := rapid.IntRange(-1, 2).Draw(d.t, "max failed"); n >= 0 {
		o.FailsPast, o.MaxFailed = true, uint32(n)
	}
	o.MaxFailedShare = rapid.SampledFrom([]float64{0, 0.4}).Draw(d.t, "share")
	for _, name := range []string{"X", "Y"} {
		if rapid.Bool().Draw(d.t, name) {
			value := rapid.SampledFrom([]string{"1", "2"}).Draw(d.t, "value")
			o.Environment = append(o.Environment, core.Variable{Name: name, Value: value})
		}
	}
	return o
}

func (d *jobsDriver) submit() {
	name, o := rapid.SampledFrom(jobNames).Draw(d.t, "job"), d.options()
	j := d.jobs[name]
	var want error
	switch {
	case o == nil:
	case j != nil:
		has, said := j.options, *o
		has.Weight, said.Weight = max(has.Weight, 1), max(said.Weight, 1)
		if !slices.Equal(has.Environment, said.Environment) {
			want = core.ErrJobDiffers
		}
		has.Environment, said.Environment = nil, nil
		if fmt.Sprint(has) != fmt.Sprint(said) {
			want = core.ErrJobDiffers
		}
	case o.Parent != "" && d.jobs[o.Parent] == nil:
		want = core.ErrUnknownJob
	case o.Parent != "" && d.jobs[o.Parent].overAbove() != nil:
		want = core.ErrJobFailed
	}
	id := fmt.Sprintf("t%d", d.named)
	d.named++
	task := core.NewTask{ID: id, Spec: []byte(id), Shape: &core.Shape{Function: "f", MaxWorkerLosses: 1000}}
	if known := slices.Sorted(maps.Keys(d.tasks)); len(known) > 0 && rapid.IntRange(0, 3).Draw(d.t, "needs") == 0 {
		task.NeedsTasks = []string{d.tasks[rapid.SampledFrom(known).Draw(d.t, "need")].id}
	}
	over := j.overAbove()
	if want == nil && j == nil {
		j = &jobModel{id: name, environment: make(map[string]string)}
		if o != nil {
			j.options, j.parent = *o, d.jobs[o.Parent]
			if j.parent != nil {
				maps.Copy(j.environment, j.parent.environment)
			}
			for _, v := range o.Environment {
				j.environment[v.Name] = v.Value
			}
		}
		d.jobs[name] = j
	}
	r := d.step(&core.Submit{Call: d.call(), Job: name, Options: o, Tasks: []core.NewTask{task}})[0]
	switch {
	case want != nil:
		if !errors.Is(r.Err, want) {
			d.t.Fatalf("job %s with %+v: %+v, want %v", name, o, r, want)
		}
	case r.Err != nil:
		d.t.Fatalf("job %s with %+v: %v", name, o, r.Err)
	case over != nil:
		if got := r.Body.(core.SubmitReply).Results[0]; got.Verdict != core.SubmitJobFailed || got.ID != over.id {
			d.t.Fatalf("job %s: %+v, want that %s has failed", name, got, over.id)
		}
	default:
		if got := r.Body.(core.SubmitReply).Results[0]; got.Verdict != core.SubmitCreated {
			d.t.Fatalf("job %s: %+v", name, got)
		}
		for _, t := range d.tasks { // order-free: ids are of one task each
			if t.id == id {
				t.needs = task.NeedsTasks
			}
		}
	}
}

// end has the worker report on one of the tasks that it has, or is granted.
func (d *jobsDriver) end() {
	d.polls++
	for _, r := range d.step(&core.Poll{
		Call: d.call(), Session: d.session, Seq: d.polls, Received: d.polls - 1,
		Free: 1000, Max: 1000, Until: d.now,
	}) {
		p, ok := r.Body.(core.PollReply)
		if !ok {
			continue
		}
		for _, g := range p.Grants {
			d.held[g.ID] = g
			got := make(map[string]string)
			if g.Environment != nil {
				for _, v := range *g.Environment {
					got[v.Name] = v.Value
				}
			}
			if !maps.Equal(got, d.jobs[g.Job].environment) {
				d.t.Fatalf("task %s of job %s sees %v, want %v", g.ID, g.Job, got, d.jobs[g.Job].environment)
			}
		}
	}
	ids := slices.Sorted(maps.Keys(d.held))
	if len(ids) == 0 {
		return
	}
	g := d.held[rapid.SampledFrom(ids).Draw(d.t, "ends")]
	outcome := rapid.SampledFrom([]core.Outcome{core.Succeeded, core.FailedOutcome, core.FailedOutcome}).Draw(d.t, "as")
	d.step(&core.Report{Call: d.call(), Session: d.session, Items: []core.ReportItem{
		{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: outcome, Ran: time.Second},
	}})
	delete(d.held, g.ID)
}

// cancel cancels a job, and expects that to be about all that is open of it and below.
func (d *jobsDriver) cancel() {
	name := rapid.SampledFrom(jobNames).Draw(d.t, "cancelled")
	want := 0
	for _, j := range d.jobs { // order-free: a sum
		if d.jobs[name] != nil && j.below(d.jobs[name]) {
			want += j.open
		}
	}
	r := d.step(&core.Cancel{Call: d.call(), Job: name})
	if got := r[0].Body.(core.CancelReply).JobTasks; got != want {
		d.t.Fatalf("%d tasks of job %s and below are cancelled, want %d", got, name, want)
	}
}

// look compares all jobs.
func (d *jobsDriver) look() {
	for _, name := range jobNames {
		var got core.JobReply
		for _, r := range d.step(&core.GetJob{Call: d.call(), Job: name}) {
			got, _ = r.Body.(core.JobReply)
		}
		want := core.JobReply{}
		if j := d.jobs[name]; j != nil {
			want = core.JobReply{
				Known: true, Open: j.open, Ended: got.Ended, Next: got.Next, Submitted: j.submitted,
				FailedTasks: j.failed, Failed: j.over,
				Weight: max(j.options.Weight, 1), FailsPast: j.options.FailsPast, MaxFailed: j.options.MaxFailed,
				MaxFailedShare: j.options.MaxFailedShare,
			}
			if j.parent != nil {
				want.Parent = j.parent.id
			}
			for _, other := range d.jobs { // order-free: a count
				if other.parent == j {
					want.Children++
				}
			}
		}
		if got != want {
			d.t.Fatalf("job %s is %+v, want %+v", name, got, want)
		}
	}
	d.lookAtLists()
}

// lookAtLists compares the list of jobs, and reads it in pages of all sizes.
func (d *jobsDriver) lookAtLists() {
	open := rapid.Bool().Draw(d.t, "open only")
	var want []*jobModel
	for _, j := range d.jobs { // order-free: sorted below
		if j.tasks > 0 && (j.open > 0 || !open) {
			want = append(want, j)
		}
	}
	slices.SortFunc(want, func(a, b *jobModel) int { return cmp.Compare(b.latest, a.latest) })
	e := &core.ListJobs{Call: d.call(), Max: rapid.IntRange(1, 5).Draw(d.t, "page"), OpenOnly: open}
	var got []core.JobView
	for more := true; more; {
		var out core.Effects
		if !d.s.Idle(d.now, &out, e) || !out.Replies[0].Settled {
			d.t.Fatalf("a list of jobs takes a step: %+v", out)
		}
		r := out.Replies[0].Body.(core.JobsReply)
		if len(r.Jobs) > e.Max || r.More && len(r.Jobs) < e.Max {
			d.t.Fatalf("a page of %d jobs where %d are asked for", len(r.Jobs), e.Max)
		}
		got = append(got, r.Jobs...)
		if more = r.More; more {
			e.Before = got[len(got)-1].Latest
		}
	}
	if len(got) != len(want) {
		d.t.Fatalf("%d jobs are listed, want %d", len(got), len(want))
	}
	for i, v := range got {
		j := want[i]
		leased := 0
		for _, g := range d.held { // order-free: a count
			if g.Job == j.id {
				leased++
			}
		}
		x := core.JobView{
			ID: j.id, Latest: j.latest, Submitted: v.Submitted, Open: j.open, Leased: leased, Ready: v.Ready,
			Ended: j.submitted - uint64(j.open), FailedTasks: j.failed, Failed: j.over, LastEnded: v.LastEnded,
		}
		if j.parent != nil {
			x.Parent = j.parent.id
		}
		if v != x || v.Submitted == 0 || v.LastEnded > 0 && j.tasks == j.open || v.Ready+v.Leased > v.Open {
			d.t.Fatalf("job %s is listed as %+v, want %+v", j.id, v, x)
		}
	}
}

func (d *jobsDriver) restart() {
	d.cfg.Incarnation++
	var err error
	d.s, err = d.ledger.restore(d.cfg, d.now, false, func(r *core.Restored) {
		t := d.tasks[r.Num]
		r.ID, r.Shape, r.Submitted, r.NeedsTasks = t.id, &core.Shape{Function: "f", MaxWorkerLosses: 1000},
			t.submitted, t.needs
	})
	if err != nil {
		d.t.Fatal(err)
	}
	clear(d.held)
	for _, j := range d.jobs { // order-free: each for itself
		j.latest = 0
	}
	for n, t := range d.tasks { // order-free: the greatest of each
		d.jobs[t.job].latest = max(d.jobs[t.job].latest, n)
	}
	d.now = d.s.Now()
	d.step()
	d.register()
}

package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// TestLimitsModel has tasks with limits of all numbers come and go, workers do with them as they please, and the
// scheduler start anew, and holds it to what limits promise, counted from outside: attempts at once and grants
// in each time. Whoever is throttled has a limit without room, and all goes on in the end.
func TestLimitsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := &limitsDriver{
			t: rt, now: epoch, cfg: core.Config{Incarnation: 1, Durable: true, SessionTTL: 20 * time.Second, DeliveryTimeout: time.Hour, Retention: time.Hour, MaxLimits: 3},
			ledger: newLedger(), tasks: make(map[string]*limitsTask), keys: make(map[[2]string]*limitsKey), most: make(map[[2]string]int),
		}
		if rapid.Bool().Draw(rt, "fixed") {
			d.fixed = make(map[[2]string]core.Limit)
		}
		d.s = core.NewScheduler(d.cfg)
		d.register()
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			switch rapid.IntRange(0, 11).Draw(rt, "action") {
			case 0, 1, 2:
				d.submit()
			case 3, 4:
				d.poll()
			case 5, 6, 7:
				d.report()
			case 8:
				d.cancel()
			case 9, 10:
				d.advance(time.Duration(rapid.IntRange(0, 4000).Draw(rt, "ms")) * time.Millisecond)
			case 11:
				d.restart()
			}
		}
		for range 400 {
			if d.open() == "" {
				return
			}
			d.poll()
			for len(d.held) > 0 {
				d.end(d.held[0], core.Succeeded)
			}
			d.advance(500 * time.Millisecond)
		}
		if open := d.open(); open != "" {
			rt.Fatalf("%s for ever", open)
		}
	})
}

type limitsDriver struct {
	t       *rapid.T
	cfg     core.Config
	s       *core.Scheduler
	now     core.Time
	calls   core.CallID
	session core.Token
	seq     uint64
	ledger  *ledger
	ids     []string
	tasks   map[string]*limitsTask
	nums    []string
	keys    map[[2]string]*limitsKey
	held    []core.Grant
	// The greatest concurrency that was named; whether numbers of a key never change; and when it was started anew.
	most      map[[2]string]int
	fixed     map[[2]string]core.Limit
	restarted core.Time
}

type limitsTask struct {
	limits    []core.Limit
	shape     *core.Shape
	priority  int32
	atWorker  bool
	submitted core.Time
}

// limitsKey is a key with the numbers in force, and when its tokens were taken since then.
type limitsKey struct {
	core.Limit

	starts []core.Time
	// Tokens are there as of then, at most so many.
	since core.Time
	full  int
}

func (d *limitsDriver) call() core.CallID { d.calls++; return d.calls }

func (d *limitsDriver) step(events ...core.Event) []core.Reply {
	var out core.Effects
	d.s.Step(d.now, &out, events...)
	for _, r := range out.Records {
		if r.Kind == core.RecordSpec {
			d.nums = append(d.nums, "")
		}
	}
	d.ledger.commit(out.Records)
	if err := d.s.Check(); err != nil {
		d.t.Fatal(err)
	}
	for _, r := range out.Replies {
		if p, ok := r.Body.(core.PollReply); ok {
			for _, g := range p.Grants {
				d.granted(g)
			}
		}
	}
	return out.Replies
}

// settle has what goes on in portions go on, and sees that nobody is throttled without a reason.
func (d *limitsDriver) settle() {
	for i := 0; d.s.Next() <= d.now; i++ {
		if i > 100 {
			d.t.Fatal("the scheduler wants to be woken for ever")
		}
		d.step()
	}
	views := d.views()
	for _, v := range views {
		if v.Pending == core.Throttled && v.Detail == "" {
			d.t.Fatalf("task %s is throttled for nothing", v.ID)
		}
	}
	d.lists(views)
}

// lists compares the list of limits, in pages of one, with what the tasks say.
func (d *limitsDriver) lists(views []core.View) {
	inUse, named, waiting := make(map[[2]string]int), make(map[[2]string]bool), 0
	for _, v := range views {
		if v.Status.Terminal() {
			continue
		}
		for _, l := range d.tasks[v.ID].limits {
			named[[2]string{l.Name, l.Key}] = true
			if v.Status != core.Pending || v.Pending == core.Ready || v.Pending == core.NoEligibleWorker || v.Pending == core.Recovering {
				inUse[[2]string{l.Name, l.Key}]++
			}
		}
		if v.Pending == core.Throttled {
			waiting++
		}
	}
	e := &core.ListLimits{Max: 1}
	for more := true; more; {
		e.Call = d.call()
		var r core.LimitsReply
		for _, x := range d.step(e) {
			if b, ok := x.Body.(core.LimitsReply); ok {
				r = b
			}
		}
		for _, l := range r.Limits {
			k := [2]string{l.Name, l.Key}
			if at := (core.LimitPlace{Name: l.Name, Key: l.Key}); !named[k] || l.InUse != inUse[k] || l.Tokens > l.Starts || at == e.After {
				d.t.Fatalf("limit %+v, want it named (%v) with %d in use", l, named[k], inUse[k])
			}
			delete(named, k)
			waiting -= l.Waiting
			e.After = core.LimitPlace{Name: l.Name, Key: l.Key}
		}
		more = r.More
	}
	if len(named) > 0 || waiting != 0 {
		d.t.Fatalf("limits %v are not listed, and %d tasks more wait than they say", named, waiting)
	}
}

// open tells of a task that has not ended; empty: all have.
func (d *limitsDriver) open() string {
	for _, v := range d.views() {
		if !v.Status.Terminal() {
			return fmt.Sprintf("task %s is %v %v (%s)", v.ID, v.Status, v.Pending, v.Detail)
		}
	}
	return ""
}

// views returns all tasks.
func (d *limitsDriver) views() []core.View {
	for _, r := range d.step(&core.List{Call: d.call(), Max: len(d.ids) + 1}) {
		if b, ok := r.Body.(core.ListReply); ok {
			return b.Tasks
		}
	}
	d.t.Fatal("a list is not answered")
	return nil
}

func (d *limitsDriver) submit() {
	e := &core.Submit{Call: d.call(), Job: "j"}
	id := fmt.Sprint("t", len(d.ids))
	x := &limitsTask{submitted: d.now, priority: int32(rapid.IntRange(0, 2).Draw(d.t, "priority"))}
	x.shape = &core.Shape{Function: "f", Priority: x.priority, MaxRetries: 2, BackoffBase: time.Second, BackoffFactor: 1, BackoffCap: time.Second, MaxWorkerLosses: 100}
	for _, name := range []string{"a", "b"}[:rapid.IntRange(0, 2).Draw(d.t, "limits")] {
		l := core.Limit{Name: name, Key: rapid.SampledFrom([]string{"", "", "k"}).Draw(d.t, "key"), Concurrent: rapid.IntRange(0, 3).Draw(d.t, "concurrent")}
		if l.Concurrent == 0 || rapid.Bool().Draw(d.t, "rate") {
			l.Starts, l.Period = rapid.IntRange(1, 4).Draw(d.t, "starts"), time.Duration(rapid.IntRange(1, 7).Draw(d.t, "period"))*700*time.Millisecond
		}
		if d.fixed != nil {
			if known, ok := d.fixed[[2]string{l.Name, l.Key}]; ok {
				l = known
			}
			d.fixed[[2]string{l.Name, l.Key}] = l
		}
		x.limits = append(x.limits, l)
	}
	e.Tasks = []core.NewTask{{ID: id, Shape: x.shape, Limits: x.limits}}
	for _, r := range d.step(e) {
		b, ok := r.Body.(core.SubmitReply)
		if !ok {
			continue
		}
		if b.Results[0].Verdict == core.SubmitTooManyLimits {
			return
		}
		d.ids, d.nums[len(d.nums)-1] = append(d.ids, id), id
		d.tasks[id] = x
		for _, l := range x.limits {
			d.renumber(l)
		}
	}
	d.settle()
}

func (d *limitsDriver) renumber(l core.Limit) {
	k := d.keys[[2]string{l.Name, l.Key}]
	most := l.Concurrent
	if most == 0 {
		most = 1 << 30
	}
	d.most[[2]string{l.Name, l.Key}] = max(d.most[[2]string{l.Name, l.Key}], most)
	if k == nil {
		k = &limitsKey{}
		d.keys[[2]string{l.Name, l.Key}] = k
		if d.restarted > 0 {
			k.Limit, k.since = l, d.restarted
		}
	}
	if k.Limit != l { // What a bucket has then is the scheduler's to say, up to a full one.
		k.Limit, k.starts, k.since, k.full = l, nil, d.now, l.Starts
	}
}

// granted counts what a worker has been given.
func (d *limitsDriver) granted(g core.Grant) {
	x := d.tasks[g.ID]
	x.atWorker = true
	d.held = append(d.held, g)
	for _, l := range x.limits {
		k := d.keys[[2]string{l.Name, l.Key}]
		k.starts = append(k.starts, d.now)
		n := 0
		for _, o := range d.tasks { // order-free: a count
			if o.atWorker && slices.ContainsFunc(o.limits, func(m core.Limit) bool { return m.Name == l.Name && m.Key == l.Key }) {
				n++
			}
		}
		if most := d.most[[2]string{l.Name, l.Key}]; n > most {
			d.t.Fatalf("%d attempts at once of limit %v, of %d", n, l, most)
		}
		if k.Starts == 0 || d.fixed == nil { // What was ready under other numbers is granted under these.
			continue
		}
		each := k.Period / time.Duration(k.Starts)
		for i, at := range k.starts {
			if got, most := len(k.starts)-i, k.Starts+int(d.now.Sub(at)/each); got > most {
				d.t.Fatalf("%d starts of limit %v within %v", got, k.Limit, d.now.Sub(at))
			}
		}
		if got, most := len(k.starts), k.full+int(d.now.Sub(k.since)/each); got > most {
			d.t.Fatalf("%d starts of limit %v within %v of a restart or new numbers", got, k.Limit, d.now.Sub(k.since))
		}
	}
}

func (d *limitsDriver) register() {
	e := &core.Register{Call: d.call(), WorkerID: "w", RegistrationID: fmt.Sprint(d.calls), Slots: 1000, Functions: []string{"f"}}
	if d.session == 0 || rapid.Bool().Draw(d.t, "fresh") {
		e.Fresh = true
		d.lose()
	}
	over := make(map[string]bool) // Tasks that were cancelled, and whose grace is over, need no attempt.
	for _, v := range d.views() {
		over[v.ID] = v.Status.Terminal()
	}
	want := 0
	for _, g := range d.held {
		e.Held = append(e.Held, core.Held{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Phase: core.HeldRunning})
		if !over[g.ID] {
			want++
		}
	}
	for _, r := range d.step(e) {
		if b, ok := r.Body.(core.RegisterReply); ok {
			if d.session, d.seq = b.Session, 0; len(b.Kept) != want {
				d.t.Fatalf("%d attempts are kept of %d", len(b.Kept), want)
			}
		}
	}
	d.settle()
}

// lose has the worker have nothing any more.
func (d *limitsDriver) lose() {
	for _, g := range d.held {
		d.tasks[g.ID].atWorker = false
	}
	d.held = nil
}

func (d *limitsDriver) poll() {
	d.seq++
	n := rapid.IntRange(1, 8).Draw(d.t, "free")
	d.step(&core.Poll{Call: d.call(), Session: d.session, Seq: d.seq, Received: d.seq - 1, Free: n, Max: n, Held: -1, Until: d.now})
	d.settle()
}

func (d *limitsDriver) end(g core.Grant, outcome core.Outcome) {
	d.held = slices.DeleteFunc(d.held, func(o core.Grant) bool { return o.Token == g.Token })
	d.tasks[g.ID].atWorker = false
	d.step(&core.Report{Call: d.call(), Session: d.session, Items: []core.ReportItem{
		{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: outcome, Ran: time.Second},
	}})
	d.settle()
}

func (d *limitsDriver) report() {
	if len(d.held) > 0 {
		d.end(rapid.SampledFrom(d.held).Draw(d.t, "attempt"), rapid.SampledFrom([]core.Outcome{core.Succeeded, core.FailedOutcome, core.Returned, core.Stopped}).Draw(d.t, "outcome"))
	}
}

func (d *limitsDriver) cancel() {
	if len(d.ids) > 0 {
		d.step(&core.Cancel{Call: d.call(), IDs: []string{rapid.SampledFrom(d.ids).Draw(d.t, "id")}})
		d.settle()
	}
}

// advance lets time pass, and the worker be heard of.
func (d *limitsDriver) advance(by time.Duration) {
	for end := d.now.Add(by); ; {
		d.settle()
		if d.now >= end {
			break
		}
		d.now = min(end, max(d.s.Next(), d.now+1))
	}
	e := &core.Heartbeat{Call: d.call(), Session: d.session, Seq: uint64(d.calls), Received: d.seq, Until: d.now}
	for _, g := range d.held {
		e.Running = append(e.Running, g.Token)
	}
	d.step(e)
	d.settle()
}

func (d *limitsDriver) restart() {
	d.cfg.Incarnation++
	s, err := d.ledger.restore(d.cfg, d.now, rapid.Bool().Draw(d.t, "power"), func(r *core.Restored) {
		id := d.nums[r.Num-1]
		r.ID, r.Shape, r.Limits, r.Submitted = id, d.tasks[id].shape, d.tasks[id].limits, d.tasks[id].submitted
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.s, d.restarted = s, d.now
	for _, k := range d.keys { // order-free: each is emptied
		k.starts, k.since, k.full = nil, d.now, 0
	}
	d.again()
	d.register()
}

// again has the numbers be in force of the last open task of each key.
func (d *limitsDriver) again() {
	for _, v := range d.views() {
		if v.Status.Terminal() {
			continue
		}
		for _, l := range d.tasks[v.ID].limits {
			d.keys[[2]string{l.Name, l.Key}].Limit = l
		}
	}
}

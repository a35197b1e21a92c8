package core_test

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/core"
)

// needy drives a scheduler with one worker.
type needy struct {
	t       *testing.T
	s       *core.Scheduler
	out     core.Effects
	now     core.Time
	call    core.CallID
	session core.Token
	seq     uint64
	records []core.Record
}

func newNeedy(t *testing.T, cfg core.Config) *needy {
	t.Helper()
	cfg.Incarnation = 1
	n := &needy{t: t, s: core.NewScheduler(cfg), now: epoch}
	n.register()
	return n
}

func (n *needy) register() {
	r := n.step(&core.Register{WorkerID: "w", RegistrationID: fmt.Sprint(n.call), Slots: 60_000, Functions: []string{"f"}})
	n.session = r.Body.(core.RegisterReply).Session
	n.seq = 0
}

// step makes one step, checks all invariants, and returns its first reply.
func (n *needy) step(events ...core.Event) core.Reply {
	n.t.Helper()
	n.out.Reset()
	n.s.Step(n.now, &n.out, events...)
	for _, r := range n.out.Records {
		if r.State != nil {
			r.State = new(*r.State) // It is the scheduler's until the next step.
		}
		n.records = append(n.records, r)
	}
	if err := n.s.Check(); err != nil {
		n.t.Fatal(err)
	}
	if len(n.out.Replies) == 0 {
		return core.Reply{}
	}
	return n.out.Replies[0]
}

func (n *needy) id() core.CallID {
	n.call++
	return n.call
}

func (n *needy) submit(tasks ...core.NewTask) core.SubmitReply {
	n.t.Helper()
	for i := range tasks {
		tasks[i].Shape = &core.Shape{Function: "f"}
	}
	return n.step(&core.Submit{Call: n.id(), Job: "j", Tasks: tasks}).Body.(core.SubmitReply)
}

// poll returns what the worker is granted.
func (n *needy) poll() []core.Grant {
	n.t.Helper()
	n.seq++
	r := n.step(&core.Poll{Call: n.id(), Session: n.session, Seq: n.seq, Received: n.seq - 1, Free: 60_000, Max: 60_000, Until: n.now})
	return r.Body.(core.PollReply).Grants
}

func (n *needy) succeed(grants ...core.Grant) {
	n.t.Helper()
	e := &core.Report{Call: n.id(), Session: n.session}
	for _, g := range grants {
		e.Items = append(e.Items, core.ReportItem{Task: g.ID, Attempt: g.Attempt, Token: g.Token, Outcome: core.Succeeded, Ran: 1, Result: []byte("result")})
	}
	n.step(e)
}

func (n *needy) count(status core.Status) int { return n.s.Stats().Tasks[status] }

func named(prefix string, count int, needs ...string) []core.NewTask {
	tasks := make([]core.NewTask, count)
	for i := range tasks {
		tasks[i] = core.NewTask{ID: fmt.Sprint(prefix, i), NeedsTasks: needs}
	}
	return tasks
}

// The end of one task with very many dependants delays nobody: they go on some at a time, and the scheduler
// asks for the steps that this takes.
func TestDependantsGoOnInPortions(t *testing.T) {
	t.Parallel()
	const many, portion = 2500, 1024
	for _, c := range []struct {
		name string
		end  func(n *needy)
		// How many of them have gone on.
		gone func(n *needy) int
	}{
		{"completed", func(n *needy) { n.succeed(n.poll()...) }, func(n *needy) int { return n.s.Stats().Ready }},
		{"cancelled", func(n *needy) { n.step(&core.Cancel{Call: n.id(), IDs: []string{"root"}}) }, func(n *needy) int { return n.count(core.Failed) }},
		{"cancelled with them", func(n *needy) {
			n.step(&core.Cancel{Call: n.id(), IDs: []string{"root"}, WithDependants: true})
		}, func(n *needy) int { return n.count(core.Cancelled) - 1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := newNeedy(t, core.Config{})
			n.submit(core.NewTask{ID: "root"})
			n.submit(named("leaf", many, "root")...)
			c.end(n)
			for want := portion; want < many; want += portion {
				if got := c.gone(n); got != want {
					t.Fatalf("%d have gone on, want %d", got, want)
				}
				if n.s.Next() != n.now {
					t.Fatal("the scheduler does not ask for the next step at once")
				}
				n.step()
			}
			if got := c.gone(n); got != many || n.s.Next() == n.now {
				t.Fatalf("%d of %d have gone on in the end", got, many)
			}
		})
	}
}

// A cascade through many levels is taken in portions, too, and names its first cause everywhere.
func TestCascadeNamesTheFirstCause(t *testing.T) {
	t.Parallel()
	const deep, portion = 3000, 1024
	n := newNeedy(t, core.Config{})
	chain := []core.NewTask{{ID: "t0"}}
	for i := 1; i <= deep; i++ {
		chain = append(chain, core.NewTask{ID: fmt.Sprint("t", i), NeedsTasks: []string{fmt.Sprint("t", i-1)}})
	}
	n.submit(chain...)
	n.step(&core.Cancel{Call: n.id(), IDs: []string{"t0"}})
	if got := n.count(core.Failed); got != portion {
		t.Fatalf("%d failed in one step, want %d", got, portion)
	}
	for n.s.Next() == n.now {
		n.step()
	}
	r := n.step(&core.Get{Call: n.id(), ID: fmt.Sprint("t", deep)}).Body.(core.TaskReply)
	if r.View.Reason != core.DependencyFailed || r.View.Cause != "t0" {
		t.Fatalf("the last one failed for %v, the cause is %q", r.View.Reason, r.View.Cause)
	}
}

// What open tasks need is bounded in bytes: past that no more is submitted until some have ended.
func TestWhatIsKeptForOthersIsBounded(t *testing.T) {
	t.Parallel()
	n := newNeedy(t, core.Config{MaxRetained: 1, MaxRetainedBytes: 1 << 20, WatchGrace: time.Second})
	refused := 0
	for i := range 40 {
		source := fmt.Sprint("source", i)
		r := n.submit(core.NewTask{ID: source, Spec: make([]byte, 64<<10)})
		if r.Results[0].Verdict == core.SubmitNeeded {
			refused++
			continue
		}
		n.submit(core.NewTask{ID: fmt.Sprint("never", i), Spec: []byte{1}, NeedsTasks: []string{source, "blocker"}})
		if i == 0 {
			n.submit(core.NewTask{ID: "blocker"}, core.NewTask{ID: "never", NeedsTasks: []string{source, "blocker"}})
			continue
		}
		for _, g := range n.poll() {
			if g.ID != "blocker" {
				n.succeed(g)
			}
		}
	}
	if refused == 0 {
		t.Fatal("everything was taken in")
	}
	n.step(&core.Cancel{Call: n.id(), Job: "j"})
	if v := n.submit(core.NewTask{ID: "after"}).Results[0].Verdict; v != core.SubmitCreated {
		t.Fatalf("with nobody left who needs them a task is refused: %d", v)
	}
}

// A job holds what its open tasks need, whoever put it and whoever releases it, also over a restart.
func TestTasksHoldObjects(t *testing.T) {
	t.Parallel()
	cfg := core.Config{Durable: true}
	n := newNeedy(t, cfg)
	piece := []byte("value")
	sum := sha256.Sum256(piece)
	id := core.NameObject("raw", int64(len(piece)), core.Chain{}.Add(sum))
	n.step(&core.PutPiece{Call: n.id(), Job: "other", Upload: "u", Data: piece, Sum: sum, Last: true, Encoding: "raw"})
	if v := n.submit(core.NewTask{ID: "x", NeedsObjects: []core.ObjectID{{1}}}).Results[0].Verdict; v != core.SubmitUnknownObject {
		t.Fatalf("a task that needs no object that there is gets %d", v)
	}
	if v := n.submit(core.NewTask{ID: "reads", NeedsObjects: []core.ObjectID{id}}).Results[0].Verdict; v != core.SubmitCreated {
		t.Fatalf("a task that needs an object of another job gets %d", v)
	}
	n.step(&core.ReleaseObjects{Call: n.id(), Job: "other", IDs: []core.ObjectID{id}})
	n.step(&core.ReleaseObjects{Call: n.id(), Job: "j", IDs: []core.ObjectID{id}})
	has := func() bool {
		r := n.step(&core.ReadObject{Call: n.id(), Job: "j", ID: id})
		n.step(&core.Forsake{Call: n.call})
		return r.Err == nil
	}
	if !has() {
		t.Fatal("an object is gone that an open task needs")
	}
	n.restart(cfg, map[string]core.Restored{"reads": {NeedsObjects: []core.ObjectID{id}}})
	if !has() {
		t.Fatal("an object that an open task needs did not outlive a restart")
	}
	n.register()
	grants := n.poll()
	before := n.records
	n.succeed(grants...)
	if has() {
		t.Fatal("the object is still held, for nobody")
	}
	// The end was durable, and not that the hold has ended.
	after := slices.DeleteFunc(slices.Clone(n.records[len(before):]), func(r core.Record) bool { return r.Lazy })
	n.records = slices.Concat(before, after)
	n.restart(cfg, map[string]core.Restored{"reads": {NeedsObjects: []core.ObjectID{id}}})
	if n.step(); has() {
		t.Fatal("after a restart the object is held for a task that has ended")
	}
}

// restart has another scheduler go on from the records. specs tells what they do not, by task.
func (n *needy) restart(cfg core.Config, specs map[string]core.Restored) {
	n.t.Helper()
	l := newLedger()
	l.commit(n.records)
	l.flush()
	ids := []string{"", "reads"}
	cfg.Incarnation = 2 + uint64(len(n.records))
	s, err := l.restore(cfg, n.now, false, func(r *core.Restored) {
		r.ID, r.Shape = ids[r.Num], &core.Shape{Function: "f"}
		r.NeedsObjects = specs[r.ID].NeedsObjects
	})
	if err != nil {
		n.t.Fatal(err)
	}
	objects := make(map[core.ObjectNum]*core.ObjectRecord)
	for _, r := range n.records {
		switch r.Kind {
		case core.RecordObject:
			objects[r.Object.Num] = r.Object
		case core.RecordForgetObject:
			delete(objects, r.Object.Num)
		}
	}
	var yield iter.Seq2[*core.ObjectRecord, error] = func(yield func(*core.ObjectRecord, error) bool) {
		for num := core.ObjectNum(1); num < 10; num++ {
			if o := objects[num]; o != nil && !yield(o, nil) {
				return
			}
		}
	}
	if err := s.RestoreObjects(yield); err != nil {
		n.t.Fatal(err)
	}
	if err := s.Check(); err != nil {
		n.t.Fatal(err)
	}
	n.s = s
	n.step()
}

package worker_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/internal/actor"
	runner "github.com/frayrpc/fray/fray/internal/attempt"
	"github.com/frayrpc/fray/fray/worker"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/race"
)

// book is the class of the tests: its actors write down what is done with them.
type book struct {
	construct func(ctx context.Context, p *page) (any, error) // nil: p
	oversized int                                             // bytes of each checkpoint, if not 0

	mu    sync.Mutex
	lines []string
}

// page is the state of one of its actors.
type page struct {
	book  *book
	lines []string
}

// careful is one that leaves checkpoints.
type careful struct{ *page }

func (careful) Checkpoint() ([]byte, error) { return nil, nil }
func (careful) Restore([]byte) error        { return nil }

func (b *book) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
}

// expect compares what was noted since the last time.
func (b *book) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.lines, want) {
		t.Errorf("noted %q, want %q", b.lines, want)
	}
	b.lines = nil
}

func (b *book) Name() string { return "book" }

func (b *book) Invoke(context.Context, fray.Payload) (fray.Payload, error) {
	panic("a class is constructed")
}

func (b *book) Construct(ctx context.Context, input fray.Payload, from *fray.Payload) (any, error) {
	p := &page{book: b}
	if from != nil {
		p.lines = strings.Split(string(from.Data), " ")
	}
	b.note("open %s %v", input.Data, p.lines)
	if b.construct != nil {
		return b.construct(ctx, p)
	}
	return p, nil
}

func (p *page) Close() error {
	p.book.note("close %v", p.lines)
	return errSad
}

// method is a function that is called with an actor.
type method struct {
	name string
	run  func(context.Context, *page, string) error
}

func (m method) Name() string { return "book." + m.name }

func (m method) Invoke(ctx context.Context, input fray.Payload) (fray.Payload, error) {
	c, ok := runner.Info[*actor.Call[fray.Payload]](ctx)
	if !ok {
		return fray.Payload{}, errors.New("no call")
	}
	if err := c.Instance.Enter(ctx); err != nil {
		return fray.Payload{}, err
	}
	defer c.Instance.Leave()
	p, _ := c.Instance.State.(*page)
	p.lines = append(p.lines, string(input.Data))
	if err := m.run(ctx, p, string(input.Data)); err != nil {
		return fray.Payload{}, err
	}
	state := []byte(strings.Join(p.lines, " "))
	c.Checkpoint = &fray.Payload{Encoding: "raw", Data: slices.Grow(state, p.book.oversized)[:max(len(state), p.book.oversized)]}
	return fray.Payload{Encoding: "raw", Data: input.Data}, nil
}

// methods are those that take the time of their input, in seconds.
func methods() []fray.Function {
	slow := func(rest func(context.Context, float64) error) func(context.Context, *page, string) error {
		return func(ctx context.Context, p *page, input string) error {
			seconds, err := strconv.ParseFloat(input, 64)
			if err == nil {
				err = rest(ctx, seconds)
			}
			p.book.note("wrote %s: %v", input, err)
			return err
		}
	}
	return []fray.Function{
		method{"write", slow(rest)},
		method{"scrawl", slow(func(_ context.Context, seconds float64) error { return rest(context.Background(), seconds) })},
		method{"tear", func(context.Context, *page, string) error { panic("torn") }},
	}
}

// hosting is a worker that hosts actors, and its controller.
type hosting struct {
	*controller
	*running

	book *book
}

func startHosting(t *testing.T, edit ...func(*worker.Config)) *hosting {
	t.Helper()
	h := &hosting{controller: newController(), book: &book{}}
	h.running = start(t, h.controller, slices.Concat([]func(*worker.Config){
		func(c *worker.Config) { c.Functions = append(append(c.Functions, h.book), methods()...) },
	}, edit)...)
	return h
}

// stop is the worker's.
func (h *hosting) stop(t *testing.T) time.Duration {
	t.Helper()
	return h.running.stop(t)
}

func atOnce(n uint32) func(*frayv1.TaskSpec) {
	return func(s *frayv1.TaskSpec) { s.Actor = &frayv1.ActorSpec{MaxConcurrency: n} }
}

// create queues a life.
func (h *hosting) create(input string, from ...string) (life uint64) {
	h.change(func() {
		life = h.enqueue("book", input, atOnce(0))
		for _, f := range from {
			h.queue[len(h.queue)-1].Checkpoint = &frayv1.Payload{Encoding: "raw", Data: []byte(f)}
		}
	})
	return life
}

// call queues a call for a life.
func (h *hosting) call(life uint64, name, input string, edit ...func(*frayv1.TaskSpec)) (lease uint64) {
	h.change(func() { lease = h.enqueueCall(life, name, input, edit...) })
	return lease
}

// enqueueCall is call under the lock.
func (h *hosting) enqueueCall(life uint64, name, input string, edit ...func(*frayv1.TaskSpec)) (lease uint64) {
	lease = h.enqueue("book."+name, input, append(edit, func(s *frayv1.TaskSpec) {
		s.Call = &frayv1.ActorCall{ActorId: fmt.Sprintf("t%d", life), CallerId: "test", Number: h.leases}
	})...)
	h.queue[len(h.queue)-1].LifeLeaseToken = life
	return lease
}

// reports returns those on leases, in the order in which they came.
func (h *hosting) reports(leases ...uint64) (outcomes []string) {
	synctest.Wait()
	for _, r := range h.seen().reports {
		if lease := r.GetAttempt().GetLeaseToken(); slices.Contains(leases, lease) {
			outcomes = append(outcomes, fmt.Sprintf("%d %s", lease, strings.TrimPrefix(r.GetOutcome().String(), "ATTEMPT_OUTCOME_")))
		}
	}
	return outcomes
}

func (h *hosting) expectReports(t *testing.T, leases []uint64, want ...string) {
	t.Helper()
	if got := h.reports(leases...); !slices.Equal(got, want) {
		t.Errorf("reports %q, want %q", got, want)
	}
}

func TestActorTakesCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t, slots(1))
		life := h.create(`"a"`)
		pass(time.Second)
		h.expectReports(t, []uint64{life}, "1 READY")
		for i := range 3 {
			call := h.call(life, "write", fmt.Sprint(i))
			pass(5 * time.Second)
			r := h.expect(t, call, "SUCCEEDED")
			if got := string(r.GetCheckpoint().GetData()); got != "0 1 2"[:1+2*i] || r.GetCheckpoint().GetEncoding() != "raw" {
				t.Errorf("checkpoint %q after call %d", got, i)
			}
		}
		h.book.expect(t, `open "a" []`, "wrote 0: <nil>", "wrote 1: <nil>", "wrote 2: <nil>")
		h.expect(t, life, "NONE")
		h.stop(t)
		h.book.expect(t, "close [0 1 2]")
		h.expectReports(t, []uint64{life}, "1 READY", "1 RETURNED")
	})
}

func TestActorGoesOnFromItsCheckpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t)
		life := h.create(`"a"`, "7 8")
		pass(time.Second)
		call := h.call(life, "write", "0")
		pass(time.Second)
		if got := string(h.expect(t, call, "SUCCEEDED").GetCheckpoint().GetData()); got != "7 8 0" {
			t.Errorf("checkpoint %q", got)
		}
		h.book.expect(t, `open "a" [7 8]`, "wrote 0: <nil>")
		h.stop(t)
	})
}

// Actors that wait for calls take no slot: more of them live on a worker than it has.
func TestActorsBetweenCallsLendTheirSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		h := startHosting(t, slots(1), func(c *worker.Config) { c.Registerer = registry })
		var lives, calls []uint64
		for range 50 {
			lives = append(lives, h.create(`"a"`))
		}
		pass(time.Second)
		h.change(func() {
			for _, life := range lives {
				calls = append(calls, h.enqueueCall(life, "write", "0"))
			}
		})
		pass(time.Second)
		for _, call := range calls {
			h.expect(t, call, "SUCCEEDED")
		}
		want := `
			# HELP fray_worker_actors Actors that live here, and take calls.
			# TYPE fray_worker_actors gauge
			fray_worker_actors %d
		`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(want, len(lives))), "fray_worker_actors"); err != nil {
			t.Error(err)
		}
		h.stop(t)
		if err := testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(want, 0)), "fray_worker_actors"); err != nil {
			t.Error(err)
		}
	})
}

func TestActorIsNotConstructed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		construct    func(context.Context, *page) (any, error)
		edit         func(*frayv1.TaskSpec)
		function     string
		message      string
		nonRetryable bool
	}{
		"error":      {message: "sad", construct: func(context.Context, *page) (any, error) { return nil, errSad }},
		"panic":      {message: "boom", construct: func(context.Context, *page) (any, error) { panic("boom") }},
		"goexit":     {message: "without returning", construct: func(context.Context, *page) (any, error) { runtime.Goexit(); return nil, nil }},
		"no class":   {message: `"echo" is a function, and was to construct an actor`, function: "echo", nonRetryable: true},
		"no life":    {message: `"book" is a class of actors, and was to run as a task`, nonRetryable: true, edit: func(s *frayv1.TaskSpec) { s.Actor = nil }},
		"unheard of": {message: `has no function "diary"`, function: "diary"},
		"checkpoints and calls at once": {
			message: "cannot have 2 calls at once", edit: atOnce(2), nonRetryable: true,
			construct: func(_ context.Context, p *page) (any, error) { return careful{p}, nil },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := startHosting(t, slots(1))
				h.book.construct = tt.construct
				edits := []func(*frayv1.TaskSpec){atOnce(0)}
				if tt.edit != nil {
					edits = append(edits, tt.edit)
				}
				function := "book"
				if tt.function != "" {
					function = tt.function
				}
				life := h.add(function, `"a"`, edits...)
				pass(time.Second)
				h.expectReports(t, []uint64{life}, "1 FAILED")
				r := h.expect(t, life, "FAILED")
				if !strings.Contains(r.GetError().GetMessage(), tt.message) || r.GetError().GetNonRetryable() != tt.nonRetryable {
					t.Errorf("error %v, want %q", r.GetError(), tt.message)
				}
				call := h.call(life, "write", "0")
				pass(time.Second)
				h.expect(t, call, "RETURNED")
				h.stop(t)
			})
		})
	}
}

// What a constructor has left running, and waits for other tasks in its context, lends no slot twice.
func TestConstructorLeavesATaskThatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t, slots(1))
		inner := fray.Define("inner", func(ctx context.Context, seconds float64) (string, error) { return "", rest(ctx, seconds) })
		var waits sync.WaitGroup
		h.book.construct = func(ctx context.Context, p *page) (any, error) {
			jobs, err := fray.NewJobContext(ctx, fray.KindThreadPool)
			waits.Go(func() {
				defer jobs.Close()
				_, err := inner.Call(fray.NewContext(ctx, jobs), 2)
				p.book.note("inner: %v", err)
			})
			return p, err
		}
		life := h.create(`"a"`)
		pass(time.Second)
		call := h.call(life, "write", "5")
		pass(10 * time.Second)
		h.expect(t, call, "SUCCEEDED")
		h.book.expect(t, `open "a" []`, "inner: <nil>", "wrote 5: <nil>")
		h.stop(t)
		waits.Wait()
	})
}

func TestCallOfAnActorThatIsNotHere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t)
		pass(time.Second)
		call := h.call(77, "write", "0")
		pass(time.Second)
		if ran := h.expect(t, call, "RETURNED").GetRunDurationUs(); ran != 0 {
			t.Errorf("ran for %d us", ran)
		}
		h.stop(t)
	})
}

// An actor that is deleted takes the calls along that run on it; one that ignores that is waited for
// as long as any attempt, and the actor is closed after that.
func TestDeleteStopsRunningCalls(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		method string
		takes  time.Duration
		notes  []string
	}{
		"returns when asked": {method: "write", notes: []string{`open "a" []`, "wrote 100: " + worker.ErrStopped.Error(), "close [100]"}},
		"does not return":    {method: "scrawl", takes: 6 * time.Second, notes: []string{`open "a" []`, "close [100]", "wrote 100: <nil>"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := startHosting(t, slots(3))
				life, other := h.create(`"a"`), h.add("nap", "10")
				pass(time.Second)
				call := h.call(life, tt.method, "100")
				pass(time.Second)
				h.change(func() { h.controller.stop = []uint64{life} })
				pass(time.Second)
				if tt.takes > 0 {
					h.expect(t, life, "NONE")
					h.expect(t, call, "NONE")
				}
				late := h.call(life, "write", "0")
				pass(time.Second + tt.takes)
				h.expect(t, life, "STOPPED")
				h.expect(t, call, "STOPPED")
				h.expect(t, late, "RETURNED")
				pass(200 * time.Second)
				h.expect(t, other, "SUCCEEDED")
				h.book.expect(t, tt.notes...)
				h.stop(t)
				h.book.expect(t)
			})
		})
	}
}

func TestDeleteDuringConstruction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t)
		h.book.construct = func(_ context.Context, p *page) (any, error) { return p, rest(context.Background(), 3) }
		life := h.create(`"a"`)
		pass(time.Second)
		h.change(func() { h.controller.stop = []uint64{life} })
		pass(5 * time.Second)
		h.expectReports(t, []uint64{life}, "1 STARTED", "1 STOPPED")
		h.book.expect(t, `open "a" []`, "close []")
		h.stop(t)
	})
}

// A worker that leaves lets the calls end that it has, and the controller judge them, before it gives
// their actor back.
func TestActorLeavesAfterItsCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t, slots(1))
		idle := h.create(`"idle"`)
		pass(time.Second)
		life := h.create(`"a"`)
		pass(time.Second)
		h.add("nap", "0.001") // Thereafter what waits for a slot is fetched, too.
		pass(time.Second)
		var call, queued uint64
		h.change(func() {
			call = h.enqueueCall(life, "write", "10")
			queued = h.enqueueCall(life, "write", "0")
		})
		pass(time.Second)
		begin := time.Now()
		h.cancel()
		pass(time.Second)
		h.expectReports(t, []uint64{idle, life, queued}, "1 READY", "2 READY", "1 RETURNED", "5 RETURNED")
		h.change(func() { h.fault = failing("ReportTasks", 100, fault{err: errUnreachable}) })
		pass(10 * time.Second)
		h.expect(t, call, "NONE")
		h.book.expect(t, `open "idle" []`, `open "a" []`, "close []", "wrote 10: <nil>")
		h.change(func() { h.fault = nil })
		<-h.running.ended
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("left after %v, which is the end of the grace rather than that of the call", took)
		}
		h.expectReports(t, []uint64{life, call}, "2 READY", "4 STARTED", "4 SUCCEEDED", "2 RETURNED")
		if ran := h.expect(t, life, "RETURNED").GetRunDurationUs(); ran == 0 {
			t.Error("the life is reported as never started")
		}
		h.book.expect(t, "close [10]")
	})
}

// An actor without calls does not keep a worker, and neither does one that is not constructed yet once
// it is.
func TestIdleActorsLeaveAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t, slots(4))
		idle := h.create(`"idle"`)
		pass(time.Second)
		if took := h.stop(t); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		h.expect(t, idle, "RETURNED")
	})
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t, slots(4))
		h.book.construct = func(_ context.Context, p *page) (any, error) { return p, rest(context.Background(), 3) }
		late := h.create(`"late"`)
		pass(time.Second)
		if took := h.stop(t); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		h.expectReports(t, []uint64{late}, "1 STARTED", "1 RETURNED")
		h.book.expect(t, `open "late" []`, "close []")
	})
}

// A poll that was on its way when the worker began to leave may bring a call, which goes back before
// its actor does.
func TestCallThatComesTooLateGoesBackFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t)
		life := h.create(`"a"`)
		pass(5 * time.Second)
		h.cancel()
		synctest.Wait()
		call := h.call(life, "write", "0")
		<-h.running.ended
		h.expectReports(t, []uint64{life, call}, "1 READY", "2 RETURNED", "1 RETURNED")
		if ran := h.expect(t, call, "RETURNED").GetRunDurationUs(); ran != 0 {
			t.Errorf("ran for %d us", ran)
		}
		h.book.expect(t, `open "a" []`, "close []")
	})
}

// A call that does not end, or whose report nobody judges, keeps its actor for the grace and no longer.
func TestDrainGraceOfActors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		input string
		away  bool
		call  string
	}{
		"runs":     {input: "1000", call: "RETURNED"},
		"unjudged": {input: "5", away: true, call: "NONE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := startHosting(t)
				life := h.create(`"a"`)
				pass(time.Second)
				call := h.call(life, "write", tt.input)
				pass(time.Second)
				if tt.away {
					h.change(func() { h.fault = failing("ReportTasks", 100000, fault{err: errUnreachable}) })
				}
				if took := h.stop(t); took < 30*time.Second || took > 36*time.Second {
					t.Errorf("took %v", took)
				}
				h.expect(t, call, tt.call)
				if !tt.away {
					h.expect(t, life, "RETURNED")
				}
			})
		})
	}
}

// Each session is told which actors take calls, and those that it does not keep end.
func TestActorIsReadyInEachSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t)
		kept := h.create(`"kept"`)
		pass(time.Second)
		lost := h.create(`"lost"`)
		pass(time.Second)
		call, stray := h.call(kept, "write", "20"), h.call(lost, "write", "20")
		pass(time.Second)
		h.change(func() {
			h.expired = true
			h.keep = func([]*frayv1.HeldAttempt) []uint64 { return []uint64{kept, call, stray} }
		})
		pass(30 * time.Second)
		h.expectReports(t, []uint64{kept, call}, "1 READY", "3 STARTED", "1 READY", "3 SUCCEEDED")
		h.expectReports(t, []uint64{lost, stray}, "2 READY", "4 STARTED", "2 STOPPED", "4 STOPPED")
		h.book.expect(t, `open "kept" []`, `open "lost" []`, "wrote 20: "+worker.ErrStopped.Error(), "close [20]", "wrote 20: <nil>")
		h.stop(t)
	})
}

// A call that ran past its timeout and does not return has its actor, and the next waits for it.
func TestAbandonedCallKeepsItsActor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t, slots(2))
		life := h.create(`"a"`)
		pass(time.Second)
		first := h.call(life, "scrawl", "60", timeout(time.Second))
		pass(10 * time.Second)
		h.expect(t, first, "TIMED_OUT")
		second := h.call(life, "write", "1", timeout(time.Second))
		pass(10 * time.Second)
		h.expect(t, second, "TIMED_OUT")
		third := h.call(life, "write", "0")
		pass(10 * time.Second)
		h.expect(t, third, "NONE")
		pass(40 * time.Second)
		h.expect(t, third, "SUCCEEDED")
		h.book.expect(t, `open "a" []`, "wrote 60: <nil>", "wrote 0: <nil>")
		h.stop(t)
	})
}

// It does not keep the worker that leaves.
func TestAbandonedCallLetsItsActorLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t)
		life := h.create(`"a"`)
		pass(time.Second)
		h.call(life, "scrawl", "60", timeout(time.Second))
		pass(10 * time.Second)
		if took := h.stop(t); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		h.expect(t, life, "RETURNED")
		pass(time.Minute)
		h.book.expect(t, `open "a" []`, "close [60]", "wrote 60: <nil>")
	})
}

// A call that fails leaves its actor as it is, and no checkpoint.
func TestCallFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t)
		life := h.create(`"a"`)
		pass(time.Second)
		torn := h.call(life, "tear", "1")
		pass(time.Second)
		if r := h.expect(t, torn, "FAILED"); r.GetCheckpoint() != nil || !strings.Contains(r.GetError().GetMessage(), "torn") {
			t.Errorf("report %v", r)
		}
		h.book.oversized = limit.Checkpoint
		fits := h.call(life, "write", "0")
		pass(time.Second)
		if n := len(h.expect(t, fits, "SUCCEEDED").GetCheckpoint().GetData()); n != limit.Checkpoint {
			t.Errorf("%d bytes of checkpoint", n)
		}
		h.stop(t)
	})
}

// What has not been judged is bounded with its checkpoints, as any large report is.
func TestCheckpointsCountAsReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t, func(c *worker.Config) { c.MaxUnreported = limit.Checkpoint })
		life := h.create(`"a"`)
		pass(time.Second)
		h.book.oversized = limit.Checkpoint
		h.change(func() { h.fault = failing("ReportTasks", 100000, fault{err: errUnreachable}) })
		h.call(life, "write", "0")
		pass(time.Second)
		blocked := h.add("echo", `""`)
		pass(10 * time.Second)
		h.expect(t, blocked, "NONE")
		h.change(func() { h.fault = nil })
		pass(time.Minute)
		h.expect(t, blocked, "SUCCEEDED")
		if n := h.seen().carried; n != 2 { // READY, and that of echo
			t.Errorf("polls carried %d reports", n)
		}
		h.stop(t)
	})
}

// The verdict on READY is none on the end of the life, which may be on its way by then.
func TestReadyIsJudgedAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t)
		h.change(func() {
			h.carries = false
			h.fault = failing("ReportTasks", 1, fault{loseReply: true})
		})
		life := h.create(`"a"`)
		pass(time.Second)
		h.stop(t)
		h.expectReports(t, []uint64{life}, "1 READY", "1 READY", "1 RETURNED")
	})
}

// Checkpoints that come along are fetched ahead as little as large inputs are.
func TestCheckpointsCountAsInputs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := startHosting(t, slots(1))
		for range 3 {
			h.add("nap", "0.001")
			pass(time.Second)
		}
		ahead := func() uint32 {
			polls := h.seen().polls
			return polls[len(polls)-1].GetMaxTasks()
		}
		if n := ahead(); n < 20 {
			t.Fatalf("polls ask for %d", n)
		}
		h.create(`"a"`, strings.Repeat("x", limit.Checkpoint))
		pass(time.Second)
		if n := ahead(); n > 17 { // a slot, and 16 MiB
			t.Errorf("polls ask for %d", n)
		}
		h.stop(t)
	})
}

// A host that depends on how its goroutines are scheduled cannot be simulated.
func TestSameSeedSameCallsOfActors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	runs := make([]map[string][]string, 3)
	for i := range runs {
		if !race.Enabled {
			runtime.GOMAXPROCS(1 + i%2*3)
		}
		synctest.Test(t, func(t *testing.T) { runs[i] = recordActors(t) })
	}
	for i, run := range runs[1:] {
		compareCalls(t, i+1, runs[0], run)
	}
}

func recordActors(t *testing.T) map[string][]string {
	t.Helper()
	var r *recorder
	h := startHosting(t, slots(4), func(c *worker.Config) {
		r = newRecorder(c.HTTPClient.(*controller))
		c.HTTPClient = r
	})
	random := rand.New(rand.NewPCG(5, 6))
	h.keep = func(held []*frayv1.HeldAttempt) (kept []uint64) {
		for _, a := range held {
			if token := a.GetAttempt().GetLeaseToken(); token%5 > 0 {
				kept = append(kept, token)
			}
		}
		return kept
	}
	var lives []uint64
	calls := make(map[uint64]uint64) // the last of each
	for range 200 {
		h.change(func() {
			for range 1 + random.IntN(3) {
				lives = append(lives, h.enqueue("book", `"a"`, atOnce(0)))
			}
			for range random.IntN(20) {
				life := lives[len(lives)-1-random.IntN(min(len(lives), 20))]
				if last := calls[life]; last != 0 && h.controller.ended[last] == nil {
					continue // Which one comes first of those that come at once depends on goroutines.
				}
				calls[life] = h.enqueueCall(life, []string{"write", "scrawl"}[random.IntN(2)], fmt.Sprint(random.IntN(3)))
			}
			if random.IntN(3) == 0 {
				h.controller.stop = append(h.controller.stop, lives[random.IntN(len(lives))])
			}
			h.expired = h.expired || random.IntN(40) == 0
		})
		pass(time.Duration(random.IntN(2000)) * time.Millisecond)
	}
	h.stop(t)
	return r.made()
}

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/faults"
)

// TestUnary says of each fault what the caller gets, when, and how often the handler ran.
func TestUnary(t *testing.T) {
	t.Parallel()
	const deadline = time.Second
	for name, test := range map[string]struct {
		at   place
		plan string
		want string // the answer's start, or the error's
		took time.Duration
		ran  int
	}{
		"client delay":           {inCalls, "a: delay(100ms) side=client", "hi", 100 * time.Millisecond, 1},
		"client drop":            {inCalls, "a: drop side=client", "deadline_exceeded", deadline, 0},
		"client reply dropped":   {inCalls, "a: drop side=client phase=response-in-flight", "deadline_exceeded", deadline, 1},
		"client error":           {inCalls, `a: error(aborted, "no") side=client`, "aborted: no", 0, 0},
		"client reply error":     {inCalls, "a: error(aborted) side=client phase=response-in-flight", "aborted: injected by a", 0, 1},
		"client duplicate":       {inCalls, "a: duplicate(copies=2) side=client", "hi", 0, 3},
		"client message":         {inCalls, "a: delay(100ms) side=client message=1", "hi", 100 * time.Millisecond, 1},
		"client other message":   {inCalls, "a: delay(100ms) side=client message=2", "hi", 0, 1},
		"client delays add":      {inCalls, "a: delay(100ms) side=client\nb: delay(50ms) side=client", "hi", 150 * time.Millisecond, 1},
		"client delay outlasts":  {inCalls, "a: delay(5s) side=client\nb: error(aborted) side=client", "deadline_exceeded", deadline, 0},
		"client hold":            {inCalls, "a: hold side=client window=..300ms", "hi", 300 * time.Millisecond, 1},
		"client reorder":         {inCalls, "a: reorder(300ms) side=client", "hi", 301 * time.Millisecond, 1},
		"handler delay":          {inCalls, "a: delay(100ms) phase=before-handler", "hi", 100 * time.Millisecond, 1},
		"handler drop":           {inCalls, "a: drop phase=before-handler", "deadline_exceeded", deadline, 0},
		"handler reply dropped":  {inCalls, "a: drop phase=after-handler", "deadline_exceeded", deadline, 1},
		"handler error":          {inCalls, "a: error(aborted) phase=before-handler", "aborted: injected by a", 0, 0},
		"handler reply error":    {inCalls, "a: error(aborted) phase=after-handler", "aborted: injected by a", 0, 1},
		"handler duplicate":      {inCalls, "a: duplicate phase=before-handler", "hi", 0, 2},
		"network delay":          {atCaller, "a: delay(100ms)", "hi", 100 * time.Millisecond, 1},
		"network drop":           {atCaller, "a: drop", "deadline_exceeded", deadline, 0},
		"network reply dropped":  {atCaller, "a: drop phase=response-in-flight", "deadline_exceeded", deadline, 1},
		"network error":          {atCaller, "a: error(aborted)", "aborted: injected by a", 0, 0},
		"network duplicate":      {atCaller, "a: duplicate", "hi", 0, 2},
		"network late duplicate": {atCaller, "a: duplicate(later=5s)", "hi", 0, 2},
		"network truncate":       {atCaller, "a: truncate(1B)", "unexpected EOF", 0, 0},
		"network reset":          {atCaller, "a: reset", "connection reset by peer", 0, 0},
		"network reset inside":   {atCaller, "a: reset(1B)", "connection reset by peer", 0, 0},
		"network reply truncate": {atCaller, "a: truncate(1B) phase=response-in-flight", "unknown: read message: unexpected EOF", 0, 1},
		"network reply reset":    {atCaller, "a: reset phase=response-in-flight", "connection reset by peer", 0, 1},
		"network throttle":       {atCaller, "a: throttle(8B/s)", "hi", deadline / 2, 1},
		"network reply throttle": {atCaller, "a: throttle(8B/s) phase=response-in-flight", "hi", deadline / 2, 1},
		"partition":              {atCaller, "a: partition from=client to=server", "deadline_exceeded", deadline, 0},
		"partition turned round": {atCaller, "a: partition from=server to=client", "deadline_exceeded", deadline, 0},
		"partition one way":      {atCaller, "a: partition(one-way) from=server to=client", "deadline_exceeded", deadline, 1},
		"partition elsewhere":    {atCaller, "a: partition from=client to=other", "hi", 0, 1},
		"partition, all":         {atCaller, "a: partition", "deadline_exceeded", deadline, 0},
		"header":                 {atCaller, "a: error(aborted) header=User-Agent:x", "hi", 0, 1},
		"callee delay":           {atCallee, "a: delay(100ms)", "hi", 100 * time.Millisecond, 1},
		"callee drop":            {atCallee, "a: drop", "deadline_exceeded", deadline, 0},
		"callee reply dropped":   {atCallee, "a: drop phase=response-in-flight", "deadline_exceeded", deadline, 1},
		"callee reply delayed":   {atCallee, "a: delay(100ms) phase=response-in-flight", "hi", 100 * time.Millisecond, 1},
		"callee error":           {atCallee, "a: error(aborted)", "aborted: injected by a", 0, 0},
		"callee reply error":     {atCallee, "a: error(aborted) phase=response-in-flight", "aborted: injected by a", 0, 1},
		"callee duplicate":       {atCallee, "a: duplicate from=10.0.0.1", "hi", 0, 2},
		"callee late duplicate":  {atCallee, "a: duplicate(later=5s)", "hi", 0, 2},
		"callee truncate":        {atCallee, "a: truncate(1B)", "unavailable", 0, 0},
		"callee reset":           {atCallee, "a: reset", "unavailable", 0, 0},
		"callee reply truncate":  {atCallee, "a: truncate(1B) phase=response-in-flight", "unavailable", 0, 1},
		"callee reply reset":     {atCallee, "a: reset phase=response-in-flight", "unavailable", 0, 1},
		"callee throttle":        {atCallee, "a: throttle(8B/s)", "hi", deadline / 2, 1},
		"callee reply throttle":  {atCallee, "a: throttle(8B/s) phase=response-in-flight", "hi", deadline / 2, 1},
		"first rule ends it":     {atCallee, "a: error(aborted)\nb: error(internal)", "aborted: injected by a", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				injector := newInjector(t, faults.Config{}, test.plan)
				w := newDirect(injector, test.at)
				ctx, cancel := context.WithTimeout(t.Context(), deadline+time.Microsecond)
				defer cancel()
				start := time.Now()
				got, err := w.ask(ctx, "hi")
				took := time.Since(start)
				if err != nil {
					got = err.Error()
				}
				if !strings.Contains(got, test.want) {
					t.Errorf("got %q, want %q", got, test.want)
				}
				if took.Round(5*time.Millisecond) != test.took.Round(5*time.Millisecond) {
					t.Errorf("took %v, want %v", took, test.took)
				}
				time.Sleep(10 * time.Second)
				if ran := len(w.echo.take()); ran != test.ran {
					t.Errorf("the handler ran %d times, want %d", ran, test.ran)
				}
			})
		})
	}
}

func TestErrorCarriesItsDetail(t *testing.T) {
	t.Parallel()
	plan := "a: error(resource_exhausted, full, detail=google.protobuf.StringValue:CgN3aHk)"
	for at, side := range map[place]string{inCalls: " side=client", atCaller: "", atCallee: ""} {
		for _, options := range [][]connect.ClientOption{nil, {connect.WithGRPC()}, {connect.WithGRPCWeb()}} {
			w := newWire(t, newInjector(t, faults.Config{}, plan+side), at, true, options...)
			_, err := w.ask(t.Context(), "hi")
			var coded *connect.Error
			if !errors.As(err, &coded) || coded.Code() != connect.CodeResourceExhausted || len(coded.Details()) != 1 {
				t.Fatalf("got %v", err)
			}
			if value, err := coded.Details()[0].Value(); err != nil || value.(*text).GetValue() != "why" {
				t.Errorf("got %v, %v", value, err)
			}
		}
	}
}

func TestResetIsSeenOnTCP(t *testing.T) {
	t.Parallel()
	w := newWire(t, newInjector(t, faults.Config{}, "a: reset phase=response-in-flight"), atCallee, false)
	if _, err := w.ask(t.Context(), "hi"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	for _, plan := range []string{"a: reset", "a: truncate(3B) phase=response-in-flight", "a: reset(3B) phase=response-in-flight"} {
		for _, h2 := range []bool{false, true} {
			w := newWire(t, newInjector(t, faults.Config{}, plan), atCallee, h2)
			if _, err := w.ask(t.Context(), "hello"); err == nil {
				t.Errorf("%s: no error", plan)
			}
		}
	}
}

func TestDroppedRequestEndsWithItsCallerOnTCP(t *testing.T) {
	t.Parallel()
	for _, plan := range []string{"a: drop", "a: drop phase=response-in-flight"} {
		for _, h2 := range []bool{false, true} {
			w := newWire(t, newInjector(t, faults.Config{}, plan), atCallee, h2)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := w.ask(ctx, "hi")
			cancel()
			if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
				t.Errorf("%s: got %v", plan, err)
			}
		}
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	for clauses, want := range map[string]string{
		"":                        "xxxxxxxxxx",
		"nth=3":                   "..x.......",
		"every=3":                 "..x..x..x.",
		"first=3":                 "xxx.......",
		"after=7":                 ".......xxx",
		"after=2 every=2 first=4": "...x.x....",
		"window=3s..5s":           "...xx.....",
		"window=8s..":             "........xx",
		"window=3s.. nth=2":       "....x.....",
		"event=up":                ".....xxxxx",
		"event=up first=1":        ".....x..x.", // again with each event
		"event=up window=1s..2s":  "......x..x",
		"event=down":              "..........",
	} {
		synctest.Test(t, func(t *testing.T) {
			injector := newInjector(t, faults.Config{}, "a: error(aborted) side=client "+clauses)
			w := newDirect(injector, inCalls)
			var got strings.Builder
			for n := range 10 {
				if n == 5 || n == 8 {
					injector.Signal("up")
				}
				if _, err := w.ask(t.Context(), "hi"); err != nil {
					got.WriteString("x")
				} else {
					got.WriteString(".")
				}
				time.Sleep(time.Second)
			}
			if got.String() != want {
				t.Errorf("%s: got %s, want %s", clauses, got.String(), want)
			}
		})
	}
}

// draws returns which of 200 calls of two callers a rule struck, or how long it held them.
func draws(t *testing.T, plan string, other bool) (out string) {
	t.Helper()
	injector := newInjector(t, faults.Config{OnInject: func(i faults.Injection) {
		if i.Rule.ID == "a" && i.From == "w1" {
			out += fmt.Sprint(i.Latency, " ")
		}
	}}, plan)
	var transports []*connect.Client[text, text]
	w := newDirect(nil, nowhere)
	for _, from := range []string{"w1", "w2"} {
		transports = append(transports, connect.NewClient[text, text](w.http, w.url+unaryProcedure, connect.WithInterceptors(injector.Interceptor(from))))
	}
	for range 100 {
		for _, client := range transports[:1+btoi(other)] {
			_, _ = client.CallUnary(t.Context(), connect.NewRequest(wrapperspb.String("x")))
		}
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestRulesDoNotShiftEachOther(t *testing.T) {
	t.Parallel()
	const rule = "a: delay(uniform, 1ns, 1us) side=client probability=0.5\n"
	alone := draws(t, "seed 7\n"+rule, false)
	if n := strings.Count(alone, " "); n < 30 || n > 70 {
		t.Errorf("%d of 100 were struck", n)
	}
	for name, plan := range map[string]string{
		"a rule before": "seed 7\nb: error(aborted) side=client probability=0.5\n" + rule,
		"a rule behind": "seed 7\n" + rule + "b: delay(uniform, 1ns, 1us) side=client",
	} {
		got := draws(t, plan, false)
		// A rule before may end calls, which keeps this one from acting, but not from drawing.
		if rest := strings.Fields(got); !isSubsequence(rest, strings.Fields(alone)) || len(rest) < 10 {
			t.Errorf("%s: got %s, want of %s", name, got, alone)
		}
	}
	if got := draws(t, "seed 7\n"+rule, true); got != alone {
		t.Error("another caller shifts the draws")
	}
	if got := draws(t, "seed 8\n"+rule, false); got == alone {
		t.Error("the seed changes nothing")
	}
}

func isSubsequence(of, all []string) bool {
	for _, word := range of {
		i := slices.Index(all, word)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}

// A side that a plan does not concern can be left out of a call's way.
func TestConcerns(t *testing.T) {
	t.Parallel()
	injector := faults.New(faults.Config{})
	defer injector.Close()
	plan, err := faults.ParsePlan("a: drop procedure=/a.Service/* side=client\nb: drop procedure=/b.Service/Call event=never")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		side    faults.Side
		path    string
		applied bool
	}{
		"its side":       {side: faults.Client, path: "/a.Service/Call", applied: true},
		"another side":   {side: faults.Network, path: "/a.Service/Call"},
		"asleep":         {side: faults.Network, path: "/b.Service/Call", applied: true},
		"below a prefix": {side: faults.Network, path: "/api/b.Service/Call", applied: true},
		"another one":    {side: faults.Network, path: "/b.Service/Other"},
	} {
		if injector.Concerns(test.side, test.path) {
			t.Errorf("%s: it is concerned without a plan", name)
		}
		if err := injector.Apply(plan); err != nil {
			t.Fatal(err)
		}
		if got := injector.Concerns(test.side, test.path); got != test.applied {
			t.Errorf("%s: concerns is %v, want %v", name, got, test.applied)
		}
		injector.Clear()
	}
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	for action, mean := range map[string]time.Duration{
		"delay(uniform, 10ms, 30ms)": 20 * time.Millisecond, "delay(exponential, 20ms)": 20 * time.Millisecond,
		"delay(normal, 20ms, 2ms)": 20 * time.Millisecond, "delay(20ms)": 20 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newDirect(newInjector(t, faults.Config{}, "a: side=client"[:3]+action+" side=client"), inCalls)
			const calls = 500
			start := time.Now()
			for range calls {
				_, _ = w.ask(t.Context(), "x")
			}
			if got := time.Since(start) / calls; got < mean*8/10 || got > mean*12/10 {
				t.Errorf("%s: mean %v", action, got)
			}
		})
	}
}

func TestHoldAndRelease(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*faults.Injector, *wire){
		"Release": func(i *faults.Injector, _ *wire) {
			if !i.Release("stuck") || i.Release("other") {
				t.Error("Release is wrong about which rules there are")
			}
		},
		"rule":  func(_ *faults.Injector, w *wire) { _, _ = w.ask(context.Background(), "free") },
		"clear": func(i *faults.Injector, _ *wire) { i.Clear() },
		"other": func(i *faults.Injector, _ *wire) { _ = i.Apply(faults.Plan{}) },
		"close": func(i *faults.Injector, _ *wire) { i.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				injector := newInjector(t, faults.Config{}, "free: release(stuck) after=1\nstuck: hold first=1\n")
				w := newDirect(injector, atCaller)
				var wg sync.WaitGroup
				wg.Go(func() {
					if got, err := w.ask(t.Context(), "held"); err != nil || got != "held" {
						t.Errorf("got %q, %v", got, err)
					}
				})
				time.Sleep(time.Hour)
				if seen := w.echo.take(); len(seen) > 0 {
					t.Errorf("%q passed", seen)
				}
				end(injector, w)
				wg.Wait()
			})
		})
	}
}

// What the end of a window or of a plan wakes goes on one after the other, in the order in which it
// came: two at one instant would go on in any.
func TestWokenTogetherGoOnInOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		at   place
		plan string
	}{
		{inCalls, "a: hold side=client window=..1m"},
		{inCalls, "a: hold side=server phase=after-handler"},
		{inCalls, "a: delay(10m) side=server"},
		{atCaller, "a: hold"},
		{atCallee, "a: delay(10m) phase=response-in-flight"},
		{atCaller, "a: throttle(1B/s)"},
		{atCallee, "a: throttle(1B/s) phase=response-in-flight"},
	} {
		t.Run(test.plan, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				injector := newInjector(t, faults.Config{}, test.plan)
				w := newDirect(injector, test.at)
				const calls = 20
				ends := make([]time.Time, calls)
				var wg sync.WaitGroup
				for n := range calls {
					wg.Go(func() {
						if got, err := w.ask(t.Context(), strings.Repeat("x", 600)); err != nil {
							t.Errorf("got %q, %v", got, err)
						}
						ends[n] = time.Now()
					})
					time.Sleep(100 * time.Millisecond)
				}
				time.AfterFunc(time.Minute, injector.Clear)
				began := time.Now()
				wg.Wait()
				for n := 1; n < calls; n++ {
					if !ends[n].After(ends[n-1]) {
						t.Errorf("call %d went on at %v, and call %d at %v", n-1, ends[n-1].Sub(began), n, ends[n].Sub(began))
					}
				}
			})
		})
	}
}

func TestReorder(t *testing.T) {
	t.Parallel()
	for _, at := range []place{atCaller, atCallee} {
		synctest.Test(t, func(t *testing.T) {
			w := newDirect(newInjector(t, faults.Config{}, "a: reorder(1m)"), at)
			var wg sync.WaitGroup
			for n := range 4 {
				wg.Go(func() { _, _ = w.ask(t.Context(), fmt.Sprint(n)) })
				time.Sleep(time.Second)
			}
			wg.Wait()
			var order strings.Builder
			for _, seen := range w.echo.take() {
				order.WriteString(seen[len("unary "):][:1])
			}
			if order.String() != "1032" {
				t.Errorf("the handler saw %s", order.String())
			}
		})
	}
}

func TestHooks(t *testing.T) {
	t.Parallel()
	var struck []string
	hook := func(name string) func(context.Context, faults.Injection) {
		return func(_ context.Context, i faults.Injection) { struck = append(struck, name+" "+i.Host) }
	}
	config := faults.Config{Hooks: faults.Hooks{Pause: hook("pause"), Crash: hook("crash"), Restart: hook("restart")}}
	for _, test := range []struct {
		at         place
		plan, want string
		code       connect.Code // 0: none
		ran        int
	}{
		{inCalls, "a: pause(5s) phase=before-handler", "pause server", 0, 1},
		{inCalls, "a: crash phase=before-handler", "crash server", connect.CodeUnavailable, 0},
		{inCalls, "a: crash phase=after-handler", "crash server", connect.CodeUnavailable, 1},
		{inCalls, "a: restart(2s) side=client", "restart client", connect.CodeCanceled, 0},
		{atCaller, "a: crash(host=other)", "crash other", 0, 1},
		{atCaller, "a: crash(host=client) phase=response-in-flight", "crash client", connect.CodeUnavailable, 1},
		{atCallee, "a: crash phase=response-in-flight", "crash server", connect.CodeUnavailable, 1},
	} {
		struck = nil
		w := newDirect(newInjector(t, config, test.plan), test.at)
		_, err := w.ask(t.Context(), "hi")
		if !slices.Equal(struck, []string{test.want}) || err != nil && connect.CodeOf(err) != test.code || err == nil && test.code != 0 {
			t.Errorf("%s: got %q, %v", test.plan, struck, err)
		}
		if ran := len(w.echo.take()); ran != test.ran {
			t.Errorf("%s: the handler ran %d times", test.plan, ran)
		}
	}
	plan, _ := faults.ParsePlan("a: crash phase=after-handler")
	if err := faults.New(faults.Config{}).Apply(plan); err == nil || !strings.Contains(err.Error(), "rule a: crash: this host cannot do that to itself") {
		t.Errorf("got %v", err)
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	send := "phase=request-before-send"
	receive := "phase=response-in-flight side=client"
	for name, test := range map[string]struct{ plan, want string }{
		"untouched":             {"a: drop nth=99 message=* " + send, "1 2 3 EOF"},
		"request lost":          {"a: drop message=2 " + send, "1 3 EOF"},
		"request twice":         {"a: duplicate message=2 " + send, "1 2 2 3 EOF"},
		"request later":         {"a: reorder(1m) message=2 " + send, "1 3 2 EOF"},
		"last request later":    {"a: reorder(1m) message=3 " + send, "1 2 3 EOF"},
		"request fails":         {"a: error(aborted) message=2 " + send, "send aborted; aborted"},
		"stream fails":          {"a: error(aborted) " + send, "send aborted; aborted"},
		"arrived request lost":  {"a: drop message=2 phase=before-handler", "1 3 EOF"},
		"arrived request fails": {"a: error(aborted) message=2 phase=before-handler", "1 aborted"},
		"handler not reached":   {"a: error(aborted) phase=before-handler", "aborted"},
		"answer lost":           {"a: drop message=2 phase=after-handler", "1 3 EOF"},
		"answer twice":          {"a: duplicate message=3 phase=after-handler", "1 2 3 3 EOF"},
		"answer later":          {"a: reorder(1m) message=1 phase=after-handler", "2 1 3 EOF"},
		"last answer later":     {"a: reorder(1m) message=3 phase=after-handler", "1 2 3 EOF"},
		"answer soon":           {"a: reorder(1ms) message=3 phase=after-handler", "1 2 3 EOF"},
		"answer fails":          {"a: error(aborted) message=2 phase=after-handler", "1 aborted"},
		"end fails":             {"a: error(aborted) phase=after-handler", "1 2 3 aborted"},
		"arrived answer lost":   {"a: drop message=2 " + receive, "1 3 EOF"},
		"arrived answer fails":  {"a: error(aborted) message=2 " + receive, "1 aborted"},
		"arrived end fails":     {"a: error(aborted) " + receive, "1 2 3 aborted"},
		"with delays":           {allPhases("delay(1ms)", ""), "1 2 3 EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, newInjector(t, faults.Config{}, test.plan), everywhere, true)
			if got := duplex(t.Context(), w); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// duplex sends three messages, and returns what comes back.
func duplex(ctx context.Context, w *wire) string {
	stream := w.stream(duplexProcedure).CallBidiStream(ctx)
	var seen []string
	for n := range 3 {
		if err := stream.Send(wrapperspb.String(fmt.Sprint(n + 1))); err != nil && !errors.Is(err, io.EOF) {
			seen = append(seen, fmt.Sprintf("send %v;", connect.CodeOf(err)))
			break
		}
	}
	_ = stream.CloseRequest()
	defer func() { _ = stream.CloseResponse() }()
	for {
		answer, err := stream.Receive()
		switch {
		case err == nil:
			seen = append(seen, answer.GetValue())
			continue
		case errors.Is(err, io.EOF):
			seen = append(seen, "EOF")
		default:
			seen = append(seen, connect.CodeOf(err).String())
		}
		return strings.Join(seen, " ")
	}
}

func TestDroppedStreamEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	for _, plan := range []string{
		"a: drop phase=request-before-send", "a: drop phase=before-handler", "a: drop phase=after-handler",
		"a: drop phase=response-in-flight side=client", "a: drop", "a: drop phase=response-in-flight", "a: hold side=client message=2",
	} {
		w := newWire(t, newInjector(t, faults.Config{}, plan), everywhere, true)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if got := duplex(ctx, w); !strings.HasSuffix(got, "deadline_exceeded") {
			t.Errorf("%s: got %s", plan, got)
		}
		cancel()
	}
}

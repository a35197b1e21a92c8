package faults_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	"github.com/frayrpc/fray/gen/faults/v1/faultsv1connect"
)

func TestService(t *testing.T) {
	t.Parallel()
	injector := newInjector(t, faults.Config{Procedures: []string{unaryProcedure}}, "base: drop nth=99")
	mux := http.NewServeMux()
	mux.Handle(faults.NewService(injector, connect.WithInterceptors(injector.Interceptor("server"))))
	server := httptest.NewServer(injector.Handler(mux, "server"))
	t.Cleanup(server.Close)
	client := faultsv1connect.NewFaultServiceClient(server.Client(), server.URL)
	get := func() *faultsv1.GetPlanResponse {
		res, err := client.GetPlan(t.Context(), &faultsv1.GetPlanRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := get(); len(res.GetRules()) != 1 || res.GetRemainingMs() != 0 {
		t.Errorf("got %v", res)
	}

	// The plan concerns everything, but not the service that can end it.
	applied, err := client.ApplyPlan(t.Context(), &faultsv1.ApplyPlanRequest{Rules: []string{"a:drop", "b: error(aborted) side=client"}, Seed: 7})
	if err != nil || applied.GetTtlMs() != faults.DefaultTTL.Milliseconds() || applied.GetRules()[0] != "a: drop phase=request-in-flight" {
		t.Fatalf("got %v, %v", applied, err)
	}
	if _, err := newDirect(injector, inCalls).ask(t.Context(), "x"); connect.CodeOf(err) != connect.CodeAborted {
		t.Errorf("got %v", err)
	}
	res := get()
	if res.GetSeed() != 7 || res.GetRemainingMs() < 1 || res.GetRules()[1].GetFiredCount() != 1 || res.GetRules()[1].GetMatchedCount() != 1 {
		t.Errorf("got %v", res)
	}

	for want, req := range map[string]*faultsv1.ApplyPlanRequest{
		"rules[1], column 4: rule b: action":    {Rules: []string{"a: drop", "b: dorp"}},
		"rule a: the id is there twice":         {Rules: []string{"a: drop", "a: drop"}},
		"did you mean " + unaryProcedure:        {Rules: []string{"a: drop procedure=/test.v1.EchoService/Unray"}},
		"rule a: crash: this host cannot":       {Rules: []string{"a: crash"}},
		"ttl_ms -1 is not between":              {TtlMs: -1},
		"ttl_ms 9223372036854775807 is not bet": {TtlMs: 1<<63 - 1},
		"plan has 1025 rules":                   {Rules: make([]string, faults.MaxRules+1)},
	} {
		_, err := client.ApplyPlan(t.Context(), req)
		if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	// A rule that waits for an event sleeps until it is told of it.
	if _, err := client.ApplyPlan(t.Context(), &faultsv1.ApplyPlanRequest{Rules: []string{"a: error(aborted) side=client event=now"}}); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []string{"", "later", "now"} {
		if signal != "" {
			if _, err := client.SignalEvent(t.Context(), &faultsv1.SignalEventRequest{Event: signal}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := newDirect(injector, inCalls).ask(t.Context(), "x"); (connect.CodeOf(err) == connect.CodeAborted) != (signal == "now") {
			t.Errorf("after the event %q: %v", signal, err)
		}
	}
	if _, err := client.ClearPlan(t.Context(), &faultsv1.ClearPlanRequest{}); err != nil || len(get().GetRules()) != 0 {
		t.Error("the plan is not cleared", err)
	}
	injector.Close()
	if _, err := client.ApplyPlan(t.Context(), &faultsv1.ApplyPlanRequest{}); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}

func TestPlanEndsWithItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		injector := newInjector(t, faults.Config{}, "base: error(aborted) side=client nth=2")
		w := newDirect(injector, inCalls)
		codes := func() (codes string) {
			_, err := w.ask(t.Context(), "x")
			return connect.CodeOf(err).String()
		}
		seen := []string{codes()}
		for range 2 { // the second takes the place of the first
			plan := faults.Plan{Rules: []faults.Rule{{ID: "a", Side: faults.Client, Action: faults.Action{Kind: faults.Error, Code: connect.CodeInternal}}}}
			if err := injector.ApplyFor(plan, time.Minute); err != nil {
				t.Fatal(err)
			}
			seen = append(seen, codes())
			time.Sleep(59 * time.Second)
		}
		seen = append(seen, codes())
		time.Sleep(2 * time.Second)
		seen = append(seen, codes()) // the second match of the first plan, which went on
		if want := []string{"unknown", "internal", "internal", "internal", "aborted"}; !reflect.DeepEqual(seen[1:], want[1:]) {
			t.Errorf("got %v, want %v", seen, want)
		}
		if err := injector.ApplyFor(faults.Plan{}, 0); err == nil {
			t.Error("no time is accepted as a time")
		}
		// A plan without rules suspends the first one, and a held call ends with its plan.
		if err := injector.ApplyFor(faults.Plan{}, time.Minute); err != nil || len(injector.Status().Rules) != 0 {
			t.Errorf("got %v, %v", injector.Status(), err)
		}
		time.Sleep(2 * time.Minute)
		if status := injector.Status(); len(status.Rules) != 1 || status.Rules[0].Fired != 1 {
			t.Errorf("got %v", status)
		}
		hold, _ := faults.ParsePlan("stuck: hold side=client")
		if err := injector.ApplyFor(hold, time.Minute); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := w.ask(t.Context(), "x"); err != nil || time.Since(start).Round(time.Millisecond) != time.Minute {
			t.Errorf("held for %v, %v", time.Since(start), err)
		}
	})
}

func TestCountsAndObserver(t *testing.T) {
	t.Parallel()
	var seen []string
	injector := newInjector(t, faults.Config{
		OnInject: func(i faults.Injection) {
			seen = append(seen, fmt.Sprintln(i.Rule.ID, i.Side, i.Phase, i.Procedure, i.From, i.To, i.Message, i.Match, i.Latency))
		},
		PeerName: func(address string) string { return "peer of " + address },
	}, "a: delay(1ms) side=client every=2\nb: error(aborted) phase=after-handler message=1 first=1")
	w := newDirect(injector, inCalls)
	for range 4 {
		_, _ = w.ask(t.Context(), "x")
	}
	want := []faults.Count{
		{Kind: faults.Delay, Procedure: unaryProcedure, Phase: faults.RequestBeforeSend, Total: 2},
		{Kind: faults.Error, Procedure: unaryProcedure, Phase: faults.AfterHandler, Total: 1},
	}
	if got := injector.Counts(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v", got)
	}
	if want := "b server after-handler " + unaryProcedure + " peer of 10.0.0.1:555 server 1 1 0s\n" +
		"a client request-before-send " + unaryProcedure + " client server:80 0 2 1ms\n" +
		"a client request-before-send " + unaryProcedure + " client server:80 0 4 1ms\n"; strings.Join(seen, "") != want {
		t.Errorf("got %s", seen)
	}
}

// TestCloseEndsWhatWaits is about calls without a deadline, and copies that are still to come.
func TestCloseEndsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		injector := newInjector(t, faults.Config{}, "late: duplicate(later=1h)\nlost: drop phase=response-in-flight")
		w := newDirect(injector, atCaller)
		errs := make(chan error, 1)
		go func() {
			_, err := w.ask(context.Background(), "x")
			errs <- err
		}()
		time.Sleep(time.Minute)
		injector.Close()
		if err := <-errs; err == nil || !strings.Contains(err.Error(), "fault injector is closed") {
			t.Errorf("got %v", err)
		}
		if seen := w.echo.take(); len(seen) != 1 {
			t.Errorf("got %q", seen)
		}
	})
}

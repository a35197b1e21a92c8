package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/faults"
)

func TestConnectionRulesThatCannotAct(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: reorder(1s) procedure=tcp:7":                                 "TCP makes good a reorder before anybody reads; use delay, which costs time as that does",
		"a: duplicate procedure=tcp:7":                                   "TCP makes good a duplicate before anybody reads",
		"a: drop side=client procedure=tcp:7":                            "what is on side client has calls, and no connections; use side=network",
		"a: drop phase=after-handler procedure=tcp:*":                    "what is on side server has calls, and no connections; use side=network",
		"a: drop header=A:b procedure=tcp:7":                             "a connection has no headers; take header=A out",
		"a: error(aborted) procedure=tcp:7":                              "a connection that is refused says nothing but that; write error(unavailable)",
		"a: error(unavailable, sorry) procedure=tcp:7":                   "a connection that is refused says nothing but that; write error(unavailable)",
		"a: error(unavailable) procedure=tcp:7 phase=response-in-flight": "a connection can be refused when it is asked for, and has no errors later; use phase=request-in-flight or reset",
		"a: drop procedure=tcp:postgres":                                 `procedure "tcp:postgres" never matches, because "postgres" is no port; write it like tcp:5432, with * for any text`,
		"a: drop procedure=tcp:":                                         `"" is no port`,
		"a: drop procedure=tcp:0":                                        `"0" is no port`,
		"a: drop procedure=tcp:65536":                                    `"65536" is no port`,
		"a: drop procedure=*:7":                                          `procedure "*:7" has a character that no procedure has`,
	} {
		_, err := faults.ParsePlan("b: drop\n" + text)
		var invalid *faults.RuleError
		if !errors.As(err, &invalid) || invalid.Rule != "a" || invalid.Line != 2 || invalid.Column == 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// A process whose injector judges no connections says so.
func TestConnectionRulesWithoutConnections(t *testing.T) {
	t.Parallel()
	injector := faults.New(faults.Config{})
	defer injector.Close()
	rule, err := faults.ParseRule("a: drop procedure=tcp:7")
	if err != nil {
		t.Fatal(err)
	}
	plan := faults.Plan{Rules: []faults.Rule{rule}}
	if err := injector.Apply(plan); err != nil {
		t.Fatal(err)
	}
	if idle := injector.Status().Rules[0].Idle; !strings.Contains(idle, "no adapter for connections") {
		t.Errorf("the rule is idle because %q", idle)
	}
	injector.RoundTripper(http.DefaultTransport, "client")
	if err := injector.Apply(plan); err == nil || !strings.Contains(err.Error(), "rule a: the rule can never act: the process has no adapter for connections") {
		t.Errorf("got %v", err)
	}
}

// What becomes of the messages of a connection, in short.
func TestJudge(t *testing.T) {
	t.Parallel()
	for rules, want := range map[string]string{
		"a: drop nth=2":                          "- lost:a - -",
		"a: drop nth=2\nb: drop":                 "lost:b lost:a lost:b lost:b",
		"a: delay(1s)\nb: delay(2s) nth=3":       "a+1s a+1s a+3s a+1s",
		"a: throttle(10B/s)":                     "a a+1s a+2s a+3s", // The last three have 10 bytes each.
		"a: throttle(10B/s)\nb: throttle(5B/s)":  "a a+2s a+4s a+6s",
		"a: throttle(10B/s) nth=2\nb: delay(1s)": "b+1s a+2s b+1s b+1s",
		"a: hold window=..5s":                    "a+5s a+5s a+5s a+5s",
		"a: hold\nb: release(a) nth=3":           "a+24h0m0s a+24h0m0s a -",
		"a: error(unavailable)":                  "refused:a - - -",
		"a: reset":                               "refused:a reset:0:a reset:0:a reset:0:a",
		"a: reset(15B)":                          "a - reset:5:a reset:0:a",
		"a: reset(10B)":                          "a reset:10:a reset:0:a reset:0:a",
		"a: truncate(15B) nth=2":                 "- a truncate:5:a truncate:0:a",
		"a: truncate(9B)\nb: reset(25B)":         "a truncate:9:a truncate:0:a truncate:0:a",
		"a: crash nth=2\nb: pause(1s, host=x)":   "b[pause x] a[crash server][pause x] b[pause x] b[pause x]",
		"a: duplicate":                           "- - - -",
		"a: reorder(1s)":                         "- - - -",
		"a: error(aborted)":                      "- - - -",
		"a: drop header=A:b":                     "- - - -",
		"a: drop side=client":                    "- - - -",
		"a: drop procedure=/tcp/7":               "- - - -",
		"a: drop procedure=tcp:7":                "lost:a lost:a lost:a lost:a",
		"a: drop phase=response-in-flight":       "- - - -",
		"a: partition from=s* to=c*":             "lost:a lost:a lost:a lost:a",
		"a: partition(one-way) from=s* to=c*":    "- - - -",
	} {
		t.Run(rules, func(t *testing.T) {
			t.Parallel()
			plan, err := faults.ParsePlan(rules)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				hook := func(context.Context, faults.Injection) { t.Error("a hook is called") }
				injector := faults.New(faults.Config{Connections: true, Hooks: faults.Hooks{Pause: hook, Crash: hook, Restart: hook}})
				defer injector.Close()
				if err := injector.Apply(plan); err != nil {
					t.Fatal(err)
				}
				passage := faults.Passage{Phase: faults.RequestInFlight, Procedure: "tcp:7", From: "client", To: "server"}
				var got []string
				for n := range 4 {
					segment := faults.Segment{Opens: n == 0}
					if n > 0 {
						segment.Offset, segment.Size = int64(n-1)*10, 10
					}
					got = append(got, inShort(injector.Judge(&passage, segment)))
				}
				if got := strings.Join(got, " "); got != want {
					t.Errorf("got %s\nwant %s", got, want)
				}
			})
		})
	}
}

// inShort returns a verdict in short: what happens, and by which rule.
func inShort(v faults.Verdict) string {
	var b strings.Builder
	switch {
	case v.Lost:
		b.WriteString("lost:")
	case v.Refused:
		b.WriteString("refused:")
	case v.Cut != "":
		fmt.Fprintf(&b, "%s:%d:", v.Cut, v.Keep)
	}
	b.WriteString(v.Rule)
	if !v.Wait.Over() {
		fmt.Fprintf(&b, "+%s", time.Until(v.Wait.Until()))
	}
	for _, f := range v.Injected {
		if f.Host != "" {
			fmt.Fprintf(&b, "[%s %s]", f.Rule.Action.Kind, f.Host)
		}
	}
	if b.Len() == 0 {
		return "-"
	}
	return b.String()
}

// What is kept is let go early by a release and by the end of a plan, and its keeper is told.
func TestWaitEndsEarly(t *testing.T) {
	t.Parallel()
	for name, free := range map[string]func(i *faults.Injector){
		"released": func(i *faults.Injector) { i.Release("a") },
		"cleared":  func(i *faults.Injector) { i.Clear() },
		"replaced": func(i *faults.Injector) { _ = i.Apply(faults.Plan{}) },
		"closed":   func(i *faults.Injector) { i.Close() },
	} {
		told := 0
		injector := faults.New(faults.Config{Connections: true, OnRelease: func() { told++ }})
		plan, err := faults.ParsePlan("a: hold")
		if err != nil {
			t.Fatal(err)
		}
		if err := injector.Apply(plan); err != nil {
			t.Fatal(err)
		}
		passage := faults.Passage{Phase: faults.ResponseInFlight, Procedure: "tcp:7", From: "client", To: "server"}
		if injector.Blocks(&passage) {
			t.Errorf("%s: the rule is for requests, and blocks answers", name)
		}
		passage.Phase = faults.RequestInFlight
		v := injector.Judge(&passage, faults.Segment{Opens: true})
		if v.Wait.Over() || !injector.Blocks(&passage) || told != 0 {
			t.Errorf("%s: over before its time", name)
		}
		free(injector)
		if !v.Wait.Over() || injector.Blocks(&passage) || told == 0 {
			t.Errorf("%s: not over, told %d times", name, told)
		}
		injector.Close()
	}
}

// Only what acts on everything blocks.
func TestBlocks(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]bool{
		"a: drop": true, "a: partition": true, "a: hold": true, "a: drop every=1": true, "a: drop window=..1h": true,
		"a: drop probability=0.9": false, "a: drop nth=1": false, "a: drop every=2": false, "a: drop first=9": false, "a: drop after=1": false,
		"a: drop event=now": false, "a: drop window=1h..": false, "a: drop to=other": false, "a: delay(1h)": false,
	} {
		injector := faults.New(faults.Config{Connections: true})
		plan, err := faults.ParsePlan(rule)
		if err != nil {
			t.Fatal(err)
		}
		if err := injector.Apply(plan); err != nil {
			t.Fatal(err)
		}
		passage := faults.Passage{Phase: faults.RequestInFlight, Procedure: "tcp:7", From: "client", To: "server"}
		if got := injector.Blocks(&passage); got != want {
			t.Errorf("%s: got %t", rule, got)
		}
		if matched := injector.Status().Rules[0].Matched; matched != 0 {
			t.Errorf("%s: it has matched %d times", rule, matched)
		}
		injector.Close()
	}
}

package process

import (
	"testing"
	"time"

	"github.com/frayrpc/fray/faults"
)

// A process that starts in the middle of a run has the faults that are left of it.
func TestRulesGoOnInANewProcess(t *testing.T) {
	t.Parallel()
	const now = 10 * time.Second
	for want, p := range map[string]placed{
		"r: drop phase=request-in-flight":                {},
		"r: drop phase=request-in-flight window=5s..10s": {Rule: faults.Rule{Window: faults.Window{From: 15 * time.Second, Until: 20 * time.Second}}},
		"r: drop phase=request-in-flight window=..2s":    {Rule: faults.Rule{Window: faults.Window{From: time.Second, Until: 12 * time.Second}}},
		"over: window": {Rule: faults.Rule{Window: faults.Window{Until: now}}},
		"r: drop phase=request-in-flight event=e window=1s..": {Rule: faults.Rule{Event: "e", Window: faults.Window{From: time.Second}}},
		"r: drop phase=request-in-flight window=1s.. ":        {Rule: faults.Rule{Event: "e", Window: faults.Window{From: 4 * time.Second}}, come: true, since: 7 * time.Second},
		"r: drop phase=request-in-flight first=2":             {Rule: faults.Rule{First: 5}, fired: 3},
		"over: first":                           {Rule: faults.Rule{First: 3}, struck: 3},
		"over: nth":                             {Rule: faults.Rule{Nth: 9}, fired: 1},
		"r: drop phase=request-in-flight nth=9": {Rule: faults.Rule{Nth: 9}},
	} {
		p.ID, p.Action = "r", faults.Action{Kind: faults.Drop}
		rule, ok := p.from(now)
		got := rule.String()
		if !ok {
			got = want
			if want[:4] != "over" {
				t.Errorf("it is over, want %s", want)
			}
		}
		wanted, err := faults.ParseRule(want)
		if err == nil {
			want = wanted.String()
		}
		if ok && got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What only the controller sees is for the controller, and what it cannot do for those who call it.
func TestRulesGoWhereTheyCanAct(t *testing.T) {
	t.Parallel()
	for text, caller := range map[string]bool{
		"r: drop":                                                false,
		"r: drop phase=response-in-flight":                       false,
		"r: error(aborted) phase=after-handler":                  false,
		"r: error(aborted) side=server":                          false,
		"r: delay(1s) phase=request-before-send":                 true,
		"r: error(aborted) side=client":                          true,
		"r: crash":                                               false,
		"r: restart(1s, host=controller)":                        false,
		"r: crash(host=worker-1)":                                true,
		"r: pause(1s)":                                           true,
		"r: crash(host=controller) phase=request-before-send":    true,
		"r: partition from=worker-1 to=controller":               false,
		"r: crash(host=controller) phase=after-handler nth=3":    false,
		"r: error(aborted) side=client phase=response-in-flight": true,
	} {
		rule, err := faults.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		if atCaller(&rule) != caller {
			t.Errorf("%s: at the caller %v, want %v", text, !caller, caller)
		}
	}
}

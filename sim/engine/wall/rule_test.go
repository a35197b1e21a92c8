package wall

import (
	"testing"
	"time"

	"github.com/frayrpc/fray/faults"
)

// A process that starts in the middle of a run has the faults that are left of it.
func TestRulesGoOnInANewProcess(t *testing.T) {
	t.Parallel()
	const now = 10 * time.Second
	for want, p := range map[string]struct {
		Rule

		acted uint64
	}{
		"r: drop phase=request-in-flight":                {},
		"r: drop phase=request-in-flight window=5s..10s": {Rule: Rule{Rule: faults.Rule{Window: faults.Window{From: 15 * time.Second, Until: 20 * time.Second}}}},
		"r: drop phase=request-in-flight window=..2s":    {Rule: Rule{Rule: faults.Rule{Window: faults.Window{From: time.Second, Until: 12 * time.Second}}}},
		"over: window": {Rule: Rule{Rule: faults.Rule{Window: faults.Window{Until: now}}}},
		"r: drop phase=request-in-flight event=e window=1s..": {Rule: Rule{Rule: faults.Rule{Event: "e", Window: faults.Window{From: time.Second}}}},
		"r: drop phase=request-in-flight window=1s.. ":        {Rule: Rule{Rule: faults.Rule{Event: "e", Window: faults.Window{From: 4 * time.Second}}, come: true, since: 7 * time.Second}},
		"r: drop phase=request-in-flight first=2":             {Rule: Rule{Rule: faults.Rule{First: 5}}, acted: 3},
		"over: first":                           {Rule: Rule{Rule: faults.Rule{First: 3}}, acted: 3},
		"over: nth":                             {Rule: Rule{Rule: faults.Rule{Nth: 9}}, acted: 1},
		"r: drop phase=request-in-flight nth=9": {Rule: Rule{Rule: faults.Rule{Nth: 9}}},
	} {
		p.ID, p.Action = "r", faults.Action{Kind: faults.Drop}
		rule, ok := p.Rest(now, p.acted)
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

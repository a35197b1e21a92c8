package faults_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/frayrpc/fray/faults"
)

// A plan is read, or refused with the line of each mistake; and what was read is written as the same plan.
func FuzzParsePlan(f *testing.F) {
	for _, text := range []string{
		"", "# nothing\n\nseed 7\r\nlost: drop phase=response-in-flight procedure=*/ReportTasks nth=3\n", "seed 1\nseed 2", "seed -1", "seed  \t5",
		"a: delay for=1s\na: delay for=1s", "a: crash\nb: nonsense\nc:", "slow: delay for=1s procedure=*/GetTask event=noon\n p: partition hosts=a|b window=0s..2s",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plan, err := faults.ParsePlan(text)
		if err != nil {
			lines := strings.Count(text, "\n") + 1
			var at *faults.RuleError
			if errors.As(err, &at) && (at.Line < 0 || at.Line > lines || at.Problem == "") {
				t.Errorf("a mistake in line %d of %d: %v", at.Line, lines, err)
			}
			return
		}
		written := fmt.Sprintf("seed %d\n", plan.Seed)
		for _, rule := range plan.Rules {
			written += rule.String() + "\n"
		}
		again, err := faults.ParsePlan(written)
		if err != nil || !reflect.DeepEqual(again, plan) {
			t.Errorf("%q is written as %q, and read as %v, %v", text, written, again, err)
		}
	})
}

package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/frayrpc/fray/sim/engine"
)

// work is what the runs of a sweep came to in all, as far as it is the same for any subject.
type work struct {
	ran, faults int
	kinds       map[string]int // of faults
	oracles     []string
	judged      map[string]bool // by an oracle, in some run
	sum         engine.Sum      // nil: the subject has none
}

func (t *work) add(r *engine.Result) {
	if len(r.Facts) == 0 {
		return // There was no run.
	}
	if t.kinds == nil {
		t.kinds, t.judged = map[string]int{}, map[string]bool{}
	}
	for _, c := range r.Oracles {
		if _, known := t.judged[c.Oracle]; !known {
			t.oracles = append(t.oracles, c.Oracle)
		}
		t.judged[c.Oracle] = t.judged[c.Oracle] || c.Judged()
	}
	t.ran++
	for _, fault := range r.Faults {
		t.faults += fault.Fired
		t.kinds[fault.Kind] += fault.Fired
	}
	if t.sum != nil {
		t.sum.Add(r)
	}
}

// write writes it, or nothing of runs that did nothing.
func (t *work) write(w io.Writer) {
	var lines []engine.Line
	if t.sum != nil {
		lines = t.sum.Lines()
	}
	if t.ran == 0 || t.sum != nil && len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "\nfaults    %d injected", t.faults)
	kinds := slices.Collect(maps.Keys(t.kinds))
	slices.SortFunc(kinds, func(a, b string) int { return cmp.Or(t.kinds[b]-t.kinds[a], strings.Compare(a, b)) })
	separator := ": "
	for _, kind := range kinds {
		if n := t.kinds[kind]; n > 0 {
			fmt.Fprintf(w, "%s%s %d", separator, kind, n)
			separator = ", "
		}
	}
	fmt.Fprintln(w)
	writeLines(w, lines)
	idle := slices.DeleteFunc(slices.Clone(t.oracles), func(name string) bool { return t.judged[name] })
	if len(idle) > 0 {
		fmt.Fprintf(w, "not judged in any run: %s\n", strings.Join(idle, ", "))
	}
}

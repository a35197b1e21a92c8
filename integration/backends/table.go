package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/frayrpc/fray/fray"
)

// Attributes of the suite's tests.
const (
	backendKey      = "backend"
	behaviourKey    = "behaviour"
	inapplicableKey = "inapplicable" // why the backend does not have the behaviour
)

// maxLog is how much is kept of what a test or a package writes, in bytes.
const maxLog = 64 << 10

// event is a line of go test -json, see go doc test2json.
type event struct {
	Action, Package, Test, Output, Key, Value string

	ImportPath string // of what is built; it has no Package
}

// outcome is what came of a behaviour, the worst last.
type outcome int

const (
	untested outcome = iota
	inapplicable
	passed
	failed
)

func (o outcome) String() string { return [...]string{"", "-", "pass", "FAIL"}[o] }

// test is a test, a package whose tests run, or one that is built.
type test struct {
	name       string
	built      bool // of a build, whose end is told only if it fails
	attributes map[string]string
	log        strings.Builder
}

// cell is a place in the table.
type cell struct{ behaviour, backend string }

// table is what came of the tests so far.
type table struct {
	backends   []string
	behaviours []string // in the order of the suite
	cells      map[cell]outcome
	reasons    []string            // why cells are inapplicable
	without    map[string][]string // backends, by reason

	open    map[string]*test // by package and name
	ended   bool             // a package has
	broken  []*test          // they failed, in the order of their ends
	trouble []string         // what else is wrong
}

func newTable(kinds []fray.Kind) *table {
	t := &table{cells: make(map[cell]outcome), without: make(map[string][]string), open: make(map[string]*test)}
	for _, k := range kinds {
		t.backends = append(t.backends, string(k))
	}
	return t
}

// note takes an event in.
func (t *table) note(e event) {
	id := e.ImportPath + " " + e.Package + " " + e.Test
	of := t.open[id]
	if of == nil {
		of = &test{
			name: cmp.Or(e.Test, e.Package, e.ImportPath), built: e.Package == "", attributes: make(map[string]string),
		}
		t.open[id] = of
	}
	switch e.Action {
	case "output", "build-output":
		if !isProgress(e.Output) && of.log.Len()+len(e.Output) <= maxLog {
			of.log.WriteString(e.Output)
		}
	case "attr":
		of.attributes[e.Key] = e.Value
		if e.Key == behaviourKey && !slices.Contains(t.behaviours, e.Value) {
			t.behaviours = append(t.behaviours, e.Value)
		}
	case "pass", "skip", "fail", "build-fail":
		delete(t.open, id)
		t.end(of, e.Action)
		t.ended = t.ended || e.Test == "" && !of.built
	}
}

// isProgress says whether a line is what go test itself writes of a test's course.
func isProgress(line string) bool {
	line = strings.TrimLeft(line, " ")
	return strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ")
}

// end notes how a test ended.
func (t *table) end(of *test, action string) {
	o := failed
	switch action {
	case "pass":
		o = passed
	case "skip":
		o = inapplicable
	}
	if o == failed {
		t.broken = append(t.broken, of)
	}
	behaviour, backend := of.attributes[behaviourKey], of.attributes[backendKey]
	if behaviour == "" {
		return
	}
	reason := of.attributes[inapplicableKey]
	switch {
	case !slices.Contains(t.backends, backend):
		t.trouble = append(t.trouble, fmt.Sprintf("%s is of backend %q, which the table does not have", of.name, backend))
	case o == inapplicable && reason == "":
		t.trouble = append(t.trouble, of.name+" was skipped, and does not say why the backend does not have the behaviour")
		o = failed
	case o == inapplicable:
		if !slices.Contains(t.reasons, reason) {
			t.reasons = append(t.reasons, reason)
		}
		if !slices.Contains(t.without[reason], backend) {
			t.without[reason] = append(t.without[reason], backend)
		}
	}
	at := cell{behaviour, backend}
	t.cells[at] = max(t.cells[at], o)
}

// close takes in that there are no more events.
func (t *table) close() {
	if !t.ended {
		t.trouble = append(t.trouble, "go test did not come to the end of a package: see what it wrote before this")
	}
	ids := make([]string, 0, len(t.open))
	for id, of := range t.open {
		if !of.built {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		of := t.open[id]
		t.trouble = append(t.trouble, of.name+" did not end")
		t.end(of, "fail")
	}
	for _, backend := range t.backends {
		tested := 0
		for _, behaviour := range t.behaviours {
			if t.cells[cell{behaviour, backend}] != untested {
				tested++
			}
		}
		if tested < len(t.behaviours) || tested == 0 {
			what := fmt.Sprintf("%s was tested for %d of %d behaviours", backend, tested, len(t.behaviours))
			t.trouble = append(t.trouble, what)
		}
	}
	slices.Sort(t.reasons)
}

// failed says whether anything did.
func (t *table) failed() bool { return len(t.broken)+len(t.trouble) > 0 }

// write prints the table, what it adds up to, why cells have no outcome, and what went wrong.
func (t *table) write(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BEHAVIOUR\t"+strings.Join(t.backends, "\t"))
	passes := make([]int, len(t.backends))
	for _, behaviour := range t.behaviours {
		fmt.Fprint(w, behaviour)
		for i, backend := range t.backends {
			o := t.cells[cell{behaviour, backend}]
			if o == passed {
				passes[i]++
			}
			fmt.Fprint(w, "\t", o)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d behaviours; pass", len(t.behaviours))
	for _, n := range passes {
		fmt.Fprint(w, "\t", n)
	}
	fmt.Fprintln(w)
	_ = w.Flush() // As fmt.Fprint here, whose errors say that nobody reads.
	if len(t.reasons) > 0 {
		fmt.Fprint(out, "\n- where the backend does not have the behaviour:\n")
	}
	for _, reason := range t.reasons {
		slices.SortFunc(t.without[reason], func(a, b string) int {
			return cmp.Compare(slices.Index(t.backends, a), slices.Index(t.backends, b))
		})
		fmt.Fprintf(out, "  %s: %s\n", strings.Join(t.without[reason], ", "), reason)
	}
	for _, of := range t.broken {
		if of.log.Len() == 0 { // A test below it tells why.
			continue
		}
		fmt.Fprintf(out, "\nFAIL %s\n%s", of.name, of.log.String())
	}
	for i, what := range t.trouble {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, what)
	}
}

package timeline_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/frayrpc/fray/internal/browsertest"
	"github.com/frayrpc/fray/sim/bubble"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/virtual"
	"github.com/frayrpc/fray/sim/story"
	"github.com/frayrpc/fray/sim/timeline"
)

// stuck leaves tasks that do not end in time, and some that fail.
const stuck = `apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: stuck, summary: What the dead worker held runs too late.}
topology:
  workers: [{name: worker, count: 3, slots: 2}]
workload:
  clients: [{name: client, tasks: 40, arrival: {rate: 20/s}}]
  mix: [{name: work, work: {min: 50ms, max: 500ms}, failureProbability: 20%}]
targets: [{name: victim, when: running}]
faults:
  - {id: kill, when: {at: 1s}, action: {crash: {target: victim}}}
expect:
  eventually: [{that: tasks.open == 0 && tasks.unsent == 0, within: 5s}]
`

// A page of a run that failed has the tasks that did not end and that failed, the oracles, and where
// the run parts from one that passes; from each of them it shows the moment, or the task.
func TestBrowserShowsWhatCameOfARun(t *testing.T) {
	s, err := cluster.Parse("stuck.yaml", []byte(stuck))
	if err != nil {
		t.Fatal(err)
	}
	options := system.Options{Options: virtual.Options{Bubble: bubble.In(t)}}
	collector := timeline.New(s)
	collector.Listen(&options.Options)
	r, err := system.Run(t.Context(), s, 1, options)
	if err != nil {
		t.Fatal(err)
	}
	page, err := collector.Page(r, "fray-sim --scenario stuck.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	last := r.About[len(r.About)-1]
	page.Why = &story.Why{Thing: r.Task, Against: "without fault kill (crash)", Before: 3, After: 4, Rows: []story.Row{
		{Bad: &r.About[0], Good: &r.About[0]}, {Bad: &last, First: true}, {Good: &engine.Event{At: 2e9, Host: "worker-1", Kind: "<b>execution-end"}},
	}}
	var text strings.Builder
	if err := page.Write(&text); err != nil {
		t.Fatal(err)
	}
	p := open(t, text.String())
	for selector, want := range map[string]int{
		"#why[open]": 1, "#why tbody tr": 3, "#why tr.first": 1, "#why tr.good": 1, "#why tr.bad": 1, "#why b": 0,
		"#open-tasks tbody tr": min(r.Open.Total, 20), "#failed-tasks tbody tr": min(r.Failed.Total, 20), "#oracles tbody tr": len(r.Oracles), "#oracles[open]": 0,
	} {
		if got := p.Count(selector); got != want {
			t.Errorf("%d of %s, want %d", got, selector, want)
		}
	}
	p.Do(chromedp.Click(chromedp.CSS("#why tr.first button")))
	p.Settle()
	if middle := browsertest.Eval[float64](p, "(view.from + view.until) / 2"); middle < float64(last.At)-30e6 || middle > float64(last.At)+30e6 {
		t.Errorf("the button shows %v ns, and the event was at %d", middle, last.At)
	}
	p.Do(chromedp.Click(chromedp.CSS("#open-tasks summary")), chromedp.Click(chromedp.CSS("#open-tasks tbody tr:first-child .follow")))
	p.Settle()
	if task := browsertest.Eval[string](p, "view.task"); task != r.Open.Tasks[0].Task {
		t.Errorf("the page follows %q", task)
	}
	// On a phone nothing is wider than the screen, but what scrolls in itself.
	for _, width := range []int{1280, 390} {
		p.Do(chromedp.EmulateViewport(int64(width), 844))
		p.Settle()
		if wide := browsertest.Eval[int](p, "document.documentElement.scrollWidth"); wide > width {
			t.Errorf("the page is %d pixels wide on a screen of %d: %s", wide, width, browsertest.Eval[string](p, `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".wide, svg, #stage")).map((e) => e.tagName + "#" + e.id + "." + e.className).slice(0, 8).join(" ")`))
		}
	}
}

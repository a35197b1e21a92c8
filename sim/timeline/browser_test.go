package timeline_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/frayrpc/fray/internal/browsertest"
	"github.com/frayrpc/fray/sim/cluster/system"
)

// open shows a page in the browser, from a file as its user would.
func open(t *testing.T, page string) *browsertest.Page {
	t.Helper()
	p := browsertest.New(t)
	file := filepath.Join(t.TempDir(), "run.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "file", Path: file}
	p.Do(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(address.String()), chromedp.WaitReady(chromedp.CSS("html[data-ready]")))
	return p
}

// says fails the test if the detail does not have all these words.
func says(t *testing.T, p *browsertest.Page, words ...string) {
	t.Helper()
	text := browsertest.Eval[string](p, `document.getElementById("detail").hidden ? "" : document.getElementById("detail").innerText`)
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("the detail %q does not say %q", text, word)
		}
	}
}

func TestBrowserShowsRun(t *testing.T) {
	r, page := draw(t, load(t, "worker-crash"), system.Options{})
	p := open(t, page)
	if lanes := browsertest.Eval[[]string](p, `[...document.querySelectorAll(".lane[data-host]")].map((e) => e.dataset.host)`); strings.Join(lanes, " ") !=
		"client-1 controller worker-1 worker-2 worker-3 auditor" {
		t.Errorf("lanes %v", lanes)
	}
	if n := browsertest.Eval[int](p, "Number(document.getElementById('messages').dataset.arrows)"); n < r.Stats.Delivered/2 {
		t.Errorf("%d arrows of %d messages", n, r.Stats.Delivered)
	}
	for selector, want := range map[string]int{
		"#shapes .span[data-fault=kill]": 1, "#shapes .state.down": 1, "#shapes .attempt.vanished": system.FactsOf(r).Attempts.Vanished, "#shapes .mark.violation": 0,
		"#violation": 0, "#verdict.pass": 1,
	} {
		if got := p.Count(selector); got != want {
			t.Errorf("%d of %s, want %d", got, selector, want)
		}
	}

	// Close up, each attempt is a bar of its own, and tells of itself.
	p.Do(chromedp.Evaluate[chromedp.Void]("show(0.9e9, 1.1e9)"))
	p.Settle()
	p.Hover("#shapes .attempt.vanished")
	says(t, p, "attempt 1", "vanished: its worker died", "1.000000 s", "worker-")
	p.Hover("#shapes .state.down")
	says(t, p, "is down", "killed")
	p.Hover("#shapes .span")
	says(t, p, "fault kill", "crash", "once in the run")
	at := browsertest.Eval[[]float64](p, `(() => { const { p } = drawn[0], b = stage.getBoundingClientRect(); return [b.x + gutter + (p.x1 + p.x2) / 2, b.y + (p.y1 + p.y2) / 2]; })()`)
	p.Do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
	p.Settle()
	says(t, p, "from", "to", "arrived", "call")

	// The keyboard gets to the same.
	p.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#shapes .attempt.succeeded").focus({ focusVisible: true })`))
	p.Settle()
	says(t, p, "outcome", "succeeded", "lease token")
	first := browsertest.Eval[string](p, "document.activeElement.dataset.task")
	p.Do(chromedp.KeyEvent(kb.ArrowRight))
	p.Settle()
	if next := browsertest.Eval[string](p, "document.activeElement.dataset.task"); next == "" || next == first {
		t.Errorf("the arrow went from %q to %q", first, next)
	}
	p.Do(chromedp.KeyEvent("n"))
	p.Settle()
	says(t, p, "sent", "call")
}

func TestBrowserZoomsAndFilters(t *testing.T) {
	_, page := draw(t, load(t, "flaky-network-30-percent"), system.Options{})
	p := open(t, page)
	const arrows, cut = "Number(document.getElementById('messages').dataset.arrows)", "Number(document.getElementById('messages').dataset.cut)"
	all := browsertest.Eval[int](p, arrows)
	if n := browsertest.Eval[int](p, cut); n == 0 || n >= all {
		t.Errorf("%d of %d arrows are cut", n, all)
	}
	p.Do(chromedp.SetValue(chromedp.CSS("#filter-fate"), "lost"), chromedp.Evaluate[chromedp.Void]("filtered()"))
	p.Settle()
	if n, lost := browsertest.Eval[int](p, arrows), browsertest.Eval[int](p, cut); n != lost || n == 0 {
		t.Errorf("of lost messages %d, and %d of them cut", n, lost)
	}
	p.Do(chromedp.Click(chromedp.CSS("#clear")), chromedp.SendKeys(chromedp.CSS("#filter-task"), "client-1.7"))
	p.Settle()
	if n := browsertest.Eval[int](p, arrows); n == 0 || n > 60 {
		t.Errorf("%d arrows are about one task", n)
	}
	p.Do(chromedp.Click(chromedp.CSS("#clear")), chromedp.SendKeys(chromedp.CSS("#filter-host"), "worker-2"))
	p.Settle()
	if n := p.Count(".lane[data-host]"); n != 2 {
		t.Errorf("%d lanes, want that of worker-2 and the controller's", n)
	}
	p.Do(chromedp.Click(chromedp.CSS("#clear")))
	p.Settle()
	before := browsertest.Eval[float64](p, "view.until - view.from")
	p.Do(chromedp.Click(chromedp.CSS("#zoom-in")), chromedp.Click(chromedp.CSS("#zoom-in")))
	p.Settle()
	after := browsertest.Eval[float64](p, "view.until - view.from")
	if n := browsertest.Eval[int](p, arrows); after > before/3 || n >= all {
		t.Errorf("%d of %d arrows in %v of %v ns", n, all, after, before)
	}
	from := browsertest.Eval[float64](p, "view.from")
	p.Do(chromedp.DragAndDropXY(900, 600, 600, 600))
	p.Settle()
	if moved := browsertest.Eval[float64](p, "view.from"); moved <= from {
		t.Errorf("dragging to the left went from %v to %v", from, moved)
	}
	light := browsertest.Eval[string](p, "getComputedStyle(document.body).backgroundColor")
	p.Do(chromedp.Click(chromedp.CSS("#theme")))
	if dark := browsertest.Eval[string](p, "getComputedStyle(document.body).backgroundColor"); dark == light {
		t.Errorf("light and dark are both %s", dark)
	}
}

func TestBrowserShowsViolation(t *testing.T) {
	r, page := draw(t, load(t, "split-fleet"), system.Options{Controller: acceptStale})
	p := open(t, page)
	if text := browsertest.Eval[string](p, `document.getElementById("violation").innerText`); !strings.Contains(text, r.Broken) ||
		!strings.Contains(text, r.Violations[0].Text) || !strings.Contains(text, r.Violations[0].Task) {
		t.Errorf("the banner says %q", text)
	}
	for selector, atLeast := range map[string]int{"#shapes .mark.violation": 1, "#shapes .tint": 1, "#shapes .span[data-fault=split]": 1, "#shapes .attempt.subject": 1} {
		if got := p.Count(selector); got < atLeast {
			t.Errorf("%d of %s", got, selector)
		}
	}
	// What is out of sight is not drawn, and their hosts may be far apart.
	if about := browsertest.Eval[int](p, "attempts.filter(isSubject).length"); about < 2 {
		t.Errorf("the page has %d attempts of the task that the violation is about", about)
	}
	p.Do(chromedp.Click(chromedp.CSS(".proof li:last-child button")))
	p.Settle()
	if off := browsertest.Eval[float64](p, "Math.abs(xOf(run.violation.at) - plotWidth() / 2)"); off > 2 {
		t.Errorf("the violation is %v pixels from the middle", off)
	}
	p.Hover(".flag.violation rect")
	says(t, p, "The run broke "+r.Broken)
}

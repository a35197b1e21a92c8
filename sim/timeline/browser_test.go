package timeline_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/frayrpc/fray/internal/browsertest"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
	"github.com/frayrpc/fray/sim/scenario"
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

// fleet returns a scenario with three hundred workers, of which two die, and some of whose tasks fail.
func fleet(t *testing.T) *scenario.Scenario {
	t.Helper()
	s, err := (scenario.Subjects{cluster.Format()}).Parse("fleet.yaml", []byte(`
apiVersion: fray.sim/v1
kind: Scenario
metadata: {name: fleet, summary: "Three hundred workers, of which two die."}
topology:
  workers:
    - {name: worker, count: 300, slots: 1}
workload:
  clients:
    - {name: client, count: 2, tasks: 900, arrival: {rate: 150/s}}
  mix:
    - {name: work, weight: 100, work: {min: 100ms, max: 900ms}}
    - {name: doomed, weight: 1, failureProbability: 100%, finalFailures: 100%}
faults:
  - {id: kill, when: {at: 2s}, action: {crash: {target: worker-17}}}
  - {id: kill-late, when: {at: 3s}, action: {crash: {target: worker-230}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	small     = 390 // pixels, the width of a phone
	crowdView = "document.getElementById('messages').dataset.crowd"
)

// Of many workers those to which nothing happened share a lane, which opens and closes; messages that
// are too many become a density.
func TestBrowserGroupsWorkers(t *testing.T) {
	r, page := draw(t, fleet(t), system.Options{})
	if r.Failed == nil || !r.Passed() {
		t.Fatalf("%s, with failed tasks %v", r.Verdict, r.Failed)
	}
	p := open(t, page)
	lanes := browsertest.Eval[[]string](p, `layout.rows.filter((r) => r.type !== "fault").map((r) => r.type === "group" ? r.group.name : run.hosts[r.host].name)`)
	if len(lanes) > 40 || !slices.Contains(lanes, "worker-17") || !slices.Contains(lanes, "worker-230") ||
		!slices.ContainsFunc(lanes, func(name string) bool { return strings.HasSuffix(name, " workers") }) {
		t.Errorf("lanes %v", lanes)
	}
	if crowded := browsertest.Eval[string](p, crowdView); crowded != "yes" {
		t.Errorf("%d messages are no crowd", browsertest.Eval[int](p, "drawn.length"))
	}
	if ink := browsertest.Eval[int](p, `(() => { const row = layout.rows.find((r) => r.type === "group"); return Math.round(row.most); })()`); ink < 20 {
		t.Errorf("the group is shown to be busy with %d attempts at most", ink)
	}
	p.Hover("#shapes .item.group")
	says(t, p, "workers", "attempts", "give each a lane")
	// Where a lane has messages they are counted.
	at := browsertest.Eval[[]float64](p, `(() => {
		const [lane, c] = [...crowd.lanes].find(([, c]) => c.sent.some((n) => n > 0)), b = stage.getBoundingClientRect();
		return [b.x + gutter + c.sent.findIndex((n) => n > 0) * columnWidth + 1, b.y + lane.line - view.scroll];
	})()`)
	p.Do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
	p.Settle()
	says(t, p, "messages of", "sent", "Zoom in to see each")

	// A key, and a click on the name, open it; the enter key closes it.
	const count = `layout.rows.filter((r) => r.type === "lane").length`
	before := browsertest.Eval[int](p, count)
	p.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#shapes .item.group").focus()`), chromedp.KeyEvent("g"))
	p.Settle()
	if n := browsertest.Eval[int](p, count); n != 304 {
		t.Errorf("%d lanes after a key, want those of 300 workers, two clients, the controller and the auditor", n)
	}
	p.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#shapes .item.group").focus()`), chromedp.KeyEvent(kb.Enter))
	p.Settle()
	if n := browsertest.Eval[int](p, count); n != before {
		t.Errorf("%d lanes once it is closed, were %d", n, before)
	}
	p.Do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#shapes .label.group").dispatchEvent(new MouseEvent("click", { bubbles: true }))`))
	p.Settle()
	if n := browsertest.Eval[int](p, count); n != 304 {
		t.Errorf("%d lanes after a click", n)
	}
	// A name stands for that host alone.
	p.Do(chromedp.SendKeys(chromedp.CSS("#filter-host"), "worker-1"))
	p.Settle()
	if n := browsertest.Eval[int](p, count); n != 2 {
		t.Errorf("%d lanes, want that of worker-1 and the controller's", n)
	}
	p.Do(chromedp.Click(chromedp.CSS("#clear")), chromedp.Evaluate[chromedp.Void]("show(1.9e9, 1.95e9)"))
	p.Settle()
	if crowded := browsertest.Eval[string](p, crowdView); crowded != "no" {
		t.Errorf("%d messages are a crowd close up", browsertest.Eval[int](p, "drawn.length"))
	}

	// The tables beside it.
	for selector, want := range map[string]int{
		"#failed-tasks tbody tr": len(r.Failed.Tasks), "#expected tbody tr": len(r.Eventually), "#oracles tbody tr": len(r.Oracles),
	} {
		if got := p.Count(selector); got != want {
			t.Errorf("%d of %s, want %d", got, selector, want)
		}
	}
}

// What a scenario expects is told with whether it came true, and when.
func TestBrowserTellsExpectations(t *testing.T) {
	s := load(t, "worker-crash")
	s.Expect.Eventually = append(s.Expect.Eventually, scenario.Eventually{That: "tasks.completed == 7", Within: scenario.Duration(time.Second)})
	r, page := draw(t, s, system.Options{})
	if len(r.Eventually) != 2 || !r.Eventually[0].Met || r.Eventually[0].At < r.Eventually[0].Took || r.Eventually[1].Met || r.Eventually[1].At != 0 {
		t.Fatalf("expectations %+v", r.Eventually)
	}
	p := open(t, page)
	text := browsertest.Eval[string](p, `document.getElementById("expected").open ? document.getElementById("expected").innerText : ""`)
	for _, want := range []string{"Expected: 1 of 2 came true", "tasks.completed == 7", "never", "yes"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	p.Do(chromedp.Click(chromedp.CSS("#expected .moment")))
	p.Settle()
	if off := browsertest.Eval[float64](p, fmt.Sprintf("Math.abs(xOf(%d) - plotWidth() / 2)", r.Eventually[0].At)); off > 2 {
		t.Errorf("the moment is %v pixels from the middle", off)
	}
}

// On a phone nothing is wider than the screen, and what a finger is to hit is large enough.
func TestBrowserFitsPhone(t *testing.T) {
	_, failed := draw(t, load(t, "split-fleet"), system.Options{Controller: acceptStale})
	_, many := draw(t, fleet(t), system.Options{})
	for _, page := range []string{failed, many} {
		p := open(t, page)
		p.Screen(small, 844, "light")
		p.Do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach((d) => { d.open = true; })`))
		p.Until("view.width < 390")
		p.Settle()
		if width := browsertest.Eval[int](p, "document.documentElement.scrollWidth"); width > small {
			t.Errorf("the page is %d pixels wide", width)
		}
		tight := browsertest.Eval[[]string](p, `[...document.querySelectorAll("button, select, input, summary")].filter((e) => e.offsetParent).map((e) => [e, e.getBoundingClientRect()])
			.filter(([, b]) => b.height < 40 || b.width < 40 || b.left < 0).map(([e, b]) => (e.id || e.textContent) + " " + b.width + "x" + b.height)`)
		if len(tight) > 0 {
			t.Errorf("too small for a finger: %v", tight)
		}
		if wide := browsertest.Eval[[]string](p, `[...document.querySelectorAll("#controls > *")].filter((e) => e.offsetParent && e.getBoundingClientRect().right > 390).map((e) => e.id || e.textContent)`); len(wide) > 0 {
			t.Errorf("beyond the edge: %v", wide)
		}
		// A tap beside a bar tells of it, and the next one acts.
		near := browsertest.Eval[[]float64](p, `(() => {
			document.getElementById("chart").scrollIntoView();
			const box = stage.getBoundingClientRect(), e = [...shapes.querySelectorAll(".item.attempt")].find((e) => {
				const b = e.firstChild.getBoundingClientRect();
				return b.left > box.left + gutter && b.right < box.right && b.top > box.top && b.bottom + 8 < Math.min(box.bottom, innerHeight);
			});
			if (!e) return [];
			const b = e.firstChild.getBoundingClientRect();
			return [b.left + b.width / 2, b.bottom + 1];
		})()`)
		if len(near) == 0 {
			continue // All bars of a fleet are in its group.
		}
		p.Settle()
		touch := fmt.Sprintf(`(() => { const x = %f, y = %f; document.elementFromPoint(x, y).dispatchEvent(new PointerEvent("click", { bubbles: true, pointerType: "touch", clientX: x, clientY: y })); })()`, near[0], near[1])
		p.Do(chromedp.Evaluate[chromedp.Void](touch))
		p.Settle()
		if told := browsertest.Eval[bool](p, "!detail.hidden"); !told {
			t.Error("a tap beside a bar tells of nothing")
		}
		p.Do(chromedp.Evaluate[chromedp.Void](touch))
		p.Settle()
		if told := browsertest.Eval[bool](p, "!detail.hidden"); told {
			t.Error("the second tap does not act")
		}
	}
}

// Pictures for people to look at go to the directory that this variable names.
const pictures = "FRAY_PICTURES"

func TestBrowserPictures(t *testing.T) {
	dir := os.Getenv(pictures)
	if dir == "" {
		t.Skip("nobody looks: " + pictures + " names no directory")
	}
	_, passed := draw(t, load(t, "worker-crash"), system.Options{})
	_, failed := draw(t, load(t, "split-fleet"), system.Options{Controller: acceptStale})
	_, many := draw(t, fleet(t), system.Options{})
	for name, page := range map[string]string{"worker-crash": passed, "split-fleet": failed, "fleet": many} {
		p := open(t, page)
		for _, screen := range [][2]int64{{1440, 900}, {small, 844}} {
			for _, theme := range []string{"light", "dark"} {
				p.Screen(screen[0], screen[1], theme)
				p.Until(fmt.Sprintf("document.documentElement.dataset.theme === %q && view.width < %d && view.width > %d", theme, screen[0], screen[0]-60))
				p.Settle()
				file := filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, screen[0], theme))
				if err := os.WriteFile(file, p.Picture(), 0o600); err != nil {
					t.Fatal(err)
				}
				if screen[0] != small {
					continue
				}
				p.Do(chromedp.Evaluate[chromedp.Void](`document.getElementById("controls").scrollIntoView()`))
				p.Settle()
				file = filepath.Join(dir, fmt.Sprintf("%s-%d-%s-chart.png", name, screen[0], theme))
				if err := os.WriteFile(file, p.Picture(), 0o600); err != nil {
					t.Fatal(err)
				}
				p.Do(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
			}
		}
	}
}

package timeline_test

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/frayrpc/fray/sim/cluster/system"
)

// browserTimeout bounds what one page may take in the browser.
const browserTimeout = time.Minute

// browser starts a headless Chromium, or skips the test if there is none. FRAY_REQUIRE_BROWSER
// makes that a failure.
func browser(t *testing.T) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		const missing = "there is no Chromium on the PATH, so nobody has looked at the page: install one (Debian: apt-get install chromium)"
		if os.Getenv("FRAY_REQUIRE_BROWSER") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 800), // As root there is no sandbox.
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, browserTimeout)
	t.Cleanup(cancel)
	return ctx
}

// open shows a page in the browser, from a file as its user would.
func open(t *testing.T, ctx context.Context, page string) { //nolint:revive // The test comes first, as in all helpers.
	t.Helper()
	file := filepath.Join(t.TempDir(), "run.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	address := url.URL{Scheme: "file", Path: file}
	do(t, ctx, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(address.String()), chromedp.WaitReady(chromedp.CSS("html[data-ready]")))
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) { //nolint:revive // See open.
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// eval returns what an expression is worth in the page.
func eval[T any](t *testing.T, ctx context.Context, expression string) T { //nolint:revive // See open.
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// settle waits until the page has drawn what it was asked to.
const settle = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"

func settled(t *testing.T, ctx context.Context) { //nolint:revive // See open.
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](settle, chromedp.EvalAwaitPromise)); err != nil {
		t.Fatal(err)
	}
}

// hover moves the pointer to the middle of an element.
func hover(t *testing.T, ctx context.Context, selector string) { //nolint:revive // See open.
	t.Helper()
	at := eval[[]float64](t, ctx, `(() => { const b = document.querySelector("`+selector+`").getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()`)
	do(t, ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
	settled(t, ctx)
}

// says fails the test if the detail does not have all these words.
func says(t *testing.T, ctx context.Context, words ...string) { //nolint:revive // See open.
	t.Helper()
	text := eval[string](t, ctx, `document.getElementById("detail").hidden ? "" : document.getElementById("detail").innerText`)
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("the detail %q does not say %q", text, word)
		}
	}
}

// count returns how many elements a selector has.
func count(t *testing.T, ctx context.Context, selector string) int { //nolint:revive // See open.
	t.Helper()
	return eval[int](t, ctx, `document.querySelectorAll("`+selector+`").length`)
}

func TestBrowserShowsRun(t *testing.T) {
	ctx := browser(t)
	r, page := draw(t, load(t, "worker-crash"), system.Options{})
	open(t, ctx, page)
	if lanes := eval[[]string](t, ctx, `[...document.querySelectorAll(".lane[data-host]")].map((e) => e.dataset.host)`); strings.Join(lanes, " ") !=
		"client-1 controller worker-1 worker-2 worker-3 auditor" {
		t.Errorf("lanes %v", lanes)
	}
	if n := eval[int](t, ctx, "Number(document.getElementById('messages').dataset.arrows)"); n < r.Stats.Delivered/2 {
		t.Errorf("%d arrows of %d messages", n, r.Stats.Delivered)
	}
	for selector, want := range map[string]int{
		"#shapes .span[data-fault=kill]": 1, "#shapes .state.down": 1, "#shapes .attempt.vanished": system.FactsOf(r).Attempts.Vanished, "#shapes .mark.violation": 0,
		"#violation": 0, "#verdict.pass": 1,
	} {
		if got := count(t, ctx, selector); got != want {
			t.Errorf("%d of %s, want %d", got, selector, want)
		}
	}

	// Close up, each attempt is a bar of its own, and tells of itself.
	do(t, ctx, chromedp.Evaluate[chromedp.Void]("show(0.9e9, 1.1e9)"))
	settled(t, ctx)
	hover(t, ctx, "#shapes .attempt.vanished")
	says(t, ctx, "attempt 1", "vanished: its worker died", "1.000000 s", "worker-")
	hover(t, ctx, "#shapes .state.down")
	says(t, ctx, "is down", "killed")
	hover(t, ctx, "#shapes .span")
	says(t, ctx, "fault kill", "crash", "once in the run")
	at := eval[[]float64](t, ctx, `(() => { const { p } = drawn[0], b = stage.getBoundingClientRect(); return [b.x + gutter + (p.x1 + p.x2) / 2, b.y + (p.y1 + p.y2) / 2]; })()`)
	do(t, ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
	settled(t, ctx)
	says(t, ctx, "from", "to", "arrived", "call")

	// The keyboard gets to the same.
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector("#shapes .attempt.succeeded").focus({ focusVisible: true })`))
	settled(t, ctx)
	says(t, ctx, "outcome", "succeeded", "lease token")
	first := eval[string](t, ctx, "document.activeElement.dataset.task")
	do(t, ctx, chromedp.KeyEvent(kb.ArrowRight))
	settled(t, ctx)
	if next := eval[string](t, ctx, "document.activeElement.dataset.task"); next == "" || next == first {
		t.Errorf("the arrow went from %q to %q", first, next)
	}
	do(t, ctx, chromedp.KeyEvent("n"))
	settled(t, ctx)
	says(t, ctx, "sent", "call")
}

func TestBrowserZoomsAndFilters(t *testing.T) {
	ctx := browser(t)
	_, page := draw(t, load(t, "flaky-network-30-percent"), system.Options{})
	open(t, ctx, page)
	const arrows, cut = "Number(document.getElementById('messages').dataset.arrows)", "Number(document.getElementById('messages').dataset.cut)"
	all := eval[int](t, ctx, arrows)
	if n := eval[int](t, ctx, cut); n == 0 || n >= all {
		t.Errorf("%d of %d arrows are cut", n, all)
	}
	do(t, ctx, chromedp.SetValue(chromedp.CSS("#filter-fate"), "lost"), chromedp.Evaluate[chromedp.Void]("filtered()"))
	settled(t, ctx)
	if n, lost := eval[int](t, ctx, arrows), eval[int](t, ctx, cut); n != lost || n == 0 {
		t.Errorf("of lost messages %d, and %d of them cut", n, lost)
	}
	do(t, ctx, chromedp.Click(chromedp.CSS("#clear")), chromedp.SendKeys(chromedp.CSS("#filter-task"), "client-1.7"))
	settled(t, ctx)
	if n := eval[int](t, ctx, arrows); n == 0 || n > 60 {
		t.Errorf("%d arrows are about one task", n)
	}
	do(t, ctx, chromedp.Click(chromedp.CSS("#clear")), chromedp.SendKeys(chromedp.CSS("#filter-host"), "worker-2"))
	settled(t, ctx)
	if n := count(t, ctx, ".lane[data-host]"); n != 2 {
		t.Errorf("%d lanes, want that of worker-2 and the controller's", n)
	}
	do(t, ctx, chromedp.Click(chromedp.CSS("#clear")))
	settled(t, ctx)
	before := eval[float64](t, ctx, "view.until - view.from")
	do(t, ctx, chromedp.Click(chromedp.CSS("#zoom-in")), chromedp.Click(chromedp.CSS("#zoom-in")))
	settled(t, ctx)
	after := eval[float64](t, ctx, "view.until - view.from")
	if n := eval[int](t, ctx, arrows); after > before/3 || n >= all {
		t.Errorf("%d of %d arrows in %v of %v ns", n, all, after, before)
	}
	from := eval[float64](t, ctx, "view.from")
	do(t, ctx, chromedp.DragAndDropXY(900, 600, 600, 600))
	settled(t, ctx)
	if moved := eval[float64](t, ctx, "view.from"); moved <= from {
		t.Errorf("dragging to the left went from %v to %v", from, moved)
	}
	light := eval[string](t, ctx, "getComputedStyle(document.body).backgroundColor")
	do(t, ctx, chromedp.Click(chromedp.CSS("#theme")))
	if dark := eval[string](t, ctx, "getComputedStyle(document.body).backgroundColor"); dark == light {
		t.Errorf("light and dark are both %s", dark)
	}
}

func TestBrowserShowsViolation(t *testing.T) {
	ctx := browser(t)
	r, page := draw(t, load(t, "split-fleet"), system.Options{Controller: acceptStale})
	open(t, ctx, page)
	if text := eval[string](t, ctx, `document.getElementById("violation").innerText`); !strings.Contains(text, r.Broken) ||
		!strings.Contains(text, r.Violations[0].Text) || !strings.Contains(text, r.Violations[0].Task) {
		t.Errorf("the banner says %q", text)
	}
	for selector, atLeast := range map[string]int{"#shapes .mark.violation": 1, "#shapes .tint": 1, "#shapes .span[data-fault=split]": 1, "#shapes .attempt.subject": 1} {
		if got := count(t, ctx, selector); got < atLeast {
			t.Errorf("%d of %s", got, selector)
		}
	}
	// What is out of sight is not drawn, and their hosts may be far apart.
	if about := eval[int](t, ctx, "attempts.filter(isSubject).length"); about < 2 {
		t.Errorf("the page has %d attempts of the task that the violation is about", about)
	}
	do(t, ctx, chromedp.Click(chromedp.CSS(".proof li:last-child button")))
	settled(t, ctx)
	if off := eval[float64](t, ctx, "Math.abs(xOf(run.violation.at) - plotWidth() / 2)"); off > 2 {
		t.Errorf("the violation is %v pixels from the middle", off)
	}
	hover(t, ctx, ".flag.violation rect")
	says(t, ctx, "The run broke "+r.Broken)
}

// Package browsertest looks at pages in a headless Chromium.
//
//	page := browsertest.New(t)
//	page.Do(chromedp.Navigate(url))
//	browsertest.Eval[int](page, "document.images.length")
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// timeout bounds what one test may take in the browser.
const timeout = 2 * time.Minute

// Require is the variable that has tests fail, rather than be skipped, where there is no Chromium.
const Require = "FRAY_REQUIRE_BROWSER"

// Page is a tab of a browser, for the one goroutine of a test. What goes wrong in it fails the test.
type Page struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // The life of the browser, which is the test's.
}

// New starts a browser with an empty profile, or skips the test if there is none. It ends with the test.
func New(t *testing.T) *Page {
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
		if os.Getenv(Require) != "" { //nolint:forbidigo // Of tests.
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
	ctx, cancel := context.WithTimeout(ctx, timeout)
	t.Cleanup(cancel)
	return &Page{t: t, ctx: ctx}
}

// Do has the browser do something.
func (p *Page) Do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// Eval returns what an expression is worth in the page.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// Await returns what the promise that an expression is comes to.
func Await[T any](p *Page, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// Settle waits until the page has drawn what it was asked to.
func (p *Page) Settle() {
	p.t.Helper()
	Await[bool](p, "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
}

// Until waits until an expression is true in the page.
func (p *Page) Until(expression string) {
	p.t.Helper()
	for !Eval[bool](p, "Boolean("+expression+")") {
		select {
		case <-p.ctx.Done():
			p.t.Fatalf("%s did not come true; the page says:\n%s", expression, Eval[string](p, "document.body.innerText"))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Hover moves the pointer to the middle of an element.
func (p *Page) Hover(selector string) {
	p.t.Helper()
	at := Eval[[]float64](p, `(() => { const b = document.querySelector("`+selector+`").getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()`)
	p.Do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
	p.Settle()
}

// Screen has the page on a screen of so many pixels, whose system is light or dark.
func (p *Page) Screen(width, height int64, theme string) {
	p.t.Helper()
	p.Do(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	}))
}

// Count returns how many elements a selector has.
func (p *Page) Count(selector string) int {
	p.t.Helper()
	return Eval[int](p, `document.querySelectorAll("`+selector+`").length`)
}

// Picture returns what is seen, as PNG.
func (p *Page) Picture() []byte {
	p.t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	return png
}

package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/dashboard"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/internal/browsertest"
)

// shotsVariable names a directory for pictures of all views.
const shotsVariable = "FRAY_DASHBOARD_SHOTS"

// shown says that a view shows what the controller has answered.
const shown = `document.querySelector("#state .badge.completed") && !document.querySelector("main .empty[key]") && document.querySelector("main").children.length > 0`

// views are the addresses of all views, with what each must say.
func (c *cluster) views() map[string]string {
	return map[string]string{
		"":                                   "What tasks wait for",
		"jobs":                               "thumbnails-2026-12-01",
		"jobs/invoices":                      "Retry what has failed",
		"tasks":                              "imaging.square",
		"tasks?status=failed":                "billing.charge",
		"tasks/" + url.PathEscape(c.failed):  "Show the error",
		"tasks/" + url.PathEscape(c.running): "reports.render",
		"workers":                            "zone=a",
		"workers/worker-1":                   "Attempts",
		"actors":                             "visits",
		"objects":                            "3.0 MiB",
		"limits":                             "license",
		"schedules":                          "0 3 * * *",
		"nowhere":                            "no such page",
		"tasks/unknown":                      "does not know it",
	}
}

// see goes to a view and waits until it says something.
func see(p *browsertest.Page, base, view, says string) {
	p.Do(chromedp.Navigate("about:blank"), chromedp.Navigate(base+"/#/"+view))
	p.Until(fmt.Sprintf("document.body.innerText.includes(%q)", says))
	p.Settle()
}

// Each view shows what there is, on a wide screen and on that of a phone, where nothing needs
// scrolling to the side and all that is to be touched is large enough.
func TestViews(t *testing.T) {
	c := lively(t, 30)
	p := browsertest.New(t)
	for view, says := range c.views() {
		for _, width := range []int64{1440, 390} {
			p.Screen(width, 844, "light")
			see(p, c.URL(), view, says)
			if wide := browsertest.Eval[int](p, "document.documentElement.scrollWidth"); int64(wide) > width {
				t.Errorf("%s is %d pixels wide on a screen of %d: %s", view, wide, width, browsertest.Eval[string](p,
					`[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + "." + e.className).slice(0, 8).join(" ")`))
			}
			if width > 400 {
				continue
			}
			if small := browsertest.Eval[string](p, `[...document.querySelectorAll("a, button, input:not([type=checkbox]), select, label.check, summary")]
				.filter((e) => e.getClientRects().length && e.getBoundingClientRect().height < 39.5).map((e) => e.tagName + " " + e.innerText + " " + e.getBoundingClientRect().height).slice(0, 8).join("; ")`); small != "" {
				t.Errorf("%s has what is too small for a finger: %s", view, small)
			}
		}
	}
}

// press touches a button that says something, and confirms that in the dialog that opens.
func press(p *browsertest.Page, button, confirm string) {
	const find = `[...document.querySelectorAll(%q)].find((b) => b.innerText === %q)`
	p.Until(fmt.Sprintf(find, "main button", button))
	p.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(find+".click()", "main button", button)))
	if confirm != "" {
		p.Until(fmt.Sprintf(find, "dialog[open] button", confirm))
		p.Do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(find+".click()", "dialog[open] button", confirm)))
	}
}

const told = `!document.getElementById("told").hidden && document.getElementById("told").innerText.includes(%q)`

// What is done from the page is done, once it is confirmed, and the page says so.
func TestActions(t *testing.T) {
	c := lively(t, 3)
	p := browsertest.New(t)
	p.Screen(1280, 800, "light")

	see(p, c.URL(), "tasks/"+c.running, "running")
	press(p, "Cancel", "Leave it")
	p.Settle()
	if says := browsertest.Eval[string](p, `document.querySelector("main .headline")?.innerText`); !strings.Contains(says, "running") {
		t.Errorf("a task that was left is %q", says)
	}
	press(p, "Cancel", "Cancel it")
	p.Until(fmt.Sprintf(told, "told to stop"))
	p.Until(`document.querySelector("main .headline")?.innerText.includes("cancelled")`)

	see(p, c.URL(), "tasks/"+c.failed, "Show the error")
	press(p, "Show the error", "")
	p.Until(`document.querySelector("main pre")?.innerText.includes("the issuer refuses it")`)
	press(p, "Retry", "Retry it")
	p.Until(fmt.Sprintf(told, "submitted anew"))
	p.Until(`location.hash.includes("retry-")`)
	p.Until(`document.querySelector("main .headline")?.innerText.includes("failed")`)

	see(p, c.URL(), "jobs/invoices", "Retry what has failed")
	press(p, "Retry what has failed", "Retry them")
	p.Until(fmt.Sprintf(told, "3 tasks were submitted anew"))
	see(p, c.URL(), "jobs/reports", "Cancel the job")
	press(p, "Cancel the job", "Cancel them")
	p.Until(fmt.Sprintf(told, "tasks were cancelled"))

	see(p, c.URL(), "workers/worker-2", "Drain")
	press(p, "Drain", "Drain it")
	p.Until(fmt.Sprintf(told, "told to drain"))
	p.Until(`document.querySelector("main").innerText.includes("No worker of this id has a session now") || document.querySelector("main").innerText.includes("draining")`)
}

// Who has no credential is asked for one, which is kept for the tab alone; and what it does not allow is said.
func TestSignIn(t *testing.T) {
	policy, err := access.Parse("access", "token a-token-of-a-reader-of-fray grace reader\n")
	if err != nil {
		t.Fatal(err)
	}
	s := store.NewMemory()
	t.Cleanup(func() { _ = s.Close() })
	c, err := controller.New(controller.Config{Store: s, ListenAddress: "127.0.0.1:0", Access: func() *access.Policy { return policy }})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	var ended sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); ended.Wait() })
	ended.Go(func() { _ = c.Run(ctx) })

	p := browsertest.New(t)
	signIn := func(token string) {
		p.Until(`document.querySelector("input[name=token]")`)
		p.Do(chromedp.SetValue(chromedp.CSS("input[name=token]"), token), chromedp.Click(chromedp.CSS(".sign-in button")))
	}
	see(p, c.URL(), "", "Sign in")
	signIn("a-token-of-nobody-at-all")
	p.Until(`document.querySelector(".sign-in .alert")`)
	signIn("a-token-of-a-reader-of-fray")
	p.Until(shown)
	if stored := browsertest.Eval[int](p, "localStorage.length + document.cookie.length"); stored != 0 {
		t.Error("the token outlives its tab")
	}
	if text := browsertest.Await[string](p, `act("DrainWorker", { workerId: "w" }, () => "").then(() => document.getElementById("told").innerText)`); !strings.Contains(text, "does not allow") {
		t.Errorf("a reader who drains is told %q", text)
	}
	p.Do(chromedp.Click(chromedp.CSS("#state button")))
	p.Until(`document.querySelector("input[name=token]")`)

	p.Do(chromedp.Navigate("about:blank"), chromedp.Navigate(c.URL()+"/"+dashboard.SignIn("a-token-of-a-reader-of-fray")))
	p.Until(shown)
	if address := browsertest.Eval[string](p, "location.href"); strings.Contains(address, "token") {
		t.Errorf("the address is still %s", address)
	}
}

// A controller that is gone is said to be, what was known of it stays, and it is looked for again.
func TestControllerComesBack(t *testing.T) {
	c := lively(t, 3)
	var gone atomic.Bool
	target, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("Origin")
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	p := browsertest.New(t)
	see(p, front.URL, "workers", "worker-1")
	gone.Store(true)
	p.Until(`document.querySelector(".alert")?.innerText.includes("cannot be reached")`)
	if text := browsertest.Eval[string](p, "document.body.innerText"); !strings.Contains(text, "worker-1") || !strings.Contains(text, "not up to date") {
		t.Errorf("the page says %q", text)
	}
	gone.Store(false)
	p.Until(shown + ` && !document.querySelector(".alert")`)
}

// TestPictures takes pictures of all views, for who wants to look at them.
func TestPictures(t *testing.T) {
	dir := os.Getenv(shotsVariable)
	if dir == "" {
		t.Skip("nobody asks for pictures: " + shotsVariable + " is not set")
	}
	for _, many := range []int{10, 100_000} {
		c := lively(t, many)
		for view, says := range c.views() {
			p := browsertest.New(t)
			for _, s := range [][2]int64{{1440, 900}, {390, 844}} {
				for _, theme := range []string{"light", "dark"} {
					p.Screen(s[0], s[1], theme)
					began := time.Now()
					see(p, c.URL(), view, says)
					took := time.Since(began)
					p.Until("performance.now() > 3000") // A rate takes two looks.
					name := strings.NewReplacer("/", "_", "?", "_", "=", "_", "%", "_").Replace(view)
					if len(name) > 24 {
						name = name[:24]
					}
					file := filepath.Join(dir, fmt.Sprintf("%d-%s-%d-%s.png", many, name, s[0], theme))
					if err := os.WriteFile(file, p.Picture(), 0o600); err != nil {
						t.Fatal(err)
					}
					if theme == "light" && s[0] == 1440 {
						t.Logf("%d tasks, %q: said after %v; heap %.1f MiB, first paint %.0f ms", many, view, took.Round(time.Millisecond),
							browsertest.Eval[float64](p, "performance.memory.usedJSHeapSize / 2**20"),
							browsertest.Eval[float64](p, "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"))
					}
				}
			}
		}
	}
}

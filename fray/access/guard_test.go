package access_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// door is a guard before a handler that says who calls.
type door struct {
	http.Handler
	audit, log bytes.Buffer
}

func newDoor(p *access.Policy) *door {
	d := &door{}
	g := access.NewGuard(access.GuardConfig{
		Policy: func() *access.Policy { return p },
		Audit:  slog.New(slog.NewJSONHandler(&d.audit, nil)), Log: slog.New(slog.NewTextHandler(&d.log, nil)),
	})
	d.Handler = g.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "hello "+access.From(r.Context()).Name)
	}))
	return d
}

// call calls a path as JSON, with a token unless it is empty.
func (d *door) call(t *testing.T, from, path, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("{}"))
	r.RemoteAddr = from
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

const (
	here    = "10.0.0.7:4711"
	getTask = frayv1connect.ControllerServiceGetTaskProcedure
	drain   = frayv1connect.ControllerServiceDrainWorkerProcedure
)

func TestGuardLetsInAndRefuses(t *testing.T) {
	t.Parallel()
	d := newDoor(read(t, "token "+aliceToken+" alice client,reader\n"))
	tests := map[string]struct {
		path, token string
		status      int
		says        string
	}{
		"allowed":         {getTask, aliceToken, 200, "hello alice"},
		"not her role":    {drain, aliceToken, 403, `caller \"alice\" has the roles client,reader, and may not call ` + drain + `: it takes one of operator`},
		"unknown":         {getTask, aliceToken + "x", 401, "does not know the caller: show a token, by FRAY_TOKEN or a file"},
		"none":            {getTask, "", 401, "does not know the caller"},
		"no procedure":    {"/x.Y/Z", aliceToken, 403, `caller \"alice\" may not call /x.Y/Z: it is nothing that any role may call`},
		"almost one":      {getTask + "/", aliceToken, 403, "nothing that any role may call"},
		"doubled slash":   {"/" + getTask, aliceToken, 403, "nothing that any role may call"},
		"the page":        {access.PagePath, "", 200, "hello "},
		"beside the page": {access.PagePath + "x", aliceToken, 403, "nothing that any role may call"},
		"unknown of none": {"/x.Y/Z", "", 401, "does not know the caller"},
		"probe":           {access.HealthPath, "", 200, "hello "},
		"health":          {"/grpc.health.v1.Health/Check", "", 200, "hello "},
		"probe, wrong":    {access.ReadyPath, "wrong", 200, "hello "},
	}
	for name, tt := range tests {
		w := d.call(t, here, tt.path, tt.token)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: %d, %s; want %d, %s", name, w.Code, w.Body, tt.status, tt.says)
		}
		if closes := w.Header().Get("Connection") == "close"; closes != (tt.status == 401) {
			t.Errorf("%s: the connection is closed: %v", name, closes)
		}
	}
	get := httptest.NewRecorder()
	d.ServeHTTP(get, httptest.NewRequestWithContext(t.Context(), http.MethodGet, access.MetricsPath, http.NoBody))
	if get.Code != 401 {
		t.Errorf("who asks for metrics is told %d, %s", get.Code, get.Body)
	}
}

func TestSharedTokenOpensEverything(t *testing.T) {
	t.Parallel()
	d := newDoor(access.Shared("secret"))
	for _, path := range []string{getTask, drain, "/x.Y/Z"} {
		if w := d.call(t, here, path, "secret"); w.Code != 200 || w.Body.String() != "hello token" {
			t.Errorf("%s: %d, %s", path, w.Code, w.Body)
		}
	}
	if w := d.call(t, here, getTask, "other"); w.Code != 401 || !strings.Contains(w.Body.String(), "this cluster wants a token: set FRAY_TOKEN") {
		t.Errorf("another one: %d, %s", w.Code, w.Body)
	}
}

func TestRefusalsAreAudited(t *testing.T) {
	t.Parallel()
	d := newDoor(read(t, "token "+aliceToken+" alice client\n"))
	d.call(t, here, getTask, aliceToken)
	d.call(t, here, drain, aliceToken)
	d.call(t, here, getTask, "wrong")
	d.call(t, here, "/"+strings.Repeat("x", 5000), aliceToken)
	var lines []map[string]any
	for s := bufio.NewScanner(&d.audit); s.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if len(s.Bytes()) > access.MaxAuditLine {
			t.Errorf("a line has %d bytes", len(s.Bytes()))
		}
		lines = append(lines, line)
	}
	if len(lines) != 3 {
		t.Fatalf("the audit has %v", lines)
	}
	for i, want := range []map[string]any{
		{"caller": "alice", "credential": "token", "address": here, "procedure": drain, "code": "permission_denied"},
		{"caller": "", "credential": "", "address": here, "procedure": getTask, "code": "unauthenticated"},
		{"caller": "alice", "code": "permission_denied"},
	} {
		for key, value := range want {
			if lines[i][key] != value {
				t.Errorf("line %d has %s=%v, want %v", i, key, lines[i][key], value)
			}
		}
	}
	if text := fmt.Sprint(lines); strings.Contains(text, aliceToken) || strings.Contains(text, "wrong") {
		t.Errorf("the audit has a secret: %s", text)
	}
}

func TestGuessesAreBoundedAndGoodCallersAreNot(t *testing.T) {
	t.Parallel()
	p := read(t, "token "+aliceToken+" alice client\n")
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(p)
		codes := func(from string, n int) map[int]int {
			counts := make(map[int]int)
			for range n {
				counts[d.call(t, from, getTask, "guess").Code]++
			}
			return counts
		}
		if c := codes(here, 100); c[401] != access.MaxFailures || c[429] != 100-access.MaxFailures {
			t.Errorf("a hundred guesses are answered %v", c)
		}
		w := d.call(t, here, getTask, "guess")
		if w.Header().Get("Retry-After") != "6" || !strings.Contains(w.Body.String(), "resource_exhausted") || w.Header().Get("Connection") != "close" {
			t.Errorf("one too many is answered %d %v %s", w.Code, w.Header(), w.Body)
		}
		if w := d.call(t, "10.0.0.7:1", getTask, aliceToken); w.Code != 200 {
			t.Errorf("a good caller from there is answered %d %s", w.Code, w.Body)
		}
		if c := codes("10.0.0.8:1", 1); c[401] != 1 {
			t.Errorf("another address is answered %v", c)
		}
		time.Sleep(access.FailureInterval)
		if c := codes(here, 10); c[401] != 1 {
			t.Errorf("after an interval ten guesses are answered %v", c)
		}
		time.Sleep(access.MaxFailures * access.FailureInterval)
		if c := codes(here, 100); c[401] != access.MaxFailures {
			t.Errorf("after all intervals a hundred guesses are answered %v", c)
		}
		// A network of IPv6 is one address, and so are those without any.
		if c := codes("[2001:db8::1]:5", access.MaxFailures); c[401] != access.MaxFailures {
			t.Errorf("a network is answered %v", c)
		}
		if c := codes("[2001:db8::2:3]:5", 1); c[429] != 1 {
			t.Errorf("another address of a network is answered %v", c)
		}
		if c := codes("[::ffff:10.0.0.9]:5", access.MaxFailures+1); c[429] != 1 {
			t.Errorf("an address of IPv4 within IPv6 is answered %v", c)
		}
		if c := codes("10.0.0.9:5", 1); c[429] != 1 {
			t.Errorf("the same without is answered %v", c)
		}
		if c := codes("@", access.MaxFailures+1); c[429] != 1 {
			t.Errorf("no address is answered %v", c)
		}
		// The log has few lines of all that, and counts.
		if n := strings.Count(d.log.String(), "refused calls with unknown credentials"); n == 0 || n > 4 {
			t.Errorf("the log has %d lines: %s", n, d.log.String())
		}
	})
}

func TestAddressesThatFailedLongestAgoAreForgotten(t *testing.T) {
	t.Parallel()
	d := newDoor(access.Shared("secret"))
	exhaust := func(from string) int {
		code := 0
		for range access.MaxFailures + 1 {
			code = d.call(t, from, getTask, "guess").Code
		}
		return code
	}
	if code := exhaust(here); code != 429 {
		t.Fatalf("it is answered %d", code)
	}
	for i := range 5000 {
		d.call(t, fmt.Sprintf("10.1.%d.%d:1", i/256, i%256), getTask, "guess")
	}
	if w := d.call(t, here, getTask, "guess"); w.Code != 401 {
		t.Errorf("after many others it is answered %d", w.Code)
	}
}

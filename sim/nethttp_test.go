package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/frayrpc/fray/sim"
)

// An exchange is a handler and a request, which must come to the same over net/http and in a
// simulation.
type exchange struct {
	name    string
	handler func(n *notes, w http.ResponseWriter, r *http.Request)
	method  string // "": GET
	path    string // "": /
	// A reader for each time that it is done: a transport may read on after its request has ended.
	body    func() io.Reader
	length  int64 // of the body, if it is not what it seems to be
	header  http.Header
	trailer http.Header
	// HTTP/1.1 does it in another way.
	h1Differs bool
}

// notes is what a handler has seen, for the test that made the request.
type notes struct {
	mu    sync.Mutex
	lines []string
	over  chan struct{}
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) write(w io.Writer, text string) {
	c, err := io.WriteString(w, text)
	n.add("wrote %d, %v", c, err)
}

func (n *notes) read(r io.Reader) {
	b, err := io.ReadAll(r)
	n.add("read %.20q %d, %v", b, len(b), err)
}

func sized(text string) func() io.Reader {
	return func() io.Reader { return strings.NewReader(text) }
}

// unsized makes readers of whose length nothing is known.
func unsized(text string) func() io.Reader {
	return func() io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }
}

var exchanges = []exchange{
	{name: "hello", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) { n.write(w, "hello") }},
	{name: "nothing", handler: func(*notes, http.ResponseWriter, *http.Request) {}},
	{name: "head", method: "HEAD", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) { n.write(w, "hello") }},
	{name: "head of much", method: "HEAD", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			c, err := w.Write(make([]byte, 6000))
			n.add("wrote %d, %v", c, err)
		}
	}},
	{name: "head of much in pieces", method: "HEAD", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			c, err := w.Write(make([]byte, 3000))
			n.add("wrote %d, %v", c, err)
		}
	}, h1Differs: true},
	{name: "head of nothing", method: "HEAD", handler: func(*notes, http.ResponseWriter, *http.Request) {}},
	{name: "head of a declared length", method: "HEAD", handler: func(_ *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1234")
	}},
	{name: "head that is flushed", method: "HEAD", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		n.write(w, "a")
		_ = http.NewResponseController(w).Flush()
		n.write(w, "b")
	}, h1Differs: true},
	{name: "no content", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		n.write(w, "body of a 204")
	}},
	{name: "not modified", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.WriteHeader(http.StatusNotModified)
		n.write(w, "body of a 304")
	}},
	{name: "less than declared", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		n.write(w, "hello")
	}},
	{name: "less than declared, streamed", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		n.write(w, "hello")
		_ = http.NewResponseController(w).Flush()
	}},
	{name: "more than declared", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		n.write(w, "hello")
	}, h1Differs: true},
	{name: "more than declared, streamed", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		n.write(w, "he")
		_ = http.NewResponseController(w).Flush()
		n.write(w, "llo")
	}, h1Differs: true},
	{name: "no number as length", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "three")
		n.write(w, "hello")
	}, h1Differs: true},
	{name: "as declared", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5")
		n.write(w, "hello")
	}},
	{name: "late header", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("In-Time", "yes")
		w.WriteHeader(http.StatusAccepted)
		w.Header().Set("Too-Late", "yes")
		w.Header().Del("In-Time")
		n.write(w, "x")
	}},
	{name: "header after the first write", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		n.write(w, "x")
		w.Header().Set("Too-Late", "yes")
	}},
	{name: "two statuses", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		w.WriteHeader(http.StatusOK)
		n.write(w, "x")
	}},
	{name: "impossible status", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		for _, status := range []int{-1, 0, 99, 1000} {
			func() {
				defer func() { n.add("%d: %v", status, recover()) }()
				w.WriteHeader(status)
			}()
		}
	}},
	{name: "unknown status", handler: func(_ *notes, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(599) }, h1Differs: true},
	{name: "informational", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Final", "yes")
		n.write(w, "x")
	}},
	{name: "sniffed type", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) { n.write(w, "<html><body>x") }},
	{name: "sniffed type of much", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		n.write(w, "<html>")
		n.write(w, strings.Repeat("x", 20_000))
	}},
	{name: "sniffed type of what is flushed", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		n.write(w, "plain")
		_ = http.NewResponseController(w).Flush()
		n.write(w, "<html>")
	}},
	{name: "no type wanted", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		n.write(w, "<html>")
	}},
	{name: "encoded", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "odd")
		n.write(w, "<html>")
	}},
	{name: "just what is gathered", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) { n.write(w, strings.Repeat("x", 4096)) }, h1Differs: true},
	{name: "own date", handler: func(_ *notes, w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "never") }},
	{name: "headers of connections", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Transfer-Encoding", "odd")
		n.write(w, "x")
	}, h1Differs: true},
	{name: "odd headers", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header()["x-lower"] = []string{"1"}
		w.Header()["X Space"] = []string{"1"}
		w.Header()["X-Line"] = []string{"a\nb"}
		n.write(w, "x")
	}, h1Differs: true},
	{name: "declared trailers", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "One, Two")
		n.write(w, "x")
		w.Header().Set("One", "1")
		w.Header().Set("Three", "3")
	}, h1Differs: true},
	{name: "prefixed trailers", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		n.write(w, "x")
		_ = http.NewResponseController(w).Flush()
		w.Header().Set(http.TrailerPrefix+"One", "1")
	}},
	{name: "forbidden trailers", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Content-Length, Two")
		n.write(w, "x")
		_ = http.NewResponseController(w).Flush()
		w.Header().Set("Content-Length", "1")
		w.Header().Set("Two", "2")
	}, h1Differs: true},
	{name: "redirect", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		if n.add("%s %s", r.Method, r.URL); r.URL.Path == "/" {
			http.Redirect(w, r, "/elsewhere?a=b", http.StatusFound)
		}
	}, method: "POST", body: sized("x")},
	{name: "redirect with the body", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		n.add("%s %s", r.Method, r.URL)
		if n.read(r.Body); r.URL.Path == "/" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}
	}, method: "POST", body: sized("again")},
	{name: "error", handler: func(_ *notes, w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }},
	{name: "time out", handler: func(_ *notes, w http.ResponseWriter, r *http.Request) {
		http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}), 20*time.Millisecond, "too slow").ServeHTTP(w, r)
	}},
	{name: "too large", method: "POST", body: sized("123456"), handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		n.read(http.MaxBytesReader(w, r.Body, 4))
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}},
	{name: "controller", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		err := error(http.ErrNotSupported)
		if r.ProtoMajor == 2 {
			_, _, err = c.Hijack()
		}
		_, isPusher := w.(http.Pusher)
		_, isWriter := w.(io.StringWriter)
		n.add("full duplex %v, hijack %v %v, deadlines %v %v, push %v, strings %v", c.EnableFullDuplex(), err, errors.Is(err, http.ErrNotSupported),
			c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Now().Add(time.Hour)), isPusher, isWriter)
		n.write(w, "x")
		n.add("flush %v", c.Flush())
	}, h1Differs: true},
	{name: "deadline of reading", method: "POST", body: func() io.Reader { return &endless{} }, handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := io.Copy(io.Discard, r.Body)
		n.add("deadline exceeded: %v", isTimeout(err))
		n.write(w, "x")
	}},
	{name: "deadline of writing", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		_ = c.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
		n.write(w, "x")
		_ = c.Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(200 * time.Millisecond): // HTTP/1.1 tells only who writes.
		}
		_, err := io.WriteString(w, "y")
		n.add("then wrote: %v, flushed: %v", err, c.Flush())
	}, h1Differs: true},
	{name: "abort", handler: func(*notes, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, h1Differs: true},
	{name: "abort in the midst", handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		n.write(w, "x")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}, h1Differs: true},
	{name: "request", path: "/a%2Fb/c?d=e&f", header: http.Header{"X-One": {"1", "2"}, "Connection": {"keep-alive"}, "x-lower": {"1"}}, handler: func(n *notes, _ http.ResponseWriter, r *http.Request) {
		n.add("%s %q uri=%s path=%s raw=%s query=%s scheme=%q host=%q", r.Method, r.URL, r.RequestURI, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.Scheme, r.URL.Host)
		n.add("proto %s, length %d, header %s, tls %v", r.Proto, r.ContentLength, headers(r.Header), r.TLS != nil)
		host, port, err := net.SplitHostPort(r.RemoteAddr)
		n.add("remote %v %v %v, host %v", host != "", port != "", err, r.Host != "")
		n.read(r.Body)
	}, h1Differs: true},
	{name: "form", method: "POST", path: "/?a=1", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, body: sized("b=2"), handler: func(n *notes, _ http.ResponseWriter, r *http.Request) {
		n.add("%s %s %s %d", r.FormValue("a"), r.FormValue("b"), headers(r.Header), r.ContentLength)
	}, h1Differs: true},
	{name: "empty post", method: "POST", handler: func(n *notes, _ http.ResponseWriter, r *http.Request) {
		n.add("length %d %q", r.ContentLength, r.Header["Content-Length"])
		n.read(r.Body)
	}},
	{name: "body of unknown length", method: "POST", body: unsized("abc"), handler: func(n *notes, _ http.ResponseWriter, r *http.Request) {
		n.add("length %d", r.ContentLength)
		n.read(r.Body)
	}},
	{name: "body shorter than declared", method: "POST", body: unsized("abc"), length: 10, handler: func(n *notes, _ http.ResponseWriter, r *http.Request) {
		n.read(r.Body)
	}, h1Differs: true},
	{name: "body longer than declared", method: "POST", body: unsized("abcdef"), length: 3, handler: func(_ *notes, _ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}, h1Differs: true},
	{name: "body read twice", method: "POST", body: sized("abc"), handler: func(n *notes, _ http.ResponseWriter, r *http.Request) {
		n.read(r.Body)
		n.read(r.Body)
	}},
	{name: "body that was closed", method: "POST", body: sized("abc"), handler: func(n *notes, _ http.ResponseWriter, r *http.Request) {
		n.add("close %v", r.Body.Close())
		n.read(r.Body)
	}, h1Differs: true},
	{name: "body that is not read", method: "POST", body: sized(strings.Repeat("x", 100_000)), handler: func(n *notes, w http.ResponseWriter, _ *http.Request) {
		n.write(w, "never mind")
	}},
	{name: "request trailers", method: "POST", body: unsized("abc"), trailer: http.Header{"One": {"1"}}, handler: func(n *notes, _ http.ResponseWriter, r *http.Request) {
		n.add("announced %v", r.Trailer)
		n.read(r.Body)
		n.add("trailers %v", r.Trailer)
	}},
	{name: "request with a bad header", header: http.Header{"X Space": {"1"}}, handler: func(*notes, http.ResponseWriter, *http.Request) {}},
	{name: "request with a bad value", header: http.Header{"X": {"a\x00b"}}, handler: func(*notes, http.ResponseWriter, *http.Request) {}},
	{name: "compressed", handler: func(n *notes, w http.ResponseWriter, r *http.Request) {
		n.add("accepts %q", r.Header["Accept-Encoding"])
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(gzipped("hello"))
	}},
	{name: "compressed as asked for", header: http.Header{"Accept-Encoding": {"gzip"}}, handler: func(_ *notes, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(gzipped("hello"))
	}},
	{name: "agent", header: http.Header{"User-Agent": {"me"}}, handler: func(n *notes, _ http.ResponseWriter, r *http.Request) { n.add("%s", r.UserAgent()) }},
	{name: "no agent", header: http.Header{"User-Agent": nil}, handler: func(n *notes, _ http.ResponseWriter, r *http.Request) { n.add("%q", r.Header["User-Agent"]) }},
	{name: "file", handler: func(_ *notes, w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a.txt", time.Unix(1e9, 0), strings.NewReader("0123456789"))
	}, header: http.Header{"Range": {"bytes=2-4"}}},
	{name: "proxy", handler: func(_ *notes, w http.ResponseWriter, r *http.Request) {
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "behind"})
		proxy.Transport = behind{}
		proxy.ServeHTTP(w, r)
	}},
}

// behind is what a proxy of the table stands before.
type behind struct{}

func (behind) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Request: req, Trailer: http.Header{"End": {"1"}},
		Header: http.Header{"Content-Type": {"text/plain"}, "Keep-Alive": {"1"}}, Body: io.NopCloser(strings.NewReader("behind")),
	}, nil
}

// endless is a body that goes on until it is closed.
type endless struct {
	once, closed sync.Once
	done         chan struct{}
}

func (e *endless) init() { e.once.Do(func() { e.done = make(chan struct{}) }) }

func (e *endless) Read([]byte) (int, error) {
	e.init()
	<-e.done
	return 0, io.ErrClosedPipe
}

func (e *endless) Close() error {
	e.init()
	e.closed.Do(func() { close(e.done) })
	return nil
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// headers tells a header in one line, without what differs from run to run.
func headers(h http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		values := h[name]
		switch {
		case name == "Date" && len(values) == 1 && values[0] != "never":
			values = []string{"now"}
		case name == "Location":
			values = []string{strings.TrimPrefix(values[0], "https://")}
		}
		fmt.Fprintf(&b, "%s=%q ", name, values)
	}
	return strings.TrimSpace(b.String())
}

var (
	streamID = regexp.MustCompile(`stream ID \d+`)
	address  = regexp.MustCompile(`https?://[^/" ]+`)
)

// probe makes the request and returns what came of it on both sides.
func (x *exchange) probe(ctx context.Context, client *http.Client, base string, n *notes) string {
	var body io.Reader
	if x.body != nil {
		body = x.body()
	}
	if e, ok := body.(*endless); ok {
		defer func() { _ = e.Close() }() // For a client that does not.
	}
	var out strings.Builder
	req, err := http.NewRequestWithContext(ctx, x.method, base+x.path, body)
	if err != nil {
		return err.Error()
	}
	maps.Copy(req.Header, x.header)
	req.Trailer = x.trailer.Clone()
	if x.length != 0 {
		req.ContentLength = x.length
	}
	res, err := client.Do(req)
	if err != nil {
		fmt.Fprintf(&out, "error %v\n", errors.Unwrap(err))
	} else {
		fmt.Fprintf(&out, "%s length=%d uncompressed=%v\nheader %s\nannounced %s\n", res.Status, res.ContentLength, res.Uncompressed, headers(res.Header), headers(res.Trailer))
		b, err := io.ReadAll(res.Body)
		fmt.Fprintf(&out, "body %.40q %d, %v\ntrailer %s\n", b, len(b), err, headers(res.Trailer))
		_ = res.Body.Close()
		_, err = res.Body.Read(make([]byte, 1))
		fmt.Fprintf(&out, "after close: error %v\n", err != nil)
		select { // When its request never left there is no handler.
		case <-n.over:
		case <-ctx.Done():
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(&out, "handler: %s", strings.Join(n.lines, "; "))
	text := streamID.ReplaceAllString(out.String(), "stream ID N")
	return address.ReplaceAllString(text, "BASE")
}

func (x *exchange) serve(n *notes) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			select {
			case n.over <- struct{}{}:
			default:
			}
		}()
		x.handler(n, w, r)
	})
}

// overNetHTTP is what an exchange comes to over a connection of the loopback.
func (x *exchange) overNetHTTP(t *testing.T, h2 bool) string {
	t.Helper()
	n := &notes{over: make(chan struct{}, 8)}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	server := httptest.NewUnstartedServer(x.serve(n))
	server.EnableHTTP2 = h2
	server.Config.ErrorLog = discardLog
	server.StartTLS()
	defer server.Close()
	return x.probe(ctx, server.Client(), server.URL, n)
}

// simulated is what it comes to in a simulation.
func (x *exchange) simulated(t *testing.T) (got string) {
	t.Helper()
	sim.Test(t, sim.Config{Seed: 1}, func(s *sim.Sim) {
		n := &notes{over: make(chan struct{}, 8)}
		s.Host("server", func(ctx context.Context, h *sim.Host) error {
			h.Serve(x.serve(n))
			<-ctx.Done()
			return nil
		})
		s.Client("client", func(ctx context.Context, h *sim.Host) error {
			got = x.probe(ctx, h.HTTPClient(), "https://server", n)
			return nil
		})
		if err := s.Run(); err != nil {
			t.Error(err)
		}
	})
	return got
}

// Whatever a handler does comes to the same in a simulation as over net/http with HTTP/2, and with
// HTTP/1.1 but where the two differ.
func TestHandlersSeeNetHTTP(t *testing.T) {
	for i := range exchanges {
		x := &exchanges[i]
		t.Run(x.name, func(t *testing.T) {
			want := x.overNetHTTP(t, true)
			if got := x.simulated(t); got != want {
				t.Errorf("over HTTP/2\n%s\nin the simulation\n%s", want, got)
			}
			h1 := strings.ReplaceAll(x.overNetHTTP(t, false), "HTTP/1.1", "HTTP/2.0")
			if (h1 != want) != x.h1Differs {
				t.Errorf("that HTTP/1.1 differs is said to be %v; over HTTP/2\n%s\nover HTTP/1.1\n%s", x.h1Differs, want, h1)
			}
		})
	}
}

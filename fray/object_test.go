package fray_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
)

// kept is a store that outlives its controller.
type kept struct{ store.Store }

func (kept) Durability() store.Durability { return store.Sync }

// restartable is a controller that can be started anew on what it kept. It is called without a network.
type restartable struct {
	tb     testing.TB
	config controller.Config

	mu      sync.Mutex
	handler http.Handler // nil: it is away
	stop    func()
	calls   map[string]int // by procedure
	// lose says whether the answer to a call gets lost.
	lose func(procedure string, n int) bool
}

func newRestartable(tb testing.TB, config controller.Config) *restartable {
	tb.Helper()
	r := &restartable{tb: tb, config: config, calls: make(map[string]int)}
	r.start()
	tb.Cleanup(func() { r.end() })
	return r
}

func (r *restartable) start() {
	c, err := controller.New(r.config)
	if err != nil {
		r.tb.Fatal(err)
	}
	stop := runInBackground(r.tb, "controller", c.Run)
	<-c.Ready()
	_, handler := c.Handler()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handler, r.stop = handler, stop
}

func (r *restartable) end() {
	r.mu.Lock()
	stop := r.stop
	r.handler, r.stop = nil, nil
	r.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// Do implements connect.HTTPClient.
func (r *restartable) Do(req *http.Request) (*http.Response, error) {
	procedure := req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:]
	r.mu.Lock()
	handler := r.handler
	r.calls[procedure]++
	lost := r.lose != nil && r.lose(procedure, r.calls[procedure])
	r.mu.Unlock()
	if handler == nil {
		return nil, connect.NewError(connect.CodeUnavailable, errors.New("connection refused"))
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, req)
	if lost {
		return nil, io.ErrUnexpectedEOF
	}
	return recorder.Result(), nil
}

func (r *restartable) count(procedure string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[procedure]
}

func (r *restartable) trial(t *testing.T, opts ...fray.Option) *trial {
	t.Helper()
	opts = append(opts, fray.WithControllerAddress("c:1"), fray.WithHTTPClient(r))
	return newTrial(t, newJobContext(t, fray.KindFray, opts...))
}

// between runs f between two reads.
type between struct {
	io.Reader
	n int
	f func(n int)
}

func (b *between) Read(p []byte) (int, error) {
	b.n++
	b.f(b.n)
	return b.Reader.Read(p)
}

// What is streamed cannot be read again: the upload has to go on where it was.
func TestPutGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	c := newRestartable(t, controller.Config{Store: kept{store.NewMemory()}})
	tr := c.trial(t)
	data := noise(5<<20 + 3)
	restarts := 0
	src := &between{Reader: bytes.NewReader(data), f: func(n int) {
		if n%4 == 0 {
			c.end()
			c.start()
			restarts++
		}
	}}
	r, err := fray.PutReader(tr.ctx, src)
	if err != nil || restarts < 2 {
		t.Fatalf("%v after %d restarts", err, restarts)
	}
	if v, err := r.Get(tr.ctx); err != nil || !bytes.Equal(v, data) {
		t.Errorf("got %d bytes, %v", len(v), err)
	}
	if n := c.count("PutObject"); n != 11 {
		t.Errorf("%d calls for 11 pieces", n)
	}
}

// A controller that forgets makes one begin anew, which only what stands in memory can.
func TestPutBeginsAnewWhereItIsForgotten(t *testing.T) {
	t.Parallel()
	c := newRestartable(t, controller.Config{Store: store.NewMemory()})
	var once sync.Once
	c.lose = func(procedure string, n int) bool {
		if procedure == "PutObject" && n == 3 {
			once.Do(func() {
				go func() { // The handler has to return first.
					c.end()
					c.start()
				}()
			})
			return true
		}
		return false
	}
	tr := c.trial(t)
	data := noise(3 << 20)
	r := putting(tr, data)
	if v, err := r.Get(tr.ctx); err != nil || !bytes.Equal(v, data) {
		t.Errorf("got %d bytes, %v", len(v), err)
	}
	src := &between{Reader: bytes.NewReader(noise(4 << 20)), f: func(n int) {
		if n == 5 {
			c.end()
			c.start()
		}
	}}
	if r, err := fray.PutReader(tr.ctx, src); err == nil || !strings.Contains(err.Error(), "has lost what it was sent") {
		t.Errorf("got %v, %v", r, err)
	}
}

// Answers that get lost are no reason to send anything twice that came.
func TestLostAnswersOfPieces(t *testing.T) {
	t.Parallel()
	c := newRestartable(t, controller.Config{Store: store.NewMemory()})
	c.lose = func(_ string, n int) bool { return n%2 == 1 }
	tr := c.trial(t)
	data := noise(2<<20 + 1)
	r := putting(tr, data)
	if v, err := r.Get(tr.ctx); err != nil || !bytes.Equal(v, data) {
		t.Errorf("got %d bytes, %v", len(v), err)
	}
	if err := r.Release(tr.ctx); err != nil {
		t.Error(err)
	}
	if _, err := r.Get(tr.ctx); !errors.Is(err, fray.ErrObjectLost) {
		t.Errorf("got %v", err)
	}
}

// What was put before is not sent again, and what was read before not fetched.
func TestWhatIsThereIsNotSent(t *testing.T) {
	t.Parallel()
	c := newRestartable(t, controller.Config{Store: store.NewMemory()})
	one, two := c.trial(t), c.trial(t, fray.WithObjectCache(4<<20))
	data := noise(3<<19 + 1) // Four pieces.
	putting(one, data)
	r := putting(two, data)
	if n := c.count("PutObject"); n != 4 {
		t.Errorf("%d calls for 4 pieces that were put twice", n)
	}
	for range 3 {
		if v, err := r.Get(two.ctx); err != nil || !bytes.Equal(v, data) {
			t.Errorf("got %d bytes, %v", len(v), err)
		}
	}
	if n := c.count("GetObject"); n != 4 {
		t.Errorf("%d calls for 4 pieces that were read three times", n)
	}
	large := putting(two, noise(3<<20))
	for range 2 {
		if _, err := large.Get(two.ctx); err != nil {
			t.Error(err)
		}
	}
	if n := c.count("GetObject"); n != 4+2*6 {
		t.Errorf("%d calls for 6 pieces of a large object that was read twice", n-4)
	}
	others := []fray.Ref[[]byte]{putting(two, noise(1<<20)), putting(two, noise(1<<20+1)), putting(two, noise(1<<20+2))}
	for _, o := range others {
		if _, err := o.Get(two.ctx); err != nil {
			t.Error(err)
		}
	}
	before := c.count("GetObject")
	if _, err := r.Get(two.ctx); err != nil || c.count("GetObject") == before {
		t.Errorf("more is cached than there is room for: %v", err)
	}
}

// A put waits for room, and what waits ends with its context, and says why.
func TestPutWaitsForRoom(t *testing.T) {
	t.Parallel()
	cfg := controller.Config{Store: store.NewMemory()}
	cfg.Core.MaxObjectBytes = 1<<20 + 16<<10
	c := newRestartable(t, cfg)
	refused := make(chan struct{})
	c.lose = func(procedure string, n int) bool {
		if procedure == "PutObject" && n == 5 { // Two pieces of the first, and more than there is room for.
			close(refused)
		}
		return false
	}
	tr := c.trial(t)
	first := putting(tr, noise(1<<20))
	ctx, cancel := context.WithCancel(tr.ctx)
	waits := make(chan error, 1)
	go func() {
		_, err := fray.Put(ctx, noise(1<<20-1))
		waits <- err
	}()
	select {
	case err := <-waits:
		t.Fatalf("did not wait: %v", err)
	case <-refused:
	}
	cancel()
	if err := <-waits; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "no room for more objects") {
		t.Errorf("got %v", err)
	}
	go func() {
		_, err := fray.Put(tr.ctx, noise(1<<20-1))
		waits <- err
	}()
	if err := first.Release(tr.ctx); err != nil {
		t.Error(err)
	}
	if err := <-waits; err != nil {
		t.Errorf("once there is room: %v", err)
	}
}

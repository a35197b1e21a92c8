package check_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

var errReset = errors.New("connection reset")

// network carries calls from hosts to a handler in the process, and not always well.
type network struct {
	mu      sync.Mutex
	handler http.Handler
	life    int // of the handler's process
	rand    *rand.Rand
	// How probable it is that a request, a reply is lost, that a request arrives twice.
	lostRequest, lostReply, twice float64
	cut                           map[string]bool
	late                          sync.WaitGroup // requests that arrived twice
}

func newNetwork(seed uint64) *network {
	return &network{rand: rand.New(rand.NewPCG(seed, 1)), cut: make(map[string]bool)}
}

func (n *network) chance(p float64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rand.Float64() < p
}

func (n *network) latency(limit time.Duration) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Duration(n.rand.Int64N(int64(limit)))
}

// partition cuts a host off, or lets it back.
func (n *network) partition(host string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[host] = cut
}

func (n *network) reaches(host string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.cut[host]
}

func (n *network) fault(lostRequest, lostReply, twice float64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lostRequest, n.lostReply, n.twice = lostRequest, lostReply, twice
}

// serve puts another process in the place of the one that served; what that one has not answered is
// lost. Nobody reaches either while gone notes the end of the first.
func (n *network) serve(h http.Handler, gone func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	gone()
	n.handler = h
	n.life++
}

func (n *network) server() (h http.Handler, life int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.handler, n.life
}

// link is the network as one host has it: a connect.HTTPClient.
type link struct {
	*network

	host string
}

func (l link) Do(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	ctx := req.Context()
	if err := pause(ctx, l.latency(2*time.Millisecond)); err != nil {
		return nil, err
	}
	if !l.reaches(l.host) || l.chance(l.lostRequest) {
		return nil, silence(ctx)
	}
	if l.chance(l.twice) {
		delay := l.latency(time.Second)
		l.late.Go(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			if pause(ctx, delay) == nil {
				_, _ = l.deliver(ctx, req, body)
			}
		})
	}
	res, lost := l.deliver(ctx, req, body)
	if err := pause(ctx, l.latency(2*time.Millisecond)); err != nil {
		return nil, err
	}
	if lost || !l.reaches(l.host) || l.chance(l.lostReply) {
		return nil, silence(ctx)
	}
	return res, nil
}

func (l link) deliver(ctx context.Context, req *http.Request, body []byte) (res *http.Response, lost bool) {
	handler, life := l.server()
	r := req.Clone(ctx)
	r.Body = io.NopCloser(bytes.NewReader(body))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	_, now := l.server()
	return w.Result(), now != life
}

// silence is what a caller gets of a lost message: sooner or later its connection breaks.
func silence(ctx context.Context) error {
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	return errReset
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

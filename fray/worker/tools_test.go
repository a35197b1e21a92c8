package worker_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray"
)

// plain is a function that neither takes nor gives anything.
type plain struct {
	name string
	run  func(context.Context)
}

func function(name string, run func(context.Context)) fray.Function { return plain{name, run} }

func (p plain) Name() string { return p.name }

func (p plain) Invoke(ctx context.Context, _ fray.Payload) (fray.Payload, error) {
	p.run(ctx)
	return fray.Payload{}, nil
}

func httptestServer(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func httpClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// await waits for something that happens on the network, outside of any bubble.
func await(t *testing.T, ready func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("waited in vain")
		}
	}
}

// pass lets time pass in a bubble, and all that happens in it happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

package integration_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/h3"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/integration/tasks"
)

// newHTTP3Cluster is newCluster, with everything over HTTP/3 and certificates on either side.
func newHTTP3Cluster(t testing.TB, args ...string) (c *cluster, files certs.Files, shown *tls.Config) {
	t.Helper()
	if *mtls || *roles {
		t.Skip("it has certificates of its own; -http3 has the whole suite do this")
	}
	files, shown, err := makeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	transport, err := h3.Dial(files, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c = &cluster{t: t, from: &programs, dir: t.TempDir(), http: &http.Client{Transport: transport}}
	t.Cleanup(c.http.CloseIdleConnections)
	c.args = append(append([]string{"controller", "--listen", "127.0.0.1:0", "--http3"}, tlsArgs(files, true)...), args...)
	c.controller = startProcess(t, "controller", programs.path(t, "fray"), c.args...)
	c.ControllerServiceClient = frayv1connect.NewControllerServiceClient(c.http, c.url())
	return c, files, shown
}

// overHTTP3 are arguments of workers in such a cluster.
func overHTTP3(files certs.Files, args ...string) []string {
	return append(append(tlsArgs(files, false), "--http3"), args...)
}

// Over HTTP/3 tasks run, large inputs and results pass, a worker drains, and a stranger is kept out.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	c, files, _ := newHTTP3Cluster(t, "--in-memory")
	w := c.worker("w", overHTTP3(files, "--slots", "4")...)
	ctx := c.client(fray.WithTLS(files), fray.WithHTTP3(h3.Dial))
	var ins []int
	for n := range 200 {
		ins = append(ins, n)
	}
	for n, f := range runAll(ctx, t, tasks.Square, ins...) {
		if v := get(ctx, t, f); v != n*n {
			t.Errorf("the square of %d is %d", n, v)
		}
	}
	large := make([]byte, 12<<20)
	for i := range large {
		large[i] = byte(i * 7)
	}
	if got, err := tasks.Noop.Call(ctx, large); err != nil || len(got) != len(large) {
		t.Errorf("of %d bytes %d came back: %v", len(large), len(got), err)
	}
	held := c.hold()
	f := run(ctx, t, tasks.Held, held)
	c.awaitEvents(held.Ledger, "start", 1)
	w.signal(unix.SIGTERM)
	eventually(t, "worker w drains", func() bool { w := c.findWorker("w"); return w != nil && w.GetDraining() })
	c.open(held)
	get(ctx, t, f)
	if code := w.exit(); code != 0 {
		t.Errorf("the drained worker ended with %d", code)
	}
	stranger, _, err := makeCertificates(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	client, err := fray.NewClient(c.url(), fray.WithTLS(certs.Files{CA: files.CA, Cert: stranger.Cert, Key: stranger.Key}), fray.WithHTTP3(h3.Dial))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	brief, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := client.GetClusterInfo(brief, &frayv1.GetClusterInfoRequest{}); err == nil {
		t.Error("a stranger was let in")
	}
}

// A controller that is killed and started again, at the same port, has its worker and client back,
// though QUIC tells nobody that a process has ended; and work goes on. How soon is logged.
func TestHTTP3ControllerRestarts(t *testing.T) {
	t.Parallel()
	c, files, _ := newHTTP3Cluster(t, "--listen", "127.0.0.1:"+freePort(t), "--data-dir", filepath.Join(t.TempDir(), "data"))
	c.worker("w", overHTTP3(files, "--slots", "2")...)
	ctx := c.client(fray.WithTLS(files), fray.WithHTTP3(h3.Dial))
	var longest time.Duration
	for range 3 {
		held := c.hold()
		f := run(ctx, t, tasks.Held, held)
		c.awaitEvents(held.Ledger, "start", 1)
		c.controller.kill()
		c.reborn()
		begun := time.Now()
		c.awaitWorker("w")
		c.open(held)
		get(ctx, t, f)
		if n := c.events(held.Ledger)["start"]; n != 1 {
			t.Errorf("the task was started %d times", n)
		}
		longest = max(longest, time.Since(begun))
	}
	t.Logf("worker and client were back after %v at most", longest)
}

// BenchmarkRoundTripOver makes one small call after the other, and sixteen at a time, to one
// controller over each version of HTTP, with TLS.
func BenchmarkRoundTripOver(b *testing.B) {
	c, _, shown := newHTTP3Cluster(b, "--in-memory", "--log-level", "warn")
	if _, err := c.SubmitTask(b.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: &frayv1.TaskSpec{TaskId: "t", Function: "noop"}}); err != nil {
		b.Fatal(err)
	}
	tcp := func(version int) *http.Client {
		transport := &http.Transport{Protocols: new(http.Protocols), MaxIdleConnsPerHost: 64, TLSClientConfig: shown.Clone()}
		transport.Protocols.SetHTTP1(version == 1)
		transport.Protocols.SetHTTP2(version == 2)
		b.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	for _, over := range []struct {
		name   string
		client *http.Client
	}{{"HTTP1", tcp(1)}, {"HTTP2", tcp(2)}, {"HTTP3", c.http}} {
		client := frayv1connect.NewControllerServiceClient(over.client, c.url())
		call := func(b *testing.B) {
			if _, err := client.GetTask(b.Context(), &frayv1.GetTaskRequest{TaskId: "t"}); err != nil {
				b.Error(err)
			}
		}
		for _, callers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/callers=%d", over.name, callers), func(b *testing.B) {
				call(b)
				b.ReportAllocs()
				for b.Loop() {
					var all sync.WaitGroup
					for range callers - 1 {
						all.Go(func() { call(b) })
					}
					call(b)
					all.Wait()
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*callers), "us/call")
			})
		}
	}
}

package worker_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/worker"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// pipes is a network of one listener, in memory.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 7071} }

func (p *pipes) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			here, there := net.Pipe()
			select {
			case p.conns <- there:
				return here, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		// before brings the worker into its state.
		before func(*controller, *running)
		want   *frayv1.HealthCheckResponse
	}{
		{
			name:   "idle",
			before: func(*controller, *running) { pass(time.Second) },
			want:   &frayv1.HealthCheckResponse{Health: frayv1.WorkerHealth_WORKER_HEALTH_SERVING},
		},
		{
			name: "controller is away for less than the session lasts",
			before: func(c *controller, _ *running) {
				pass(time.Second)
				c.change(func() { c.fault = func(string) fault { return fault{err: errUnreachable} } })
				pass(sessionTTL - interval)
			},
			want: &frayv1.HealthCheckResponse{Health: frayv1.WorkerHealth_WORKER_HEALTH_SERVING},
		},
		{
			name: "controller is away for longer",
			before: func(c *controller, _ *running) {
				pass(time.Second)
				c.change(func() { c.fault = func(string) fault { return fault{err: errUnreachable} } })
				pass(2 * sessionTTL)
			},
			want: &frayv1.HealthCheckResponse{Health: frayv1.WorkerHealth_WORKER_HEALTH_DISCONNECTED},
		},
		{
			name: "never connected",
			before: func(c *controller, _ *running) {
				c.change(func() { c.fault = func(string) fault { return fault{err: errUnreachable} } })
				pass(time.Second)
			},
			want: &frayv1.HealthCheckResponse{Health: frayv1.WorkerHealth_WORKER_HEALTH_DISCONNECTED},
		},
		{
			name: "draining",
			before: func(c *controller, w *running) {
				c.add("nap", `10`)
				pass(time.Second)
				w.cancel()
				pass(time.Second)
			},
			want: &frayv1.HealthCheckResponse{Health: frayv1.WorkerHealth_WORKER_HEALTH_DRAINING, RunningCount: 1},
		},
		{
			name: "every slot is abandoned",
			before: func(c *controller, _ *running) {
				c.add("sulk", `60`, timeout(time.Second))
				c.add("sulk", `60`, timeout(time.Second))
				pass(10 * time.Second)
			},
			want: &frayv1.HealthCheckResponse{Health: frayv1.WorkerHealth_WORKER_HEALTH_STUCK, AbandonedCount: 2},
		},
		{
			name: "reports are not taken",
			before: func(c *controller, _ *running) {
				c.change(func() { c.carries, c.fault = false, failing("ReportTasks", 1000, fault{err: errUnreachable}) })
				c.add("echo", `""`)
				c.add("fail", `""`)
				c.add("nap", `10`)
				pass(time.Second)
			},
			want: &frayv1.HealthCheckResponse{Health: frayv1.WorkerHealth_WORKER_HEALTH_SERVING, OutboxCount: 2, RunningCount: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, network := newController(), newPipes()
				w := start(t, c, func(c *worker.Config) { c.Listener = network })
				tt.before(c, w)
				client := frayv1connect.NewWorkerServiceClient(network.client(), "http://w1")
				got, err := client.HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
				if err != nil {
					t.Fatal(err)
				}
				if got.GetHealth() != tt.want.GetHealth() || got.GetRunningCount() != tt.want.GetRunningCount() ||
					got.GetAbandonedCount() != tt.want.GetAbandonedCount() || got.GetOutboxCount() != tt.want.GetOutboxCount() {
					t.Errorf("got %v, want %v", got, tt.want)
				}
				w.stop(t)
				pass(time.Minute)
			})
		})
	}
}

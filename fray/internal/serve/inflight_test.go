package serve_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/internal/serve"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// large is a ControllerService whose messages have what size one likes.
type large struct {
	frayv1connect.UnimplementedControllerServiceHandler

	hold    chan struct{} // what SubmitTask waits for
	answers int           // bytes of GetTaskResult's value
}

func (s large) SubmitTask(ctx context.Context, _ *frayv1.SubmitTaskRequest) (*frayv1.SubmitTaskResponse, error) {
	select {
	case <-s.hold:
	case <-ctx.Done():
	}
	return &frayv1.SubmitTaskResponse{}, nil
}

func (s large) GetTaskResult(context.Context, *frayv1.GetTaskResultRequest) (*frayv1.GetTaskResultResponse, error) {
	return &frayv1.GetTaskResultResponse{Result: &frayv1.TaskResult{Value: &frayv1.Payload{Data: make([]byte, s.answers)}}}, nil
}

// pipes is a listener whose connections are in this process, so that a bubble's time goes by for them.
type pipes struct {
	conns chan net.Conn
	over  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), over: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.over:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.over) }); return nil }

func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.conns <- there
	return here
}

// crowd is a server with little room, and what calls it.
type crowd struct {
	*pipes

	t *testing.T // of the bubble

	hold     chan struct{}
	client   frayv1connect.ControllerServiceClient
	registry *prometheus.Registry
}

// crowded runs f in a bubble with a server whose answers have so many bytes.
func crowded(t *testing.T, answers int, f func(*crowd)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, pipes: newPipes(), hold: make(chan struct{}), registry: prometheus.NewRegistry()}
		server, err := serve.New(serve.Config{
			Listener: c.pipes, InFlightBytes: 16 << 20, Registerer: c.registry,
			RequestBytes: map[string]int{frayv1connect.ControllerServiceSubmitTaskProcedure: 64 << 20},
			Services: []serve.Service{{Name: frayv1connect.ControllerServiceName, New: func(o ...connect.HandlerOption) (string, http.Handler) {
				return frayv1connect.NewControllerServiceHandler(large{hold: c.hold, answers: answers}, o...)
			}}},
		})
		if err == nil {
			err = server.Listen(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- server.Run(ctx) }()
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return c.dial(), nil }}
		c.client = frayv1connect.NewControllerServiceClient(&http.Client{Transport: transport}, "http://127.0.0.1:1")
		f(c)
		transport.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if held := c.used(t); held != 0 {
			t.Errorf("%v bytes are in flight in the end", held)
		}
	})
}

// used returns the bytes that are in flight in all lanes.
func (c *crowd) used(t *testing.T) (sum float64) {
	t.Helper()
	families, err := c.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "fray_rpc_in_flight_bytes" {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func submission(size int) *frayv1.SubmitTaskRequest {
	return &frayv1.SubmitTaskRequest{JobId: "j", Task: &frayv1.TaskSpec{Payload: &frayv1.Payload{Data: make([]byte, size)}}}
}

func TestNoRoomIsToldAndSmallCallsPass(t *testing.T) {
	crowded(t, 0, func(c *crowd) {
		t := c.t
		client := c.client
		ctx := t.Context()
		// Half of 16 MiB are for clients, and each message counts twice.
		if _, err := client.SubmitTask(ctx, submission(5<<20)); connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("a request that can never find room: %v", err)
		}
		var calls sync.WaitGroup
		for range 2 {
			calls.Go(func() {
				if _, err := client.SubmitTask(ctx, submission(1900<<10)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if held := c.used(t); held < 7<<20 || held > 8<<20 {
			t.Errorf("%v bytes are in flight", held)
		}
		begun := time.Now()
		if _, err := client.SubmitTask(ctx, submission(1<<20)); connect.CodeOf(err) != connect.CodeResourceExhausted || !strings.Contains(err.Error(), "no room") {
			t.Errorf("without room: %v", err)
		}
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("it was refused after %v", took)
		}
		begun = time.Now()
		if _, err := client.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: "t"}); err != nil || time.Since(begun) != 0 {
			t.Errorf("a small call took %v: %v", time.Since(begun), err)
		}
		close(c.hold)
		calls.Wait()
		if _, err := client.SubmitTask(ctx, submission(1<<20)); err != nil {
			t.Errorf("once there is room: %v", err)
		}
	})
}

func TestCompressedBodiesCountAsWhatTheyMayBe(t *testing.T) {
	crowded(t, 0, func(c *crowd) {
		t := c.t
		message, err := proto.Marshal(submission(3 << 20))
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(message)
		_ = z.Close()
		conn := c.dial()
		defer conn.Close()
		go func() {
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/proto\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n",
				frayv1connect.ControllerServiceSubmitTaskProcedure, packed.Len())
			_, _ = conn.Write(packed.Bytes())
		}()
		synctest.Wait()
		if held := c.used(t); held < 6<<20 {
			t.Errorf("%d bytes that stand for %d hold %v", packed.Len(), len(message), held)
		}
		close(c.hold)
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%v, %v", res, err)
		}
	})
}

func TestSendersThatTrickleAreLetGo(t *testing.T) {
	crowded(t, 0, func(c *crowd) {
		t := c.t
		conn := c.dial()
		var trickle sync.WaitGroup
		defer trickle.Wait()
		defer conn.Close()
		begun := time.Now()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/proto\r\nContent-Length: 1000000\r\n\r\n",
			frayv1connect.ControllerServiceSubmitTaskProcedure)
		trickle.Go(func() {
			for {
				time.Sleep(time.Second)
				if _, err := conn.Write([]byte{0}); err != nil {
					return
				}
			}
		})
		_, err := io.Copy(io.Discard, conn)
		if took := time.Since(begun); err != nil || took > 11*time.Second || took < 9*time.Second {
			t.Errorf("its connection was closed after %v: %v", took, err)
		}
	})
}

func TestReadersThatDoNotReadAreLetGo(t *testing.T) {
	crowded(t, 2<<20, func(c *crowd) {
		t := c.t
		conn := c.dial()
		defer conn.Close()
		go fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"taskId\":\"t\"}",
			frayv1connect.ControllerServiceGetTaskResultProcedure)
		synctest.Wait()
		if held := c.used(t); held < 4<<20 {
			t.Errorf("%v bytes are in flight", held)
		}
		time.Sleep(9 * time.Second)
		if held := c.used(t); held < 4<<20 {
			t.Errorf("%v bytes are in flight before its time", held)
		}
		time.Sleep(30 * time.Second)
		if held := c.used(t); held != 0 {
			t.Errorf("%v bytes are in flight after its time", held)
		}
		// One that reads gets its answer, and the next over the same connection, whenever it asks.
		for range 3 {
			if _, err := c.client.GetTaskResult(t.Context(), &frayv1.GetTaskResultRequest{TaskId: "t"}); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
	})
}

// The grpcbench command measures what Fray's calls cost behind connect-go and behind grpc-go: one and
// the same method, with Fray's messages and 64 bytes that come back, from one process to another.
//
//	go run ./grpcbench -repeat 3 > grpc.benchmarks
//
// It prints a line for each row and repetition in the format of Go's benchmarks. All rows are measured
// once before any is again. Each has a server process of its own, which others leave alone:
//
//   - GRPC: server and client of grpc-go, which has one connection;
//   - Connect: server and client of connect-go as Fray uses them, Connect over HTTP/1.1, with a
//     connection for each caller;
//   - ConnectGRPC: the same server, which is asked by gRPC over HTTP/2 without TLS;
//   - Controller: Fray's controller in memory, which queues each task: Connect over HTTP/1.1. That is more
//     than the others do.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"time"

	ggrpc "google.golang.org/grpc"

	"github.com/frayrpc/fray/examples/abroad/bench"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

const (
	unit      = "calls/s"
	smallSize = 64
	// warmUp is how many calls of each caller are not counted.
	warmUp   = 20
	patience = 10 * time.Second
)

// callerCounts are the numbers of goroutines that call, one call after the other.
var callerCounts = []int{1, 16}

var (
	repeat   = flag.Int("repeat", 3, "how often each row is measured")
	duration = flag.Duration("duration", time.Second, "how long calls go on, each time")
	role     = flag.String("role", "", "the server that this process is for the one that started it")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	run := measure
	if *role != "" {
		run = serve
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "grpcbench:", err)
		os.Exit(1)
	}
}

// row is one way to call one server.
type row struct {
	name, role string
	// dial connects to it, and returns how it is called and what ends the connections.
	dial func(address string) (call, func() error, error)
}

// call submits a task.
type call func(context.Context, *frayv1.SubmitTaskRequest) (*frayv1.SubmitTaskResponse, error)

var rows = []row{
	{"GRPC", roleGRPC, dialGRPC},
	{"Connect", roleConnect, dialConnect},
	{"ConnectGRPC", roleConnect, dialConnectGRPC},
	{"Controller", roleController, dialConnect},
}

func measure(ctx context.Context) (err error) {
	servers := make(map[string]string)
	for _, role := range []string{roleGRPC, roleConnect, roleController} {
		address, stop, err := bench.Start("-role", role)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		servers[role] = address
	}
	bench.Head("github.com/frayrpc/fray/examples/abroad/grpcbench, google.golang.org/grpc "+ggrpc.Version, unit)
	for repetition := range *repeat {
		for _, callers := range callerCounts {
			for _, r := range rows {
				submit, hangUp, err := r.dial(servers[r.role])
				if err == nil {
					name := fmt.Sprintf("%s/%d", r.name, callers)
					err = errors.Join(drive(ctx, name, fmt.Sprintf("%d-%d", repetition, callers), callers, submit, r.role != roleController), hangUp())
				}
				if err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
			}
		}
	}
	return nil
}

// request returns a task that no worker has.
func request(id string) *frayv1.SubmitTaskRequest {
	data := slices.Repeat([]byte{'x'}, smallSize)
	copy(data, id)
	return &frayv1.SubmitTaskRequest{
		JobId: "grpcbench",
		Task:  &frayv1.TaskSpec{TaskId: id, Function: "grpcbench.nowhere", Payload: &frayv1.Payload{Encoding: "raw", Data: data}},
	}
}

// drive has callers submit one task after the other, and prints the row. If the server is to send what
// it was sent, that is compared.
func drive(ctx context.Context, name, run string, callers int, submit call, echoes bool) error {
	var (
		mu    sync.Mutex
		all   []time.Duration
		errs  []error
		ready sync.WaitGroup
		wg    sync.WaitGroup
		begun = make(chan struct{})
		start time.Time
	)
	ready.Add(callers)
	for caller := range callers {
		wg.Go(func() {
			n := 0
			once := func() error {
				n++
				ctx, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				req := request(run + "-" + name + "-" + strconv.Itoa(caller) + "-" + strconv.Itoa(n))
				res, err := submit(ctx, req)
				switch {
				case err != nil:
					return err
				case !res.GetCreated():
					return fmt.Errorf("task %s was not created", req.GetTask().GetTaskId())
				case echoes && !bytes.Equal(res.GetResult().GetValue().GetData(), req.GetTask().GetPayload().GetData()):
					return fmt.Errorf("task %s has come back changed", req.GetTask().GetTaskId())
				}
				return nil
			}
			var err error
			for range warmUp {
				err = errors.Join(err, once())
			}
			ready.Done()
			<-begun
			var took []time.Duration
			for err == nil && time.Since(start) < *duration {
				called := time.Now()
				err = once()
				took = append(took, time.Since(called))
			}
			mu.Lock()
			defer mu.Unlock()
			all, errs = append(all, took...), append(errs, err)
		})
	}
	ready.Wait()
	start = time.Now()
	close(begun)
	wg.Wait()
	elapsed := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	bench.Row(name, unit, len(all), elapsed, all)
	return nil
}

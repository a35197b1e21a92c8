// The natsbench command measures NATS JetStream with what fray bench measures of Fray: tasks with 64
// bytes that come back, from one process over a server to others and back, each step of it stored.
//
//	go run ./natsbench -dir DIR -repeat 3 > jetstream.benchmarks
//
// It prints a line for each row and repetition in the format of Go's benchmarks. A task is a message
// in a work queue, whose worker publishes the result to a second stream and acknowledges the task once
// that is stored. Without a directory both streams are in memory; with one they are in files, and the
// server syncs each write.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/frayrpc/fray/examples/abroad/bench"
)

const (
	taskStream, taskSubject     = "TASKS", "tasks"
	resultStream, resultSubject = "RESULTS", "results"

	unit      = "tasks/s"
	idHeader  = "Task"
	workers   = 2 // as fray bench has
	tasks     = 20_000
	smallSize = 64
	patience  = time.Minute
	// maxPending is how many publications may be under way.
	maxPending = 4096
)

var (
	dir      = flag.String("dir", "", "keep streams in files below this `directory`, and sync each write; else in memory")
	repeat   = flag.Int("repeat", 3, "how often each row is measured")
	duration = flag.Duration("duration", time.Second, "how long calls go on, each time")
	syncs    = flag.Bool("sync", false, "have the server sync each write, in the role of one")
	role     = flag.String("role", "", "server or worker: what this process is for the one that started it")
	url      = flag.String("url", "", "where a worker finds the server")
)

func main() {
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch *role {
	case "server":
		err = serve()
	case "worker":
		err = work(ctx)
	default:
		err = measure(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "natsbench:", err)
		os.Exit(1)
	}
}

// serve is a server until the standard input ends, which is when the process that started it does.
func serve() error {
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: *dir, SyncAlways: *syncs, NoSigs: true,
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return errors.New("the server does not start")
	}
	fmt.Println(s.ClientURL())
	_, err = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	s.WaitForShutdown()
	return err
}

func connect(url string) (*nats.Conn, jetstream.JetStream, error) {
	connection, err := nats.Connect(url)
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(connection, jetstream.WithPublishAsyncMaxPending(maxPending))
	return connection, js, err
}

// work sends back what comes, until the standard input ends.
func work(ctx context.Context) error {
	connection, js, err := connect(*url)
	if err != nil {
		return err
	}
	defer connection.Close()
	consumer, err := js.Consumer(ctx, taskStream, "workers")
	if err != nil {
		return err
	}
	consuming, err := consumer.Consume(func(task jetstream.Msg) {
		result := nats.NewMsg(resultSubject)
		result.Header.Set(idHeader, task.Headers().Get(idHeader))
		result.Data = task.Data()
		stored, err := js.PublishMsgAsync(result, jetstream.WithStallWait(patience))
		if err != nil {
			return // The task comes again.
		}
		go func() {
			select {
			case <-stored.Ok():
				_ = task.Ack()
			case <-stored.Err():
			}
		}()
	}, jetstream.PullMaxMessages(500))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	consuming.Stop()
	return err
}

func measure(ctx context.Context) (err error) {
	// Streams in memory have files, too.
	own, err := os.MkdirTemp(*dir, "natsbench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(own)) }()
	address, stop, err := bench.Start("-role", "server", "-dir", own, fmt.Sprintf("-sync=%v", *dir != ""))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	connection, js, err := connect(address)
	if err != nil {
		return err
	}
	defer connection.Close()
	storage := jetstream.MemoryStorage
	if *dir != "" {
		storage = jetstream.FileStorage
	}
	for _, s := range []jetstream.StreamConfig{
		{Name: taskStream, Subjects: []string{taskSubject}, Storage: storage, Retention: jetstream.WorkQueuePolicy},
		{Name: resultStream, Subjects: []string{resultSubject}, Storage: storage, Retention: jetstream.WorkQueuePolicy},
	} {
		if _, err := js.CreateStream(ctx, s); err != nil {
			return err
		}
	}
	consumer := jetstream.ConsumerConfig{Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: tasks}
	if _, err := js.CreateConsumer(ctx, taskStream, consumer); err != nil {
		return err
	}
	for range workers {
		_, stop, err := bench.Start("-role", "worker", "-url", address)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	c := &client{js: js, waiting: make(map[string]chan []byte)}
	consumer.Durable = "client"
	results, err := js.CreateConsumer(ctx, resultStream, consumer)
	if err != nil {
		return err
	}
	consuming, err := results.Consume(c.came, jetstream.PullMaxMessages(5000))
	if err != nil {
		return err
	}
	defer consuming.Stop()
	bench.Head("github.com/nats-io/nats-server/v2 "+server.VERSION, unit)
	for range *repeat {
		if err := c.batch(ctx); err != nil {
			return fmt.Errorf("batch: %w", err)
		}
		for _, callers := range []int{1, 8, 64} {
			if err := c.calls(ctx, callers); err != nil {
				return fmt.Errorf("call/%d: %w", callers, err)
			}
		}
	}
	return nil
}

// client publishes tasks, and waits for their results.
type client struct {
	js jetstream.JetStream

	mu      sync.Mutex
	next    int
	waiting map[string]chan []byte
}

// came passes a result on to who waits for it.
func (c *client) came(result jetstream.Msg) {
	id := result.Headers().Get(idHeader)
	c.mu.Lock()
	waits := c.waiting[id]
	delete(c.waiting, id)
	c.mu.Unlock()
	if waits != nil {
		waits <- result.Data()
	}
	_ = result.Ack()
}

// newTask returns a task, and where its result comes.
func (c *client) newTask() (*nats.Msg, chan []byte) {
	result := make(chan []byte, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	id := strconv.Itoa(c.next)
	c.waiting[id] = result
	task := nats.NewMsg(taskSubject)
	task.Header.Set(idHeader, id)
	task.Data = slices.Repeat([]byte{'x'}, smallSize)
	copy(task.Data, id)
	return task, result
}

// await waits for a result, and compares it.
func await(ctx context.Context, task *nats.Msg, result chan []byte) error {
	select {
	case got := <-result:
		if !bytes.Equal(got, task.Data) {
			return fmt.Errorf("task %s has come back changed", task.Header.Get(idHeader))
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("task %s does not come back", task.Header.Get(idHeader))
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *client) batch(ctx context.Context) error {
	begun := time.Now()
	published := make([]*nats.Msg, tasks)
	results := make([]chan []byte, tasks)
	for i := range tasks {
		published[i], results[i] = c.newTask()
		if _, err := c.js.PublishMsgAsync(published[i], jetstream.WithStallWait(patience)); err != nil {
			return err
		}
	}
	select {
	case <-c.js.PublishAsyncComplete():
	case <-time.After(patience):
		return errors.New("not all was stored")
	}
	for i, result := range results {
		if err := await(ctx, published[i], result); err != nil {
			return err
		}
	}
	bench.Row("Batch", unit, tasks, time.Since(begun), nil) // The names are those of fray bench.
	return nil
}

func (c *client) calls(ctx context.Context, callers int) error {
	var (
		mu   sync.Mutex
		all  []time.Duration
		errs []error
		wg   sync.WaitGroup
	)
	begun := time.Now()
	for range callers {
		wg.Go(func() {
			var took []time.Duration
			var err error
			for err == nil && time.Since(begun) < *duration {
				start := time.Now()
				task, result := c.newTask()
				if _, err = c.js.PublishMsg(ctx, task); err == nil {
					err = await(ctx, task, result)
				}
				took = append(took, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			errs = append(errs, err)
		})
	}
	wg.Wait()
	elapsed := time.Since(begun)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	bench.Row(fmt.Sprintf("Call/%d", callers), unit, len(all), elapsed, all)
	return nil
}

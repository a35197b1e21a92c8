package fray_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// logBook is what a logger was told, a line each.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// lines returns the lines with a text.
func (b *logBook) lines(text string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for line := range strings.Lines(b.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// nobodyThere is an address at which nothing listens.
func nobodyThere(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestErrorsOfAnOutageSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	address := nobodyThere(t)
	var book logBook
	jc := newJobContext(t, fray.KindFray, fray.WithControllerAddress(address), fray.WithLogger(book.logger()))
	client, err := fray.NewClient(address, fray.WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	calls := map[string]func(context.Context) error{
		"Run": func(ctx context.Context) error { _, err := echo.Run(fray.NewContext(ctx, jc), "x"); return err },
		"RunAll": func(ctx context.Context) error {
			_, err := echo.RunAll(fray.NewContext(ctx, jc), inputs(3))
			return err
		},
		"Client": func(ctx context.Context) error {
			_, err := client.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
			return err
		},
	}
	var group sync.WaitGroup
	for name, call := range calls {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
			defer cancel()
			err := call(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: got %v", name, err)
			}
			for _, part := range []string{"http://" + address, "is unreachable for ", "connection refused"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %q lacks %q", name, err, part)
				}
			}
		})
	}
	group.Wait()
	if lines := book.lines("controller does not answer"); len(lines) != 1 || !strings.Contains(lines[0], "connection refused") || !strings.Contains(lines[0], address) {
		t.Errorf("within a second, the logger was told %q", lines)
	}
}

func TestOutageIsToldOnceAndNowAndThen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		away    func(context.Context) error
		because string
	}{
		{"refused", func(context.Context) error { return connect.NewError(connect.CodeUnavailable, errors.New("not here")) }, "not here"},
		{"silent", swallow, "no answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := newFake()
			fake.echo = true
			var down atomic.Bool
			client := fake.client()
			client.fault = func(r *http.Request) error {
				if down.Load() {
					return tt.away(r.Context())
				}
				return nil
			}
			var book logBook
			withFake(t, fake, func(t *trial) {
				got(t, echo, "x", "x")
				down.Store(true)
				start := time.Now()
				futures := make(chan error)
				go func() {
					f, err := echo.Run(t.ctx, "x")
					if err == nil {
						_, err = f.Get(t.ctx)
					}
					futures <- err
				}()
				time.Sleep(1100 * time.Millisecond)
				if lines := book.lines("WARN"); len(lines) != 1 || !strings.Contains(lines[0], tt.because) {
					t.Errorf("after a second, the logger was told %q", lines)
				}
				short, cancel := context.WithTimeout(t.ctx, 4*time.Second)
				defer cancel()
				_, err := echo.Run(short, "y")
				if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "controller at http://fake:1 is unreachable for 5.1s: "+tt.because) {
					t.Errorf("got %v", err)
				}
				time.Sleep(10*time.Minute - time.Since(start))
				if lines := book.lines("WARN"); len(lines) < 10 || len(lines) > 21 {
					t.Errorf("%d warnings in ten minutes", len(lines))
				}
				down.Store(false)
				if err := <-futures; err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				if lines := book.lines("INFO"); len(lines) != 1 || !strings.Contains(lines[0], "controller answers again") {
					t.Errorf("when it was well again, the logger was told %q", lines)
				}
				warnings := len(book.lines("WARN"))
				for range 100 { // It flickers.
					down.Store(true)
					time.AfterFunc(2*time.Second, func() { down.Store(false) })
					got(t, echo, "x", "x")
				}
				if n := len(book.lines("WARN")) - warnings; n > 100 {
					t.Errorf("%d warnings of an outage that comes and goes", n)
				}
			}, fray.WithHTTPClient(client), fray.WithLogger(book.logger()))
		})
	}
}

func TestGetSaysWhatKeepsItsTask(t *testing.T) {
	t.Parallel()
	fake := newFake()
	var down atomic.Bool
	fake.beforeWatch = func(int, *frayv1.WatchJobRequest) error {
		if down.Load() {
			return connect.NewError(connect.CodeUnavailable, errors.New("not here"))
		}
		return nil
	}
	withFake(t, fake, func(t *trial) {
		down.Store(true) // before there is a call that waits for news
		f := run(t, echo, "x")
		time.Sleep(30 * time.Second)
		short, cancel := context.WithTimeout(t.ctx, time.Second)
		defer cancel()
		for name, wait := range map[string]func() error{
			"Get":  func() error { _, err := f.Get(short); return err },
			"Wait": func() error { _, _, err := fray.Wait(short, []*fray.Future[string]{f}, 1, -1); return err },
			"AsCompleted": func() error {
				for _, err := range fray.AsCompleted(short, []*fray.Future[string]{f}) {
					return err
				}
				return nil
			},
		} {
			err := wait()
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "has refused for 3") || !strings.Contains(err.Error(), "not here") {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if _, _, err := fray.Wait(t.ctx, []*fray.Future[string]{f}, 1, time.Millisecond); err != nil {
			t.Errorf("a timeout of Wait is no error: %v", err)
		}
	})
}

func TestDefaultLoggerIsSlogs(t *testing.T) {
	var book logBook
	old := slog.Default()
	slog.SetDefault(book.logger())
	t.Cleanup(func() { slog.SetDefault(old) })
	jc, err := fray.NewJobContext(t.Context(), fray.KindFray, fray.WithControllerAddress(nobodyThere(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer jc.Close()
	ctx, cancel := context.WithTimeout(fray.NewContext(t.Context(), jc), 900*time.Millisecond)
	defer cancel()
	if _, err := echo.Run(ctx, "x"); err == nil {
		t.Fatal("no error")
	}
	if lines := book.lines("controller does not answer"); len(lines) != 1 {
		t.Errorf("slog's default logger was told %q", lines)
	}
}

func TestTokenIsShown(t *testing.T) {
	fake := newFake()
	fake.echo = true
	http := fake.client()
	want := ""
	http.fault = unlessAuthorized(&want)
	call := func(opts ...fray.Option) error {
		opts = append([]fray.Option{fray.WithHTTPClient(http), fray.WithControllerAddress("fake:1"), fray.WithLogger(nil)}, opts...)
		jc, err := fray.NewJobContext(t.Context(), fray.KindFray, opts...)
		if err != nil {
			return err
		}
		_, err1 := echo.Call(fray.NewContext(t.Context(), jc), "x")
		client, err2 := fray.NewClient("fake:1", opts...)
		if err2 == nil {
			_, err2 = client.GetTaskResults(t.Context(), &frayv1.GetTaskResultsRequest{})
		}
		if (err1 == nil) != (err2 == nil) {
			t.Errorf("a job context says %v, a client %v", err1, err2)
		}
		return errors.Join(err1, err2, jc.Close())
	}
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	t.Setenv("FRAY_TOKEN", "")
	check("none", call())
	t.Setenv("FRAY_TOKEN", "from-env")
	want = "Bearer from-env"
	check("environment", call())
	check("option of the same", call(fray.WithToken("from-env")))
	want = "Bearer given"
	check("option", call(fray.WithToken("given")))
	if err := call(); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("another token: %v", err)
	}
	want = ""
	check("none by option", call(fray.WithToken("")))
	if err := call(fray.WithToken("line\n")); err == nil || !strings.Contains(err.Error(), "printable ASCII") {
		t.Errorf("a token that cannot be sent: %v", err)
	}
}

// unlessAuthorized refuses calls whose Authorization is not what is wanted.
func unlessAuthorized(want *string) func(*http.Request) error {
	return func(r *http.Request) error {
		if got := r.Header.Get("Authorization"); got != *want {
			return connect.NewError(connect.CodeUnauthenticated, fmt.Errorf("authorization is %q", got))
		}
		return nil
	}
}

func TestTasksThatNoWorkerCanRunAreTold(t *testing.T) {
	t.Parallel()
	fake := newFake()
	const detail = `no worker has registered the function "echo"`
	var missing atomic.Bool
	missing.Store(true)
	fake.look = func(task *frayv1.Task) *frayv1.Task {
		if task.GetFunction() == "echo" && missing.Load() {
			return &frayv1.Task{
				TaskId: task.GetTaskId(), Status: frayv1.TaskStatus_TASK_STATUS_PENDING,
				PendingReason: frayv1.PendingReason_PENDING_REASON_NO_ELIGIBLE_WORKER, PendingDetail: detail,
			}
		}
		return task
	}
	var book logBook
	withFake(t, fake, func(t *trial) {
		futures, err := echo.RunAll(t.ctx, inputs(100))
		if err != nil {
			t.Fatal(err)
		}
		other := run(t, reverse, []byte{1})
		time.Sleep(1200 * time.Millisecond)
		lines := book.lines("WARN")
		if len(lines) != 1 || !strings.Contains(lines[0], "function=echo") || !strings.Contains(lines[0], strings.ReplaceAll(detail, `"`, `\"`)) {
			t.Fatalf("after a second, the logger was told %q", lines)
		}
		short, cancel := context.WithTimeout(t.ctx, time.Second)
		defer cancel()
		if _, err := futures[7].Get(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), detail) {
			t.Errorf("got %v", err)
		}
		if _, err := other.Get(short); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "worker") {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Hour)
		if lines := book.lines("WARN"); len(lines) != 1 {
			t.Errorf("in an hour, the logger was told %q", lines)
		}
		fake.mu.Lock()
		looks := fake.looks
		fake.mu.Unlock()
		if looks > 150 {
			t.Errorf("%d looks in an hour", looks)
		}
		missing.Store(false)
		time.Sleep(2 * time.Minute)
		if lines := book.lines("INFO"); len(lines) != 1 || !strings.Contains(lines[0], "there is a worker") {
			t.Errorf("the logger was told %q", lines)
		}
	}, fray.WithLogger(book.logger()))
}

// A loop of short calls is not looked at one by one.
func TestShortCallsAreNotLookedAt(t *testing.T) {
	t.Parallel()
	fake := newFake()
	fake.echo = true
	withFake(t, fake, func(t *trial) {
		for range 1000 {
			got(t, echo, "x", "x")
			time.Sleep(10 * time.Millisecond)
		}
		synctest.Wait()
		if fake.looks > 1 {
			t.Errorf("%d looks at calls that ended at once", fake.looks)
		}
	})
}

// While the controller answers nobody, it is asked by those who need it, and not by who is only
// curious.
func TestOutageIsNotLookedInto(t *testing.T) {
	t.Parallel()
	fake := newFake()
	var away atomic.Bool
	refuse := func() error {
		if away.Load() {
			return wire.Error(wire.ReasonShuttingDown, 0, "not now")
		}
		return nil
	}
	fake.beforeLook = refuse
	fake.beforeWatch = func(int, *frayv1.WatchJobRequest) error { return refuse() }
	withFake(t, fake, func(t *trial) {
		away.Store(true)
		run(t, echo, "x")
		time.Sleep(10 * time.Minute)
		fake.mu.Lock()
		looks := fake.looks
		fake.mu.Unlock()
		if looks > 20 { // Between two calls of the others, nobody knows.
			t.Errorf("%d looks while nothing was answered", looks)
		}
		away.Store(false)
		time.Sleep(2 * time.Minute)
		fake.mu.Lock()
		defer fake.mu.Unlock()
		if fake.looks <= looks {
			t.Error("there was no look after the outage")
		}
	}, fray.WithLogger(nil))
}

func TestSchedulingTimeoutSaysWhatWasMissing(t *testing.T) {
	t.Parallel()
	jc := newJobContext(t, fray.KindFray, fray.WithControllerAddress(startCluster(t, 1)))
	trial := newTrial(t, jc)
	got(trial, echo, "there is a worker", "there is a worker")
	elsewhere := fray.Define("elsewhere", func(context.Context, int) (int, error) { return 0, nil })
	for want, opts := range map[string][]fray.CallOption{
		`no worker has registered the function "elsewhere"`: nil,
	} {
		e := fails(trial, elsewhere, 1, append(opts, fray.WithSchedulingTimeout(50*time.Millisecond))...)
		if e.Reason != fray.ReasonSchedulingTimeout || !errors.Is(e, fray.ErrSchedulingTimeout) || !strings.Contains(e.Error(), want) {
			t.Errorf("got %v", e)
		}
	}
	for want, opt := range map[string]fray.CallOption{
		`no worker with the function "echo" has the label zone=y`:             fray.WithLabels(map[string]string{"zone": "y"}),
		`no worker with the function "echo" has any gpu, of which it takes 8`: fray.WithResources(map[string]int64{"gpu": 8}),
	} {
		e := fails(trial, echo, "x", opt, fray.WithSchedulingTimeout(50*time.Millisecond))
		if e.Reason != fray.ReasonSchedulingTimeout || !strings.Contains(e.Error(), want) {
			t.Errorf("got %v", e)
		}
	}
}

//go:build unix

package fray_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/internal/rayjobs"
	"github.com/frayrpc/fray/fray/internal/rayjobs/raytest"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/worker"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// shortGrace has clients that are gone be noticed soon.
const shortGrace = 500 * time.Millisecond

// rayPatience is how long the tests of the ray backend wait for what should happen soon.
const rayPatience = 30 * time.Second

// eventually waits until ok returns true, or fails the test.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(rayPatience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not so: %s", rayPatience, what)
		}
	}
}

// rayStage is a controller and a Ray cluster.
type rayStage struct {
	*raytest.Server

	t     *testing.T
	url   string
	grace time.Duration // for which the controller takes a client to be there that it does not hear
	stop  func()        // the controller
	// asked is how often a controller was asked how the job stands.
	asked atomic.Int64
	// refused are what it refuses: codes by procedures.
	refused sync.Map
	log     lockedBuffer
}

// control starts a controller.
func (s *rayStage) control(address string) {
	s.t.Helper()
	counts := connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
			if code, ok := s.refused.Load(req.Spec().Procedure); ok {
				return nil, connect.NewError(code.(connect.Code), errors.New("no"))
			}
			res, err := next(ctx, req)
			if req.Spec().Procedure == frayv1connect.ControllerServiceGetJobProcedure {
				s.asked.Add(1)
			}
			return res, err
		}
	})
	c, err := controller.New(controller.Config{
		Store: store.NewMemory(), ListenAddress: address, HandlerOptions: []connect.HandlerOption{connect.WithInterceptors(counts)},
		Core: core.Config{WatchGrace: s.grace},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the controller listens at "+address, func() bool { // Another program may have its port for a moment.
		err = c.Listen(s.t.Context())
		return err == nil
	})
	s.url = c.URL()
	s.stop = sync.OnceFunc(runInBackground(s.t, "controller", c.Run))
	s.t.Cleanup(s.stop)
}

// awaitAsked waits until workers have asked so many times whether their job is watched.
func (s *rayStage) awaitAsked(times int64) {
	s.t.Helper()
	from := s.asked.Load()
	eventually(s.t, "workers ask whether their job is watched", func() bool { return s.asked.Load() >= from+times })
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(data)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func newRayStage(t *testing.T, config raytest.Config) *rayStage {
	t.Helper()
	return newRayStageAt(t, "127.0.0.1:0", shortGrace, config)
}

// newRayStageAt is newRayStage with a controller at an address.
func newRayStageAt(t *testing.T, address string, grace time.Duration, config raytest.Config) *rayStage {
	t.Helper()
	s := &rayStage{t: t, grace: grace}
	s.control(address)
	config.Dir = t.TempDir()
	var err error
	if s.Server, err = raytest.Start(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Server.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of the job context:\n%s", s.log.String())
		}
	})
	return s
}

// workers are as many as that, of the program of this test, in a folder that is uploaded.
func (s *rayStage) workers(count int) fray.RayWorkers {
	s.t.Helper()
	dir := s.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "run me"), []byte("#!/bin/sh\nexec \"$PROGRAM\"\n"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return fray.RayWorkers{
		Count: count, Entrypoint: "exec './run me'", WorkingDir: dir, CPUs: 0.5, Lease: time.Second,
		Env: map[string]string{"PROGRAM": os.Args[0], rayWorkerVariable: rayWorkerGood},
	}
}

// open makes a job context, and its error.
func (s *rayStage) open(ctx context.Context, w fray.RayWorkers, opts ...fray.Option) (*fray.JobContext, error) {
	return fray.NewJobContext(ctx, fray.KindRay, append([]fray.Option{
		fray.WithRayAddress(s.URL()), fray.WithControllerAddress(s.url), fray.WithRayWorkers(w),
		fray.WithRayPauses(50*time.Millisecond, 20*time.Millisecond), fray.WithLogger(slog.New(slog.NewTextHandler(&s.log, nil))),
	}, opts...)...)
}

func (s *rayStage) mustOpen(ctx context.Context, w fray.RayWorkers) *fray.JobContext {
	s.t.Helper()
	jc, err := s.open(ctx, w)
	if err != nil {
		s.t.Fatal(err)
	}
	return jc
}

// meet has as many tasks meet as there are workers, and returns these.
func (s *rayStage) meet(jc *fray.JobContext, workers int) []string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(fray.NewContext(s.t.Context(), jc), rayPatience)
	defer cancel()
	in := meetingIn{Dir: s.t.TempDir(), Workers: workers}
	futures, err := meeting.RunAll(ctx, slices.Repeat([]meetingIn{in}, workers))
	if err != nil {
		s.t.Fatal(err)
	}
	ids := make([]string, 0, workers)
	for _, f := range futures {
		id, err := f.Get(ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// ids are those of the jobs that have a status.
func (s *rayStage) ids(statuses ...rayjobs.Status) (ids []string) {
	for _, j := range s.Jobs() {
		if slices.Contains(statuses, j.Status) {
			ids = append(ids, j.ID)
		}
	}
	return ids
}

// endsWith waits for the processes of all jobs to be gone, and compares how they have ended.
func (s *rayStage) endsWith(statuses ...rayjobs.Status) {
	s.t.Helper()
	for _, j := range s.Jobs() {
		select {
		case <-s.Gone(j.ID):
		case <-time.After(rayPatience):
			s.t.Fatalf("the processes of %s go on", j.ID)
		}
	}
	var got []rayjobs.Status
	for _, j := range s.Jobs() {
		got = append(got, j.Status)
	}
	slices.Sort(got)
	slices.Sort(statuses)
	if !slices.Equal(got, statuses) {
		s.t.Errorf("jobs have ended as %v, want %v", got, statuses)
	}
}

// Tasks run on the workers; those that die are replaced; Close ends them all.
func TestRayRunsTasksOnItsWorkers(t *testing.T) {
	t.Parallel()
	s := newRayStage(t, raytest.Config{})
	const workers = 3
	jc := s.mustOpen(t.Context(), s.workers(workers))
	first := s.meet(jc, workers)
	if len(first) != workers || jc.Kind() != fray.KindRay {
		t.Fatalf("workers %v, kind %s", first, jc.Kind())
	}
	jobs := s.Jobs()
	for i, j := range jobs {
		vars := j.Env.Vars
		if j.CPUs != 0.5 || vars["FRAY_JOB_LEASE"] != jc.JobID() || vars["FRAY_JOB_LEASE_TTL"] != "1s" || vars["FRAY_CONTROLLER_ADDRESS"] != s.url ||
			!slices.Contains(first, vars["FRAY_WORKER_ID"]) || j.Metadata["fray_job"] != jc.JobID() {
			t.Errorf("job %d: %+v", i, j)
		}
	}
	if uploads := slices.DeleteFunc(s.Calls(), func(c string) bool { return !strings.HasPrefix(c, "PUT") }); len(uploads) != 1 {
		t.Errorf("uploads %v", uploads)
	}

	if err := s.ForgetPackages(); err != nil { // Ray cleans up what no job has asked for lately.
		t.Fatal(err)
	}
	s.Kill(jobs[0].ID)
	s.Lose(jobs[1].ID)
	eventually(t, "two jobs are submitted anew", func() bool { return len(s.ids(rayjobs.Running)) == workers })
	if again := s.meet(jc, workers); !slices.Equal(again, first) {
		t.Errorf("workers are %v, were %v", again, first)
	}
	if log := s.log.String(); !strings.Contains(log, "it has FAILED: Job entrypoint command failed with exit code") ||
		!strings.Contains(log, "the Ray cluster does not know it any more") {
		t.Errorf("the log does not say why:\n%s", log)
	}

	if err := jc.Close(); err != nil {
		t.Error(err)
	}
	s.endsWith(rayjobs.Failed, rayjobs.Stopped, rayjobs.Stopped, rayjobs.Stopped)
}

// It does what all backends do. The workers run in this process, under the names that jobs of the
// cluster were given.
func TestRayConforms(t *testing.T) {
	t.Parallel()
	conformance(t, backendUnderTest{kind: fray.KindRay, remote: true, slots: 4, start: func(t *testing.T, opts ...fray.Option) *fray.JobContext {
		t.Helper()
		s := newRayStageAt(t, "127.0.0.1:0", 0, raytest.Config{})
		opened := make(chan *fray.JobContext, 1)
		go func() {
			defer close(opened)
			jc, err := s.open(context.WithoutCancel(t.Context()), fray.RayWorkers{
				Count:      1,
				Entrypoint: "exec sleep 600",
			}, opts...)
			if err != nil {
				t.Error(err)
				return
			}
			opened <- jc
		}()
		eventually(t, "a worker is submitted", func() bool { return len(s.Jobs()) == 1 })
		vars := s.Jobs()[0].Env.Vars
		w, err := worker.New(worker.Config{
			ControllerURL: vars["FRAY_CONTROLLER_ADDRESS"], ID: vars["FRAY_WORKER_ID"], Functions: functions(), Slots: 4, DrainGrace: -1, StopGrace: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(runInBackground(t, "worker", w.Run))
		jc := <-opened
		if jc == nil {
			t.FailNow()
		}
		t.Cleanup(func() {
			if err := jc.Close(); err != nil {
				t.Error(err)
			}
		})
		return jc
	}})
}

// A client that is gone takes its workers along: without a word from it they leave, and not before.
func TestRayWorkersLeaveWhenTheirClientIsGone(t *testing.T) {
	t.Parallel()
	s := newRayStage(t, raytest.Config{})
	ctx, crash := context.WithCancel(t.Context())
	defer crash()
	w := s.workers(2)
	jc := s.mustOpen(ctx, w)
	s.meet(jc, 2)
	s.awaitAsked(24) // The job context rests, and is there.
	if running := s.ids(rayjobs.Running); len(running) != 2 || len(s.Jobs()) != 2 {
		t.Fatalf("running: %v of %+v", running, s.Jobs())
	}
	crash()
	s.endsWith(rayjobs.Failed, rayjobs.Failed)
	for _, call := range s.Calls() {
		if strings.HasSuffix(call, "/stop") {
			t.Errorf("the client is gone, and asks: %s", call)
		}
	}
	if err := jc.Close(); err != nil {
		t.Error(err)
	}
}

// lastingPort returns a port that the system gives to nobody who does not ask for it, so that a
// controller can come back to it.
func lastingPort(t *testing.T) string {
	t.Helper()
	const first, last = 20_000, 30_000 // Below the ports of outgoing connections.
	for n := range last - first {
		port := strconv.Itoa(first + (os.Getpid()*137+n)%(last-first))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// A controller that restarts with nothing in its memory keeps the workers.
func TestRayWorkersOutliveTheController(t *testing.T) {
	t.Parallel()
	s := newRayStageAt(t, "127.0.0.1:"+lastingPort(t), shortGrace, raytest.Config{})
	w := s.workers(1)
	w.Lease = 3 * time.Second
	jc := s.mustOpen(t.Context(), w)
	before := s.meet(jc, 1)
	s.stop()
	s.control(strings.TrimPrefix(s.url, "http://"))
	if after := s.meet(jc, 1); !slices.Equal(after, before) {
		t.Errorf("workers are %v, were %v", after, before)
	}
	s.awaitAsked(6)
	if jobs := s.Jobs(); len(jobs) != 1 || jobs[0].Status != rayjobs.Running {
		t.Errorf("jobs: %+v", jobs)
	}
	if err := jc.Close(); err != nil {
		t.Error(err)
	}
}

func TestRayContextErrors(t *testing.T) {
	t.Parallel()
	page := func(string, string) *raytest.Answer {
		return &raytest.Answer{Status: http.StatusOK, Type: "text/html", Text: "<html>\n <title>Sign in</title>"}
	}
	tests := []struct {
		name   string
		config raytest.Config
		edit   func(*fray.RayWorkers)
		before func(*rayStage)
		opts   []fray.Option
		want   []string
		jobs   []rayjobs.Status
	}{
		{name: "too old", config: raytest.Config{Version: "1.13.0"}, want: []string{"its Ray is too old: it is 1.13.0, and must be 2.2 or later"}},
		{
			name: "too old for memory", config: raytest.Config{Version: "2.7.1"}, edit: func(w *fray.RayWorkers) { w.MemoryBytes = 1 << 30 },
			want: []string{"it is 2.7.1, and must be 2.8 or later"},
		},
		{
			name: "no token", config: raytest.Config{Token: "secret"},
			want: []string{"it does not let the caller in", "Missing authentication token", "give the cluster's token by WithRayToken or RAY_AUTH_TOKEN"},
		},
		{
			name: "another token", config: raytest.Config{Token: "secret"}, opts: []fray.Option{fray.WithRayToken("guess")},
			want: []string{"Forbidden: Invalid authentication token"},
		},
		{name: "not Ray", before: func(s *rayStage) { s.SetFault(page) }, want: []string{"is not the dashboard of a Ray cluster", "<title>Sign in</title>"}},
		{
			name: "worker that fails", edit: func(w *fray.RayWorkers) { w.Count, w.Entrypoint = 1, "echo no such model >&2; exit 3" },
			want: []string{"1 of 1 workers did not start: Ray job fray-", "is FAILED", "exit code 3", "no such model"},
			jobs: []rayjobs.Status{rayjobs.Failed},
		},
		{
			name: "worker that does not register", edit: func(w *fray.RayWorkers) {
				w.Env[rayWorkerVariable], w.Wait = rayWorkerMute, 5*time.Second
			},
			want: []string{"2 of 2 workers have not registered with the controller (waited for 5s at most)", "is RUNNING", "no model to load", "context deadline exceeded"},
			jobs: []rayjobs.Status{rayjobs.Stopped, rayjobs.Stopped},
		},
		{
			name: "no room", edit: func(w *fray.RayWorkers) { w.Wait = 4 * time.Second }, before: func(s *rayStage) { s.Hold() },
			want: []string{"have not registered", "is PENDING (Job has not started yet.)", "its log is empty"},
			jobs: []rayjobs.Status{rayjobs.Stopped, rayjobs.Stopped},
		},
		{
			name: "submission that is refused", before: func(s *rayStage) {
				submitted := 0
				s.SetFault(func(method, path string) *raytest.Answer {
					if method != http.MethodPost || path != "/api/jobs/" {
						return nil
					}
					if submitted++; submitted == 1 {
						return nil
					}
					return &raytest.Answer{Status: http.StatusBadRequest, Text: "Traceback (most recent call last):\n  File \"x\"\nValueError: no such resource"}
				})
			},
			want: []string{"submit worker fray-", "it refuses", "ValueError: no such resource"},
			jobs: []rayjobs.Status{rayjobs.Stopped},
		},
		{
			name: "no right to see workers", before: func(s *rayStage) {
				s.refused.Store(frayv1connect.ControllerServiceListWorkersProcedure, connect.CodePermissionDenied)
			},
			want: []string{"look for the workers at the controller", "the credential needs the role reader, too"},
			jobs: []rayjobs.Status{rayjobs.Stopped, rayjobs.Stopped},
		},
		{
			name: "earlier controller", before: func(s *rayStage) {
				s.refused.Store(frayv1connect.ControllerServiceGetJobProcedure, connect.CodeUnimplemented)
			},
			want: []string{"its release is earlier than the ray backend needs"},
		},
		{name: "no working dir", edit: func(w *fray.RayWorkers) { w.WorkingDir += "/none" }, want: []string{"working dir", "no such file"}},
		{name: "no count", edit: func(w *fray.RayWorkers) { w.Count = 0 }, want: []string{"ray workers"}},
		{name: "too many", edit: func(w *fray.RayWorkers) { w.Count = 1001 }, want: []string{"ray workers", "1000"}},
		{name: "no entrypoint", edit: func(w *fray.RayWorkers) { w.Entrypoint = "" }, want: []string{"Entrypoint is empty"}},
		{name: "odd resource", edit: func(w *fray.RayWorkers) { w.Resources = map[string]float64{"tpu": -1} }, want: []string{"resource tpu must be a number from 0 on, is -1"}},
		{name: "reserved", edit: func(w *fray.RayWorkers) { w.Env["FRAY_JOB_LEASE"] = "x" }, want: []string{"Env has FRAY_JOB_LEASE"}},
		{name: "hasty lease", edit: func(w *fray.RayWorkers) { w.Lease = 1 }, want: []string{"Lease must be 1s at least"}},
		{name: "negative wait", edit: func(w *fray.RayWorkers) { w.Wait = -1 }, want: []string{"Wait must not be negative"}},
		{name: "address of another kind", opts: []fray.Option{fray.WithRayAddress("ray://head:10001")}, want: []string{`"ray://head:10001" is one for Ray Client`}},
		{name: "no address", opts: []fray.Option{fray.WithRayAddress("")}, want: []string{"ray address required for ray context"}},
		{name: "odd controller", opts: []fray.Option{fray.WithControllerAddress("ftp://c")}, want: []string{`controller address "ftp://c"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newRayStage(t, tt.config)
			w := s.workers(2)
			if tt.edit != nil {
				tt.edit(&w)
			}
			if tt.before != nil {
				tt.before(s)
			}
			jc, err := s.open(t.Context(), w, tt.opts...)
			if jc != nil || err == nil {
				t.Fatalf("got %v, %v", jc, err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			s.endsWith(tt.jobs...)
		})
	}
}

// A controller that is needed can be named by the environment.
func TestRayFollowsTheEnvironment(t *testing.T) {
	s := newRayStage(t, raytest.Config{Token: "secret"})
	t.Setenv("FRAY_CONTROLLER_ADDRESS", strings.TrimPrefix(s.url, "http://"))
	t.Setenv("RAY_AUTH_TOKEN", "secret")
	jc, err := s.open(t.Context(), s.workers(1), fray.WithControllerAddress(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := jc.Close(); err != nil {
		t.Error(err)
	}
	t.Setenv("FRAY_CONTROLLER_ADDRESS", "")
	if _, err := s.open(t.Context(), s.workers(1), fray.WithControllerAddress("")); err == nil || !strings.Contains(err.Error(), "controller address required for ray context") {
		t.Errorf("got %v", err)
	}
}

// A worker that does not come back is given up, and who waits for its tasks is told.
func TestRayGivesUpAWorkerThatFailsAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := newRayStage(t, raytest.Config{})
	w := s.workers(1)
	broken := filepath.Join(t.TempDir(), "broken")
	w.Entrypoint = fmt.Sprintf("if test -e '%s'; then echo disk is full; exit 4; fi; %s", broken, w.Entrypoint)
	jc := s.mustOpen(t.Context(), w)
	defer jc.Close()
	if err := os.WriteFile(broken, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.Kill(s.Jobs()[0].ID)
	const jobs = 6
	eventually(t, "the worker is given up", func() bool { return strings.Contains(s.log.String(), "is given up") })
	if got := s.ids(rayjobs.Failed); len(got) != jobs {
		t.Errorf("jobs %v", got)
	}
	ctx, cancel := context.WithTimeout(fray.NewContext(t.Context(), jc), 200*time.Millisecond)
	defer cancel()
	_, err := echo.Call(ctx, "x")
	if err == nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), fmt.Sprintf("is given up after %d Ray jobs in a row", jobs)) ||
		!strings.Contains(err.Error(), "disk is full") {
		t.Errorf("got %v", err)
	}
}

// What others stop stays stopped.
func TestRayWorkerThatOthersStopStaysAway(t *testing.T) {
	t.Parallel()
	s := newRayStage(t, raytest.Config{})
	jc := s.mustOpen(t.Context(), s.workers(1))
	defer jc.Close()
	cluster, err := rayjobs.New(rayjobs.Config{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	if err := cluster.Stop(t.Context(), s.Jobs()[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the job context knows", func() bool { return strings.Contains(s.log.String(), "is STOPPED") })
	s.endsWith(rayjobs.Stopped)
}

// A cluster that is not well for a while costs nothing but time: lost answers make no second worker, and
// errors no failure.
func TestRayClusterThatIsNotWell(t *testing.T) {
	t.Parallel()
	s := newRayStage(t, raytest.Config{})
	calls := map[string]int{}
	s.SetFault(func(method, path string) *raytest.Answer {
		call := method + " " + path
		calls[call]++
		switch n := calls[call]; {
		case strings.HasSuffix(path, "/stop"):
			return nil
		case n == 1:
			return &raytest.Answer{Drop: true, Late: true}
		case n == 2:
			return &raytest.Answer{Status: http.StatusInternalServerError, Text: "No available agent to submit job, please try again later."}
		}
		return nil
	})
	jc := s.mustOpen(t.Context(), s.workers(1))
	s.meet(jc, 1)
	if jobs := s.Jobs(); len(jobs) != 1 {
		t.Errorf("jobs %+v", jobs)
	}
	s.SetFault(func(string, string) *raytest.Answer { return &raytest.Answer{Drop: true} })
	eventually(t, "the job context knows", func() bool { return strings.Contains(s.log.String(), "Ray does not say how a worker's job stands") })
	s.meet(jc, 1)
	s.SetFault(nil)
	if err := jc.Close(); err != nil {
		t.Error(err)
	}
	s.endsWith(rayjobs.Stopped)
}

// Close says what it could not stop, and what becomes of it.
func TestRayCloseSaysWhatItCouldNotStop(t *testing.T) {
	t.Parallel()
	s := newRayStage(t, raytest.Config{})
	jc := s.mustOpen(t.Context(), s.workers(1))
	job := s.Jobs()[0].ID
	s.SetFault(func(_, path string) *raytest.Answer {
		if strings.HasSuffix(path, "/stop") {
			return &raytest.Answer{Status: http.StatusBadRequest, Text: "not now"}
		}
		return nil
	})
	err := jc.Close()
	if err == nil || !strings.Contains(err.Error(), "Ray job "+job) || !strings.Contains(err.Error(), `"not now"`) || !strings.Contains(err.Error(), "leaves by itself") {
		t.Errorf("got %v", err)
	}
	s.endsWith(rayjobs.Failed) // By itself.
}

package fray_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// A job that fails stops what runs of it, and of the jobs below.
func TestFailedJobStopsWhatRuns(t *testing.T) {
	t.Parallel()
	address := startCluster(t, 4)
	for _, kind := range []fray.Kind{fray.KindThreadPool, fray.KindFray} {
		options := []fray.Option{fray.WithControllerAddress(address), fray.WithWorkers(4)}
		jc := newJobContext(t, kind, append(options, fray.WithMaxFailed(0))...)
		top := newTrial(t, jc)
		running := []*fray.Future[string]{run(top, hang, struct{}{})}
		if kind == fray.KindFray {
			running = append(running, run(newTrial(t, newJobContext(t, kind, append(options,
				fray.WithParentJob(jc.JobID()))...)), hang, struct{}{}))
		}
		fails(top, fail, "declared")
		for _, f := range running {
			if _, err := f.Get(t.Context()); !errors.Is(err, fray.ErrCancelled) {
				t.Errorf("%s: %v", kind, err)
			}
		}
	}
}

// A job context that a task opens is a child of the task's job, unless it is another controller's, or the same job.
func TestJobContextOfATaskIsAChild(t *testing.T) {
	t.Parallel()
	address := startCluster(t, 4)
	top := newTrial(t, newJobContext(t, fray.KindFray, fray.WithControllerAddress(address)))
	client, err := fray.NewClient("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	parent := func(job string) string {
		t.Helper()
		res, err := client.GetJob(t.Context(), &frayv1.GetJobRequest{JobId: job})
		if err != nil || !res.GetKnown() {
			t.Fatalf("job %s: %v, %v", job, res, err)
		}
		return res.GetParentJobId()
	}
	own := top.jc.JobID()
	got(top, openChild, [2]string{address, own + "-child"}, own)
	if p := parent(own + "-child"); p != own {
		t.Errorf("the parent is %q", p)
	}
	got(top, openChild, [2]string{address, own}, own)
	if p := parent(own); p != "" {
		t.Errorf("the parent of the job itself is %q", p)
	}
	other := startCluster(t, 1)
	got(top, openChild, [2]string{other, own + "-other"}, own)
	pool := newTrial(t, newJobContext(t, fray.KindThreadPool))
	got(pool, openChild, [2]string{address, "of-a-pool"}, pool.jc.JobID())
	if p := parent("of-a-pool"); p != "" {
		t.Errorf("the parent of a job that a task of a threadpool opens is %q", p)
	}
}

func TestJobOptionsThatTheControllerRefuses(t *testing.T) {
	t.Parallel()
	address := fray.WithControllerAddress(startCluster(t, 1))
	plain := newTrial(t, newJobContext(t, fray.KindFray, address, fray.WithJobID("plain")))
	got(plain, echo, "x", "x")
	for _, tt := range []struct {
		opts []fray.Option
		is   error
		want string
	}{
		{[]fray.Option{fray.WithParentJob("nobody")}, fray.ErrUnknownJob, `does not know parent job "nobody"`},
		{
			[]fray.Option{fray.WithJobID("plain"), fray.WithJobWeight(2)},
			fray.ErrJobDiffers,
			`job "plain": its weight is not what it was made with`,
		},
	} {
		x := newTrial(t, newJobContext(t, fray.KindFray, append(tt.opts, address)...))
		_, alone := echo.Call(x.ctx, "x")
		_, many := echo.RunAll(x.ctx, []string{"x", "y"})
		_, _, once := echo.RunOnce(x.ctx, "k", 0, "x")
		for _, err := range []error{alone, many, once} {
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		}
	}
}

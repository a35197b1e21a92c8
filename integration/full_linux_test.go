package integration_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/pebblestore"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// fullDisk is a controller on a filesystem that is full, with a task that is known and one whose
// submission waits.
type fullDisk struct {
	frayv1connect.ControllerServiceClient
	filler string
	stop   func() error // ends the controller, and then its store
	waits  sync.WaitGroup
}

func newFullDisk(t *testing.T) *fullDisk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("no filesystem that can be filled: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s, err := pebblestore.Open(pebblestore.Config{Dir: filepath.Join(dir, "data"), ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	c, err := controller.New(controller.Config{Store: s, ListenAddress: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	<-c.Ready()
	transport := &http.Transport{}
	f := &fullDisk{
		ControllerServiceClient: frayv1connect.NewControllerServiceClient(&http.Client{Transport: transport}, c.URL()),
		filler:                  filepath.Join(dir, "filler"),
	}
	f.stop = func() error {
		cancel()
		err := <-ended
		f.waits.Wait()
		transport.CloseIdleConnections()
		return errors.Join(err, s.Close())
	}
	if err := f.submit(t, "known"); err != nil {
		t.Fatal(err)
	}
	f.fill(t)
	// More than what the file system had set aside for the log.
	for n := range 8 {
		f.waits.Go(func() { _ = f.submit(t, string(rune('a'+n))) })
	}
	for began := time.Now(); s.Room() == nil; time.Sleep(time.Millisecond) { // Until one of them waits for room.
		if time.Since(began) > time.Minute {
			t.Fatal("a full disk has room for all that was submitted")
		}
	}
	return f
}

func (f *fullDisk) submit(t *testing.T, id string) error {
	t.Helper()
	_, err := f.SubmitTask(t.Context(), &frayv1.SubmitTaskRequest{JobId: "j", Task: &frayv1.TaskSpec{
		TaskId: id, Function: "f", Payload: &frayv1.Payload{Encoding: "raw", Data: make([]byte, 1<<20)},
	}})
	return err
}

// fill leaves the disk no room.
func (f *fullDisk) fill(t *testing.T) {
	t.Helper()
	file, err := os.Create(f.filler)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// read asks in all ways there are, and returns how many tasks are told of.
func (f *fullDisk) read(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	list, err := f.ListTasks(ctx, &frayv1.ListTasksRequest{})
	_, errWorkers := f.ListWorkers(ctx, &frayv1.ListWorkersRequest{})
	_, errInfo := f.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
	_, errGet := f.GetTask(ctx, &frayv1.GetTaskRequest{TaskId: "known"})
	_, errResult := f.GetTaskResult(ctx, &frayv1.GetTaskResultRequest{TaskId: "known"})
	if err := errors.Join(err, errWorkers, errInfo, errGet, errResult); err != nil {
		t.Fatal(err)
	}
	return len(list.GetTasks())
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	t.Run("reads", func(t *testing.T) {
		t.Parallel()
		f := newFullDisk(t)
		for range 50 {
			if n := f.read(t); n < 1 || n > 8 {
				t.Errorf("%d tasks are told of, where a disk without room had one, and not all of nine", n)
			}
		}
		if err := os.Remove(f.filler); err != nil {
			t.Fatal(err)
		}
		f.waits.Wait()
		if err := f.stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		f := newFullDisk(t)
		f.read(t)
		began := time.Now()
		if err := f.stop(); !errors.Is(err, store.ErrFull) {
			t.Errorf("the controller ended with %v", err)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("the controller ended after %v", took)
		}
	})
}

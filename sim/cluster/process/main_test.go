package process_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/faults"
	"github.com/frayrpc/fray/fray/controller"
	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/sim/cluster/process"
)

// What this program is besides a test: a worker, as fray-sim is, and controllers that are not as
// they should be.
const (
	asWorker = "worker"
	modeKey  = "FRAY_TEST_CONTROLLER"
)

// parallelTests is how many tests run at once, unless -parallel says otherwise: they wait most of
// the time.
const parallelTests = 6

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case asWorker:
			os.Exit(exitCode(work()))
		case "controller":
			os.Exit(exitCode(control(os.Getenv(modeKey))))
		}
	}
	flag.Parse()
	if given := map[string]bool{}; true {
		flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["test.parallel"] {
			_ = flag.Set("test.parallel", fmt.Sprint(parallelTests)) // a flag of the testing package
		}
	}
	goleak.VerifyTestMain(suite{m})
}

// suite runs the tests and removes what they have built.
type suite struct{ *testing.M }

func (s suite) Run() int {
	code := s.M.Run()
	if err := os.RemoveAll(fray.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

func exitCode(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func work() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	conn, err := net.FileConn(os.NewFile(3, "run"))
	if err != nil {
		return err
	}
	return process.Work(ctx, conn, os.Stderr)
}

// control is a controller that is told of its weakness.
func control(weakness string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	registry := prometheus.NewRegistry()
	c, err := controller.New(controller.Config{
		Store: store.NewMemory(), Core: core.Config{SessionTTL: 2 * time.Second}, ListenAddress: "127.0.0.1:0",
		Registerer: registry, Gatherer: registry,
		Middleware: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler { return weaken(weakness, next) }},
	})
	if err != nil {
		return err
	}
	if err := c.Listen(ctx); err != nil {
		return err
	}
	fmt.Printf("fray controller listening on %s\n", c.URL())
	if weakness == "stays" {
		signal.Ignore(syscall.SIGTERM)
		ctx = context.WithoutCancel(ctx)
	}
	return c.Run(ctx)
}

func weaken(weakness string, next http.Handler) http.Handler {
	path, service := faults.NewService(faults.New(faults.Config{}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, path) {
			service.ServeHTTP(w, r)
			return
		}
		switch call := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]; {
		case weakness == "forgets" && call == "SubmitTasks":
			// Acknowledged, and forgotten.
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/proto")
			body, _ := proto.Marshal(&frayv1.SubmitTasksResponse{CreatedCount: 1})
			_, _ = w.Write(body)
			return
		case weakness == "panics" && call == "LeaseTasks":
			go panic("planted")
		case weakness == "leaves" && call == "LeaseTasks":
			os.Exit(3)
		}
		next.ServeHTTP(w, r)
	})
}

// fray is the command, built when the first test asks for it.
var fray struct {
	once sync.Once
	dir  string
	err  error
}

func frayCommand(t *testing.T) string {
	t.Helper()
	fray.once.Do(func() {
		if fray.dir, fray.err = os.MkdirTemp("", "fray-process-"); fray.err != nil { //nolint:usetesting // It outlives the test that asks first.
			return
		}
		args := []string{"build", "-o", fray.dir + "/"}
		if os.Getenv("FRAY_COVERDIR") != "" {
			args = append(args, "-cover", "-covermode=atomic", "-coverpkg=github.com/frayrpc/fray/...")
		}
		build := exec.CommandContext(context.Background(), "go", append(args, "github.com/frayrpc/fray/cmd/fray")...)
		if out, err := build.CombinedOutput(); err != nil {
			fray.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if fray.err != nil {
		t.Fatal(fray.err)
	}
	return filepath.Join(fray.dir, "fray")
}

// environ is that of the processes of a run.
func environ(extra ...string) []string {
	env := append(os.Environ(), extra...)
	if dir := os.Getenv("FRAY_COVERDIR"); dir != "" {
		env = append(env, "GOCOVERDIR="+dir)
	}
	return env
}

package integration_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"
)

const module = "github.com/frayrpc/fray"

// coverVariable names the directory where the processes leave what they covered; the Makefile sets
// it.
const coverVariable = "FRAY_COVERDIR"

// programs are the commands that the tests start, built when the first one is.
var programs builder

type builder struct {
	once sync.Once
	dir  string
	err  error
}

// path returns where a command is.
func (b *builder) path(t testing.TB, name string) string {
	t.Helper()
	b.once.Do(b.build)
	if b.err != nil {
		t.Fatal(b.err)
	}
	return filepath.Join(b.dir, name)
}

func (b *builder) build() {
	if b.dir, b.err = os.MkdirTemp("", "fray-integration-"); b.err != nil {
		return
	}
	args := []string{"build", "-o", b.dir + "/"}
	if os.Getenv(coverVariable) != "" {
		args = append(args, "-cover", "-covermode=atomic", "-coverpkg="+module+"/...")
	}
	if raceDetected() {
		args = append(args, "-race")
	}
	args = append(args, "./cmd/fray", "./cmd/fray-sim", "./integration/testworker")
	cmd := exec.CommandContext(context.Background(), "go", args...) // outlives the test that happens to be first
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		b.err = fmt.Errorf("go %v: %w\n%s", args, err, out)
	}
}

func (b *builder) remove() error {
	if b.dir == "" {
		return nil
	}
	return os.RemoveAll(b.dir)
}

// raceDetected says whether this test runs under the race detector; its processes do, too, then.
func raceDetected() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

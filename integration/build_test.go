package integration_test

import (
	"cmp"
	"context"
	"errors"
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

// previous are those of an earlier commit, for tests of upgrades.
var previous = builder{earlier: true}

// previousVariable names that commit, in any way that git knows, in place of the one before HEAD.
const previousVariable = "FRAY_PREVIOUS"

type builder struct {
	earlier bool
	once    sync.Once
	dir     string
	err     error
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
	source, coverage, packages := "..", os.Getenv(coverVariable) != "", []string{"./cmd/fray", "./integration/testworker", "./cmd/fray-sim"}
	if b.earlier {
		source, coverage, packages = filepath.Join(b.dir, "source"), false, packages[:2]
		if b.err = checkOut(source); b.err != nil {
			return
		}
	}
	args := []string{"build", "-o", b.dir + "/"}
	if coverage {
		args = append(args, "-cover", "-covermode=atomic", "-coverpkg="+module+"/...")
	}
	if raceDetected() {
		args = append(args, "-race")
	}
	b.err = runIn(source, nil, "go", append(args, packages...)...)
}

// runIn runs a program to its end in a directory, with these variables beside those of this process.
func runIn(dir string, variables []string, program string, args ...string) error {
	cmd := exec.CommandContext(context.Background(), program, args...) // outlives the test that happens to be first
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), variables...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", program, args, err, out)
	}
	return nil
}

// errNoHistory says that there is no earlier commit to build.
var errNoHistory = errors.New("the earlier commit is not here: fetch more of the history, such as by git fetch --deepen=1")

// checkOut writes what the earlier commit has to a new directory. It leaves the work tree and its index alone.
func checkOut(dir string) error {
	revision := cmp.Or(os.Getenv(previousVariable), "HEAD~1")
	if err := runIn("..", nil, "git", "rev-parse", "--quiet", "--verify", revision+"^{commit}"); err != nil {
		return fmt.Errorf("%w: %w", errNoHistory, err)
	}
	index := []string{"GIT_INDEX_FILE=" + dir + ".index"}
	if err := runIn("..", index, "git", "read-tree", revision); err != nil {
		return err
	}
	return runIn("..", index, "git", "checkout-index", "--all", "--prefix="+dir+"/")
}

// needPrevious skips a test, loudly, where there is no earlier commit, unless one was named.
func needPrevious(t *testing.T) {
	t.Helper()
	previous.once.Do(previous.build)
	if errors.Is(previous.err, errNoHistory) && os.Getenv(previousVariable) == "" {
		t.Skipf("SKIPPED, and upgrades are not tested: %v", previous.err)
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

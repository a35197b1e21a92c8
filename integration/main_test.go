// Package integration_test is the end-to-end suite: the fray command as controller, testworker as
// workers, each a process of its own, and clients in the test, over TCP on loopback.
//
// A test makes a [cluster], does to its processes what happens to processes, and looks at what
// clients are told and at what the ledgers say that the workers did. Nothing is waited for by the
// clock: [eventually] polls for it.
package integration_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/internal/children"
)

// parallelTests is how many tests run at once, unless -parallel says otherwise. Most of them wait
// for a session to end, so that there are more than there are processors.
const parallelTests = 6

func TestMain(m *testing.M) {
	flag.Parse()
	if given := map[string]bool{}; true {
		flag.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["test.parallel"] {
			_ = flag.Set("test.parallel", fmt.Sprint(parallelTests)) // a flag of the testing package
		}
	}
	if err := checkStore(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := makeSecure(); err != nil {
		fmt.Fprintln(os.Stderr, "make certificates:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(suite{m})
}

// suite runs all tests, and takes down after them what they share.
type suite struct{ *testing.M }

func (s suite) Run() int {
	code := s.M.Run()
	spawn().Close()
	if left := children.Left(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "processes that no test has waited for: %v\n", left)
		code = max(code, 1)
	}
	if err := os.RemoveAll(secure.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if err := errors.Join(programs.remove(), previous.remove(), stored.remove()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}

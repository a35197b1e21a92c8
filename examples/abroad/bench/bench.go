// Package bench is what the commands here have in common that measure: processes of their own, and rows
// in the format of Go's benchmarks.
package bench

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"time"
)

// Start starts this program with other arguments, and returns the first line that it prints. It is to
// end once its standard input does; stop has it do so, and waits for it.
func Start(args ...string) (line string, stop func() error, err error) {
	executable, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(executable, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() error { return errors.Join(stdin.Close(), cmd.Wait()) }
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		return "", nil, errors.Join(fmt.Errorf("%v says nothing", args), stop())
	}
	return lines.Text(), stop, nil
}

// Head prints what is measured, and by which unit: the more the better.
func Head(pkg, unit string) {
	fmt.Printf("goos: %s\ngoarch: %s\npkg: %s\nUnit %s better=higher\n", runtime.GOOS, runtime.GOARCH, pkg, unit)
}

// Row prints how many of a unit took some time, and percentiles of how long each did, if that is known.
// It sorts them.
func Row(name, unit string, n int, took time.Duration, each []time.Duration) {
	fmt.Printf("Benchmark%s-%d\t%d\t%d ns/op\t%.0f %s", name, runtime.GOMAXPROCS(0), n, took.Nanoseconds()/int64(n), float64(n)/took.Seconds(), unit)
	if len(each) > 0 {
		slices.Sort(each)
		at := func(percent int) int64 { return each[(len(each)-1)*percent/100].Nanoseconds() }
		fmt.Printf("\t%d p50-ns\t%d p90-ns\t%d p99-ns\t%d max-ns", at(50), at(90), at(99), at(100))
	}
	fmt.Println()
}

// Command backends prints what came of the conformance suite of package fray: a row for each
// behaviour, a column for each backend. It reads what go test writes of it:
//
//	go test -json -run 'Conforms$' ./fray | backends
//
// The suite says in attributes of its tests which behaviour of which backend a test is of, and why
// a behaviour is none of a backend. A backend that is tested in several ways passes if it does in
// all of them.
//
// The exit code is 1 if a test fails or does not end, or if a backend was not tested.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/frayrpc/fray/fray"
)

// columns are the backends that must be there, in their order.
var columns = []fray.Kind{fray.KindSync, fray.KindThreadPool, fray.KindFray, fray.KindRay}

// maxLine is the longest line of the input, in bytes.
const maxLine = 1 << 20

// errFailed says that the table has a failure, or the text below it.
var errFailed = errors.New("not all backends conform")

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "backends:", err)
		os.Exit(1)
	}
}

// run is the command.
func run(in io.Reader, out io.Writer) error {
	t := newTable(columns)
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("line %d of the input is none of go test -json: %w", n, err)
		}
		t.note(e)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the input: %w", err)
	}
	t.close()
	t.write(out)
	if t.failed() {
		return errFailed
	}
	return nil
}

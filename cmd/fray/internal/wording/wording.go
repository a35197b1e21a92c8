// Package wording says in words how tasks ended, the same in all commands.
package wording

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

// Count is a number of things.
func Count(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.FormatUint(n, 10) + " " + thing + "s"
}

// Attempt says which attempt of a task was the last, and where it ran. A limit of 0 is unknown.
func Attempt(n, limit int, worker string) string {
	if n == 0 {
		return ""
	}
	text := fmt.Sprintf(", attempt %d", n)
	if limit > 1 {
		text += fmt.Sprintf(" of %d", limit)
	}
	if worker != "" {
		text += " on " + worker
	}
	return text
}

// Result says what is wrong with the result of a command that ran to its end; empty: nothing.
func Result(r execfn.Result) string {
	switch {
	case r.ExitCode != 0:
		return fmt.Sprintf("exit code %d", r.ExitCode)
	case r.StdoutTruncated:
		return "output" + tooLong(len(r.Stdout), r.StdoutMore)
	case r.StderrTruncated:
		return "error output" + tooLong(len(r.Stderr), r.StderrMore)
	default:
		return ""
	}
}

// tooLong says what is missing of an output.
func tooLong(head int, more *execfn.More) string {
	if more == nil { // of an older worker
		return fmt.Sprintf(" has more than the first %d bytes, which are kept: have the command write it to a file", head)
	}
	return fmt.Sprintf(" has %d bytes, of which only the first %d and the last %d are kept: have the command write it to a file",
		more.Bytes, head, len(more.Tail))
}

// Failure says why the task of a command failed, and returns the end of its error output if that is
// known.
func Failure(e *fray.TaskError) (text, stderr string) {
	if e.Reason != fray.ReasonApplication {
		text = string(e.Reason)
		if e.Message != "" {
			text += ": " + e.Message
		}
		return text, ""
	}
	// An execfn.ExitError reads "program: exit code n: end of the error output".
	const mark = ": exit code "
	if i := strings.Index(e.Message, mark); i >= 0 && strings.HasSuffix(e.Type, "ExitError") {
		text, stderr, _ = strings.Cut(e.Message[i+2:], ": ")
		return text, stderr
	}
	return strings.TrimPrefix(e.Message, "run program: "), ""
}

package wording_test

import (
	"testing"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

func TestWording(t *testing.T) {
	t.Parallel()
	failure := func(e fray.TaskError) string {
		text, stderr := wording.Failure(&e)
		return text + "|" + stderr
	}
	for _, tt := range []struct{ got, want string }{
		{wording.Count(0, "task"), "0 tasks"},
		{wording.Count(1, "task"), "1 task"},
		{wording.Attempt(0, 3, "w"), ""},
		{wording.Attempt(1, 1, "w"), ", attempt 1 on w"},
		{wording.Attempt(2, 3, ""), ", attempt 2 of 3"},
		{wording.Result(execfn.Result{}), ""},
		{wording.Result(execfn.Result{ExitCode: 3, StdoutTruncated: true}), "exit code 3"},
		{
			wording.Result(execfn.Result{Stdout: []byte("ab"), StdoutTruncated: true, StdoutMore: &execfn.More{Bytes: 9, Tail: []byte("xyz")}}),
			"output has 9 bytes, of which only the first 2 and the last 3 are kept: have the command write it to a file",
		},
		{
			wording.Result(execfn.Result{Stderr: []byte("ab"), StderrTruncated: true}),
			"error output has more than the first 2 bytes, which are kept: have the command write it to a file",
		},
		{failure(fray.TaskError{Reason: fray.ReasonApplication, Type: "*execfn.ExitError", Message: "sh: exit code 4: a: b"}), "exit code 4|a: b"},
		{failure(fray.TaskError{Reason: fray.ReasonApplication, Message: "run program: no such file"}), "no such file|"},
		{failure(fray.TaskError{Reason: "LOST", Message: "its worker died"}), "LOST: its worker died|"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

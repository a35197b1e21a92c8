package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/frayrpc/fray/fray/worker/execfn"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// commandOutput returns what a command printed, if it was one that a task executed.
func commandOutput(value *frayv1.Payload, function string) (execfn.Result, bool) {
	var result execfn.Result
	if function != execfn.Task.Name() || !isJSON(value) || json.Unmarshal(value.GetData(), &result) != nil {
		return execfn.Result{}, false
	}
	return result, true
}

// failedOutput returns what a command had printed that failed or ran past its timeout.
func failedOutput(r *frayv1.TaskResult) (execfn.Result, bool) {
	return commandOutput(r.GetError().GetDetails(), r.GetTask().GetFunction())
}

// writeOutput writes what a command printed, as if it had run here.
func (a *app) writeOutput(r execfn.Result) error {
	if _, err := a.Stderr.Write(r.Stderr); err != nil {
		return err
	}
	_, err := a.Stdout.Write(r.Stdout)
	return err
}

// outputDetails is the result of a command, for people.
func outputDetails(r execfn.Result) [][2]string {
	details := [][2]string{{"Output", outputText(r.Stdout, r.StdoutMore)}, {"Errors", outputText(r.Stderr, r.StderrMore)}}
	if r.ExitCode > 0 {
		details = append(details, [2]string{"Exit code", strconv.Itoa(r.ExitCode)})
	}
	return details
}

// outputText is an output for people: what is missing of it is said where it is missing.
func outputText(head []byte, more *execfn.More) string {
	text := string(head)
	if more != nil {
		text += fmt.Sprintf("\n[%d bytes are not kept]\n%s", more.Bytes-int64(len(head))-int64(len(more.Tail)), more.Tail)
	}
	return strings.TrimRight(text, "\n")
}

package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/command"
)

// earlierController has no schedules, and sees a task in each.
type earlierController struct {
	frayv1connect.UnimplementedControllerServiceHandler

	submitted int
}

func (c *earlierController) SubmitTask(context.Context, *frayv1.SubmitTaskRequest) (*frayv1.SubmitTaskResponse, error) {
	c.submitted++
	return &frayv1.SubmitTaskResponse{Created: true}, nil
}

func TestEarlierControllerGetsNoSchedule(t *testing.T) {
	t.Parallel()
	earlier := &earlierController{}
	path, handler := frayv1connect.NewControllerServiceHandler(earlier)
	for name, serve := range map[string]http.HandlerFunc{
		"it knows the procedure": handler.ServeHTTP,
		"it does not": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == frayv1connect.ControllerServiceListSchedulesProcedure {
				http.NotFound(w, r)
				return
			}
			handler.ServeHTTP(w, r)
		},
	} {
		mux := http.NewServeMux()
		mux.Handle(path, serve)
		server := httptest.NewServer(mux)
		for _, args := range [][]string{{"add", "nightly", "@daily", "f"}, {"list"}, {"delete", "nightly"}} {
			var stdout, stderr bytes.Buffer
			a := &app{Process: command.Process{Name: "fray", Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr}}
			code := a.run(t.Context(), slices.Concat([]string{"schedule"}, args, []string{"--controller", server.URL}))
			want := "fray schedule " + args[0] + ": the controller at " + server.URL + " is of an earlier release, without schedules, unique tasks and gangs: upgrade it\n"
			if code != command.ExitUnavailable || stdout.Len() > 0 || stderr.String() != want {
				t.Errorf("%s, %s: exit code %d, %q, %q", name, args[0], code, &stdout, &stderr)
			}
		}
		server.Close()
	}
	if earlier.submitted > 0 {
		t.Errorf("it was given %d tasks", earlier.submitted)
	}
}

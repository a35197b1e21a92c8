package rayjobs

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Status is how far a job is.
type Status string

// The statuses. The last three are ends, which nothing changes.
const (
	Pending   Status = "PENDING"
	Running   Status = "RUNNING"
	Stopped   Status = "STOPPED"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
)

// Ended says whether a job of that status has ended.
func (s Status) Ended() bool { return s == Stopped || s == Succeeded || s == Failed }

// Submission is a job to run.
type Submission struct {
	// ID names the job. It must be new to the cluster.
	ID string `json:"submission_id"`
	// Entrypoint is a command for the shell.
	Entrypoint string            `json:"entrypoint"`
	Env        RuntimeEnv        `json:"runtime_env"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	// What the entrypoint is given of its node. One without any runs on the head node.
	CPUs        float64            `json:"entrypoint_num_cpus,omitempty"`
	GPUs        float64            `json:"entrypoint_num_gpus,omitempty"`
	MemoryBytes int64              `json:"entrypoint_memory,omitempty"`
	Resources   map[string]float64 `json:"entrypoint_resources,omitempty"`
}

// RuntimeEnv is what an entrypoint finds on its node.
type RuntimeEnv struct {
	// WorkingDir is a URI such as [Package.URI] is. Empty: the entrypoint runs wherever Ray does.
	WorkingDir string            `json:"working_dir,omitempty"`
	Vars       map[string]string `json:"env_vars,omitempty"`
}

// Job is how a job stands.
type Job struct {
	Status Status `json:"status"`
	// Message says it in words. Of a job that failed by itself it has the end of its log.
	Message string `json:"message"`
}

func (j *Job) isRays() bool {
	return slices.Contains([]Status{Pending, Running, Stopped, Succeeded, Failed}, j.Status)
}

type submitAnswer struct {
	ID string `json:"submission_id"`
}

func (a *submitAnswer) isRays() bool { return a.ID != "" }

// Submit has a job run. That the cluster has a job of the id already is success if the call has
// repeated itself, or repeats an earlier one that ended in an error; otherwise it is ErrRefused.
func (c *Client) Submit(ctx context.Context, s *Submission, repeats bool) error {
	r := &request{method: http.MethodPost, path: "/api/jobs/"}
	if err := r.send(s); err != nil {
		return err
	}
	r.there, r.repeats = func(err error) bool { return strings.Contains(err.Error(), s.ID+" already exists") }, repeats
	var a submitAnswer
	if err := c.do(ctx, r, &a); err != nil {
		return err
	}
	if a.ID != "" && a.ID != s.ID {
		return fmt.Errorf("POST %s/api/jobs/: %w: job %q is answered for with %q", c.config.URL, ErrNotRay, s.ID, Cut(a.ID, maxErrorText))
	}
	return nil
}

// jobPath is that of a job, or of what belongs to it.
func jobPath(id, of string) string { return "/api/jobs/" + url.PathEscape(id) + of }

// Job returns how a job stands, or ErrUnknown.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	var j Job
	err := c.do(ctx, &request{method: http.MethodGet, path: jobPath(id, "")}, &j)
	return j, err
}

// Stop asks for a job to end: SIGTERM, and SIGKILL after a grace. It does not wait for that. A job that
// has ended is left alone; one that is not known is ErrUnknown.
func (c *Client) Stop(ctx context.Context, id string) error {
	return c.do(ctx, &request{method: http.MethodPost, path: jobPath(id, "/stop")}, nil)
}

type logsAnswer struct {
	Logs *string `json:"logs"`
}

func (a *logsAnswer) isRays() bool { return a.Logs != nil }

// Logs returns what a job has written to its outputs. One that has not started has written nothing. More
// than 16 MiB are an error.
func (c *Client) Logs(ctx context.Context, id string) (string, error) {
	var a logsAnswer
	if err := c.do(ctx, &request{method: http.MethodGet, path: jobPath(id, "/logs"), limit: maxLogs}, &a); err != nil {
		return "", err
	}
	return *a.Logs, nil
}

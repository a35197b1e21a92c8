//go:build unix

package raytest

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/frayrpc/fray/fray/internal/rayjobs"
)

// defaultStopWait is how long a job may take that is told to stop, as Ray has it.
const defaultStopWait = 3 * time.Second

// Job is what a server tells its user of one.
type Job struct {
	rayjobs.Submission
	Status rayjobs.Status
	PID    int // of its shell; 0: it has not started
}

// job is one job, and its process.
type job struct {
	submission rayjobs.Submission

	mu      sync.Mutex
	status  rayjobs.Status
	message string
	cmd     *exec.Cmd // nil: it has not started
	log     bytes.Buffer
	stopped bool
	gone    chan struct{} // closed when its process has ended, and if it never starts
}

// Jobs returns all jobs in the order of their submission, those that were lost aside.
func (s *Server) Jobs() []Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	jobs := make([]Job, 0, len(s.order))
	for _, id := range s.order {
		if j := s.jobs[id]; !j.isLost() {
			jobs = append(jobs, j.view())
		}
	}
	return jobs
}

func (j *job) view() Job {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := Job{Submission: j.submission, Status: j.status}
	if j.cmd != nil {
		v.PID = j.cmd.Process.Pid
	}
	return v
}

func (j *job) isLost() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.status == lost
}

// lost is the status of a job that the cluster knows no longer.
const lost rayjobs.Status = "LOST"

// find returns a job that is known, or answers that there is none.
func (s *Server) find(w http.ResponseWriter, r *http.Request) *job {
	id := r.PathValue("id")
	s.mu.Lock()
	j := s.jobs[id]
	s.mu.Unlock()
	if j == nil || j.isLost() {
		text(w, http.StatusNotFound, "Job %s does not exist", id)
		return nil
	}
	return j
}

func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	j := &job{status: rayjobs.Pending, message: "Job has not started yet.", gone: make(chan struct{})}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&j.submission); err != nil || j.submission.Entrypoint == "" || j.submission.ID == "" {
		text(w, http.StatusBadRequest, "Traceback (most recent call last):\n  File \"x.py\"\nTypeError: %v", err)
		return
	}
	id := j.submission.ID
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[id] != nil {
		text(w, http.StatusInternalServerError, "Traceback (most recent call last):\n  File \"job_head.py\"\n"+
			"RuntimeError: Request failed with status code 400: Traceback (most recent call last):\n  File \"job_agent.py\"\n"+
			"ValueError: Job with submission_id %s already exists. Please use a different submission_id.\n.", id)
		return
	}
	s.jobs[id] = j
	s.order = append(s.order, id)
	if s.held {
		close(j.gone)
	} else {
		s.run(j)
	}
	answer(w, map[string]string{"job_id": id, "submission_id": id})
}

// run starts the process of a job, with s.mu held.
func (s *Server) run(j *job) {
	dir, err := s.workingDir(j)
	if err != nil {
		j.fail("runtime_env setup failed: " + err.Error())
		close(j.gone)
		return
	}
	cmd := exec.Command("/bin/sh", "-c", j.submission.Entrypoint) //nolint:noctx // It ends with its job.
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + s.config.Dir, "RAY_ADDRESS=127.0.0.1:6379", "PYTHONUNBUFFERED=1"}
	for name, value := range j.submission.Env.Vars { // order-free: they have names of their own
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, in, err := os.Pipe()
	if err == nil {
		cmd.Stdout, cmd.Stderr = in, in
		err = errors.Join(cmd.Start(), in.Close())
	}
	if err != nil {
		j.fail(err.Error())
		close(j.gone)
		return
	}
	j.mu.Lock()
	j.cmd, j.status, j.message = cmd, rayjobs.Running, "Job is currently running."
	fmt.Fprintf(&j.log, "Running entrypoint for job %s: %s\n", j.submission.ID, j.submission.Entrypoint)
	j.mu.Unlock()
	go func() {
		_, _ = io.Copy(logOf{j}, out) // Until all that has the other end is gone.
		_ = out.Close()
		j.ended(cmd.Wait())
		close(j.gone)
	}()
}

// workingDir is where a job runs.
func (s *Server) workingDir(j *job) (string, error) {
	uri := j.submission.Env.WorkingDir
	if uri == "" {
		return s.config.Dir, nil
	}
	name, ok := strings.CutPrefix(uri, "gcs://")
	if !ok || !s.packages[name] {
		return "", fmt.Errorf("failed to download runtime_env file package %s", uri)
	}
	return s.packageDir(name), nil
}

type logOf struct{ j *job }

func (l logOf) Write(data []byte) (int, error) {
	l.j.mu.Lock()
	defer l.j.mu.Unlock()
	return l.j.log.Write(data)
}

func (j *job) fail(message string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status, j.message = rayjobs.Failed, message
}

// ended notes how the process has ended.
func (j *job) ended(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.status == lost:
	case j.stopped:
		j.status, j.message = rayjobs.Stopped, "Job was intentionally stopped."
	case err == nil:
		j.status, j.message = rayjobs.Succeeded, "Job finished successfully."
	default:
		j.status = rayjobs.Failed
		j.message = fmt.Sprintf("Job entrypoint command failed with exit code %d, last available logs (truncated to 20,000 chars):\n%s",
			j.cmd.ProcessState.ExitCode(), rayjobs.Tail(j.log.String(), 10, 20_000))
	}
}

// signal sends a signal to all processes of the job.
func (j *job) signal(sig syscall.Signal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cmd != nil {
		_ = syscall.Kill(-j.cmd.Process.Pid, sig) // They may have ended.
	}
}

func (j *job) kill() { j.signal(syscall.SIGKILL) }

// Kill kills the processes of a job, and returns once it has FAILED.
func (s *Server) Kill(id string) {
	j := s.job(id)
	j.kill()
	<-j.gone
}

// Lose has the cluster forget a job, whose processes die.
func (s *Server) Lose(id string) {
	j := s.job(id)
	j.mu.Lock()
	j.status = lost
	j.mu.Unlock()
	j.kill()
	<-j.gone
}

func (s *Server) job(id string) *job {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.jobs[id]
}

// Gone returns a channel that is closed once the processes of a job are gone.
func (s *Server) Gone(id string) <-chan struct{} { return s.job(id).gone }

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	if j := s.find(w, r); j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		answer(w, map[string]any{
			"type": "SUBMISSION", "job_id": nil, "submission_id": j.submission.ID, "status": j.status, "message": j.message,
			"entrypoint": j.submission.Entrypoint, "metadata": j.submission.Metadata, "runtime_env": j.submission.Env,
		})
	}
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	if j := s.find(w, r); j != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		answer(w, map[string]string{"logs": j.log.String()})
	}
}

func (s *Server) stop(w http.ResponseWriter, r *http.Request) {
	j := s.find(w, r)
	if j == nil {
		return
	}
	j.mu.Lock()
	running := !j.status.Ended()
	j.stopped = j.stopped || running
	if j.cmd == nil && running {
		j.status, j.message = rayjobs.Stopped, "Job was intentionally stopped."
	}
	j.mu.Unlock()
	if running {
		go j.end()
	}
	answer(w, map[string]bool{"stopped": running})
}

// end ends the processes of a job as Ray does.
func (j *job) end() {
	wait := defaultStopWait
	if n, err := strconv.Atoi(j.submission.Env.Vars["RAY_JOB_STOP_WAIT_TIME_S"]); err == nil {
		wait = time.Duration(n) * time.Second // within: of a test
	}
	j.signal(syscall.SIGTERM)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-j.gone:
	case <-timer.C:
		j.kill()
	}
}

// unpack is what zipfile.extractall does.
func unpack(data []byte, dir string) error {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	for _, f := range z.File {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if !filepath.IsLocal(f.Name) {
			return fmt.Errorf("name %q", f.Name)
		}
		if strings.HasSuffix(f.Name, "/") {
			if err := os.MkdirAll(name, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := extract(f, name); err != nil {
			return err
		}
	}
	return nil
}

func extract(f *zip.File, name string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	from, err := f.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	// A process that is started meanwhile would have the file open until it becomes its program, and
	// what is open for writing cannot be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	to, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

//go:build unix

package rayjobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/internal/rayjobs"
	"github.com/frayrpc/fray/fray/internal/rayjobs/raytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a cluster and a client of it.
type stage struct {
	*rayjobs.Client
	ray *raytest.Server
	t   *testing.T
}

func newStage(t *testing.T, config raytest.Config, edit ...func(*rayjobs.Config)) *stage {
	t.Helper()
	config.Dir = t.TempDir()
	ray, err := raytest.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	c := rayjobs.Config{URL: ray.URL() + "/", Token: config.Token, Pause: time.Millisecond, Rand: func() float64 { return 0.5 }}
	for _, e := range edit {
		e(&c)
	}
	client, err := rayjobs.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		if err := ray.Close(); err != nil {
			t.Error(err)
		}
	})
	return &stage{Client: client, ray: ray, t: t}
}

// await waits until a job has ended, and returns how.
func (s *stage) await(id string) rayjobs.Job {
	s.t.Helper()
	select {
	case <-s.ray.Gone(id):
	case <-time.After(30 * time.Second):
		s.t.Fatalf("job %s goes on", id)
	}
	job, err := s.Job(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return job
}

func TestJobRuns(t *testing.T) {
	t.Parallel()
	s := newStage(t, raytest.Config{Token: "secret"})
	ctx := t.Context()
	if err := s.CheckVersion(ctx, rayjobs.LeastVersion); err != nil {
		t.Fatal(err)
	}
	submission := &rayjobs.Submission{
		ID: "a-1", Entrypoint: "echo \"$GREETING\"; exit 0", Env: rayjobs.RuntimeEnv{Vars: map[string]string{"GREETING": "hello & <wörld>"}},
		Metadata: map[string]string{"k": "v"}, CPUs: 0.5, GPUs: 1, MemoryBytes: 1 << 20, Resources: map[string]float64{"tpu": 2},
	}
	if err := s.Submit(ctx, submission, false); err != nil {
		t.Fatal(err)
	}
	if job := s.await("a-1"); job.Status != rayjobs.Succeeded || !job.Status.Ended() {
		t.Errorf("job %+v", job)
	}
	logs, err := s.Logs(ctx, "a-1")
	if err != nil || !strings.HasSuffix(logs, "\nhello & <wörld>\n") {
		t.Errorf("logs %q, %v", logs, err)
	}
	got := s.ray.Jobs()[0]
	if got.CPUs != 0.5 || got.GPUs != 1 || got.MemoryBytes != 1<<20 || got.Resources["tpu"] != 2 || got.Metadata["k"] != "v" {
		t.Errorf("submitted %+v", got)
	}
	// What has ended can be stopped, and what is not known cannot.
	if err := s.Stop(ctx, "a-1"); err != nil {
		t.Error(err)
	}
	if job := s.await("a-1"); job.Status != rayjobs.Succeeded {
		t.Errorf("job %+v", job)
	}
}

// The documented names of fields, which the test's server takes from where the client has them.
func TestSubmissionIsAsDocumented(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(&rayjobs.Submission{
		ID: "a", Entrypoint: "./b", Env: rayjobs.RuntimeEnv{WorkingDir: "gcs://c.zip", Vars: map[string]string{"D": "e"}}, Metadata: map[string]string{"f": "g"},
		CPUs: 0.5, GPUs: 1, MemoryBytes: 1 << 30, Resources: map[string]float64{"tpu": 2},
	})
	const want = `{"submission_id":"a","entrypoint":"./b","runtime_env":{"working_dir":"gcs://c.zip","env_vars":{"D":"e"}},"metadata":{"f":"g"},` +
		`"entrypoint_num_cpus":0.5,"entrypoint_num_gpus":1,"entrypoint_memory":1073741824,"entrypoint_resources":{"tpu":2}}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	got, err = json.Marshal(&rayjobs.Submission{ID: "a", Entrypoint: "./b"})
	if err != nil || string(got) != `{"submission_id":"a","entrypoint":"./b","runtime_env":{}}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestJobIsStopped(t *testing.T) {
	t.Parallel()
	s := newStage(t, raytest.Config{})
	for id, entrypoint := range map[string]string{"good": "trap 'exit 0' TERM; while true; do sleep 0.01; done", "deaf": "trap '' TERM; while true; do sleep 0.01; done"} {
		err := s.Submit(t.Context(), &rayjobs.Submission{ID: id, Entrypoint: entrypoint, Env: rayjobs.RuntimeEnv{Vars: map[string]string{"RAY_JOB_STOP_WAIT_TIME_S": "1"}}}, false)
		if err != nil {
			t.Fatal(err)
		}
		if job, err := s.Job(t.Context(), id); err != nil || job.Status != rayjobs.Running || job.Status.Ended() {
			t.Errorf("%s: %+v, %v", id, job, err)
		}
		if err := s.Stop(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if job := s.await(id); job.Status != rayjobs.Stopped {
			t.Errorf("%s: %+v", id, job)
		}
	}
}

func TestUnknownJobs(t *testing.T) {
	t.Parallel()
	s := newStage(t, raytest.Config{})
	ctx := t.Context()
	_, err := s.Job(ctx, "a/b c")
	_, err2 := s.Logs(ctx, "none")
	for _, err := range []error{err, err2, s.Stop(ctx, "none")} {
		if !errors.Is(err, rayjobs.ErrUnknown) || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("got %v", err)
		}
	}
	if calls := s.ray.Calls(); len(calls) != 3 {
		t.Errorf("calls %v", calls)
	}
}

// A submission is repeated with its id, and is there once.
func TestSubmissionIsIdempotent(t *testing.T) {
	t.Parallel()
	s := newStage(t, raytest.Config{})
	lose := 2
	s.ray.SetFault(func(string, string) *raytest.Answer {
		if lose--; lose >= 0 {
			return &raytest.Answer{Drop: true, Late: true}
		}
		return nil
	})
	submission := &rayjobs.Submission{ID: "a", Entrypoint: "true"}
	if err := s.Submit(t.Context(), submission, false); err != nil || len(s.ray.Jobs()) != 1 {
		t.Errorf("%v, jobs %v", err, s.ray.Jobs())
	}
	if err := s.Submit(t.Context(), submission, false); !errors.Is(err, rayjobs.ErrRefused) || !strings.Contains(err.Error(), "a already exists") {
		t.Errorf("another call of that id: %v", err)
	}
	if err := s.Submit(t.Context(), submission, true); err != nil {
		t.Errorf("a repetition: %v", err)
	}
}

func TestAnswersAreJudged(t *testing.T) {
	t.Parallel()
	const trace = "Traceback (most recent call last):\n  File \"job_head.py\", line 1\nRuntimeError: Request failed with status code 400: no."
	tests := []struct {
		name   string
		answer raytest.Answer
		is     error // nil: none of the package's
		want   string
		calls  int
	}{
		{"page", raytest.Answer{Status: 200, Type: "text/html; charset=utf-8", Text: "<html>hi"}, rayjobs.ErrNotRay, `answered with "<html>hi"`, 1},
		{"other JSON", raytest.Answer{Status: 200, Type: "application/json", Text: `{"status": "ok"}`}, rayjobs.ErrNotRay, `"{\"status\": \"ok\"}"`, 1},
		{"no JSON object", raytest.Answer{Status: 200, Text: `[1]`}, rayjobs.ErrNotRay, `"[1]"`, 1},
		{"nothing", raytest.Answer{Status: 200}, rayjobs.ErrNotRay, "no text", 1},
		{"missing page", raytest.Answer{Status: 404, Type: "text/html", Text: "<h1>Not Found</h1>"}, rayjobs.ErrNotRay, "status 404", 1},
		{"missing", raytest.Answer{Status: 404, Text: "404: Not Found"}, rayjobs.ErrNotRay, "404: Not Found", 1},
		{"no such method", raytest.Answer{Status: 405, Text: "405: Method Not Allowed"}, rayjobs.ErrNotRay, "status 405", 1},
		{"elsewhere", raytest.Answer{Status: 302, Location: "https://login.example/"}, rayjobs.ErrNotRay, `go to "https://login.example/"`, 1},
		{"unauthorized", raytest.Answer{Status: 401, Text: "Unauthorized: Missing authentication token"}, rayjobs.ErrUnauthorized, "Missing authentication token", 1},
		{"forbidden", raytest.Answer{Status: 403, Text: "Forbidden"}, rayjobs.ErrUnauthorized, "status 403", 1},
		{"refused", raytest.Answer{Status: 400, Text: "Traceback (most recent call last):\n  File \"x\"\nTypeError: entrypoint must be a string"}, rayjobs.ErrRefused, `status 400: "TypeError: entrypoint must be a string"`, 1},
		{"refused by a node", raytest.Answer{Status: 500, Text: trace}, rayjobs.ErrRefused, "RuntimeError: Request failed", 1},
		{"not well", raytest.Answer{Status: 500, Text: "No available agent to submit job, please try again later."}, nil, "No available agent", 5},
		{"proxy", raytest.Answer{Status: 502, Type: "text/html", Text: "<h1>Bad Gateway</h1>"}, nil, "Bad Gateway", 5},
		{"busy", raytest.Answer{Status: 429, Text: "later"}, nil, "later", 5},
		{"broken off", raytest.Answer{Drop: true}, nil, "EOF", 5},
		{"long", raytest.Answer{Status: 400, Text: strings.Repeat("é", 5000)}, rayjobs.ErrRefused, strings.Repeat("é", 250) + `…"`, 1},
		{"endless", raytest.Answer{Status: 200, Text: strings.Repeat(" ", 5<<20)}, nil, "more than 4194304 bytes", 1},
	}
	sentinels := []error{rayjobs.ErrNotRay, rayjobs.ErrTooOld, rayjobs.ErrUnauthorized, rayjobs.ErrUnknown, rayjobs.ErrRefused}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, raytest.Config{})
			s.ray.SetFault(func(string, string) *raytest.Answer { return &tt.answer })
			_, err := s.Job(t.Context(), "j")
			if err == nil || !strings.HasPrefix(err.Error(), "GET "+s.URL()+"/api/jobs/j: ") || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 1000 {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			for _, sentinel := range sentinels {
				if errors.Is(err, sentinel) != errors.Is(tt.is, sentinel) {
					t.Errorf("%v: is %v: %t", err, sentinel, errors.Is(err, sentinel))
				}
			}
			if calls := s.ray.Calls(); len(calls) != tt.calls {
				t.Errorf("it was called %d times, want %d", len(calls), tt.calls)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"2.2.0": "", "2.60.0": "", "3.0.0.dev0": "", "2.10.0rc1": "", "10.0": "",
		"2.1.0": "it is 2.1.0, and must be 2.2 or later", "1.13.0": "too old", "nightly": `its version is "nightly"`, "2": "its version",
	} {
		s := newStage(t, raytest.Config{Version: version})
		err := s.CheckVersion(t.Context(), rayjobs.LeastVersion)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", version, err, want)
		}
		if strings.Contains(want, "it is") && !errors.Is(err, rayjobs.ErrTooOld) {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestAddressesAreChecked(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://head:8265": "", "https://ray.example/cluster/": "",
		"": "must be the URL of the dashboard", "head:8265": "must be the URL", "auto": "must be the URL", "http://": "must be the URL",
		"http://h?x": "must be the URL", "ftp://h": "must be the URL", "ray://head:10001": "is one for Ray Client: give the URL of the dashboard",
	} {
		c, err := rayjobs.New(rayjobs.Config{URL: address})
		if want == "" && err != nil || want != "" && (c != nil || err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
	if _, err := rayjobs.New(rayjobs.Config{URL: "http://h", Token: "a\n"}); err == nil || !strings.Contains(err.Error(), "ray token") {
		t.Errorf("got %v", err)
	}
}

// A call ends with its context, whatever the cluster does, and one to nobody ends by itself.
func TestCallsEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t, raytest.Config{})
	called := make(chan struct{}, 1)
	s.ray.SetFault(func(string, string) *raytest.Answer {
		called <- struct{}{}
		return &raytest.Answer{Status: 200, Wait: make(chan struct{})}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-called
		cancel()
	}()
	if _, err := s.Job(ctx, "j"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.ray.SetFault(nil)
	away, err := rayjobs.New(rayjobs.Config{URL: "http://127.0.0.1:1", Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer away.Close()
	if err := away.CheckVersion(t.Context(), rayjobs.LeastVersion); err == nil || !strings.Contains(err.Error(), "http://127.0.0.1:1/api/version: dial") {
		t.Errorf("got %v", err)
	}
}

// writeFolder writes files, by their names; those that begin with # are programs.
func writeFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#") {
			mode = 0o755
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A folder arrives with all that is in it, and its programs run.
func TestPackageRuns(t *testing.T) {
	t.Parallel()
	dir := writeFolder(t, map[string]string{
		"bin/it's a program": "#!/bin/sh\ncat data/.hidden data/link\n", "data/.hidden": "one\n", ".gitignore": "*\n",
	})
	if err := os.Symlink(filepath.Join(dir, "data/.hidden"), filepath.Join(dir, "data/link")); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, raytest.Config{})
	p, err := rayjobs.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	again, err := rayjobs.Pack(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if p.URI() != again.URI() || !strings.HasPrefix(p.URI(), "gcs://_ray_pkg_") || !strings.HasSuffix(p.URI(), ".zip") {
		t.Errorf("packed as %s, and again as %s", p.URI(), again.URI())
	}
	for range 2 {
		if err := s.Ensure(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if puts := slices.DeleteFunc(s.ray.Calls(), func(c string) bool { return !strings.HasPrefix(c, "PUT") }); len(puts) != 1 {
		t.Errorf("uploads %v", puts)
	}
	err = s.Submit(t.Context(), &rayjobs.Submission{
		ID: "a", Entrypoint: p.Entrypoint("exec \"bin/it's a program\""), Env: rayjobs.RuntimeEnv{WorkingDir: p.URI()},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	job := s.await("a")
	if logs, err := s.Logs(t.Context(), "a"); job.Status != rayjobs.Succeeded || err != nil || !strings.HasSuffix(logs, "\none\none\n") {
		t.Errorf("%+v, logs %q, %v", job, logs, err)
	}
}

func TestPackageDependsOnWhatIsInIt(t *testing.T) {
	t.Parallel()
	uris := map[string]string{}
	for name, files := range map[string]map[string]string{
		"one": {"a": "x"}, "other text": {"a": "y"}, "other name": {"b": "x"}, "program": {"a": "#x"}, "one more": {"a": "x", "b": ""},
	} {
		p, err := rayjobs.Pack(writeFolder(t, files))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		if other := uris[p.URI()]; other != "" {
			t.Errorf("%s and %s are one package", name, other)
		}
		uris[p.URI()] = name
		if got := p.Entrypoint("./a"); (got == "./a") != (name != "program") {
			t.Errorf("%s: entrypoint %q", name, got)
		}
	}
}

func TestPackagesThatCannotBe(t *testing.T) {
	t.Parallel()
	loop := writeFolder(t, map[string]string{"a": "x"})
	if err := os.Symlink(loop, filepath.Join(loop, "self")); err != nil {
		t.Fatal(err)
	}
	large := t.TempDir()
	noise, err := os.Open("/dev/urandom")
	if err != nil {
		t.Skip(err)
	}
	defer noise.Close()
	file, err := os.Create(filepath.Join(large, "noise"))
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1<<20)
	for range rayjobs.MaxPackageBytes>>20 + 1 {
		if _, err := noise.Read(buffer); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(buffer); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		"/does/not/exist":        "no such file",
		filepath.Join(loop, "a"): "it is no folder",
		loop:                     "self is neither a file nor a folder, nor a link to a file",
		large:                    "more than the 100 MiB that Ray takes",
		writeFolder(t, map[string]string{".make-executable.sh": ""}): "this name is needed",
	} {
		p, err := rayjobs.Pack(dir)
		if p != nil || err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "working dir "+dir) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text         string
		lines, bytes int
		want         string
	}{
		{"a\nb\nc\n", 2, 100, "b\nc"},
		{"a\nb\nc\n", 9, 100, "a\nb\nc"},
		{"aaaa\nbbbb\ncc", 9, 8, "bbbb\ncc"},
		{"aaaa\nbbbb\ncc", 9, 7, "cc"},
		{"ééé", 1, 3, "é"},
		{"", 3, 3, ""},
	} {
		if got := rayjobs.Tail(tt.text, tt.lines, tt.bytes); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

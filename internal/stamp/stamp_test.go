package stamp_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/frayrpc/fray/internal/stamp"
)

func TestLines(t *testing.T) {
	t.Parallel()
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "75c310d3a1b2c3d4e5f60718293a4b5c6d7e8f90"},
		{Key: "vcs.time", Value: "2026-11-29T17:57:03Z"},
	}
	modified := slices.Concat(vcs, []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}})
	for _, test := range []struct {
		name, version string
		settings      []debug.BuildSetting
		want          string
	}{
		{"nothing known", "", nil, "devel"},
		{"built without version control", "(devel)", nil, "devel"},
		{"installed by version", "v1.2.3", nil, "v1.2.3"},
		{
			"installed by commit", "v0.0.0-20261129175703-75c310d3a1b2", nil,
			"v0.0.0-20261129175703-75c310d3a1b2\ncommit 75c310d3a1b2 of 2026-11-29T17:57:03Z\n",
		},
		{
			"built in a clone", "v1.2.3", slices.Concat(vcs, []debug.BuildSetting{{Key: "vcs.modified", Value: "false"}}),
			"v1.2.3\ncommit 75c310d3a1b2c3d4e5f60718293a4b5c6d7e8f90 of 2026-11-29T17:57:03Z\n",
		},
		{
			"built in a clone with changes", "v1.2.3+dirty", modified,
			"v1.2.3+dirty\ncommit 75c310d3a1b2c3d4e5f60718293a4b5c6d7e8f90 of 2026-11-29T17:57:03Z, with changes that are not committed\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			info := &debug.BuildInfo{Main: debug.Module{Version: test.version}, Settings: test.settings}
			got := stamp.Of(info).Lines("fray")
			version, rest, _ := strings.Cut(test.want, "\n")
			want := fmt.Sprintf("fray %s (%s %s/%s)\n%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH, rest)
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestBuildsInAClone builds a program in two clones of a repository and runs it, also with a change.
// What Go writes into programs, and the flags that make release builds with, are Go's to change.
func TestBuildsInAClone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it compiles the standard library")
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	origin, clone := t.TempDir(), filepath.Join(t.TempDir(), "clone")
	for to, from := range map[string]string{
		"go.mod": "../../go.mod", "go.sum": "../../go.sum", "internal/stamp/stamp.go": "stamp.go",
	} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(origin, to), string(content))
	}
	write(t, filepath.Join(origin, "main.go"), `package main

import (
	"fmt"

	"github.com/frayrpc/fray/internal/stamp"
)

func main() { fmt.Print(stamp.Read().Lines("program")) }
`)
	run(t, origin, "git", "init", "-q")
	run(t, origin, "git", "add", ".")
	run(t, origin, "git", "commit", "-q", "-m", "Begin")
	run(t, origin, "git", "tag", "v1.2.3")
	run(t, origin, "git", "clone", "-q", ".", clone)
	id := string(bytes.TrimSpace(run(t, origin, "git", "rev-parse", "HEAD")))

	for _, dir := range []string{origin, clone} {
		build(t, dir)
	}
	if !bytes.Equal(read(t, filepath.Join(origin, "program")), read(t, filepath.Join(clone, "program"))) {
		t.Error("two clones of a commit gave different programs")
	}
	expect(t, clone, `^program v1\.2\.3 \(.*\)\ncommit `+id+` of 2026-11-29T16:57:03Z\n$`)

	write(t, filepath.Join(clone, "go.sum"), string(read(t, filepath.Join(clone, "go.sum")))+"\n")
	build(t, clone)
	expect(t, clone, `^program v1\.2\.3\+dirty \(.*\)\ncommit `+id+` of 2026-11-29T16:57:03Z, with changes that are not committed\n$`)
}

func build(t *testing.T, dir string) {
	t.Helper()
	run(t, dir, "go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", "program", ".")
	// A file that git does not know makes a clone modified.
	write(t, filepath.Join(dir, ".git", "info", "exclude"), "program\n")
}

func expect(t *testing.T, dir, want string) {
	t.Helper()
	if got := run(t, dir, filepath.Join(dir, "program")); !regexp.MustCompile(want).Match(got) {
		t.Errorf("got %q, want %s", got, want)
	}
}

func run(t *testing.T, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_COMMITTER_DATE=2026-11-29T17:57:03+01:00")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

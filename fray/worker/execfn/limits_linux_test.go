package execfn_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

func newLimits(t *testing.T, text string) execfn.Limits {
	t.Helper()
	l := make(execfn.Limits)
	if err := l.SetAll(text); err != nil {
		t.Fatal(err)
	}
	if err := (&execfn.Config{Limits: l}).Check(); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCommandsHaveTheirLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("echo \"$0\" $(ulimit -n)\n"), executable); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 100_000)
	before, err := invoke(t.Context(), t, execfn.Command{Argv: sh("ulimit -S -n; ulimit -H -n; echo $0")})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		limits  string
		command execfn.Command
		want    string
		code    int
		err     string // empty: none
	}{
		"each":                       {"memory=1GiB,files=50,core=0", execfn.Command{Argv: sh("ulimit -v; ulimit -S -n; ulimit -H -n; ulimit -c")}, "1048576\n50\n50\n0\n", 0, ""},
		"others are as they were":    {"core=0", execfn.Command{Argv: sh("ulimit -S -n; ulimit -H -n; echo $0")}, string(before.Stdout), 0, ""},
		"nothing is open besides":    {"core=0", execfn.Command{Argv: sh("test -e /proc/$$/fd/3 || test -e /proc/$$/fd/4 || echo none")}, "none\n", 0, ""},
		"long environment":           {"core=0", execfn.Command{Argv: sh("echo ${#A} ${#B} $C"), Env: []string{"A=" + long, "B=" + long, "C=c\nd"}}, "100000 100000 c d\n", 0, ""},
		"hostile environment":        {"core=0,files=50", execfn.Command{Argv: sh("echo $GODEBUG; ulimit -n"), Env: []string{"GODEBUG=inittrace=1", "GOMAXPROCS=x"}}, "inittrace=1\n50\n", 0, ""},
		"arguments and directory":    {"core=0", execfn.Command{Argv: []string{"sh", "-c", `echo "$1" "$PWD"`, "x", "a b"}, Dir: dir}, "a b " + dir + "\n", 0, ""},
		"script without interpreter": {"files=60", execfn.Command{Argv: []string{script}}, script + " 60\n", 0, ""},
		"too much address space":     {"memory=64MiB", execfn.Command{Argv: []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=512M", "count=1"}, AllowNonzero: true}, "", 1, ""},
		"too long a file":            {"file-size=1kB", execfn.Command{Argv: []string{"sh", "-c", "exec head -c 2000 /dev/zero >long"}, Dir: dir, AllowNonzero: true}, "", 128 + 25, ""},
		"too much computing":         {"cpu=1s", execfn.Command{Argv: sh("while :; do :; done"), AllowNonzero: true}, "", 128 + 24, ""},
		"no program":                 {"core=0", execfn.Command{Argv: []string{"/nosuch/program"}}, "", 0, "run program: fork/exec /nosuch/program: no such file or directory"},
		"no directory":               {"core=0", execfn.Command{Argv: []string{"true"}, Dir: "/nosuch"}, "", 0, "run program: directory /nosuch: no such file or directory"},
		"not executable":             {"core=0", execfn.Command{Argv: []string{"/dev/null"}}, "", 0, "run program: fork/exec /dev/null: permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := invokeWith(t.Context(), t, execfn.Config{Limits: newLimits(t, tt.limits)}, tt.command)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || string(got.Stdout) != tt.want || got.ExitCode != tt.code {
				t.Errorf("got %.100q and %.1000q with %d, %v, want %q with %d", got.Stdout, got.Stderr, got.ExitCode, err, tt.want, tt.code)
			}
		})
	}
}

func TestLimitsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		limits execfn.Limits
		want   string
	}{
		"more than the hard limit": {execfn.Limits{"files": 1 << 40}, "limits: files: 1099511627776 is more than this process may have"},
		"unknown":                  {execfn.Limits{"heat": 1}, `limits: "heat": there is no such limit`},
	} {
		if err := (&execfn.Config{Limits: tt.limits}).Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
	if err := (&execfn.Config{}).Check(); err != nil {
		t.Error(err)
	}
}

// A stop came while the command was still the launcher of its limits.
func TestCommandWithLimitsIsStopped(t *testing.T) {
	t.Parallel()
	cfg := execfn.Config{Limits: newLimits(t, "core=0")}
	for range 20 {
		ctx, cancel := stoppedContext(t)
		_, err := invokeWith(ctx, t, cfg, execfn.Command{Argv: []string{"sleep", "1000"}})
		cancel()
		if !errors.Is(err, errStop) {
			t.Errorf("error %v", err)
		}
	}
}

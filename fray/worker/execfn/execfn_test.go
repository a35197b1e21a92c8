//go:build unix

package execfn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

const (
	// askedUser is the variable that names a user for a process of the tests, which only says
	// whether it may run commands as that one.
	askedUser = "FRAY_TEST_USER"
	// askedScript is the variable with a script for a process of the tests, which only runs it in a
	// control group of its own.
	askedScript = "FRAY_TEST_SCRIPT"
)

func TestMain(m *testing.M) {
	if execfn.Launch(os.Args) {
		os.Exit(1)
	}
	if name := os.Getenv(askedUser); name != "" {
		_, err := execfn.NewUser(name)
		fmt.Print(err)
		os.Exit(0)
	}
	if script := os.Getenv(askedScript); script != "" {
		cgroup, err := execfn.NewCgroup(nil, slog.New(slog.DiscardHandler))
		if err == nil {
			input, _ := json.Marshal(execfn.Command{Argv: sh(script)}) // which never fails
			_, err = execfn.New(execfn.Config{Cgroup: cgroup}).Invoke(context.Background(), fray.Payload{Encoding: "json", Data: input})
		}
		fmt.Print(err)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// invoke runs a command as a worker does.
func invoke(ctx context.Context, t *testing.T, c execfn.Command) (execfn.Result, error) {
	t.Helper()
	return invokeWith(ctx, t, execfn.Config{}, c)
}

// invokeWith runs a command as a worker does that is configured so.
func invokeWith(ctx context.Context, t *testing.T, cfg execfn.Config, c execfn.Command) (execfn.Result, error) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	input, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	output, err := execfn.New(cfg).Invoke(ctx, fray.Payload{Encoding: "json", Data: input})
	var result execfn.Result
	if err == nil {
		if err := json.Unmarshal(output.Data, &result); err != nil {
			t.Fatal(err)
		}
	}
	return result, err
}

func sh(script string) []string { return []string{"sh", "-c", script} }

func TestExec(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		name    string
		command execfn.Command
		want    execfn.Result
		err     string // empty: none
	}{
		{
			name:    "outputs",
			command: execfn.Command{Argv: sh("echo out; echo err >&2")},
			want:    execfn.Result{Stdout: []byte("out\n"), Stderr: []byte("err\n")},
		},
		{
			name:    "input",
			command: execfn.Command{Argv: []string{"cat"}, Stdin: []byte{0, 255, 10}},
			want:    execfn.Result{Stdout: []byte{0, 255, 10}},
		},
		{
			name:    "input that is not read",
			command: execfn.Command{Argv: []string{"true"}, Stdin: bytes.Repeat([]byte("x"), 1<<20)},
		},
		{
			name:    "environment and directory",
			command: execfn.Command{Argv: sh(`echo "$A $PWD"; test -n "$PATH"`), Env: []string{"A=b"}, Dir: dir},
			want:    execfn.Result{Stdout: []byte("b " + dir + "\n")},
		},
		{
			name:    "failure",
			command: execfn.Command{Argv: sh("echo why >&2; exit 3")},
			err:     "sh: exit code 3: why",
		},
		{
			name:    "failure that is allowed",
			command: execfn.Command{Argv: sh("exit 3"), AllowNonzero: true},
			want:    execfn.Result{ExitCode: 3},
		},
		{
			name:    "signal",
			command: execfn.Command{Argv: sh("kill -9 $$"), AllowNonzero: true},
			want:    execfn.Result{ExitCode: 137},
		},
		{
			name:    "too much output",
			command: execfn.Command{Argv: sh("printf 12345; printf 678 >&2"), MaxOutputBytes: 3},
			want:    execfn.Result{Stdout: []byte("123"), Stderr: []byte("678"), StdoutTruncated: true},
		},
		{
			name:    "end of too much error output",
			command: execfn.Command{Argv: sh("printf 'beginning%04000d' 0 >&2; echo the end >&2; exit 1"), MaxOutputBytes: 3},
			err:     "the end",
		},
		{name: "no program", command: execfn.Command{}, err: "argv is empty"},
		{name: "unknown program", command: execfn.Command{Argv: []string{"no-such-program"}}, err: "no-such-program"},
		{name: "unreasonable bound", command: execfn.Command{Argv: []string{"true"}, MaxOutputBytes: -1}, err: "max_output_bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := invoke(t.Context(), t, tt.command)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || len(err.Error()) > 3000 {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Stdout, tt.want.Stdout) || !bytes.Equal(got.Stderr, tt.want.Stderr) || got.ExitCode != tt.want.ExitCode ||
				got.StdoutTruncated != tt.want.StdoutTruncated || got.StderrTruncated != tt.want.StderrTruncated {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestExitErrorHasTheCode(t *testing.T) {
	t.Parallel()
	_, err := invoke(t.Context(), t, execfn.Command{Argv: sh("exit 7")})
	var exit *execfn.ExitError
	if !errors.As(err, &exit) || exit.ExitCode != 7 || exit.Program != "sh" {
		t.Errorf("error %#v", err)
	}
}

var errStop = errors.New("stop")

// A stop ended the shell and left what the shell had started behind.
func TestStopEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"obeys SIGTERM":   `sleep 1000 & echo $! >"$F"; wait`,
		"ignores SIGTERM": `trap "" TERM; sh -c 'trap "" TERM; echo $$ >"$F"; while :; do sleep 1; done' & wait; wait`,
	}
	for name, script := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "pid")
			ctx, stop := context.WithCancelCause(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := invoke(ctx, t, execfn.Command{Argv: sh(script), Env: []string{"F=" + file}})
				ended <- err
			}()
			pid := awaitPID(t, file)
			stop(errStop)
			if err := <-ended; !errors.Is(err, errStop) {
				t.Errorf("error %v", err)
			}
			awaitEnd(t, pid)
		})
	}
}

// What a grandchild printed after the end of the program was cut off, and the task told as a
// success.
func TestOutputOfGrandchildrenIsWaitedFor(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"child":              `(sleep 3; echo late) & echo early`,
		"child of a session": `setsid sh -c 'sleep 3; echo late' & echo early`,
		"error output":       `(sleep 3; echo late >&2) & echo early >&2`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result, err := invoke(t.Context(), t, execfn.Command{Argv: sh(script)})
			if got := string(result.Stdout) + string(result.Stderr); err != nil || got != "early\nlate\n" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func awaitPID(t *testing.T, file string) int {
	t.Helper()
	for {
		if text, err := os.ReadFile(file); err == nil && bytes.HasSuffix(text, []byte("\n")) {
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
		await(t)
	}
}

// awaitEnd waits until a process is no more, or a zombie that its new parent has not collected.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	for syscall.Kill(pid, 0) == nil {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		await(t)
	}
}

func await(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(5 * time.Millisecond):
	case <-t.Context().Done():
		t.Fatal("waited in vain")
	}
}

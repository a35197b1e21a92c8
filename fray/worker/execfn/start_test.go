//go:build linux

package execfn_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

// What could not be started for a moment failed for good, and what could not be entered was told as
// a program that is not there.
func TestStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const plain = 0o644
	for name, mode := range map[string]os.FileMode{"script": executable, "file": plain} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("echo \"$0\" \"$@\"\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(dir, "script")
	for name, tt := range map[string]struct {
		command execfn.Command
		want    string
		err     string // empty: none
	}{
		"script without interpreter": {execfn.Command{Argv: []string{script, "a b"}}, script + " a b\n", ""},
		"the same, below dir":        {execfn.Command{Argv: []string{"./script", "a"}, Dir: dir}, "./script a\n", ""},
		"no directory":               {execfn.Command{Argv: []string{"true"}, Dir: "/nosuch"}, "", "run program: directory /nosuch: no such file or directory"},
		"a file as directory":        {execfn.Command{Argv: []string{"true"}, Dir: script}, "", "run program: directory " + script + ": not a directory"},
		"not executable":             {execfn.Command{Argv: []string{"./file"}, Dir: dir}, "", "permission denied"},
		"NUL in an argument":         {execfn.Command{Argv: []string{"echo", "a\x00b"}}, "", "argv[1] has a NUL byte"},
		"NUL in the environment":     {execfn.Command{Argv: []string{"echo"}, Env: []string{"A=\x00"}}, "", "env[0]"},
		"no name in the environment": {execfn.Command{Argv: []string{"echo"}, Env: []string{"A"}}, "", "env[0] is not like NAME=value"},
		"NUL in the directory":       {execfn.Command{Argv: []string{"echo"}, Dir: "\x00"}, "", "dir has a NUL byte"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := invoke(t.Context(), t, tt.command)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || string(got.Stdout) != tt.want {
				t.Errorf("got %q, %v, want %q", got.Stdout, err, tt.want)
			}
		})
	}
}

func TestBusyProgramIsWaitedFor(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "program")
	sh, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Skip(err)
	}
	file, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, executable)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(sh); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(t.TempDir(), "tried")
	ended := make(chan error, 1)
	go func() {
		// The first start fails for sure, for the file is open. It is closed once a later one could
		// have been.
		_, err := invoke(t.Context(), t, execfn.Command{Argv: []string{program, "-c", `: >"$F"`}, Env: []string{"F=" + marker}})
		ended <- err
	}()
	_, err = invoke(t.Context(), t, execfn.Command{Argv: []string{"sleep", "0.3"}})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("ended while the file was being written: %v", err)
	default:
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(marker); err != nil {
		t.Error(err)
	}
}

// Both outputs together were too long for a result, and then lost altogether.
func TestBothOutputsFitIntoAResult(t *testing.T) {
	t.Parallel()
	const payload = 16 << 20 // of a controller
	for name, script := range map[string]string{
		"both long":   "head -c 30000000 /dev/zero; head -c 30000000 /dev/zero >&2; echo end; echo END >&2; exit 3",
		"one is less": "head -c 30000000 /dev/zero; head -c 4000000 /dev/zero >&2; echo end; echo END >&2; exit 3",
		"much of one": "head -c 4000000 /dev/zero; head -c 16000000 /dev/zero >&2; echo end; echo END >&2; exit 3",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, limit := range []int{0, execfn.MaxOutputBytes} {
				result, err := invoke(t.Context(), t, execfn.Command{Argv: sh(script), AllowNonzero: true, MaxOutputBytes: limit})
				if err != nil {
					t.Fatal(err)
				}
				data, err := json.Marshal(result)
				if err != nil || len(data) > payload {
					t.Errorf("the result has %d bytes, %v", len(data), err)
				}
				outEnd, errEnd := result.Stdout, result.Stderr
				if result.StdoutTruncated {
					outEnd = result.StdoutMore.Tail
				}
				if result.StderrTruncated {
					errEnd = result.StderrMore.Tail
				}
				if !strings.HasSuffix(string(outEnd), "end\n") || !strings.HasSuffix(string(errEnd), "END\n") {
					t.Error("the ends are lost")
				}
				_, err = invoke(t.Context(), t, execfn.Command{Argv: sh(script), MaxOutputBytes: limit})
				failed, ok := execfn.OutputOf(err)
				if !ok || failed.ExitCode != 3 || len(failed.Stdout) != len(result.Stdout) || len(failed.Stderr) != len(result.Stderr) {
					t.Errorf("a failure has %d and %d bytes with %d, %v", len(failed.Stdout), len(failed.Stderr), failed.ExitCode, ok)
				}
			}
		})
	}
}

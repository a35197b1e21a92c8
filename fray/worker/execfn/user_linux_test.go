package execfn_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/frayrpc/fray/fray/worker/execfn"
)

// stoppedContext returns a context that has been stopped.
func stoppedContext(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errStop)
	return ctx, func() { stop(nil) }
}

const nobody = 65534

func newUser(t *testing.T, text string) *execfn.User {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root runs commands as another user")
	}
	u, err := execfn.NewUser(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCommandsRunAsTheUser(t *testing.T) {
	t.Parallel()
	private := t.TempDir()
	if err := os.Chmod(private, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		user    string
		limits  string
		command execfn.Command
		want    string
		err     string // empty: none
	}{
		"by name":           {"nobody", "", execfn.Command{Argv: sh("id -u; echo $USER $LOGNAME")}, "65534\nnobody nobody\n", ""},
		"by number":         {"65534", "", execfn.Command{Argv: sh("id -u; echo $USER")}, "65534\nnobody\n", ""},
		"with a group":      {"nobody:0", "", execfn.Command{Argv: sh("id -u; id -g")}, "65534\n0\n", ""},
		"without a name":    {"54321:54322", "", execfn.Command{Argv: sh("id -u; id -G; echo $HOME $USER")}, "54321\n54322\n/ 54321\n", ""},
		"with limits":       {"nobody", "files=50", execfn.Command{Argv: sh("id -u; ulimit -n")}, "65534\n50\n", ""},
		"no capabilities":   {"nobody", "files=50", execfn.Command{Argv: sh("grep -c 'Cap[PEA].*:.0000000000000000' /proc/self/status")}, "3\n", ""},
		"its own variables": {"nobody", "", execfn.Command{Argv: sh("echo $HOME"), Env: []string{"HOME=/given"}}, "/given\n", ""},
		"outputs by name":   {"nobody", "", execfn.Command{Argv: sh("echo out >/dev/stdout; cat /dev/stdin"), Stdin: []byte("in")}, "out\nin", ""},
		"what is not for it": {
			"nobody", "", execfn.Command{Argv: []string{"true"}, Dir: private}, "", "run program: as user nobody: fork/exec ",
		},
		"what is not for it, with limits": {
			"nobody", "files=50",
			execfn.Command{Argv: []string{filepath.Join(private, "x")}},
			"",
			"run program: as user nobody: fork/exec " + private + "/x: permission denied",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := execfn.Config{User: newUser(t, tt.user)}
			if tt.limits != "" {
				cfg.Limits = newLimits(t, tt.limits)
			}
			if err := cfg.Check(); err != nil {
				t.Fatal(err)
			}
			got, err := invokeWith(t.Context(), t, cfg, tt.command)
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
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

func TestUsersThatCannotBe(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                   "is not like USER or USER:GROUP",
		"nobody:":            "is not like USER or USER:GROUP",
		"no-such-user":       `user "no-such-user" is not known`,
		"4294967295:1":       `user "4294967295" is not known`,
		"54321":              "has no name and so no group on this machine: give one, such as 54321:54321",
		"root:no-such-group": `group "no-such-group" is not known`,
	} {
		if _, err := execfn.NewUser(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

// A process that is not root runs nothing as root, and nothing as another user.
func TestUserWithoutPrivilege(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root becomes another user")
	}
	for name, want := range map[string]string{
		"root":   "a worker that is not root does not run commands as root",
		"nobody": "this process may not run commands as another user: start it as root, or with CAP_SETUID, CAP_SETGID and CAP_KILL",
	} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), askedUser+"="+name)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %q, %v, want %q", name, out, err, want)
		}
	}
}

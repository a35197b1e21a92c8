package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/worker/execfn"
)

// leakChecked runs the tests and then looks for goroutines that they left behind.
type leakChecked struct{ *testing.M }

func (m leakChecked) Run() int {
	code := m.M.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

func TestMain(m *testing.M) {
	if execfn.Launch(os.Args) {
		os.Exit(1)
	}
	testscript.Main(leakChecked{m}, map[string]func(){"fray": main})
}

// patience bounds every wait of a script for something to come true.
const patience = 30 * time.Second

// leftBehind is how long processes may take to end after their script.
const leftBehind = 15 * time.Second

// Each script runs the command as processes. Its environment carries a mark, by which processes
// that it leaves behind are found, whoever their parent is by then.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			mark := "FRAY_SCRIPT=" + filepath.Base(env.WorkDir) + "-" + strconv.Itoa(os.Getpid())
			env.Vars = append(env.Vars, mark, "FRAY_WORKER_EXEC_ENV=FRAY_SCRIPT")
			env.Values["mark"] = mark
			env.Defer(func() {
				if err := await(leftBehind, func() error { return noProcess(mark) }); err != nil {
					for _, p := range processes(mark) {
						_ = syscall.Kill(p.pid, syscall.SIGKILL)
					}
					env.T().Log(err)
					env.T().FailNow()
				}
			})
			return nil
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    cmdExits,
			"waitfor":  cmdWaitFor,
			"address":  cmdAddress,
			"killone":  cmdKillOne,
			"nobody":   cmdNobody,
			"certs":    cmdCerts,
			"profiles": cmdProfiles,
		},
	})
}

// condition is whether scripts can try what needs root, or control groups.
func condition(name string) (bool, error) {
	switch name {
	case "user:root":
		return os.Geteuid() == 0, nil
	case "machine:cgroup":
		cgroup, err := execfn.NewCgroup(nil, slog.New(slog.DiscardHandler))
		if err != nil {
			return false, nil //nolint:nilerr // That is what was asked.
		}
		return true, cgroup.Close()
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// cmdExits runs a command that must exit with a code: exits 3 fray get a.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [arg]...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exited with %d, want %s", code, args[0])
	}
}

// cmdWaitFor waits until a file has a number of lines that contain a text, one unless it is given:
// waitfor out.txt text [n].
func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: waitfor file text [n]")
	}
	want := 1
	if len(args) > 2 {
		var err error
		want, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	ts.Check(await(patience, func() error {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			return err
		}
		if n := strings.Count(string(data), args[1]); n < want {
			return fmt.Errorf("%s has %d of %d %q:\n%s", args[0], n, want, args[1], data)
		}
		return nil
	}))
}

// cmdAddress waits for the first line of a controller in a file, and sets FRAY_CONTROLLER_ADDRESS
// by it.
func cmdAddress(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: address file")
	}
	const greeting = "fray controller listening on "
	ts.Check(await(patience, func() error {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			return err
		}
		line, _, complete := strings.Cut(string(data), "\n")
		address, ok := strings.CutPrefix(line, greeting)
		if !ok || !complete {
			return fmt.Errorf("%s begins with %q", args[0], line)
		}
		ts.Setenv("FRAY_CONTROLLER_ADDRESS", address)
		return nil
	}))
}

// cmdCerts makes an authority with certificates for this machine, in files with its name and theirs:
// certs ca server client writes ca.pem, server.crt, server.key and so on.
func cmdCerts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: certs authority [name]...")
	}
	write := func(name string, data []byte) { ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o600)) }
	authority, err := certs.NewAuthority(args[0], time.Hour)
	ts.Check(err)
	write(args[0]+".pem", authority.PEM)
	for _, name := range args[1:] {
		cert, key, err := authority.Issue(name, "127.0.0.1", "localhost")
		ts.Check(err)
		write(name+".crt", cert)
		write(name+".key", key)
	}
}

// cmdProfiles asks for a profile where a file of messages says that they are served, by a name of that
// server if one is given, and expects an HTTP status, or that the server is gone: profiles ctl.err 200
// heap [name].
func cmdProfiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: profiles file status profile [name]")
	}
	url := regexp.MustCompile(`http://\S+/debug/pprof/`).FindString(ts.ReadFile(args[0]))
	if url == "" {
		ts.Fatalf("%s does not say where profiles are served", args[0])
	}
	req, err := http.NewRequest(http.MethodGet, url+args[2], http.NoBody)
	ts.Check(err)
	if len(args) > 3 {
		req.Host = args[3]
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if args[1] == "gone" && err != nil {
		return
	}
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	if strconv.Itoa(res.StatusCode) != args[1] || len(body) == 0 {
		ts.Fatalf("%s is answered by %s and %d bytes", url, res.Status, len(body))
	}
}

// cmdKillOne waits for a process of this script whose command line matches, and sends it a signal:
// killone KILL '^fray map'.
func cmdKillOne(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: killone signal pattern")
	}
	sig, ok := map[string]syscall.Signal{"KILL": syscall.SIGKILL, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[args[0]]
	if !ok {
		ts.Fatalf("unknown signal %s", args[0])
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	mark := markOf(ts)
	var pid int
	ts.Check(await(patience, func() error {
		for _, p := range processes(mark) {
			if pattern.MatchString(p.command) {
				pid = p.pid
				return nil
			}
		}
		return fmt.Errorf("no process matches %q", args[1])
	}))
	ts.Check(syscall.Kill(pid, sig))
}

// cmdNobody waits until no process of this script has a text in its command line: nobody 'fray
// worker'.
func cmdNobody(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: nobody text")
	}
	mark := markOf(ts)
	ts.Check(await(leftBehind, func() error {
		for _, p := range processes(mark) {
			if strings.Contains(p.command, args[0]) {
				return fmt.Errorf("process %d is still there: %s", p.pid, p.command)
			}
		}
		return nil
	}))
}

func markOf(ts *testscript.TestScript) string {
	mark, ok := ts.Value("mark").(string)
	if !ok {
		ts.Fatalf("the script has no mark")
	}
	return mark
}

// await calls check until it returns nil, and returns its last error after the timeout.
func await(timeout time.Duration, check func() error) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			return fmt.Errorf("after %v: %w", timeout, err)
		}
	}
}

func noProcess(mark string) error {
	if left := processes(mark); len(left) > 0 {
		return fmt.Errorf("processes are left: %+v", left)
	}
	return nil
}

type process struct {
	pid     int
	command string
}

// processes returns the live processes that have mark in their environment. It needs /proc, and
// finds nothing elsewhere.
func processes(mark string) []process {
	var found []process
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range entries {
		environ, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+mark+"\x00")) {
			continue // ended, or somebody else's
		}
		command, err := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		found = append(found, process{pid, strings.ReplaceAll(strings.TrimRight(string(command), "\x00"), "\x00", " ")})
	}
	return found
}

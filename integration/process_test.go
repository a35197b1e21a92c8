package integration_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/frayrpc/fray/internal/children"
)

const (
	// patience is how long eventually waits for what should happen soon. Long, because what it
	// bounds is a machine that is busy with something else.
	patience = 30 * time.Second
	// firstPoll and slowestPoll are how long eventually waits between two looks.
	firstPoll   = 2 * time.Millisecond
	slowestPoll = 25 * time.Millisecond
	// leaveTime is how long a process may take to leave at the end of its test.
	leaveTime = 10 * time.Second
	// logTail is how much of a process's output a failed test prints, in bytes.
	logTail = 16 << 10
)

// eventually waits until ok returns true, or fails the test. Everything in this suite that takes
// time is awaited by it.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for wait := firstPoll; ; wait = min(2*wait, slowestPoll) {
		if ok() {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("after %v still not so: %s", patience, what)
		case <-time.After(wait):
		}
	}
}

// spawn is what starts all processes.
var spawn = sync.OnceValue(func() *children.Starter { return children.NewStarter(syscall.SIGKILL) })

// process is a child, the only one of its process group.
type process struct {
	*children.Child

	t    testing.TB
	name string
	url  string // where it listens, by its own word
	cmd  *exec.Cmd
	out  string // paths of what it writes
	err  string

	leads    bool // it is to lead, as the only controller of its database
	expected bool // its end is the test's doing, or one that the test looks at
}

// startProcess starts a program and waits for it to say where it listens.
func startProcess(t testing.TB, name, program string, args ...string) *process {
	t.Helper()
	p := tryProcess(t, name, program, args...)
	if p.url == "" {
		t.Fatalf("%s has ended: %v", name, p.cmd.ProcessState)
	}
	return p
}

// tryProcess is startProcess for a program that may refuse to start: it has ended then, and has no URL.
func tryProcess(t testing.TB, name, program string, args ...string) *process {
	t.Helper()
	p := newProcess(t, name, program, args...).launch()
	eventually(t, name+" says where it listens", func() bool {
		p.url = p.address()
		return p.url != "" || !p.Running()
	})
	p.awaitLead()
	return p
}

// newProcess returns a program that is yet to be launched.
func newProcess(t testing.TB, name, program string, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{
		t: t, name: name,
		out: filepath.Join(dir, name+".out"), err: filepath.Join(dir, name+".err"),
	}
	args, p.leads = stored.args(t, args)
	p.cmd = exec.Command(program, args...) // ends with the test's cleanup, and has to outlive its context
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "FRAY_") })
	if dir := os.Getenv(coverVariable); dir != "" {
		p.cmd.Env = append(p.cmd.Env, "GOCOVERDIR="+dir)
	}
	return p
}

// launch starts it, and ends it with the test.
func (p *process) launch() *process {
	p.t.Helper()
	stdout, err := os.Create(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	defer stdout.Close()
	stderr, err := os.Create(p.err)
	if err != nil {
		p.t.Fatal(err)
	}
	defer stderr.Close()
	p.cmd.Stdout, p.cmd.Stderr = stdout, stderr
	if p.Child, err = spawn().Start(p.cmd); err != nil {
		p.t.Fatalf("start %s: %v", p.name, err)
	}
	p.t.Cleanup(p.end)
	return p
}

var addressPattern = regexp.MustCompile(`^.*?(https?://[^\s"]+)`)

// address returns the URL in the first line of the standard output; empty: it is not there yet.
func (p *process) address() string {
	out, err := os.ReadFile(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	line, _, ok := bytes.Cut(out, []byte("\n"))
	if !ok {
		return ""
	}
	match := addressPattern.FindSubmatch(line)
	if match == nil {
		p.t.Fatalf("first line of %s has no address: %s", p.name, line)
	}
	return string(match[1])
}

// signal sends a signal, which may find nobody any more.
func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.Signal(sig); err != nil && p.Running() {
		p.t.Errorf("send %v to %s: %v", sig, p.name, err)
	}
}

// kill ends the process as a crash does, and waits for that.
func (p *process) kill() {
	p.expected = true
	_ = p.Kill() // how it ended is read from its state
}

// pause stops the process where it stands, until resume.
func (p *process) pause() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	eventually(p.t, p.name+" is stopped", func() bool { return p.state() == "T" })
}

func (p *process) resume() { p.signal(syscall.SIGCONT) }

// state is the process's state as ps shows it.
func (p *process) state() string { return stateOf(p.cmd.Process.Pid) }

// stateOf is the state of any process; empty: there is none.
func stateOf(pid int) string {
	state, _ := processStat(pid)
	return state
}

// processStat returns the state of a process, and the id of its parent.
func processStat(pid int) (state, parent string) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", ""
	}
	// pid (name) state parent ..., where the name may contain anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return fields[0], fields[1]
}

// exit waits for the process to end by itself and returns its exit code, -1 for a signal.
func (p *process) exit() int {
	p.t.Helper()
	eventually(p.t, p.name+" exits", func() bool { return !p.Running() })
	p.expected = true
	return p.cmd.ProcessState.ExitCode()
}

// end ends the process with its test, and checks what it leaves behind.
func (p *process) end() {
	if p.Running() {
		_ = p.Stop(leaveTime, nil, func() { p.t.Errorf("%s ignores SIGTERM", p.name) }) // as above
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			p.t.Errorf("%s exits with %d on SIGTERM", p.name, code)
		}
	} else if !p.expected {
		p.t.Errorf("%s has ended by itself: %v", p.name, p.cmd.ProcessState)
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		p.t.Errorf("%s leaves processes behind: %v", p.name, err)
	}
	p.check()
}

// bugs are what no process may ever write.
var bugs = regexp.MustCompile(`(?m)^(panic: |fatal error: |WARNING: DATA RACE).*|handler panicked`)

// check looks for bugs in the log, which it prints if the test has failed.
func (p *process) check() {
	log, err := os.ReadFile(p.err)
	if err != nil {
		p.t.Error(err)
	}
	if bug := bugs.Find(log); bug != nil {
		p.t.Errorf("log of %s: %s", p.name, bug)
	}
	if p.t.Failed() {
		p.t.Logf("%s (%v):\n%s", p.name, p.cmd.ProcessState, log[max(0, len(log)-logTail):])
	}
}

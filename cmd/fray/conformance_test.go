//go:build linux

package main

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// conformance is a list of inputs that a command is run for, by xargs and by map.
type conformance struct {
	name    string
	command []string
	inputs  []string
	env     []string // besides that of the test
	// stderr: what goes to the error output is compared, too.
	stderr bool
}

func shell(script string) []string { return []string{"sh", "-c", script, "sh"} }

var conformances = []conformance{
	{name: "random bytes", command: []string{"printf", `<%s>\n`}, inputs: randomArguments(1, 300)},
	{name: "one name for each file", command: []string{"cat"}, inputs: []string{"caf\xe9", "caf\xe8", "plain", "new\nline"}},
	{name: "bytes in the environment", command: shell(`printf '%s' "$ODD"`), inputs: []string{"x"}, env: []string{"ODD=\xff\xfe\x01"}},
	{name: "environment", command: shell(`env | sort | grep -v ^_=`), inputs: []string{"x"}},
	{name: "directory", command: shell(`pwd; cd "$1" && pwd`), inputs: []string{"dir\xe9"}},
	{name: "late output of a child", command: shell(`(sleep 4; echo late) & echo early`), inputs: []string{"x"}},
	{name: "late output of a session", command: shell(`setsid sh -c 'sleep 4; echo late; echo oops >&2' & echo early`), inputs: []string{"x"}, stderr: true},
	{name: "no input of their own", command: shell(`cat; echo "$?"`), inputs: []string{"a", "b"}},
	{name: "script without interpreter", command: []string{"./script"}, inputs: []string{"a b", "c"}},
	{name: "program in the current directory", command: []string{"here"}, inputs: []string{"a"}, env: []string{"PATH=.:" + os.Getenv("PATH")}},
	{name: "long outputs", command: shell(`head -c 3000000 /dev/zero; seq 200000 >&2`), inputs: []string{"a", "b"}, stderr: true},
	{name: "output without a line end", command: []string{"printf", "%s"}, inputs: []string{"a", "b"}},
	{name: "signals and files", command: shell(`grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd; umask; ulimit -n`), inputs: []string{"x"}},
	{name: "exit codes", command: shell(`echo "$1"; echo e"$1" >&2; exit "$1"`), inputs: []string{"0", "3", "0", "125"}, stderr: true},
	{name: "signal", command: shell(`echo "$1"; test "$1" = a || kill -TERM $$`), inputs: []string{"a", "b"}},
	{name: "no such program", command: []string{"./nosuch"}, inputs: []string{"x"}},
	{name: "no inputs", command: []string{"echo"}},
	{name: "empty inputs", command: []string{"printf", `<%s>\n`}, inputs: []string{"", "", "x", ""}},
	{name: "long inputs", command: shell(`echo ${#1}`), inputs: []string{strings.Repeat("x", 100_000), strings.Repeat("é", 40_000)}},
}

// randomArguments returns strings of random bytes, but for NUL, which arguments cannot have. A seed
// always gives the same.
func randomArguments(seed uint64, n int) []string {
	random := rand.New(rand.NewPCG(seed, 0)) // The same each time.
	list := make([]string, n)
	for i := range list {
		data := make([]byte, 1+random.IntN(12))
		for j := range data {
			data[j] = byte(1 + random.IntN(255))
		}
		list[i] = string(data)
	}
	return list
}

// What xargs makes of a list of commands is what map makes of it: the same bytes arrive at the
// commands and come back from them, and the list as a whole succeeds or fails alike.
func TestCommandsAreRunAsByXargs(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("xargs"); err != nil {
		t.Skip("there is no xargs")
	}
	for _, c := range conformances {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, content := range map[string]string{
				"caf\xe9": "first\n", "caf\xe8": "second\n", "plain": "third\n", "new\nline": "fourth\n",
				"script": "echo script \"$0\" \"$@\"\n", "here": "#!/bin/sh\necho here \"$@\"\n",
			} {
				const executable = 0o755
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), executable); err != nil { // It is to be run.
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(filepath.Join(dir, "dir\xe9"), 0o755); err != nil { // As above.
				t.Fatal(err)
			}
			want := c.run(t, dir, "xargs", "-0", "-r", "-n1")
			got := c.run(t, dir, "fray", "map", "-0", "--keep-going", "--")
			if !bytes.Equal(got.stdout, want.stdout) {
				t.Errorf("map printed %.300q (%d bytes), xargs %.300q (%d bytes)", got.stdout, len(got.stdout), want.stdout, len(want.stdout))
			}
			stderr, _, _ := bytes.Cut(got.stderr, []byte("fray map: "))
			if c.stderr && !bytes.Equal(stderr, want.stderr) {
				t.Errorf("map printed %.300q as errors (%d bytes), xargs %.300q (%d bytes)", stderr, len(stderr), want.stderr, len(want.stderr))
			}
			if (got.code == 0) != (want.code == 0) {
				t.Errorf("map exited with %d, xargs with %d: %s", got.code, want.code, got.stderr)
			}
		})
	}
}

type conformanceEnd struct {
	stdout, stderr []byte
	code           int
}

func (c *conformance) run(t *testing.T, dir string, program ...string) conformanceEnd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program[0], append(program[1:], c.command...)...) // From the table.
	var input, stdout, stderr bytes.Buffer
	for _, arg := range c.inputs {
		input.WriteString(arg + "\x00")
	}
	cmd.Dir, cmd.Env = dir, append(cmd.Environ(), c.env...)
	cmd.Env = append(cmd.Env, "PWD="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &input, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return conformanceEnd{stdout.Bytes(), stderr.Bytes(), cmd.ProcessState.ExitCode()}
}

// randomPaths returns paths of a few characters that mean something in paths. A seed always gives the same.
func randomPaths(seed uint64, n int) []string {
	const alphabet = "ab.../ -*'{}1é"
	letters := []rune(alphabet)
	random := rand.New(rand.NewPCG(seed, 0)) // The same each time.
	list := make([]string, n)
	for i := range list {
		path := make([]rune, 1+random.IntN(9))
		for j := range path {
			path[j] = letters[random.IntN(len(letters))]
		}
		list[i] = string(path)
	}
	return list
}

// Options that have the same name mean the same, for random inputs.
func TestOptionsAreThoseOfXargs(t *testing.T) {
	t.Parallel()
	if err := isGNU(t, "xargs"); err != nil {
		t.Skip(err)
	}
	for _, tt := range []struct {
		name    string
		options []string
		command []string
		inOrder bool
	}{
		{name: "one", options: []string{"-n", "1"}, command: []string{"printf", `<%s>\n`}, inOrder: true},
		{name: "seven", options: []string{"-n", "7"}, command: []string{"printf", `<%s>`}, inOrder: true},
		{name: "several at once", options: []string{"-n", "3", "-P", "3"}, command: []string{"printf", `<%s><%s><%s>\n`}},
		{name: "another name", options: []string{"-I", "%%"}, command: []string{"printf", `<%s>\n`, "a%%b%%", "{}"}, inOrder: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := conformance{command: tt.command, inputs: randomArguments(2, 200)}
			if !tt.inOrder {
				for i, path := range randomPaths(3, 200) { // whose lines can be sorted
					c.inputs[i] = path
				}
			}
			dir := t.TempDir()
			want := c.run(t, dir, append([]string{"xargs", "-0", "-r"}, tt.options...)...)
			got := c.run(t, dir, append(append([]string{"fray", "map", "-0", "-r"}, tt.options...), "--")...)
			if !tt.inOrder {
				got.stdout, want.stdout = []byte(sortLines(string(got.stdout))), []byte(sortLines(string(want.stdout)))
			}
			if !bytes.Equal(got.stdout, want.stdout) || got.code != want.code {
				t.Errorf("map printed %.300q, xargs %.300q", got.stdout, want.stdout)
			}
		})
	}
}

// A replacement string stands for the same of random paths as GNU parallel has it, alone and in words, by
// position and with columns.
func TestReplacementStringsAreThoseOfParallel(t *testing.T) {
	t.Parallel()
	if err := isGNU(t, "parallel"); err != nil {
		if os.Getenv("FRAY_REQUIRE_PARALLEL") != "" {
			t.Fatalf("FRAY_REQUIRE_PARALLEL is set: %v", err)
		}
		t.Skipf("NOT COMPARED with parallel: %v", err)
	}
	all := []string{"{}", "{.}", "{/}", "{//}", "{/.}", "{#}", "x{}y{/}", "{1}", "{1.}", "{1/}", "{1//}", "{1/.}", "{-1}"}
	for _, tt := range []struct {
		name    string
		options []string
		words   []string
	}{
		{"one", nil, all},
		{"last", nil, nil},
		{"two", []string{"-N", "2"}, []string{"{1}", "{2}", "{2.}", "{1//}", "{-1/}", "{-2}", "a{1}b{2}"}},
		{"three for each", []string{"-n", "3"}, []string{"x", "{}"}},
		{"columns", []string{"--colsep", "[ab]"}, []string{"{1}", "<{2}>", "<{3.}>"}},
		{"none", []string{"-N", "0"}, []string{"x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := conformance{command: append([]string{"printf", `<%s>\n`}, tt.words...), inputs: randomPaths(4, 60), env: []string{"PARALLEL_HOME=" + quietParallel(t)}}
			dir := t.TempDir()
			want := c.run(t, dir, append([]string{"parallel", "-0", "-k", "-q"}, tt.options...)...)
			got := c.run(t, dir, append(append([]string{"fray", "map", "-0"}, tt.options...), "--")...)
			if bytes.Equal(got.stdout, want.stdout) && got.code == want.code {
				return
			}
			ours, theirs := strings.Split(string(got.stdout), "\n"), strings.Split(string(want.stdout), "\n")
			for i := range min(len(ours), len(theirs)) {
				if ours[i] != theirs[i] {
					t.Fatalf("line %d: map printed %q, parallel %q", i+1, ours[max(0, i-14):i+1], theirs[max(0, i-14):i+1])
				}
			}
			t.Errorf("map printed %d lines and exited with %d, parallel %d and %d: %s", len(ours), got.code, len(theirs), want.code, want.stderr)
		})
	}
}

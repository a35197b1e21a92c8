package execfn

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mounts = `22 1 0:20 / /sys rw,nosuid - sysfs sysfs rw
30 22 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw
`

func TestOwnControlGroupIsFound(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ own, mounts, want, err string }{
		"below the root":            {"0::/system.slice/fray.service\n", mounts, "/sys/fs/cgroup/system.slice/fray.service", ""},
		"the root":                  {"9:name=systemd:/x\n0::/\n", mounts, "/sys/fs/cgroup", ""},
		"a mount of a part":         {"0::/a/b/c\n", "41 31 0:38 /a/b /mnt/my\\040groups rw - cgroup2 cgroup2 rw\n", "/mnt/my groups/c", ""},
		"a mount of another part":   {"0::/a/b\n", "41 31 0:38 /a/c /mnt rw - cgroup2 cgroup2 rw\n" + mounts, "/sys/fs/cgroup/a/b", ""},
		"outside of its namespace":  {"0::/../other\n", mounts, "", "/../other of this process is outside of its namespace"},
		"version 1 only":            {"4:memory:/x\n", mounts, "", "in no control group (v2)"},
		"not mounted":               {"0::/x\n", "22 1 0:20 / /sys rw - sysfs sysfs rw\n", "", "no file system shows the control group /x"},
		"a mount that is cut short": {"0::/x\n", "41 31 - cgroup2 cgroup2 rw\n", "", "no file system shows"},
		"nothing":                   {"", "", "", "in no control group (v2)"},
	} {
		got, err := findCgroup(tt.own, tt.mounts)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: got %q, %v, want %q, %q", name, got, err, tt.want, tt.err)
		}
	}
}

// newFake makes directories with the files of the kernel that the test is about.
func newFake(t *testing.T, files map[string]string) *Cgroup {
	t.Helper()
	parent := t.TempDir()
	c := &Cgroup{parent: parent, dir: filepath.Join(parent, "fray-exec-1")}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(parent, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestControllersThatCountAlreadyBoundCommands(t *testing.T) {
	t.Parallel()
	c := newFake(t, map[string]string{
		"cgroup.controllers": "cpu memory pids\n", "cgroup.subtree_control": "pids memory\n", "fray-exec-1/cgroup.subtree_control": "",
	})
	if err := c.bound(Limits{limitMemory: 1 << 30, limitProcesses: 7, limitFiles: 50}); err != nil {
		t.Fatal(err)
	}
	if c.moved {
		t.Error("the worker has left its group for nothing")
	}
	if got := read(t, c.dir, subtreeControl); got != "+memory +pids" {
		t.Errorf("%q was written to the worker's group", got)
	}
	g, err := c.group()
	if err != nil {
		t.Fatal(err)
	}
	defer g.dir.Close()
	for _, file := range []string{"memory.max", "pids.max"} {
		if err := os.WriteFile(filepath.Join(g.path, file), []byte("max\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.bound(); err != nil {
		t.Fatal(err)
	}
	if memory, pids := read(t, g.path, "memory.max"), read(t, g.path, "pids.max"); memory != "1073741824" || pids != "7" {
		t.Errorf("the command may have %q bytes and %q processes", memory, pids)
	}
}

// The worker takes back what it has enabled, and nothing that others had before.
func TestControllersAreEnabledForAsLongAsTheWorkerRuns(t *testing.T) {
	t.Parallel()
	c := newFake(t, map[string]string{
		"cgroup.controllers": "memory pids\n", "cgroup.subtree_control": "memory\n", "fray-exec-1/cgroup.subtree_control": "", "cgroup.procs": "",
	})
	if err := c.enable([]string{"memory", "pids"}); err == nil || !strings.Contains(err.Error(), "worker/cgroup.procs: no such file") {
		t.Fatalf("error %v, want that the fake directory has no such file", err)
	}
	if c.moved || read(t, c.parent, subtreeControl) != "memory\n" || read(t, c.parent, "cgroup.procs") != "0" {
		t.Error("a move that failed has left something behind")
	}
	c.moved, c.added = true, []string{"pids"}
	if err := os.Mkdir(c.workerDir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.comeBack(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c.parent, subtreeControl); got != "-pids" {
		t.Errorf("%q was written to the group where the worker was", got)
	}
}

func TestControllersThatAreNotThere(t *testing.T) {
	t.Parallel()
	c := newFake(t, map[string]string{"cgroup.controllers": "cpu pids\n", "cgroup.subtree_control": ""})
	if err := c.bound(Limits{limitMemory: 1}); err == nil || !strings.Contains(err.Error(), "the controller memory is not enabled for "+c.parent) {
		t.Errorf("error %v", err)
	}
	if err := c.bound(Limits{limitFiles: 1}); err != nil || len(c.limits) > 0 {
		t.Errorf("limits that no controller has: %v, %v", c.limits, err)
	}
}

package execfn

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// The group of a worker begins with this name, in the one that the worker itself is in. A lock
	// on it says that the worker lives.
	cgroupPrefix = "fray-exec-"
	// cgroupTries bounds how often a worker makes its group again that another one, which took it
	// for a leftover, has removed.
	cgroupTries = 8
	// removePause is how long after cgroup.kill a group that is not empty yet is looked at again,
	// removeRounds how often.
	removePause  = 5 * time.Millisecond
	removeRounds = 200
	// maxCgroups bounds how many groups are looked for below one.
	maxCgroups = 100_000
)

// Cgroup is where each command of a worker gets a control group (v2) of its own. All that a command
// starts is in it, whatever session and parent it has, and ends with it. Its methods may be called
// by several goroutines.
type Cgroup struct {
	parent string // the worker's own group, when it started
	dir    string // the group whose children are those of commands
	lock   *os.File
	moved  bool              // the worker is in dir by now
	added  []string          // the controllers that it enabled in parent
	limits map[string]uint64 // what is written to which file of a command's group
	next   atomic.Uint64
}

// controllers are those of the kernel that bound what a group may have in all: for each, its limit
// and the file for it.
var controllers = []struct{ name, limit, file string }{
	{"memory", limitMemory, "memory.max"},
	{"pids", limitProcesses, "pids.max"},
}

// NewCgroup makes a group for commands in the one that this process is in, and removes those that
// workers have left there which are no more. Of the limits, those for memory and processes bound
// the groups of commands as well, if the kernel's controllers can be had: for that, this process
// must be alone in its group, and moves into one below it. logger is told if they cannot.
//
// It returns an error if this process may not make groups there. The caller calls Close.
func NewCgroup(limits Limits, logger *slog.Logger) (*Cgroup, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	parent, err := findCgroup(string(own), string(mounts))
	if err != nil {
		return nil, err
	}
	if err := unix.Access(filepath.Join(parent, "cgroup.procs"), unix.W_OK); err != nil {
		return nil, fmt.Errorf("%s is not delegated to this process: cgroup.procs: %w", parent, err)
	}
	removeLeftovers(parent)
	c := &Cgroup{parent: parent}
	if err := c.create(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(c.dir, "cgroup.kill")); err != nil {
		return nil, errors.Join(errors.New("the kernel has no cgroup.kill, which Linux has since 5.14"), c.Close())
	}
	if err := tryStart(&syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(c.lock.Fd())}); err != nil {
		return nil, errors.Join(fmt.Errorf("this process cannot start others in %s: %w", c.dir, err), c.Close())
	}
	if err := c.bound(limits); err != nil {
		logger.Warn("the limits of commands bound each of their processes, but not all together", "control_group", parent, "error", err)
	}
	return c, nil
}

// findCgroup returns the directory of a process's group, by what /proc says of the process and of
// its mounts.
func findCgroup(own, mounts string) (string, error) {
	path := ""
	for line := range strings.Lines(own) {
		if text, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "0::"); ok {
			path = text
		}
	}
	switch {
	case !strings.HasPrefix(path, "/"):
		return "", errors.New("this process is in no control group (v2)")
	case strings.HasPrefix(path, "/.."):
		return "", fmt.Errorf("the control group %s of this process is outside of its namespace", path)
	}
	for line := range strings.Lines(mounts) {
		// id parent device root mountpoint options tags... - type source options
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		const root, mountpoint, least = 3, 4, 6
		if !strings.HasPrefix(after, "cgroup2 ") || len(fields) < least {
			continue
		}
		relative, err := filepath.Rel(unescapeMount(fields[root]), path)
		if err == nil && filepath.IsLocal(relative) {
			return filepath.Join(unescapeMount(fields[mountpoint]), relative), nil
		}
	}
	return "", fmt.Errorf("no file system shows the control group %s of this process", path)
}

var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// removeLeftovers removes the groups of workers that are no more, with what is in them.
func removeLeftovers(parent string) {
	found, _ := filepath.Glob(filepath.Join(quoteGlob(parent), cgroupPrefix+"*")) // of a pattern that is well formed
	for _, path := range found {
		lock, err := lockDir(path)
		if err != nil {
			continue // its worker lives
		}
		removeCgroup(path)
		_ = lock.Close() // nothing was written
	}
}

var quoteGlob = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace

// lockDir locks a directory as long as the file is open, or returns an error if another process
// has locked it.
func lockDir(path string) (*os.File, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), dir.Close())
	}
	return dir, nil
}

func (c *Cgroup) create() error {
	for range cgroupTries {
		dir, err := os.MkdirTemp(c.parent, cgroupPrefix)
		if err != nil {
			return err
		}
		lock, err := lockDir(dir)
		if err != nil { // another worker that starts took it for a leftover
			continue
		}
		if _, err := os.Stat(dir); err == nil {
			c.dir, c.lock = dir, lock
			return nil
		}
		_ = lock.Close() // nothing was written
	}
	return fmt.Errorf("%s: the groups that are made there vanish", c.parent)
}

// bound has the kernel count what the groups of commands have, as far as limits bound it.
func (c *Cgroup) bound(limits Limits) error {
	wanted := make(map[string]uint64)
	var names []string
	for _, one := range controllers {
		if value, ok := limits[one.limit]; ok {
			wanted[one.file] = value
			names = append(names, one.name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := c.enable(names); err != nil {
		return err
	}
	c.limits = wanted
	return nil
}

// subtreeControl has the controllers that count for the children of a group.
const subtreeControl = "cgroup.subtree_control"

// enable has controllers count for the children of c.dir. A group in which they do cannot have
// processes of its own, so this process moves out of its group if they do not there.
func (c *Cgroup) enable(names []string) error {
	there, err := os.ReadFile(filepath.Join(c.parent, "cgroup.controllers"))
	if err != nil {
		return err
	}
	enabled, err := os.ReadFile(filepath.Join(c.parent, subtreeControl))
	if err != nil {
		return err
	}
	var missing []string
	for _, name := range names {
		if !slices.Contains(strings.Fields(string(there)), name) {
			return fmt.Errorf("the controller %s is not enabled for %s", name, c.parent)
		}
		if !slices.Contains(strings.Fields(string(enabled)), name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		if err := c.leave(); err != nil {
			return err
		}
		if err := writeCgroup(c.parent, subtreeControl, "+"+strings.Join(missing, " +")); err != nil {
			return errors.Join(err, c.comeBack())
		}
		c.added = missing
	}
	if err := writeCgroup(c.dir, subtreeControl, "+"+strings.Join(names, " +")); err != nil {
		return errors.Join(err, c.comeBack())
	}
	return nil
}

// leave moves this process into a group of its own.
func (c *Cgroup) leave() error {
	if err := os.Mkdir(c.workerDir(), 0o755); err != nil {
		return err
	}
	c.moved = true
	if err := writeCgroup(c.workerDir(), "cgroup.procs", "0"); err != nil {
		return errors.Join(err, c.comeBack())
	}
	return nil
}

func (c *Cgroup) workerDir() string { return filepath.Join(c.dir, "worker") }

// comeBack undoes leave. It returns an error if other processes need what was enabled meanwhile.
func (c *Cgroup) comeBack() error {
	if !c.moved {
		return nil
	}
	for _, name := range c.added {
		for _, dir := range []string{c.dir, c.parent} {
			_ = writeCgroup(dir, subtreeControl, "-"+name) // if it stays, the next call says so
		}
	}
	if err := writeCgroup(c.parent, "cgroup.procs", "0"); err != nil {
		return err
	}
	c.moved = false
	return os.Remove(c.workerDir())
}

// writeCgroup writes to a file that is there.
func writeCgroup(dir, name, text string) error {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// Close removes the groups. No command runs any more.
func (c *Cgroup) Close() error {
	err := c.comeBack()
	if err == nil && !removeCgroup(c.dir) {
		err = fmt.Errorf("control group %s cannot be removed: processes are left in it", c.dir)
	}
	return errors.Join(err, c.lock.Close())
}

// removeCgroup removes a group with those below it, when it has killed what is in them. It reports
// false if that takes too long.
func removeCgroup(dir string) bool {
	for round := range removeRounds {
		var found []string
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				found = append(found, path)
			}
			if len(found) > maxCgroups {
				return fs.SkipAll
			}
			return nil // what is gone meanwhile is gone
		})
		slices.Reverse(found) // what is below comes first
		left := false
		for _, path := range found {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				left = true
			}
		}
		if !left {
			return true
		}
		if round > 0 {
			time.Sleep(removePause)
		}
		_ = writeCgroup(dir, "cgroup.kill", "1") // it may be gone
	}
	return false
}

// cgroup is the group of one command.
type cgroup struct {
	path   string
	dir    *os.File
	limits map[string]uint64 // as those of its Cgroup
}

// group makes the group of a command; nil: commands have none.
func (c *Cgroup) group() (_ *cgroup, err error) {
	if c == nil {
		return nil, nil
	}
	path := filepath.Join(c.dir, strconv.FormatUint(c.next.Add(1), 10))
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, &machineError{err}
	}
	g := &cgroup{path: path, limits: c.limits}
	if g.dir, err = os.Open(path); err != nil {
		g.remove()
		return nil, &machineError{err}
	}
	return g, nil
}

// bound sets the limits of the group. The command has just become what it is: this program, as
// which it was started for its own limits, needs more than those may allow.
func (g *cgroup) bound() error {
	if g == nil {
		return nil
	}
	for file, value := range g.limits { // in any order
		if err := writeCgroup(g.path, file, strconv.FormatUint(value, 10)); err != nil {
			return &machineError{err}
		}
	}
	return nil
}

// join has cmd start in the group.
func (g *cgroup) join(cmd *exec.Cmd) {
	if g == nil {
		return
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(g.dir.Fd())
}

// pids returns the processes of the group.
func (g *cgroup) pids() map[int]bool {
	found := make(map[int]bool)
	if g == nil {
		return found
	}
	list, err := os.ReadFile(filepath.Join(g.path, "cgroup.procs"))
	if err != nil {
		return found
	}
	for field := range bytes.FieldsSeq(list) {
		if pid, err := strconv.Atoi(string(field)); err == nil {
			found[pid] = true
		}
	}
	return found
}

// kill kills all processes of the group and of those below it.
func (g *cgroup) kill() {
	if g != nil {
		_ = writeCgroup(g.path, "cgroup.kill", "1") // there may be nothing to kill
	}
}

// remove kills what is left in the group, and removes it. One that cannot be removed in time is
// left to Close.
func (g *cgroup) remove() {
	if g == nil {
		return
	}
	if g.dir != nil {
		_ = g.dir.Close() // nothing was written
	}
	_ = removeCgroup(g.path)
}

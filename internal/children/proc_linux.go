package children

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is a process as /proc shows it.
type Process struct {
	PID, Parent, Group, Session int
	// Start is when it started, in ticks since the machine did. With the PID it names a process for
	// good.
	Start uint64
	// Zombie: it has ended, and waits to be collected.
	Zombie bool
}

// Pids returns the ids of this process's children, zombies among them. When the family changes
// meanwhile, some may be missing.
func Pids() []int {
	const dir = "/proc/self/task"
	threads, err := names(dir)
	if err != nil {
		return pidsOfAll()
	}
	var pids []int
	lists := 0
	for _, thread := range threads {
		data, err := os.ReadFile(filepath.Join(dir, thread, "children")) // A file of the kernel.
		if err != nil {
			continue // the thread has ended
		}
		lists++
		for field := range bytes.FieldsSeq(data) {
			if pid, err := strconv.Atoi(string(field)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	if lists == 0 { // the kernel keeps no such lists
		return pidsOfAll()
	}
	return pids
}

// names returns those in a directory of the kernel, in any order.
func names(path string) ([]string, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // It was only read.
	return dir.Readdirnames(-1)
}

// pidsOfAll finds the children among all processes.
func pidsOfAll() []int {
	var pids []int
	self := os.Getpid()
	for _, p := range Processes() {
		if p.Parent == self {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// Processes returns all processes that this one can see.
func Processes() []Process {
	all, err := names("/proc")
	if err != nil {
		return nil
	}
	var found []Process
	for _, name := range all {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if p, ok := Lookup(pid); ok {
			found = append(found, p)
		}
	}
	return found
}

// Lookup returns a process by its id, and false if there is none.
func Lookup(pid int) (Process, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, false
	}
	// pid (name) state parent group session ..., where the name may contain anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const startField = 19
	if len(fields) <= startField {
		return Process{}, false
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(string(fields[i])) // the kernel writes numbers
		return n
	}
	start, _ := strconv.ParseUint(string(fields[startField]), 10, 64) // as above
	return Process{
		PID: pid, Parent: number(1), Group: number(2), Session: number(3), Start: start, Zombie: string(fields[0]) == "Z",
	}, true
}

// Signal sends p a signal, and nothing to a later process that has got its id.
func (p Process) Signal(sig syscall.Signal) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err == nil {
		defer unix.Close(fd) //nolint:errcheck // Nothing was written.
	}
	if now, ok := Lookup(p.PID); !ok || now.Start != p.Start {
		return
	}
	if err == nil {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0) // it may have ended
		return
	}
	_ = syscall.Kill(p.PID, sig) // as above
}

package execfn

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/frayrpc/fray/internal/children"
)

// straggler is a process that belongs to a program and may have left its group.
type straggler = children.Process

// startTicks is now, as the kernel notes when processes start: in hundredths of a second since the
// machine did.
func startTicks() uint64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0 // every process may have started later
	}
	const ticks = 100
	return uint64(now.Nano()) / uint64(time.Second/ticks) //nolint:gosec // It is not negative.
}

// stragglers returns the live processes that belong to p: those of its session, those that hold its
// outputs, those in its control group, and the descendants of all of these.
func stragglers(p *program) []straggler {
	// What this process is starting has copies of all its pipes until it is another program.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	leader := p.cmd.Process.Pid
	pipes := make(map[string]bool)
	for _, end := range p.reading {
		if name, ok := pipeName(end); ok {
			pipes[name] = true
		}
	}
	grouped := p.group.pids()
	all := children.Processes()
	belongs := map[int]bool{leader: true}
	self := os.Getpid()
	var found []straggler
	for grown := true; grown; { // a parent may come after its child
		grown = false
		for _, one := range all {
			if belongs[one.PID] || one.PID == self || one.Zombie {
				continue
			}
			if belongs[one.Parent] || grouped[one.PID] || one.Session == leader || one.Start >= p.begin && holds(one.PID, pipes) {
				belongs[one.PID] = true
				found = append(found, one)
				grown = true
			}
		}
	}
	return found
}

// pipeName is what /proc calls a pipe.
func pipeName(end *os.File) (string, bool) {
	info, err := end.Stat()
	if err != nil { // it is closed
		return "", false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("pipe:[%d]", stat.Ino), ok
}

// holds reports whether a process has one of the pipes open. Of those of other users, it cannot be
// told.
func holds(pid int, pipes map[string]bool) bool {
	links, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	if err != nil {
		return false
	}
	for _, link := range links {
		if name, err := os.Readlink(link); err == nil && pipes[name] {
			return true
		}
	}
	return false
}

package children

import (
	"os"
	"os/signal" // SIGCHLD is no wish of a user: it tells that a child has ended.
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// How long to wait after children have ended until the next look, so that many that end at once
	// cost one, and how long until the look that finds those which the list of a moving family left
	// out.
	collectPause = 20 * time.Millisecond
	collectAgain = 200 * time.Millisecond
	// killRounds bounds how often killOrphans looks again, killPause apart: a process that dies
	// leaves its children to this one.
	killRounds = 400
	killPause  = 5 * time.Millisecond
)

// collect makes this process a subreaper and collects its orphans until stop is called, which waits
// for the end of that.
func (f *family) collect() (stop func()) {
	// Without it, orphans go to another process, unless this is the first one of its namespace.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	over := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		seen := make(sightings)
		again := time.NewTimer(0)
		defer again.Stop()
		for {
			select {
			case <-ended:
				again.Reset(collectPause)
				select {
				case <-again.C:
				case <-over:
					return
				}
				again.Reset(collectAgain)
			case <-again.C:
			case <-over:
				return
			}
			if undecided := f.collectOrphans(seen); undecided {
				again.Reset(collectPause)
			}
		}
	})
	return func() {
		signal.Stop(ended)
		close(over)
		running.Wait()
	}
}

// sightings are children that nothing is known of: for each, the number of the start that was the
// next one when it was first seen. It may be of a start before that which has not returned.
type sightings map[int]uint64

// collectOrphans collects those that have ended. It reports whether there are children of which it
// cannot be said yet whether they are orphans.
func (f *family) collectOrphans(seen sightings) (undecided bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !anyEnded() { // Most that end are waited for by those who started them.
		clear(seen)
		return false
	}
	oldest := f.oldestStart()
	present := make(map[int]bool)
	for _, pid := range Pids() {
		if f.own[pid] != nil {
			continue
		}
		present[pid] = true
		if _, known := seen[pid]; !known {
			seen[pid] = f.next
		}
		if oldest < seen[pid] {
			undecided = true
			continue
		}
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil) // it may live on
	}
	for pid := range seen { // in any order
		if !present[pid] {
			delete(seen, pid)
		}
	}
	return undecided
}

// anyEnded says whether a child waits to be collected, and collects none.
func anyEnded() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && info.Signo != 0
}

func (f *family) killOrphans() {
	f.mu.Lock()
	adopts := f.adopters > 0
	f.mu.Unlock()
	if !adopts {
		return
	}
	for range killRounds {
		if !f.killRound() {
			return
		}
		time.Sleep(killPause)
	}
}

// killRound kills the orphans that there are, and reports whether there was one.
func (f *family) killRound() (found bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.starting) > 0 { // one of the children may be of these
		return true
	}
	for _, pid := range Pids() {
		if f.own[pid] != nil {
			continue
		}
		found = true
		if group, err := syscall.Getpgid(pid); err == nil && group == pid {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
		_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	}
	return found
}

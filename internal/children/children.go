// Package children keeps account of the processes that this one starts, and of those that fall to
// it because their own parent has died.
//
//	release := children.Adopt() // once, by the main package
//	defer release()
//	err := children.Start(cmd)  // in place of cmd.Start
//	err = children.Wait(cmd)    // in place of cmd.Wait
//
// A [Starter] starts processes that are not to outlive this one, asks them to end, and kills them.
//
// A process that starts commands gets the children of those commands too: always as the first
// process of a container, and on Linux as a subreaper, which Adopt makes of it. Nothing waits for
// such an orphan, so it stays a zombie when it ends. Adopt collects it. What was started by Start
// is left to its Wait, whose exit status nothing takes away.
//
// All functions may be called by several goroutines.
package children

import (
	"fmt"
	"os/exec"
	"sync"
)

// family is what is known of this process's children. There is one, for a process has one set of
// children.
type family struct {
	mu       sync.Mutex
	next     uint64              // number of the next start
	starting map[uint64]struct{} // starts that have not returned
	own      map[int]*exec.Cmd   // what was started and not waited for
	adopters int
	stop     func() // ends the collecting
}

var here = &family{starting: make(map[uint64]struct{}), own: make(map[int]*exec.Cmd)}

// Start starts cmd, as its method does. The caller calls Wait.
func Start(cmd *exec.Cmd) error { return here.start(cmd) }

// Wait waits for a command that Start started, as its method does.
func Wait(cmd *exec.Cmd) error { return here.wait(cmd) }

// Adopt makes this process the parent of its descendants whose own parent dies, where the system
// can (Linux), and collects them when they end, until release is called. It is for programs that
// start all of their processes by Start: the exit status of any other child may be lost.
func Adopt() (release func()) { return here.adopt() }

// KillOrphans kills and collects all children that Start did not start, and their children when
// these fall to this process, for two seconds at most. It does nothing where Adopt adopts nothing.
func KillOrphans() { here.killOrphans() }

// Left returns the ids and command lines of what Start has started and Wait has yet to wait for.
// Tests that are to leave nothing behind ask for it.
func Left() []string {
	here.mu.Lock()
	defer here.mu.Unlock()
	var left []string
	for pid, cmd := range here.own { // in any order
		left = append(left, fmt.Sprint(pid, " ", cmd.Args))
	}
	return left
}

func (f *family) start(cmd *exec.Cmd) error {
	f.mu.Lock()
	number := f.next
	f.next++
	f.starting[number] = struct{}{}
	f.mu.Unlock()
	err := cmd.Start()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.starting, number)
	if err == nil {
		f.own[cmd.Process.Pid] = cmd
	}
	return err
}

func (f *family) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.own[cmd.Process.Pid] == cmd { // else the number has been given to a later one already
		delete(f.own, cmd.Process.Pid)
	}
	return err
}

// oldestStart is the number of the oldest start that has not returned, or of the next one.
func (f *family) oldestStart() uint64 {
	oldest := f.next
	for number := range f.starting { // the least of them, whatever the order
		oldest = min(oldest, number)
	}
	return oldest
}

func (f *family) adopt() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.adopters++; f.adopters == 1 {
		f.stop = f.collect()
	}
	return sync.OnceFunc(func() {
		f.mu.Lock()
		f.adopters--
		stop := func() {}
		if f.adopters == 0 {
			stop = f.stop
		}
		f.mu.Unlock()
		stop()
	})
}

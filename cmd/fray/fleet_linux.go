package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// workerProcess makes a worker lead a process group, so that a Ctrl-C is this process's to handle and a kill reaches
// all of it, and has the kernel tell it when this process dies.
func workerProcess() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// killGroup kills a process and its process group.
func killGroup(p *os.Process) {
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL) // it may have ended
	_ = p.Kill()
}

// adoptOrphans makes this process the parent of descendants whose own parent dies.
func adoptOrphans() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // without it, they go to init and end by themselves or not
}

// sweepRounds bounds how often killOrphans looks again, 5 ms apart: a process that dies leaves its children to us.
const sweepRounds = 400

// killOrphans kills and reaps the children of this process that are not in keep.
func killOrphans(keep map[int]bool) {
	for range sweepRounds {
		found := false
		for _, pid := range children() {
			if keep[pid] {
				continue
			}
			found = true
			if group, err := syscall.Getpgid(pid); err == nil && group == pid {
				_ = syscall.Kill(-pid, syscall.SIGKILL)
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
		if !found {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// children returns the pids of this process's children.
func children() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	self := os.Getpid()
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		// pid (name) state parent ..., where the name may contain anything.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) > 1 && string(fields[1]) == strconv.Itoa(self) {
			pids = append(pids, pid)
		}
	}
	return pids
}

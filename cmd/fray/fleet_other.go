//go:build !linux

package main

import (
	"os"
	"syscall"
)

func workerProcess() *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) { _ = p.Kill() }

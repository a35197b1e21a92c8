package execfn

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// slotNumbers hands out the lowest numbers that are free. Its methods may be called by several
// goroutines.
type slotNumbers struct {
	first int
	mu    sync.Mutex
	taken []bool
}

func newSlotNumbers(first int) *slotNumbers { return &slotNumbers{first: first} }

// take returns the lowest free number, which is the caller's until it is put back.
func (s *slotNumbers) take() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, taken := range s.taken {
		if !taken {
			s.taken[i] = true
			return s.first + i
		}
	}
	s.taken = append(s.taken, true) // at most as many as the worker has slots
	return s.first + len(s.taken) - 1
}

func (s *slotNumbers) putBack(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[n-s.first] = false
}

// nameSlot puts the number of a slot into the arguments.
func (c *Command) nameSlot(slot int) {
	if c.SlotMark == "" {
		return
	}
	for i, arg := range c.Argv {
		c.Argv[i] = strings.ReplaceAll(arg, c.SlotMark, strconv.Itoa(slot))
	}
}

// newAccount begins the account of a command that asks for one; nil: it does not.
func (c *Command) newAccount(slot int) *Account {
	if !c.Account {
		return nil
	}
	host, _ := os.Hostname() // empty will do
	return &Account{Host: host, Slot: slot, StartMicros: time.Now().UnixMicro()}
}

// end completes the account of a program that is in state.
func (a *Account) end(state *os.ProcessState) {
	if a == nil {
		return
	}
	a.TookMicros = max(0, time.Now().UnixMicro()-a.StartMicros)
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		a.Signal = int(status.Signal())
	}
}

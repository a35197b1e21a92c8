// Package order tells whether the goroutines of a bubble follow a seed, and which. They do in programs
// that are built with the overlay of package sim/overlay, as fray-sim test builds them; in all others
// chance and the scheduler decide, as ever.
//
//	if order.Followed() {
//		order.Begin(7) // of this bubble, from here on
//	}
//
// Package sim does so by itself, with the seed of each run.
package order

import (
	"context"
	"io/fs"
	"net"
)

// Stats count what the goroutines of all bubbles of a process did so far.
type Stats struct {
	// Turns are how often one goroutine went on after another.
	Turns uint64 `json:"turns"`
	// Broken are turns that were taken from a goroutine that spun, and Passed how often a system call,
	// such as reading from a real connection, made a goroutine runnable. The order that follows from
	// either is not the seed's: a run with any of them does not replay for certain.
	Broken uint64 `json:"broken"`
	Passed uint64 `json:"passed"`
}

// Since returns what was counted since another count.
func (s Stats) Since(earlier Stats) Stats {
	return Stats{s.Turns - earlier.Turns, s.Broken - earlier.Broken, s.Passed - earlier.Passed}
}

// Replays says whether all followed the seed.
func (s Stats) Replays() bool { return s.Broken == 0 && s.Passed == 0 }

// Followed says whether the program was built with the overlay.
func Followed() bool { return followed }

// Next has the bubbles that begin from now on follow a seed; until then it is that of FRAY_SEED in the
// environment, or 0. Without the overlay, and with FRAY_SEED=off, it does nothing.
func Next(seed uint64) { next(seed) }

// Begin has the bubble of the calling goroutine follow another seed from now on. It reports false
// outside of a bubble that follows any.
func Begin(seed uint64) bool { return begin(seed) }

// Count returns what was counted so far.
func Count() Stats { return count() }

// Adopt has the calling goroutine belong to a simulated host, and with it those that it starts and
// the timers that it sets. 0: to none. Without the overlay it does nothing.
func Adopt(host uint64) { adopt(host) }

// Host returns the simulated host of the calling goroutine; 0: it belongs to none.
func Host() uint64 { return host() }

// Stop has the goroutines of a simulated host run no more, whatever they wait for, and does not wait
// for them when the bubble ends. None of them may be running. It reports false where they cannot be
// stopped: without the overlay, and outside of a bubble that follows a seed.
func Stop(host uint64) bool { return stop(host) }

// Network is what goroutines of simulated hosts have in place of package net's Dial, Listen, lookups of
// names and addresses of the machine, and of os.Hostname.
type Network struct {
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// Lookup returns the addresses of a name.
	Lookup func(name string) ([]string, error)
	// Addrs returns the addresses of the host, and Hostname its name.
	Addrs    func() []string
	Hostname func() string
}

// Connect puts the network in place, once for the process. Without the overlay it does nothing.
func Connect(n Network) { connect(n) }

// Disk is what goroutines of simulated hosts have in place of package os's files. Each function says
// whether the name is one of that disk; what it says then is the outcome.
type Disk struct {
	// Open opens a file. What it returns has the methods of an os.File that reads, writes, seeks, syncs,
	// cuts, lists and closes.
	Open func(name string, flag int, perm fs.FileMode) (file any, here bool, err error)
	Stat func(name string) (info fs.FileInfo, here bool, err error)
	// Do does something to names. The operation is mkdir, remove, removeall, rename, truncate, chmod,
	// chown, chtimes, getwd, chdir, readlink, link, symlink or openroot.
	Do func(op, name, to string, perm fs.FileMode, size int64) (here bool, err error)
}

// Mount puts the disk in place, once for the process. Without the overlay it does nothing.
func Mount(d Disk) { mount(d) }

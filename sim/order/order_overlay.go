//go:build frayoverlay

package order

import (
	"context"
	"io/fs"
	"net"
	_ "unsafe" // for go:linkname
)

const followed = true

func next(seed uint64) { runtimeSet(seed) }

func begin(seed uint64) bool { return runtimeSeedNow(seed) }

func count() Stats {
	turns, broken, passed := runtimeStats()
	return Stats{turns, broken, passed}
}

func adopt(host uint64) { runtimeSetHost(host) }

func host() uint64 { return runtimeHost() }

func stop(host uint64) bool { return runtimeStop(host) }

func connect(n Network) {
	netNetwork.Listen, netNetwork.Lookup, netNetwork.Addrs = n.Listen, n.Lookup, n.Addrs
	netNetwork.Dial = n.Dial
	osHostname = n.Hostname
}

// netNetwork is laid out as that of package net.
//
//go:linkname netNetwork net.frayNetwork
var netNetwork struct {
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	Lookup func(name string) ([]string, error)
	Addrs  func() []string
}

func mount(d Disk) {
	osFiles.Stat, osFiles.Do = d.Stat, d.Do
	osFiles.Open = d.Open
}

// osFiles is laid out as that of package os.
//
//go:linkname osFiles os.frayFiles
var osFiles struct {
	Open func(name string, flag int, perm fs.FileMode) (file any, here bool, err error)
	Stat func(name string) (info fs.FileInfo, here bool, err error)
	Do   func(op, name, to string, perm fs.FileMode, size int64) (here bool, err error)
}

//go:linkname osHostname os.frayHostname
var osHostname func() string

//go:linkname runtimeHost runtime.frayHost
func runtimeHost() uint64

//go:linkname runtimeSetHost runtime.fraySetHost
func runtimeSetHost(host uint64)

//go:linkname runtimeStop runtime.frayStop
func runtimeStop(host uint64) bool

//go:linkname runtimeSet runtime.fraySet
func runtimeSet(seed uint64)

//go:linkname runtimeSeedNow runtime.fraySeedNow
func runtimeSeedNow(seed uint64) bool

//go:linkname runtimeStats runtime.frayStats
func runtimeStats() (turns, broken, passed uint64)

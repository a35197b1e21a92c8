package sim

import (
	"context"
	"net"
	"sync"

	"github.com/frayrpc/fray/sim/order"
)

// Where goroutines follow the seed, code that calls package net by itself has the simulation's
// network: goroutines know which incarnation they belong to.
var (
	marks uint64
	// Incarnations by their marks. A mutex guards it: the way of a sync.Map depends on the key, and
	// with it how often others may run meanwhile.
	marked   = make(map[uint64]*Host)
	markedMu sync.Mutex
	network  = sync.OnceFunc(func() {
		order.Connect(order.Network{
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				return here().DialContext(ctx, network, address)
			},
			Listen: func(_ context.Context, network, address string) (net.Listener, error) {
				return here().Listen(network, address)
			},
			Lookup: func(name string) ([]string, error) {
				nodes, err := here().inc.node.resolve(name)
				if err != nil {
					return nil, err
				}
				addrs := make([]string, len(nodes))
				for i, n := range nodes {
					addrs[i] = n.ip().String()
				}
				return addrs, nil
			},
			Addrs: func() []string { return []string{here().IP().String()} },
			Hostname: func() string {
				if h := here(); h != nil {
					return h.Name()
				}
				return ""
			},
		})
	})
)

// adopted returns the mark for the goroutines of an incarnation.
func adopted(i *incarnation) uint64 {
	if !order.Followed() {
		return 0
	}
	network()
	markedMu.Lock()
	defer markedMu.Unlock()
	marks++
	marked[marks] = &Host{inc: i}
	i.node.sim.marks = append(i.node.sim.marks, marks)
	return marks
}

// here returns the host of the calling goroutine, or nil.
func here() *Host {
	markedMu.Lock()
	defer markedMu.Unlock()
	return marked[order.Host()]
}

// forgetMarks forgets the incarnations of a run.
func (s *Sim) forgetMarks() {
	markedMu.Lock()
	defer markedMu.Unlock()
	for _, mark := range s.marks {
		delete(marked, mark)
	}
}

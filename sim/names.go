package sim

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/frayrpc/fray/internal/chance"
)

// ip is a host's address: its place in the network 10.0.0.0/8, from 1.
func (n *node) ip() netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 10<<24|uint32(n.index+1)) //nolint:gosec // Counts from 0.
	return netip.AddrFrom4(b)
}

// IP returns the host's address. Hosts have those of 10.0.0.0/8, in the order in which they were
// added.
func (h *Host) IP() netip.Addr { return h.inc.node.ip() }

// Name has a name stand for several hosts, as an entry of DNS with several addresses does. Who
// dials it gets one of them after the other, from one that is drawn; a call goes to one that is
// drawn. It panics if the name is a host's, or if a host is not there.
func (s *Sim) Name(name string, hosts ...string) {
	s.control("name")
	nodes := make([]*node, len(hosts))
	for i, host := range hosts {
		nodes[i] = s.mustNode(host)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" || s.byName[name] != nil || len(hosts) == 0 {
		panic(fmt.Sprintf("sim: name %q is empty, a host's, or for no host", name))
	}
	s.aliases[name] = &alias{nodes: nodes}
}

// nameAt returns the name of the host at an address with a port; empty: there is none.
func (s *Sim) nameAt(address string) string {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.at(addr.Addr()); n != nil {
		return n.name
	}
	return ""
}

// at returns the host at an address, or nil. Sim.mu is held.
func (s *Sim) at(addr netip.Addr) *node {
	for _, n := range s.byName { // order-free: addresses are distinct
		if n.ip() == addr {
			return n
		}
	}
	return nil
}

// alias is a name of several hosts.
type alias struct {
	nodes  []*node
	looked uint64 // how often
}

// resolve returns the hosts that a name or an address stands for, as this host sees it.
func (n *node) resolve(name string) ([]*node, error) {
	s := n.sim
	name = strings.TrimSuffix(name, ".")
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.byName[name]; known != nil {
		return []*node{known}, nil
	}
	if a := s.aliases[name]; a != nil {
		a.looked++
		first := s.draw(forName, chance.Mix(hashString(name))^n.hash, a.looked) % uint64(len(a.nodes))
		return append(a.nodes[first:len(a.nodes):len(a.nodes)], a.nodes[:first]...), nil
	}
	if name == "" || name == "localhost" {
		return []*node{n}, nil
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		if addr.IsLoopback() || addr.IsUnspecified() {
			return []*node{n}, nil
		}
		if other := s.at(addr); other != nil {
			return []*node{other}, nil
		}
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

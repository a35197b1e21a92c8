package access

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds on failed logins.
const (
	// MaxFailures is how many an address may have at once, and FailureInterval how soon it may have
	// each further one.
	MaxFailures     = 20
	FailureInterval = 6 * time.Second
	// maxAddresses is how many addresses are known at once; the one that failed longest ago goes first.
	maxAddresses = 4096
	// networkBits is how much of an address of IPv6 counts: a host has all addresses of such a network.
	networkBits = 64
)

// failures counts logins that failed, by the address that they came from: each has an allowance, which
// comes back at a constant rate (GCRA).
type failures struct {
	mu     sync.Mutex
	places map[netip.Addr]*list.Element
	order  list.List // of *failure, the one that failed last at the end
}

type failure struct {
	from netip.Addr
	// When all of its allowance is back.
	until time.Time
}

func newFailures() *failures { return &failures{places: make(map[netip.Addr]*list.Element)} }

// note counts a failure. It returns 0, or how long it takes until there is an allowance for one.
func (f *failures) note(now time.Time, from netip.Addr) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	place := f.places[from]
	if place == nil {
		for f.order.Len() >= maxAddresses {
			oldest := f.order.Front()
			delete(f.places, f.order.Remove(oldest).(*failure).from) //nolint:errcheck // Nothing else is in it.
		}
		place = f.order.PushBack(&failure{from: from})
		f.places[from] = place
	} else {
		f.order.MoveToBack(place)
	}
	e := place.Value.(*failure) //nolint:errcheck // As above.
	until := e.until
	if until.Before(now) {
		until = now
	}
	if wait := until.Sub(now) - (MaxFailures-1)*FailureInterval; wait > 0 {
		return wait
	}
	e.until = until.Add(FailureInterval)
	return 0
}

// addressOf returns the address that counts for a remote one such as "10.0.0.7:4711"; the zero one
// where it has none, which all share.
func addressOf(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	address = address.Unmap().WithZone("")
	if address.Is6() {
		return netip.PrefixFrom(address, networkBits).Masked().Addr()
	}
	return address
}

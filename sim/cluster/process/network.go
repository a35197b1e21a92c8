package process

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/sim/cluster"
)

// addresses gives each host of a run an address of its own, where the system has so many, so that
// the controller can tell them apart, and so that nobody else happens to have the controller's port
// while it is away.
type addresses struct{ network int }

// networks counts the runs of this process.
var networks atomic.Uint32

// newAddresses returns a network that other runs hardly have.
func newAddresses() addresses {
	// 127.0.x.x is left to everybody else.
	const first, count = 1 << 8, 1<<16 - 1<<8
	return addresses{first + (os.Getpid()+int(networks.Add(1))<<12)%count}
}

// of returns the address of the host with a number from 0.
func (a addresses) of(host int) string {
	if !ownAddresses {
		return "127.0.0.1"
	}
	return fmt.Sprintf("127.%d.%d.%d", a.network>>8, a.network&0xff, 1+host)
}

const dialTimeout = 5 * time.Second

// newTransport returns connections from an address. What is called is the controller, at another; by
// TLS, if there are files with a certificate to show.
func newTransport(from, controller string, files certs.Files) (*transport, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	if ownAddresses {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	t := outgoing.NewTransport()
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(address); err == nil && host == cluster.ControllerHost {
			address = controller
		}
		return dialer.DialContext(ctx, network, address)
	}
	secure := files.Cert != ""
	if secure {
		if err := files.Secure(t, slog.New(slog.DiscardHandler)); err != nil {
			return nil, err
		}
	}
	return &transport{t, secure}, nil
}

// transport calls the controller by a name that it answers to. In URLs it goes by its host's.
type transport struct {
	*http.Transport

	secure bool
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	local := *req
	local.Host = "localhost"
	if t.secure {
		url := *req.URL
		url.Scheme, local.URL = "https", &url
	}
	return t.Transport.RoundTrip(&local)
}

// Package browsers keeps web pages of others from calling servers that are for programs, and for a page of
// their own.
//
//	server := &http.Server{Handler: browsers.KeepOut(mux, browsers.Server{Loopback: func() bool { return browsers.OnLoopback(listener) }})}
package browsers

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"connectrpc.com/connect"
)

// Server is what is known of a server that pages are kept from.
type Server struct {
	// Loopback says whether only this machine reaches it, which may change until it listens. It goes
	// by no name but localhost then, so that any other is a trick.
	Loopback func() bool
	// Guarded says that it asks for credentials, which a page that has taken a name for it does not have.
	Guarded bool
	// Names are those by which browsers may call it besides addresses and localhost, without a port.
	Names []string
	// Page is the path of a page of its own, which others may lead to, for it shows nothing by itself.
	// Empty: it has none.
	Page string
}

// guard keeps out what a web page has its visitor's browser send: pages of others, and those
// that take a name for this server's that is not (DNS rebinding). Programs send no Origin, and call
// a server by an address or a name that they were given.
type guard struct {
	Server

	next    http.Handler
	refusal *connect.ErrorWriter
}

// KeepOut returns a handler that passes on to next what no web page but the server's own had its visitor's browser
// send. It asks with each request whether only this machine reaches the server.
func KeepOut(next http.Handler, s Server) http.Handler {
	return &guard{Server: s, next: next, refusal: connect.NewErrorWriter()}
}

// ServeHTTP implements http.Handler.
func (b *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	problem := b.problem(r)
	if problem == "" {
		b.next.ServeHTTP(w, r)
		return
	}
	err := connect.NewError(connect.CodePermissionDenied, errors.New(problem))
	if !b.refusal.IsSupported(r) {
		http.Error(w, problem, http.StatusForbidden)
		return
	}
	_ = b.refusal.Write(w, r, err) // the caller may be gone
}

// problem says why a request is refused; empty: it is not.
func (b *guard) problem(r *http.Request) string {
	const another = "web pages cannot call this server: the request comes from another site"
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
	default:
		if !b.isLedTo(r) {
			return another
		}
	}
	origin, fromPage := r.Header["Origin"]
	if fromPage {
		u, err := url.Parse(strings.Join(origin, ","))
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return another
		}
	}
	if (fromPage || b.Loopback()) && !b.isNamed(r) {
		return "this server is not known as " + r.Host + ": call it by its IP address, as localhost, or by a name that it was told to be known by"
	}
	return ""
}

// isLedTo says whether a request is of somebody who goes to the server's page, from wherever.
func (b *guard) isLedTo(r *http.Request) bool {
	return b.Page != "" && r.URL.Path == b.Page && r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" &&
		r.Header.Get("Sec-Fetch-Dest") == "document"
}

// isNamed says whether the host of a request is one that nobody else can have a name resolve to, or
// the name of this server. Of one that speaks TLS the browser has seen a certificate with the name.
func (b *guard) isNamed(r *http.Request) bool {
	host := hostOf(r.Host)
	if isAddress(host) {
		return true
	}
	if slices.ContainsFunc(b.Names, func(name string) bool { return strings.EqualFold(name, host) }) {
		return true
	}
	return !b.Loopback() && (r.TLS != nil || b.Guarded)
}

// hostOf returns a request's host without its port.
func hostOf(hostPort string) string {
	host := hostPort
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
}

// isAddress says whether a host is an IP address or localhost.
func isAddress(host string) bool {
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// OnLoopback says whether only this machine reaches a listener; nil is none.
func OnLoopback(l net.Listener) bool {
	if l == nil {
		return false
	}
	address, ok := l.Addr().(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}

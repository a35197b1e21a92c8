// Package browsers keeps web pages from calling servers that are for programs.
//
//	server := &http.Server{Handler: browsers.KeepOut(mux, func() bool { return browsers.OnLoopback(listener) })}
package browsers

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"connectrpc.com/connect"
)

// guard keeps out what a web page has its visitor's browser send: pages of others, and those
// that take a name for this server's that is not (DNS rebinding). Programs send no Origin, and call
// a server by an address or a name that they were given.
type guard struct {
	next http.Handler
	// What only this machine reaches goes by no name but localhost, so that any other is a trick.
	loopback func() bool
	refusal  *connect.ErrorWriter
}

// KeepOut returns a handler that passes on to next what no web page had its visitor's browser send. It
// asks with each request whether only this machine reaches the server.
func KeepOut(next http.Handler, loopback func() bool) http.Handler {
	return &guard{next: next, loopback: loopback, refusal: connect.NewErrorWriter()}
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
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
	default:
		return "web pages cannot call this server: the request comes from another site"
	}
	origin, fromPage := r.Header["Origin"]
	if fromPage {
		u, err := url.Parse(strings.Join(origin, ","))
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return "web pages cannot call this server: the request comes from another site"
		}
	}
	if (fromPage || b.loopback()) && !isAddress(r.Host) {
		return "this server is not known as " + r.Host + ": call it by its IP address, or as localhost"
	}
	return ""
}

// isAddress says whether the host of a request is an IP address or localhost, which nobody else can
// have a name resolve to.
func isAddress(hostPort string) bool {
	host := hostPort
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
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

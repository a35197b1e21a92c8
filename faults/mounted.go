package faults

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// mounted says which adapters of an injector there are.
type mounted struct {
	interceptor, transport, handler atomic.Bool
	// bypassed counts connections that a handler below the injector's took away from it, to serve
	// HTTP/2 on them.
	bypassed atomic.Uint64
}

func (m *mounted) any() bool { return m.interceptor.Load() || m.transport.Load() || m.handler.Load() }

// idle returns why a rule can never act with the adapters that are mounted by now; "" if it can.
func (i *Injector) idle(rule Rule) string {
	rule = rule.normal()
	if isConnections(rule.Procedure) {
		if !i.config.Connections {
			return "the process has no adapter for connections, which only simulations have"
		}
		return ""
	}
	callers := rule.Side == Server
	transport := i.config.Network || i.mounted.transport.Load()
	switch rule.Side {
	case Network:
		switch {
		case !transport && !i.mounted.handler.Load():
			return "the process has no adapter for side network; mount Injector.RoundTripper at callers, or Injector.Handler at servers"
		case !transport && i.mounted.bypassed.Load() > 0:
			return "connections of HTTP/2 pass by Injector.Handler, which is mounted outside of what takes them over, as h2c.NewHandler does; " +
				"mount it inside, or serve HTTP/2 by http.Server.Protocols"
		}
		callers = !transport
	default:
		switch {
		case !i.mounted.interceptor.Load():
			return fmt.Sprintf("the process has no adapter for side %s; mount Injector.Interceptor in its clients and handlers", rule.Side)
		case len(i.config.Sides) > 0 && !slices.Contains(i.config.Sides, rule.Side):
			return fmt.Sprintf("the process has no interceptor on side %s", rule.Side)
		}
	}
	if !callers || i.config.PeerName != nil {
		return ""
	}
	names := rule.From
	if rule.Action.Kind == Partition && len(names) > 0 { // Whose two sides take turns.
		if len(rule.To) == 0 {
			return ""
		}
		names = slices.Concat(rule.From, rule.To)
	}
	if len(names) > 0 && !slices.ContainsFunc(names, mayBeAddress) {
		return fmt.Sprintf("the process knows its callers by their IP addresses, and %s=%s matches none; set Config.PeerName", fieldFrom, strings.Join(rule.From, "|"))
	}
	return ""
}

// mayBeAddress says whether a pattern can match an IP address.
func mayBeAddress(pattern string) bool {
	return strings.Trim(strings.ToLower(pattern), "0123456789abcdef.:*[]") == ""
}

// checkMounted refuses rules that can never act, once any adapter is mounted. Until then nobody
// knows.
func (i *Injector) checkMounted(plan Plan) (errs []error) {
	if !i.mounted.any() {
		return nil
	}
	for _, rule := range plan.Rules {
		if rule.Validate() != nil {
			continue // Which is told already.
		}
		if why := i.idle(rule); why != "" {
			invalid := wrong(fieldSide, "the rule can never act: %s", why)
			invalid.Rule = rule.ID
			errs = append(errs, invalid)
		}
	}
	return errs
}

// startsHTTP2 says whether a request is no call but asks for its connection to speak HTTP/2, by
// prior knowledge or an upgrade.
func startsHTTP2(r *http.Request) bool {
	return r.Method == "PRI" && r.URL.Path == "*" && r.ProtoMajor == 2 ||
		r.ProtoMajor == 1 && r.Header.Get("Http2-Settings") != "" && strings.EqualFold(r.Header.Get("Upgrade"), "h2c")
}

// taking notices that a connection is taken away.
type taking struct {
	http.ResponseWriter

	mounted *mounted
}

// Unwrap is for http.ResponseController.
func (t *taking) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// Flush implements http.Flusher.
func (t *taking) Flush() { _ = http.NewResponseController(t.ResponseWriter).Flush() }

// Hijack implements http.Hijacker.
func (t *taking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err == nil {
		t.mounted.bypassed.Add(1)
	}
	return conn, buffered, err
}

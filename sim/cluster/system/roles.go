package system

import (
	"fmt"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/sim/cluster"
)

// Callers that are no hosts of the scenario.
const (
	// OperatorName drains workers and makes backups, ReaderName asks how things stand, and InjectorName
	// injects faults.
	OperatorName = "operator"
	ReaderName   = "reader"
	InjectorName = "injector"
)

// TokenOf returns what a caller shows, which is a host or one of the names above; empty: nobody is
// asked.
func (s *System) TokenOf(caller string) string {
	if !s.AsksWho() {
		return ""
	}
	return "the-secret-token-of-" + caller
}

// shows is the option of clients that show a caller's token.
func (s *System) shows(caller string) connect.ClientOption {
	token := s.TokenOf(caller)
	if token == "" {
		return connect.WithClientOptions()
	}
	return connect.WithInterceptors(outgoing.ShowToken(func() string { return token }))
}

// AccessFile returns who may do what, as package access reads it: each host has the least role that it
// needs. Empty: callers have no roles.
func (s *System) AccessFile() string {
	if !s.AsksWho() {
		return ""
	}
	var text strings.Builder
	line := func(caller string, roles access.Roles) {
		fmt.Fprintf(&text, "token %s %s %v\n", s.TokenOf(caller), caller, roles)
	}
	line(OperatorName, access.Operator)
	line(ReaderName, access.Reader)
	line(InjectorName, access.Injector)
	for i := range s.Topology.Workers {
		for _, host := range s.Topology.Workers[i].Hosts() {
			line(host, access.Worker)
		}
	}
	for i := range s.Workload.Clients {
		for _, host := range s.Workload.Clients[i].Hosts() {
			line(host, access.Client)
		}
	}
	for i := range s.Workload.Visitors {
		g := &s.Workload.Visitors[i]
		for _, host := range g.Hosts() {
			line(host, roleOf(g))
		}
	}
	return text.String()
}

// roleOf returns the least role that visitors of a group need. Whose mistakes are to be refused for what
// they are must be one who may make the call.
func roleOf(g *cluster.VisitorGroup) access.Roles {
	switch {
	case g.Stranger, g.Floods != nil:
		return access.Client
	case g.Forger:
		return access.Worker
	case g.Mistakes > 0:
		return access.Operator | access.Worker
	case g.Cancel > 0:
		return access.Operator
	default:
		return access.Reader
	}
}

// guarded puts a guard before a controller, if callers have roles.
func (s *System) guarded(handler http.Handler) (http.Handler, error) {
	text := s.AccessFile()
	if text == "" {
		return handler, nil
	}
	policy, err := access.Parse("callers", text)
	if err != nil {
		return nil, err
	}
	return access.NewGuard(access.GuardConfig{Policy: func() *access.Policy { return policy }}).Wrap(handler), nil
}

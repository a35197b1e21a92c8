package main

import (
	"net/http"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray"
)

// seams are where something else can come between the command and the network: they reach every
// server that the command starts, and every client that it makes.
type seams struct {
	handlerOptions []connect.HandlerOption
	middleware     []func(http.Handler) http.Handler
	clientOptions  []connect.ClientOption
	httpClient     connect.HTTPClient // nil: each client has its own
}

// options returns what the seams are for a client of package fray.
func (s *seams) options() []fray.Option {
	// The command says by itself what goes wrong, and shows its own token.
	options := []fray.Option{fray.WithClientOptions(s.clientOptions...), fray.WithLogger(nil), fray.WithToken("")}
	if s.httpClient != nil {
		options = append(options, fray.WithHTTPClient(s.httpClient))
	}
	return options
}

package sim

import (
	"encoding/json"
	"net/http"
	"strconv"

	"connectrpc.com/connect"
)

// describe tells a Judge of a message.
func (s *Sim) describe(p *packet) *Message {
	k := p.call
	m := &Message{
		Kind: p.kind, From: p.from.name, To: p.to.name, Procedure: p.procedure, Ordinal: p.ordinal, Call: k.id, Time: s.Elapsed(),
		RequestHeader: k.header, Body: p.body, Last: p.last,
	}
	if p.kind == KindResponse {
		m.Status, m.Header = k.writer.status, k.writer.snap
	}
	return m
}

// code is how a response ended, for the trace: its Connect or gRPC code if it has one, else its
// status.
func (s *Sim) code(p *packet) string {
	switch p.kind {
	case KindReset:
		return "reset"
	case KindResponse:
	case KindResponseData:
		if p.last {
			return grpcStatus(p.call.writer.pipe.trailer)
		}
		return ""
	default:
		return ""
	}
	w := p.writer()
	if w.status == http.StatusOK {
		header := w.header
		if w.pipe != nil {
			header = w.snap // The handler may go on with the other.
		}
		if status := grpcStatus(header); status != "" {
			return status
		}
		return "200"
	}
	var body struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(p.body, &body) == nil && body.Code != "" {
		return body.Code
	}
	return strconv.Itoa(w.status)
}

// grpcStatus returns the name of the gRPC code among trailers, other than OK's.
func grpcStatus(h http.Header) string {
	for _, key := range [...]string{"Grpc-Status", http.TrailerPrefix + "Grpc-Status"} {
		if values := h[key]; len(values) == 1 && values[0] != "0" {
			if code, err := strconv.ParseUint(values[0], 10, 32); err == nil {
				return connect.Code(code).String()
			}
		}
	}
	return ""
}

func statusText(status int) string {
	if status == http.StatusOK {
		return "200 OK"
	}
	return strconv.Itoa(status) + " " + http.StatusText(status)
}

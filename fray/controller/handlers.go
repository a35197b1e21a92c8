package controller

import (
	"context"
	"sync"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
)

// handlers counts the calls that are being handled, so that Run returns after the last of them: what
// they have been answered may still send them to the store, which whoever has called Run closes then.
type handlers struct {
	// Closed once there is what calls need.
	ready  <-chan struct{}
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

// interceptor refuses calls before there is what they need and once the handlers are closed, and counts
// those between.
func (h *handlers) interceptor(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		select {
		case <-h.ready:
		default:
			return nil, errStopping()
		}
		if !h.enter() {
			return nil, errStopping()
		}
		defer h.inside.Done()
		return next(ctx, req)
	}
}

func (h *handlers) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.inside.Add(1)
	}
	return !h.closed
}

// close waits for all calls that are being handled. Nothing may keep these from returning.
func (h *handlers) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.inside.Wait()
}

// checker is a controller in gRPC's health protocol: it serves while it answers calls.
type checker struct {
	grpchealth.Checker // knows the names of services

	serves func() bool
}

// Check implements grpchealth.Checker.
func (c checker) Check(ctx context.Context, req *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	res, err := c.Checker.Check(ctx, req)
	if err == nil && !c.serves() {
		res.Status = grpchealth.StatusNotServing
	}
	return res, err
}

package controller

import (
	"context"
	"errors"

	"github.com/frayrpc/fray/fray/internal/wire"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
)

// errSteppedDown is why the context of a term ends whose leader was asked to step down.
var errSteppedDown = errors.New("the leader was asked to step down")

// stepDown answers the one call that a member which leads does not leave to its controller: that ends
// in this call, and ends only once all of its own are answered.
type stepDown struct {
	frayv1connect.UnimplementedControllerServiceHandler // Of the others none comes here.

	m *Member
}

// StepDown implements frayv1connect.ControllerServiceHandler. It waits until the seat was left, as long
// as its caller does. The term ends whether or not that still waits.
func (s *stepDown) StepDown(ctx context.Context, req *frayv1.StepDownRequest) (*frayv1.StepDownResponse, error) {
	l, epoch := s.m.leads.Load(), req.GetEpoch()
	switch {
	case l == nil:
		return nil, s.m.standsBy()
	case epoch != 0 && epoch < l.epoch:
		return &frayv1.StepDownResponse{}, nil
	case epoch > l.epoch: // If it has begun, this one was replaced, and does not know it yet.
		return nil, wire.Error(wire.ReasonNotLeader, 0, "this controller leads in epoch %d, and knows of no epoch %d that could end: try again", l.epoch, epoch)
	}
	s.m.cfg.Logger.Info("is asked to step down", "epoch", l.epoch)
	l.end(errSteppedDown)
	select {
	case <-l.over:
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
	if l.err != nil {
		return nil, wire.Error(wire.ReasonNotLeader, 0, "this controller leads no more, and whether its epoch %d has ended is unknown: try again", l.epoch)
	}
	return &frayv1.StepDownResponse{LeftEpoch: l.epoch}, nil
}

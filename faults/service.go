package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	"github.com/frayrpc/fray/gen/faults/v1/faultsv1connect"
	"github.com/frayrpc/fray/internal/number"
)

// DefaultTTL is how long a plan that came over the wire is in force unless it says otherwise, so
// that nobody has to remember to clear it.
const DefaultTTL = 10 * time.Minute

// servicePrefix starts the procedures that nothing is injected into, because they would end it.
const servicePrefix = "/" + faultsv1connect.FaultServiceName + "/"

// maxRequest is room for the longest plan there is, in bytes.
const maxRequest = 2 * MaxRules * MaxRuleText

// NewService returns the handler of faults.v1.FaultService for an injector, and the path to mount
// it on, as generated constructors do. Whoever can reach it can stop the process: serve it to
// operators only.
func NewService(injector *Injector, options ...connect.HandlerOption) (path string, handler http.Handler) {
	options = append([]connect.HandlerOption{
		connect.WithReadMaxBytes(maxRequest), connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}),
	}, options...)
	return faultsv1connect.NewFaultServiceHandler(&service{injector}, options...)
}

// WithService returns a middleware that serves faults.v1.FaultService beside a handler; see
// [NewService].
func WithService(injector *Injector, options ...connect.HandlerOption) func(http.Handler) http.Handler {
	path, service := NewService(injector, options...)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, path) {
				service.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

type service struct{ injector *Injector }

// ApplyPlan implements faultsv1connect.FaultServiceHandler.
func (s *service) ApplyPlan(_ context.Context, req *faultsv1.ApplyPlanRequest) (*faultsv1.ApplyPlanResponse, error) {
	invalid := func(err error) error { return connect.NewError(connect.CodeInvalidArgument, err) }
	ttl := cmp.Or(number.FromMillis(req.GetTtlMs()), DefaultTTL)
	if limit := number.Millis(MaxWait); req.GetTtlMs() < 0 || req.GetTtlMs() > limit {
		return nil, invalid(fmt.Errorf("ttl_ms %d is not between 0 and %d", req.GetTtlMs(), limit))
	}
	if len(req.GetRules()) > MaxRules {
		return nil, invalid(fmt.Errorf("plan has %d rules, more than %d", len(req.GetRules()), MaxRules))
	}
	plan := Plan{Seed: req.GetSeed()}
	var errs []error
	for n, text := range req.GetRules() {
		rule, err := ParseRule(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("rules[%d], %w", n, err))
			continue
		}
		plan.Rules = append(plan.Rules, rule)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, invalid(err)
	}
	switch err := s.injector.applyFor(plan, ttl); {
	case errors.Is(err, errClosed):
		return nil, connect.NewError(connect.CodeUnavailable, err)
	case err != nil:
		return nil, invalid(err)
	}
	res := &faultsv1.ApplyPlanResponse{TtlMs: number.Millis(ttl)}
	for _, rule := range plan.Rules {
		res.Rules = append(res.Rules, rule.String())
		res.Idle = append(res.Idle, s.injector.idle(rule))
	}
	return res, nil
}

// GetPlan implements faultsv1connect.FaultServiceHandler.
func (s *service) GetPlan(context.Context, *faultsv1.GetPlanRequest) (*faultsv1.GetPlanResponse, error) {
	status := s.injector.Status()
	res := &faultsv1.GetPlanResponse{Seed: status.Seed}
	if status.Remaining > 0 {
		res.RemainingMs = max(1, number.Millis(status.Remaining))
	}
	for _, rule := range status.Rules {
		res.Rules = append(res.Rules, &faultsv1.RuleStatus{
			Rule: rule.Rule.String(), MatchedCount: rule.Matched, FiredCount: rule.Fired, Idle: rule.Idle,
		})
	}
	return res, nil
}

// ClearPlan implements faultsv1connect.FaultServiceHandler.
func (s *service) ClearPlan(context.Context, *faultsv1.ClearPlanRequest) (*faultsv1.ClearPlanResponse, error) {
	s.injector.Clear()
	return &faultsv1.ClearPlanResponse{}, nil
}

// SignalEvent implements faultsv1connect.FaultServiceHandler.
func (s *service) SignalEvent(_ context.Context, req *faultsv1.SignalEventRequest) (*faultsv1.SignalEventResponse, error) {
	s.injector.Signal(req.GetEvent())
	return &faultsv1.SignalEventResponse{}, nil
}

package live

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	"github.com/frayrpc/fray/gen/faults/v1/faultsv1connect"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/internal/sleep"
	"github.com/frayrpc/fray/sim/engine/wall"
)

const (
	// watching is how often servers are asked which faults acted.
	watching = 100 * time.Millisecond
	// callTime is how long a call of a fault service may take.
	callTime = 5 * time.Second
	// ttlSlack is how much longer than the run a plan is in force if nobody ends it.
	ttlSlack = time.Second
)

// An injector has the faults of a run injected by the servers that they concern, and by the clients
// of this process.
type injector struct {
	stage *stage
	// local is the clients'.
	local    *faults.Injector
	services map[string]faultsv1connect.FaultServiceClient
	http     *transport

	mu    sync.Mutex
	seed  uint64
	rules []*placed
	// Hosts whose plan has been ended, or that are not there.
	gone map[string]bool
}

// A placed rule is one of the plan, and what became of it on all hosts.
type placed struct {
	wall.Rule
	placement

	matched, fired uint64
	// By host: what its present plan has counted, and how often the rule has acted there in all.
	seen  map[string]tallies
	acted map[string]uint64
}

// tallies are what the present plan of a host has counted.
type tallies struct{ matched, fired uint64 }

func newInjector(s *stage) *injector {
	i := &injector{
		stage: s, services: map[string]faultsv1connect.FaultServiceClient{}, http: s.newTransport(), gone: map[string]bool{},
	}
	var options []connect.ClientOption
	if s.config.Token != "" {
		options = append(options, connect.WithInterceptors(outgoing.ShowToken(func() string { return s.config.Token })))
	}
	for _, name := range s.names() {
		i.services[name] = faultsv1connect.NewFaultServiceClient(roundTrips{i.http}, "http://"+name, options...)
	}
	i.local = faults.New(faults.Config{OnInject: func(f faults.Injection) {
		s.Post(func() { s.run.Injected(f.Rule.ID, 1) })
	}})
	return i
}

// close ends what is left of the plans.
func (i *injector) close() {
	i.local.Close()
	i.clear(context.Background())
	i.http.CloseIdleConnections()
}

// Interceptor implements engine.Injector: that of a client.
func (i *injector) Interceptor(host string) connect.Interceptor { return i.local.Interceptor(host) }

// Apply implements engine.Injector. The plan is in force when the run begins.
func (i *injector) Apply(plan faults.Plan) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seed, i.rules = plan.Seed, nil
	for _, rule := range plan.Rules {
		fault, _, _ := strings.Cut(rule.ID, "..")
		where, err := placeOf(i.stage.run.Scenario, rule, rule.From, rule.To)
		if err != nil {
			return fmt.Errorf("fault %s: it %w", fault, err)
		}
		i.rules = append(i.rules, &placed{Rule: wall.Rule{Rule: rule}, placement: where, seen: map[string]tallies{}, acted: map[string]uint64{}})
	}
	return nil
}

// find makes sure that each server has a fault service.
func (i *injector) find() error {
	for _, name := range i.stage.names() {
		ctx, cancel := context.WithTimeout(i.stage.over, callTime)
		_, err := i.services[name].GetPlan(ctx, &faultsv1.GetPlanRequest{})
		cancel()
		if err != nil {
			return fmt.Errorf("host %s at %s has no faults.v1.FaultService that answers: %w; mount faults.NewService there, and give a token if it wants one",
				name, i.stage.config.Hosts[name], err)
		}
	}
	return nil
}

// begin puts the plan in force.
func (i *injector) begin() error {
	if err := i.local.Apply(i.plan("")); err != nil {
		return err
	}
	for _, name := range i.stage.names() {
		if err := i.apply(i.stage.over, name); err != nil {
			return err
		}
	}
	return nil
}

// apply gives a server what it is to inject from now on.
func (i *injector) apply(ctx context.Context, host string) error {
	plan := i.plan(host)
	last := i.stage.config.MaxWall
	if heal := i.stage.run.HealAt(); i.stage.run.Heal != nil {
		last = heal
	}
	ttl := min(max(last-i.stage.Elapsed(), 0)+ttlSlack, faults.MaxWait)
	req := &faultsv1.ApplyPlanRequest{Seed: plan.Seed, TtlMs: number.Millis(ttl)}
	for _, rule := range plan.Rules {
		req.Rules = append(req.Rules, rule.String())
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	res, err := i.services[host].ApplyPlan(ctx, req)
	if err != nil {
		return fmt.Errorf("apply faults at %s: %w", host, err)
	}
	for _, idle := range res.GetIdle() {
		if idle != "" {
			return fmt.Errorf("apply faults at %s: it would inject nothing: %s", host, idle)
		}
	}
	return nil
}

// plan returns what a host is to inject from now on; that of "" is for all clients.
func (i *injector) plan(host string) faults.Plan {
	i.mu.Lock()
	defer i.mu.Unlock()
	plan := faults.Plan{Seed: i.seed}
	for _, p := range i.rules {
		rule, ok := p.Rest(i.stage.Elapsed(), p.acted[host])
		if !ok {
			continue
		}
		if p.local {
			if host == "" {
				plan.Rules = append(plan.Rules, rule)
			}
			continue
		}
		for _, at := range p.at {
			if at == host {
				// It knows addresses and not the scenario's names, and only what reaches it.
				rule.From, rule.To = nil, nil
				if rule.Action.Kind == faults.Partition {
					rule.Action = faults.Action{Kind: faults.Drop}
				}
				plan.Rules = append(plan.Rules, rule)
			}
		}
	}
	return plan
}

// each calls the fault services of the servers that are there, all at once, and waits for that.
func (i *injector) each(ctx context.Context, call func(context.Context, string, faultsv1connect.FaultServiceClient)) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var calls sync.WaitGroup
	for _, name := range i.stage.names() {
		i.mu.Lock()
		gone := i.gone[name]
		i.mu.Unlock()
		if !gone {
			calls.Go(func() { call(ctx, name, i.services[name]) })
		}
	}
	calls.Wait()
}

// Signal implements engine.Injector.
func (i *injector) Signal(event string) {
	i.mu.Lock()
	for _, p := range i.rules {
		p.Signal(event, i.stage.Elapsed())
	}
	i.mu.Unlock()
	i.local.Signal(event)
	i.each(i.stage.over, func(ctx context.Context, _ string, service faultsv1connect.FaultServiceClient) {
		// One that is gone by now is told when it is back.
		_, _ = service.SignalEvent(ctx, &faultsv1.SignalEventRequest{Event: event})
	})
}

// Clear implements engine.Injector.
func (i *injector) Clear() {
	i.mu.Lock()
	i.rules = nil
	i.mu.Unlock()
	i.local.Clear()
	i.clear(i.stage.over)
}

func (i *injector) clear(ctx context.Context) {
	i.each(ctx, func(ctx context.Context, _ string, service faultsv1connect.FaultServiceClient) {
		_, _ = service.ClearPlan(ctx, &faultsv1.ClearPlanRequest{}) // Its TTL ends what this does not.
	})
}

// Status implements engine.Injector.
func (i *injector) Status() faults.Status {
	i.collect()
	local := i.local.Status()
	i.mu.Lock()
	defer i.mu.Unlock()
	status := faults.Status{Seed: i.seed}
	for _, p := range i.rules {
		s := faults.RuleStatus{Rule: p.Rule.Rule, Matched: p.matched, Fired: p.fired}
		for _, l := range local.Rules {
			if l.Rule.ID == p.ID {
				s.Matched, s.Fired = s.Matched+l.Matched, s.Fired+l.Fired
			}
		}
		status.Rules = append(status.Rules, s)
	}
	return status
}

// collect asks servers what their rules have done, and tells the run what it does not know yet.
func (i *injector) collect() {
	i.each(i.stage.over, func(ctx context.Context, host string, service faultsv1connect.FaultServiceClient) {
		res, err := service.GetPlan(ctx, &faultsv1.GetPlanRequest{})
		if err != nil {
			return // It has crashed, or nobody can say.
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		for _, rule := range res.GetRules() {
			id, _, _ := strings.Cut(rule.GetRule(), ":")
			for _, p := range i.rules {
				if p.ID == id {
					i.count(p, host, tallies{rule.GetMatchedCount(), rule.GetFiredCount()})
				}
			}
		}
	})
}

// count takes in what a host has counted.
func (i *injector) count(p *placed, host string, now tallies) {
	before := p.seen[host]
	p.seen[host] = now
	p.matched += now.matched - min(before.matched, now.matched)
	times := now.fired - min(before.fired, now.fired)
	p.fired += times
	p.acted[host] += times
	if times > 0 {
		i.stage.Post(func() { i.stage.run.Injected(p.ID, int(times)) }) //nolint:gosec // Nothing acts that often.
	}
}

// watch keeps asking until the run is over.
func (i *injector) watch() {
	for sleep.For(i.stage.over, watching) == nil {
		i.collect()
	}
}

// lost notes that a server has crashed: its plan is gone with it.
func (i *injector) lost(host string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.gone[host] = true
	for _, p := range i.rules {
		delete(p.seen, host)
	}
}

// await waits until a server that starts answers, and gives it what is left of its plan.
func (i *injector) await(host string) (err error) {
	ctx, cancel := context.WithTimeout(i.stage.over, startTime)
	defer cancel()
	for {
		if err = i.apply(ctx, host); err == nil {
			return nil
		}
		if sleep.For(ctx, watching) != nil {
			return fmt.Errorf("%s does not answer %v after its start: %w", host, startTime, err)
		}
	}
}

// back notes that a server is there again.
func (i *injector) back(host string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.gone, host)
}

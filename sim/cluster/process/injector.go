package process

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/faults"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	"github.com/frayrpc/fray/gen/faults/v1/faultsv1connect"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine/wall"
	"github.com/frayrpc/fray/sim/scenario"
)

const (
	// watching is how often the controller is asked which faults acted.
	watching = 50 * time.Millisecond
	// callTime is how long a call of an operator may take.
	callTime = 2 * time.Second
)

// An injector has the faults of a run injected by the processes that they concern.
//
// What happens on the network and at the controller is injected by the controller, which sees every
// message: so that its numbers count all of them, as in virtual time. What happens at a caller, and
// what strikes another host than the controller, is injected by the caller: in a worker's process,
// or for all clients in this one.
type injector struct {
	stage *stage
	// local is the clients'.
	local *faults.Injector

	mu    sync.Mutex
	seed  uint64
	rules []*placed
	// services are those of the processes that run, by host.
	services map[string]faultsv1connect.FaultServiceClient
}

// A placed rule is one of the plan, and what became of it in all processes.
type placed struct {
	wall.Rule

	// by says which callers inject it; nil: the controller does.
	by      []string
	matched uint64
	fired   uint64
	told    uint64 // of fired, what the run was told
	struck  uint64 // hosts, by the word of callers
	seen    map[string]tallies
}

// tallies are what the present process of a host has counted.
type tallies struct{ matched, fired uint64 }

// Interceptor implements engine.Injector: that of a client.
func (i *injector) Interceptor(host string) connect.Interceptor { return i.local.Interceptor(host) }

func newInjector(s *stage) *injector {
	i := &injector{stage: s, services: map[string]faultsv1connect.FaultServiceClient{}}
	hook := func(_ context.Context, f faults.Injection) {
		s.Do(func() { s.strike(strike{f.Rule.ID, f.Rule.Action.Kind, f.Host, f.Rule.Action.Wait}) })
	}
	i.local = faults.New(faults.Config{
		Hooks: faults.Hooks{Pause: hook, Crash: hook, Restart: hook},
		OnInject: func(f faults.Injection) {
			if !f.Rule.Action.Kind.OnHost() {
				s.Post(func() { s.run.Injected(f.Rule.ID, 1) })
			}
		},
	})
	return i
}

// Apply implements scenario.Injector.
func (i *injector) Apply(plan faults.Plan) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.seed, i.rules = plan.Seed, nil
	for _, rule := range plan.Rules {
		p := &placed{Rule: wall.Rule{Rule: rule}, seen: map[string]tallies{}}
		if atCaller(&rule) {
			p.by = i.callers(&rule)
		}
		i.rules = append(i.rules, p)
	}
	return nil
}

// begin puts the plan in force, where it is not given to a process when that starts: the run
// begins.
func (i *injector) begin() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.local.Apply(i.plan("")); err != nil {
		return err
	}
	plan := i.plan(cluster.ControllerHost)
	req := &faultsv1.ApplyPlanRequest{Seed: plan.Seed, TtlMs: number.Millis(faults.MaxWait)}
	for _, rule := range plan.Rules {
		req.Rules = append(req.Rules, rule.String())
	}
	ctx, cancel := context.WithTimeout(i.stage.over, startTime)
	defer cancel()
	if _, err := i.services[cluster.ControllerHost].ApplyPlan(ctx, req); err != nil {
		return fmt.Errorf("apply faults at the controller: %w", err)
	}
	return nil
}

// atCaller says whether a rule is for callers.
func atCaller(r *faults.Rule) bool {
	switch cmp.Or(r.Side, r.Phase.Side()) {
	case faults.Client:
		return true
	case faults.Server:
		return false
	default:
		return r.Action.Kind == faults.Pause || r.Action.Target != "" && r.Action.Target != cluster.ControllerHost
	}
}

// callers returns the hosts that inject a rule. Each counts for itself; of a fault that strikes a
// host at the n-th message, it is one of them, as the seed has it, so that it does so once.
func (i *injector) callers(r *faults.Rule) []string {
	id, _, _ := strings.Cut(r.ID, "..")
	var hosts []string
	for _, h := range i.stage.run.Callers(id) {
		if len(r.From) == 0 || slices.Contains(r.From, h.Name) {
			hosts = append(hosts, h.Name)
		}
	}
	if r.Nth > 0 && len(hosts) > 1 {
		n := i.stage.Rand("caller/" + r.ID).IntN(len(hosts))
		hosts = hosts[n : n+1]
	}
	return hosts
}

// plan returns what a host is to inject from now on; that of "" is for all clients.
func (i *injector) plan(host string) faults.Plan {
	plan := faults.Plan{Seed: i.seed}
	for _, p := range i.rules {
		rule, ok := p.Rest(i.stage.Elapsed(), max(p.fired, p.struck))
		switch {
		case !ok:
		case p.by == nil && host == cluster.ControllerHost:
			plan.Rules = append(plan.Rules, i.atController(rule))
		case host == "" && slices.ContainsFunc(p.by, i.isClient), host != "" && slices.Contains(p.by, host):
			plan.Rules = append(plan.Rules, rule)
		}
	}
	return plan
}

func (i *injector) isClient(host string) bool {
	return slices.ContainsFunc(i.stage.run.Hosts(), func(h scenario.Host) bool { return h.Name == host && h.Role == scenario.RoleClient })
}

// planFor is plan for a process that starts.
func (i *injector) planFor(host string) faults.Plan {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.stage.Begun() {
		return faults.Plan{} // See begin.
	}
	return i.plan(host)
}

// atController returns a rule as the controller's process can have it: it knows addresses, not
// names, and does not start anew by itself.
func (i *injector) atController(r faults.Rule) faults.Rule {
	address := func(hosts faults.Hosts) faults.Hosts {
		var found faults.Hosts
		for _, h := range hosts {
			if n, ok := i.stage.numbers[h]; ok && h != cluster.ControllerHost {
				h = i.stage.net.of(n)
			}
			found = append(found, h)
		}
		return found
	}
	r.From, r.To = address(r.From), address(r.To)
	if r.Action.Kind == faults.Restart {
		r.Action = faults.Action{Kind: faults.Crash, Target: r.Action.Target}
	}
	return r
}

// started notes that a process with a fault service runs.
func (i *injector) started(host, url string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.services[host] = faultsv1connect.NewFaultServiceClient(i.stage.http, url, i.stage.shows())
	for _, p := range i.rules {
		delete(p.seen, host)
	}
}

// Signal implements scenario.Injector.
func (i *injector) Signal(event string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.stage.Elapsed()
	for _, p := range i.rules {
		p.Signal(event, now)
	}
	i.local.Signal(event)
	i.each(i.running(), func(ctx context.Context, _ string, service faultsv1connect.FaultServiceClient) {
		// A process that is gone by now starts with what has come.
		_, _ = service.SignalEvent(ctx, &faultsv1.SignalEventRequest{Event: event})
	})
}

// Clear implements scenario.Injector.
func (i *injector) Clear() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.rules = nil
	i.local.Clear()
	i.each(i.running(), func(ctx context.Context, _ string, service faultsv1connect.FaultServiceClient) {
		_, _ = service.ClearPlan(ctx, &faultsv1.ClearPlanRequest{}) // A process that is gone starts without a plan.
	})
}

// Status implements scenario.Injector.
func (i *injector) Status() faults.Status {
	i.mu.Lock()
	hosts := i.running()
	i.mu.Unlock()
	i.collect(hosts)
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
		if p.by != nil && p.Action.Kind.OnHost() {
			s.Fired = p.struck
		}
		status.Rules = append(status.Rules, s)
	}
	return status
}

// running returns the hosts whose processes inject something and can be asked.
func (i *injector) running() []string {
	var hosts []string
	for _, h := range i.stage.run.Hosts() {
		c := i.stage.process(h.Name)
		if c != nil && !c.paused && i.services[h.Name] != nil {
			hosts = append(hosts, h.Name)
		}
	}
	return hosts
}

// each calls the fault services of hosts, all at once, and waits for that, for callTime at most.
func (i *injector) each(hosts []string, call func(context.Context, string, faultsv1connect.FaultServiceClient)) {
	ctx, cancel := context.WithTimeout(i.stage.over, callTime)
	defer cancel()
	var calls sync.WaitGroup
	for _, h := range hosts {
		service := i.services[h]
		calls.Go(func() { call(ctx, h, service) })
	}
	calls.Wait()
}

// collect asks processes what their rules have done, and tells the run what it does not know yet.
func (i *injector) collect(hosts []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var mu sync.Mutex
	i.each(hosts, func(ctx context.Context, host string, service faultsv1connect.FaultServiceClient) {
		res, err := service.GetPlan(ctx, &faultsv1.GetPlanRequest{})
		if err != nil {
			return // It has crashed, or nobody can say.
		}
		mu.Lock()
		defer mu.Unlock()
		for _, rule := range res.GetRules() {
			id, _, _ := strings.Cut(rule.GetRule(), ":")
			i.count(host, id, tallies{rule.GetMatchedCount(), rule.GetFiredCount()})
		}
	})
}

// count takes in what a host's process has counted.
func (i *injector) count(host, id string, now tallies) {
	p := i.rule(id)
	if p == nil {
		return
	}
	before := p.seen[host]
	p.seen[host] = now
	p.matched += now.matched - min(before.matched, now.matched)
	p.fired += now.fired - min(before.fired, now.fired)
	if p.by == nil {
		i.tell(p)
	}
}

// tell tells the run how often a rule of the controller has acted; workers and clients tell it by
// themselves.
func (i *injector) tell(p *placed) {
	if times := int(p.fired - p.told); times > 0 { //nolint:gosec // Nothing acts that often.
		p.told = p.fired
		i.stage.Post(func() { i.stage.run.Injected(p.ID, times) })
	}
}

func (i *injector) rule(id string) *placed {
	for _, p := range i.rules {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// watch keeps asking the controller what its rules have done, until the run is over.
func (i *injector) watch() {
	ticker := time.NewTicker(watching)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-i.stage.over.Done():
			return
		}
		ask := false
		i.stage.Do(func() {
			c := i.stage.process(cluster.ControllerHost)
			ask = c != nil && !c.paused
		})
		if ask {
			i.collect([]string{cluster.ControllerHost})
		}
	}
}

// suicide notes that a rule has ended the controller, and says whether that starts again, and when.
func (i *injector) suicide(id string) (down time.Duration, restarts bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.rule(id)
	if p == nil {
		return 0, false
	}
	if p.fired == p.told { // Nobody could be asked any more.
		p.fired++
	}
	i.tell(p)
	return p.Action.Wait, p.Action.Kind == faults.Restart
}

// mayStrike says whether a rule that workers or clients inject may still strike a host, and counts
// that it does.
func (i *injector) mayStrike(id string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.rule(id)
	if p == nil {
		return false
	}
	if most := p.Most(); most > 0 && p.struck >= most {
		return false
	}
	p.struck++
	return true
}

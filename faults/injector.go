package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config is what an [Injector] needs to know of the process around it. The zero value is ready to
// use.
type Config struct {
	// Hooks are what the host does to itself. A plan that needs one that is nil is refused.
	Hooks Hooks
	// OnInject, if set, is told of everything that is injected, before it has its effect. It must
	// not block, and is called from many goroutines.
	OnInject func(Injection)
	// Procedures are those that exist, as [Procedures] lists them; a plan with a rule that matches
	// none is refused. Nil: any may exist.
	Procedures []string
	// Turn, if set, is called before rules of side client or server that concern a point are
	// judged, in the goroutine of the call, and returns when it is the point's turn. A simulator
	// has calls of one instant judged in the same order each time with it, which their goroutines
	// do not come in. False: the point's host is down, and its call ends as after a Crash,
	// unjudged. Nil: whoever comes first.
	Turn func(Turn) bool
	// Network: all calls go through an adapter of side [Network], which may be made no sooner than
	// with a call.
	Network bool
	// Sides are those that the process's interceptors are on, of [Client] and [Server]. Nil: both,
	// as far as anybody knows.
	Sides []Side
	// Connections: what travels on connections is judged, by [Injector.Judge].
	Connections bool
	// OnRelease, if set, is told when a [Wait] may be over before its time: a hold was released, or a
	// plan is at its end. It must neither block nor use the injector, and is called from many
	// goroutines.
	OnRelease func()
	// PeerName names the host at a caller's address, which is an IP address and port. Nil: the IP
	// address.
	PeerName func(address string) string
}

// Hooks are what only a host can do to itself. They are called in the goroutine of the call that a
// rule struck, with its context, and may end that goroutine or the process. The call goes on when a
// hook returns from Pause; after Crash and Restart it ends without an answer.
type Hooks struct {
	// Pause stops the host for the rule's Wait.
	Pause func(context.Context, Injection)
	// Crash ends the host for good.
	Crash func(context.Context, Injection)
	// Restart ends the host and starts it anew after the rule's Wait.
	Restart func(context.Context, Injection)
}

func (h *Hooks) of(kind Kind) func(context.Context, Injection) {
	switch kind {
	case Pause:
		return h.Pause
	case Crash:
		return h.Crash
	case Restart:
		return h.Restart
	}
	return nil
}

// A Turn is a point that waits to be judged.
type Turn struct {
	Phase     Phase
	Procedure string
	From, To  string
	// Host is where the point is: From or To.
	Host string
	// Context is that of the call.
	Context context.Context //nolint:containedctx // It is told of with the point.
	// Message is what passes, if it is the one message of a unary call: a pointer to a struct,
	// which must not be changed.
	Message any
}

// An Injection is one act of one rule.
type Injection struct {
	Rule      Rule
	Side      Side
	Phase     Phase
	Procedure string
	From, To  string
	// Message is the number of the message in its stream, or 0 for the call as a whole.
	Message int
	// Match counts the rule's matches up to this one.
	Match uint64
	// Latency is how long a Delay takes.
	Latency time.Duration
	// Host is whom a Pause, Crash or Restart strikes.
	Host string
}

// errClosed ends what waits for a deadline that an injector's end comes before.
var errClosed = errors.New("fault injector is closed")

// An Injector applies one plan at a time to the calls that its adapters see. It starts with none.
// All methods are safe for concurrent use.
//
// A call is judged, from its beginning to its end, by the plan that was in force when it began.
// Once that plan is replaced, cleared or at its end, the call goes on untouched, and what was held
// back passes at once; what was dropped stays lost.
type Injector struct {
	config  Config
	counts  counts
	mounted mounted
	active  atomic.Pointer[activePlan] // nil: nothing is injected

	mu       sync.Mutex
	base     *activePlan // goes on when one with a time ends
	timer    *time.Timer // of the plan in force, if it has a time
	shut     bool
	closed   chan struct{}  // closed by Close
	deferred sync.WaitGroup // of what runs in goroutines of the injector's own
}

// New returns an injector that injects nothing yet. Close it in the end.
func New(config Config) *Injector {
	return &Injector{config: config, closed: make(chan struct{})}
}

// Apply puts a plan in force until another takes its place. It starts from the beginning, with all
// counts at 0. A plan without rules is as none. Once any adapter is mounted, a rule that none of
// them can apply is refused; until then [Status] tells of it.
func (i *Injector) Apply(plan Plan) error {
	if err := errors.Join(i.checkMounted(plan)...); err != nil {
		return fmt.Errorf("apply plan: %w", err)
	}
	return i.apply(plan, 0)
}

// ApplyFor is Apply for a time above 0. After it, the last plan without a time goes on where it
// was.
func (i *Injector) ApplyFor(plan Plan, ttl time.Duration) error {
	if err := errors.Join(i.checkMounted(plan)...); err != nil {
		return fmt.Errorf("apply plan: %w", err)
	}
	return i.applyFor(plan, ttl)
}

// applyFor is ApplyFor for a plan of which some rules may be for other processes.
func (i *Injector) applyFor(plan Plan, ttl time.Duration) error {
	if ttl <= 0 || ttl > MaxWait {
		return fmt.Errorf("apply plan: its time %s is not between 0 and %s", ttl, MaxWait)
	}
	return i.apply(plan, ttl)
}

func (i *Injector) apply(plan Plan, ttl time.Duration) error {
	if err := i.check(plan); err != nil {
		return fmt.Errorf("apply plan: %w", err)
	}
	next := newActivePlan(plan)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.shut {
		return fmt.Errorf("apply plan: %w", errClosed)
	}
	if ttl == 0 {
		i.base = next
	} else {
		next.expires = next.started.Add(ttl)
	}
	i.put(next)
	if ttl > 0 {
		i.timer = time.AfterFunc(ttl, func() { i.expire(next) })
	}
	return nil
}

// check refuses what this injector could not do.
func (i *Injector) check(plan Plan) error {
	errs := []error{plan.Validate(i.config.Procedures)}
	for _, rule := range plan.Rules {
		if kind := rule.Action.Kind; kind.OnHost() && i.config.Hooks.of(kind) == nil {
			invalid := wrong(fieldAction, "%s: this host cannot do that to itself", kind)
			invalid.Rule = rule.ID
			errs = append(errs, invalid)
		}
	}
	return errors.Join(errs...)
}

// put replaces the plan in force. The caller holds mu.
func (i *Injector) put(next *activePlan) {
	if i.timer != nil {
		i.timer.Stop()
		i.timer = nil
	}
	var inForce *activePlan
	if next != nil && len(next.rules) > 0 {
		inForce = next
	}
	if last := i.active.Swap(inForce); last != nil && last != next {
		last.end()
		i.onRelease()
	}
}

// expire ends a plan whose time is up.
func (i *Injector) expire(plan *activePlan) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if current := i.active.Load(); current != plan && (current != nil || len(plan.rules) > 0) {
		return // replaced in the meantime
	}
	if i.base != nil {
		i.base = i.base.again()
	}
	i.put(i.base)
}

// Clear ends the plan in force, and the one that would go on after it.
func (i *Injector) Clear() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.base = nil
	i.put(nil)
}

// Close clears the plan, ends the calls that wait for a deadline of their own, and waits for the
// goroutines of the injector. Its adapters remain usable and inject nothing.
func (i *Injector) Close() {
	i.Clear()
	i.mu.Lock()
	first := !i.shut
	i.shut = true
	i.mu.Unlock()
	if first {
		close(i.closed)
	}
	i.deferred.Wait()
}

// Signal announces an event. Rules that ask for it start, or start again: their windows and counts
// begin now.
func (i *Injector) Signal(event string) {
	if plan := i.active.Load(); plan != nil {
		now := time.Now()
		for _, state := range plan.rules {
			if state.rule.Event == event {
				state.arm(now)
			}
		}
	}
}

// Release lets pass what a rule of the plan in force holds, and says whether there is such a rule.
// It holds nothing more until its event comes again.
func (i *Injector) Release(rule string) bool {
	plan := i.active.Load()
	return plan != nil && i.release(plan, rule)
}

func (i *Injector) release(plan *activePlan, rule string) bool {
	found := plan.release(rule)
	if found {
		i.onRelease()
	}
	return found
}

func (i *Injector) onRelease() {
	if i.config.OnRelease != nil {
		i.config.OnRelease()
	}
}

// Status is what an injector does.
type Status struct {
	Seed uint64
	// Rules are those in force, in their order. Empty: nothing is injected.
	Rules []RuleStatus
	// Remaining is how long they stay in force. 0: without end.
	Remaining time.Duration
}

// RuleStatus is what became of a rule since its plan was applied.
type RuleStatus struct {
	Rule Rule
	// Matched counts the calls and messages that met its conditions, chance and numbers apart.
	Matched uint64
	// Fired counts those on which it acted.
	Fired uint64
	// Idle says why it can never act with the adapters that are mounted by now; "" if it can.
	Idle string
}

// Status returns the plan in force and what it did so far.
func (i *Injector) Status() Status {
	plan := i.active.Load()
	if plan == nil {
		return Status{}
	}
	status := Status{Seed: plan.seed}
	for _, state := range plan.rules {
		rule := state.status()
		rule.Idle = i.idle(rule.Rule)
		status.Rules = append(status.Rules, rule)
	}
	if !plan.expires.IsZero() {
		status.Remaining = max(time.Until(plan.expires), 1)
	}
	return status
}

// plan returns what is in force for a procedure, or nil if no adapter of the side has anything to
// do.
func (i *Injector) plan(side Side, procedure string) *activePlan {
	plan := i.active.Load()
	if plan == nil || strings.HasPrefix(procedure, servicePrefix) || !plan.concerns(side, procedure) {
		return nil
	}
	return plan
}

// Concerns says whether the plan in force has a rule of that side for the procedure that a URL's
// path ends with. If it has none, the side's adapters let a call that begins now pass untouched and
// uncounted.
func (i *Injector) Concerns(side Side, path string) bool {
	return i.plan(side, procedureOf(path)) != nil
}

// later runs a function in a goroutine that Close waits for, with a context that ends when the
// injector closes, when a plan ends, or after laterTimeout.
func (i *Injector) later(ctx context.Context, plan *activePlan, f func(context.Context)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.shut {
		return
	}
	i.deferred.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), laterTimeout)
		defer cancel()
		i.deferred.Go(func() {
			defer cancel()
			select {
			case <-i.closed:
			case <-plan.done:
			case <-ctx.Done():
			}
		})
		f(ctx)
	})
}

// laterTimeout bounds a call that nobody waits for.
const laterTimeout = MaxWait + time.Minute

// peerName returns the name of the host at an address.
func (i *Injector) peerName(address string) string {
	if i.config.PeerName != nil {
		return i.config.PeerName(address)
	}
	return withoutPort(address)
}

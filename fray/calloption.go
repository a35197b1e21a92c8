package fray

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// Defaults of the retry policy. A test holds them to those of the controller.
const (
	defaultBackoffBase   = 100 * time.Millisecond
	defaultBackoffFactor = 2
	defaultBackoffCap    = time.Minute
	backoffJitter        = 0.2
)

// TaskOption configures a [Task] in [Define]. Every [CallOption] is one, too: there it sets the
// default of all calls.
type TaskOption interface {
	applyToTask(*taskConfig) error
}

// CallOption configures one call of a task. Every one is a [MapOption], too: there it configures each
// of the calls. Of those that are an [ActorOption] or a [ScheduleOption] see there.
type CallOption interface {
	TaskOption
	MapOption
	ActorOption
	ScheduleOption
	applyToCall(*callConfig) error
}

type taskConfig struct {
	sentinels []error
	call      callConfig
}

// callConfig is what a task asks for besides its input. It does not change once a call uses it.
type callConfig struct {
	taskID            string
	retries           uint32
	backoffBase       time.Duration
	backoffFactor     float64
	backoffCap        time.Duration
	workerLosses      *uint32 // nil: the controller's default
	executionTimeout  time.Duration
	schedulingTimeout time.Duration
	notBefore         time.Time // zero: at once
	resources         map[string]int64
	priority          int32
	labels            map[string]string
	limits            []Limit
	policy            *frayv1.RetryPolicy // the wire form of the above; see seal
	demands           string              // resources and labels, as a text; see seal
	wireLimits        []*frayv1.Limit     // see seal
	limitsWeight      int                 // what those add to the bytes of a spec; see seal
}

func defaultCallConfig() callConfig {
	return callConfig{backoffBase: defaultBackoffBase, backoffFactor: defaultBackoffFactor, backoffCap: defaultBackoffCap}
}

// with returns the config that opts make of c, which stays as it is and must be sealed.
func (c *callConfig) with(opts []CallOption) (*callConfig, error) {
	if len(opts) == 0 {
		return c, nil
	}
	changed := *c
	for _, opt := range opts {
		if err := opt.applyToCall(&changed); err != nil {
			return nil, err
		}
	}
	changed.seal()
	return &changed, nil
}

// seal makes what all calls with this config share: the wire form of the limits and of the policy, which
// there is with retries only, and the text of what they need of a worker.
func (c *callConfig) seal() {
	c.wireLimits, c.limitsWeight = wireLimits(c.limits), 0
	for _, l := range c.limits {
		c.limitsWeight += len(l.name) + len(l.key) + limitBytes
	}
	c.demands = ""
	if len(c.resources)+len(c.labels) > 0 {
		c.demands = fmt.Sprintf(" %v %q", c.resources, c.labels) // fmt sorts them
	}
	c.policy = nil
	if c.retries == 0 {
		return
	}
	c.policy = &frayv1.RetryPolicy{
		MaxRetries:    c.retries,
		BackoffBaseMs: number.Millis(c.backoffBase),
		BackoffFactor: c.backoffFactor,
		BackoffCapMs:  number.Millis(c.backoffCap),
		BackoffJitter: new(backoffJitter),
	}
}

// notBeforeMs is the time before which the task is not to start, as the wire has it.
func (c *callConfig) notBeforeMs() int64 {
	if c.notBefore.IsZero() {
		return 0
	}
	return c.notBefore.UnixMilli()
}

// delay is how long it is until the task may start.
func (c *callConfig) delay() time.Duration {
	if c.notBefore.IsZero() {
		return 0
	}
	return time.Until(c.notBefore)
}

// backoff is the delay after the nth failure, from 1, shortened by the share that chance has of its
// jitter.
func (c *callConfig) backoff(n int, chance float64) time.Duration {
	d, longest := float64(c.backoffBase), float64(c.backoffCap)
	for range n - 1 {
		if d *= c.backoffFactor; d >= longest {
			break
		}
	}
	return time.Duration(min(d, longest) * (1 - backoffJitter*chance))
}

type taskOption func(*taskConfig) error

func (o taskOption) applyToTask(c *taskConfig) error { return o(c) }

// Errors declares the errors that callers of the task may want to tell apart. If the function's
// error is one of them, errors.Is finds it in the error of the future, wherever the function ran.
// They are matched by their text, so each must have one of its own.
func Errors(sentinels ...error) TaskOption {
	return taskOption(func(c *taskConfig) error {
		for _, s := range sentinels {
			if s == nil {
				return errors.New("declare sentinel: it is nil")
			}
			text := s.Error()
			if text == "" || len(text) > limit.Sentinel {
				return fmt.Errorf("declare sentinel %.40q: its text must have from 1 to %d bytes", text, limit.Sentinel)
			}
			if slices.ContainsFunc(c.sentinels, func(other error) bool { return other.Error() == text }) {
				return fmt.Errorf("declare sentinel %q: another one has the same text", text)
			}
			c.sentinels = append(c.sentinels, s)
		}
		return nil
	})
}

type callOption func(*callConfig) error

func (o callOption) applyToTask(c *taskConfig) error         { return o(&c.call) }
func (o callOption) applyToCall(c *callConfig) error         { return o(c) }
func (o callOption) applyToActor(c *actorConfig) error       { return o(&c.call) }
func (o callOption) applyToSchedule(c *scheduleConfig) error { return o(&c.call) }
func (o callOption) applyToMap(c *mapConfig) error {
	c.calls = append(c.calls, o)
	return nil
}

// WithRetries sets how often a task is tried again after its function failed or timed out, 0 to
// 10,000. The default is 0.
func WithRetries(n int) CallOption {
	return callOption(func(c *callConfig) (err error) {
		c.retries, err = number.Within[uint32]("retries", n, 0, limit.Retries)
		return err
	})
}

// WithBackoff sets the delay before the first retry, what each delay is multiplied by to give the
// next (1 to 100), and the longest delay. Chance takes up to a fifth off each. The default is
// 100ms, 2, 1m. The delays are in whole milliseconds, of which there is at least one.
func WithBackoff(base time.Duration, factor float64, longest time.Duration) CallOption {
	return callOption(func(c *callConfig) error {
		c.backoffBase, c.backoffFactor, c.backoffCap = roundUpMillis(base), factor, roundUpMillis(longest)
		if !(factor >= 1 && factor <= limit.BackoffFactor) { // NaN is neither
			return fmt.Errorf("backoff factor %v is not from 1 to %d", factor, limit.BackoffFactor)
		}
		return errors.Join(
			checkRange("backoff base", base, 1, limit.Backoff),
			checkRange("backoff cap", longest, 1, limit.Backoff),
		)
	})
}

// WithMaxWorkerLosses sets how many workers may die while they run the task before it fails, 0 to
// 1,000. The default is 3. If others ran beside it at one that died, the last attempt that this
// allows runs alone on its worker, so that what fails does so by itself; with 0 there is none.
//
// The default of a call of an actor is 0: it is executed once at most. With more it goes to the next
// incarnation of the actor, in its place among the calls, so often as one is lost while it has it. It may be
// executed more than once then, and on a state that has seen it, if that has checkpoints.
func WithMaxWorkerLosses(n int) CallOption {
	return callOption(func(c *callConfig) error {
		losses, err := number.Within[uint32]("max worker losses", n, 0, limit.WorkerLosses)
		c.workerLosses = new(losses)
		return err
	})
}

// WithExecutionTimeout bounds how long one attempt may run, up to 30 days, in whole milliseconds.
// Its context is done then, and what it returns later does not count. The default of 0 is no bound.
func WithExecutionTimeout(d time.Duration) CallOption {
	return callOption(func(c *callConfig) error {
		c.executionTimeout = roundUpMillis(d)
		return checkRange("execution timeout", d, 0, limit.Timeout)
	})
}

// WithSchedulingTimeout bounds how long the task may wait for its first start, up to 30 days, in
// whole milliseconds. The default of 0 is no bound.
func WithSchedulingTimeout(d time.Duration) CallOption {
	return callOption(func(c *callConfig) error {
		c.schedulingTimeout = roundUpMillis(d)
		return checkRange("scheduling timeout", d, 0, limit.Timeout)
	})
}

// WithNotBefore has the task not start before a time, up to the year 2200, in whole milliseconds, by the clock of
// the controller; on the local backends, of this process. It waits for what it needs first, and its
// scheduling timeout begins then. A time that is past is none.
func WithNotBefore(at time.Time) CallOption {
	return callOption(func(c *callConfig) error {
		at = at.Round(0).Add(time.Millisecond - 1).Truncate(time.Millisecond)
		_, err := number.Within("time before which the task is not to start", at.UnixMilli(), int64(0), limit.NotBefore)
		c.notBefore = at
		return err
	})
}

// WithResources sets what an attempt occupies on its worker besides one slot, such as {"cpu": 1500,
// "gpu": 1}; cpu is in milli-units. It lends them with the slot while it waits for other tasks. The sync and
// threadpool backends have no resources, and run the task without.
func WithResources(resources map[string]int64) CallOption {
	resources = maps.Clone(resources)
	return callOption(func(c *callConfig) error {
		c.resources = resources
		return checkPairs("resource", resources, func(name string, amount int64) error {
			_, err := number.Within("resource "+name, amount, int64(1), limit.Resource)
			return err
		})
	})
}

// WithPriority sets the priority, -1000 to 1000: of the tasks that a worker could run, those of the
// highest priority run first. The default is 0.
func WithPriority(priority int) CallOption {
	return callOption(func(c *callConfig) (err error) {
		c.priority, err = number.Within[int32]("priority", priority, -limit.Priority, limit.Priority)
		return err
	})
}

// WithLabels sets labels that the worker must carry, with just these values. The sync and
// threadpool backends have no labels, and run the task without.
func WithLabels(labels map[string]string) CallOption {
	labels = maps.Clone(labels)
	return callOption(func(c *callConfig) error {
		c.labels = labels
		return checkPairs("label", labels, func(name, value string) error {
			if len(value) > limit.LabelLength {
				return fmt.Errorf("label %s has more than %d bytes", name, limit.LabelLength)
			}
			return nil
		})
	})
}

// WithTaskID chooses the id of the task in place of a new ULID. It makes a submission safe to
// repeat: the same id with the same input and options is the same task, and with others an error.
// It must be unique in the cluster: up to 128 letters, digits and ._:/-, the first a letter or a
// digit. With RunAll and Map, the ids are id/0, id/1 and so on. Define does not take it.
func WithTaskID(id string) CallOption {
	return callOption(func(c *callConfig) error {
		c.taskID = id
		return checkID("task id", id)
	})
}

func checkRange(what string, v, low, high time.Duration) error {
	if v < low || v > high {
		return fmt.Errorf("%s %v is not from %v to %v", what, v, low, high)
	}
	return nil
}

func checkPairs[V any](what string, pairs map[string]V, check func(name string, v V) error) error {
	if len(pairs) > limit.Pairs {
		return fmt.Errorf("%d %ss are more than %d", len(pairs), what, limit.Pairs)
	}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		if name == "" || len(name) > limit.NameLength {
			return fmt.Errorf("%s name %.40q must have from 1 to %d bytes", what, name, limit.NameLength)
		}
		if err := check(name, pairs[name]); err != nil {
			return err
		}
	}
	return nil
}

package check

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/chance"
)

// View is a task as a client was shown it.
type View struct {
	Status     frayv1.TaskStatus    `json:"status"`
	Reason     frayv1.FailureReason `json:"reason,omitempty"`
	Attempt    uint32               `json:"attempt,omitempty"`
	Failures   uint32               `json:"failures,omitempty"`
	Losses     uint32               `json:"losses,omitempty"`
	Deliveries uint32               `json:"deliveries,omitempty"`
	// Stopping: a cancellation was asked for and is not over.
	Stopping bool   `json:"stopping,omitempty"`
	Worker   string `json:"worker,omitempty"`
	Priority int32  `json:"priority,omitempty"`
	// Recovering: it is pending because a worker may still have its last attempt, from before a
	// restart.
	Recovering bool `json:"recovering,omitempty"`
	// Cause is the task whose end it failed for.
	Cause string `json:"cause,omitempty"`
	// NonRetryable is set when the task's error was shown, and says so.
	NonRetryable bool `json:"non_retryable,omitempty"`
}

func newView(t *frayv1.Task) *View {
	return &View{
		Status: t.GetStatus(), Reason: t.GetFailureReason(), Attempt: t.GetAttemptNumber(), Failures: t.GetFailureCount(),
		Losses: t.GetWorkerLossCount(), Deliveries: t.GetDeliveryFailureCount(), Stopping: t.GetCancelRequested(), Worker: t.GetWorkerId(),
		Priority: t.GetPriority(), Cause: t.GetCauseTaskId(),
		Recovering: t.GetPendingReason() == frayv1.PendingReason_PENDING_REASON_RECOVERING,
	}
}

// Terminal says whether the task had ended for good.
func (v *View) Terminal() bool { return terminal(v.Status) }

// String tells the view in a few words.
func (v *View) String() string {
	var b strings.Builder
	b.WriteString(statusName(v.Status))
	if v.Reason != 0 {
		fmt.Fprintf(&b, " (%s)", reasonName(v.Reason))
	}
	fmt.Fprintf(&b, " attempts=%d failures=%d losses=%d undelivered=%d", v.Attempt, v.Failures, v.Losses, v.Deliveries)
	if v.Cause != "" {
		b.WriteString(" cause=" + v.Cause)
	}
	if v.Stopping {
		b.WriteString(" stopping")
	}
	if v.Recovering {
		b.WriteString(" recovering")
	}
	return b.String()
}

// Spec is what of a task's specification oracles look at.
type Spec struct {
	Function  string           `json:"function"`
	Priority  int32            `json:"priority,omitempty"`
	Resources map[string]int64 `json:"resources,omitempty"`
	// Labels are those that a worker must have.
	Labels           map[string]string `json:"labels,omitempty"`
	MaxRetries       uint32            `json:"max_retries,omitempty"`
	MaxWorkerLosses  uint32            `json:"max_worker_losses"`
	BackoffBase      time.Duration     `json:"backoff_base_ns,omitempty"`
	BackoffFactor    float64           `json:"backoff_factor,omitempty"`
	BackoffCap       time.Duration     `json:"backoff_cap_ns,omitempty"`
	BackoffJitter    float64           `json:"backoff_jitter,omitempty"`
	ExecutionTimeout time.Duration     `json:"execution_timeout_ns,omitempty"`
	// How long it may take until an attempt starts.
	SchedulingTimeout time.Duration `json:"scheduling_timeout_ns,omitempty"`
	// Input stands for the input.
	Input uint64 `json:"input,omitempty,string"`
	// NotBefore is when an attempt may be granted at the earliest, in milliseconds of Unix time. 0: at once.
	NotBefore int64 `json:"not_before_unix_ms,omitempty"`
	// Needs are the tasks that it depends on.
	Needs []string `json:"needs,omitempty"`
	// Limits bound it together with others.
	Limits []LimitSpec `json:"limits,omitempty"`
	// Unique is set for one that is the only one of a key.
	Unique *UniqueSpec `json:"unique,omitempty"`
	// Gang is set for one of a gang.
	Gang *GangSpec `json:"gang,omitempty"`
	// Actor is set for the life of an actor, and Call for a call.
	Actor *ActorSpec `json:"actor,omitempty"`
	Call  *CallSpec  `json:"call,omitempty"`
	// Schedule is set for a schedule, and not for its runs.
	Schedule *ScheduleSpec `json:"schedule,omitempty"`
	// Class is the same for tasks that the same workers can run and that have the same priority.
	Class string `json:"class"`
}

// LimitSpec is what a task says of one of its limits. 0: any number.
type LimitSpec struct {
	Name       string        `json:"name"`
	Key        string        `json:"key,omitempty"`
	Concurrent int           `json:"concurrent,omitempty"`
	Starts     int           `json:"starts,omitempty"`
	Period     time.Duration `json:"period_ns,omitempty"`
}

// String names the limit.
func (l LimitSpec) String() string {
	if l.Key == "" {
		return l.Name
	}
	return l.Name + "/" + l.Key
}

// UniqueSpec is the key that a task names, and how long it has it from its submission if it completes.
type UniqueSpec struct {
	Key    string        `json:"key"`
	Period time.Duration `json:"period_ns,omitempty"`
}

// GangSpec is which gang of its job a task is of, and how many that has.
type GangSpec struct {
	ID   string `json:"id"`
	Size int    `json:"size"`
}

// ActorSpec is what the life of an actor says of it.
type ActorSpec struct {
	Name        string `json:"name,omitempty"`
	Concurrency int    `json:"concurrency"`
}

// CallSpec is what a call says of itself.
type CallSpec struct {
	Actor  string `json:"actor"`
	Caller string `json:"caller"`
	Number uint64 `json:"number"`
}

// ScheduleSpec is what a schedule says of its times.
type ScheduleSpec struct {
	Name     string         `json:"name"`
	Cron     string         `json:"cron"`
	Zone     string         `json:"zone,omitempty"`
	CatchUp  frayv1.CatchUp `json:"catch_up"`
	Overlaps bool           `json:"overlaps,omitempty"`
}

// What the schema says that an unset field means.
const (
	defaultWorkerLosses  = 3
	defaultBackoffBase   = 100 * time.Millisecond
	defaultBackoffFactor = 2
	defaultBackoffCap    = time.Minute
	defaultBackoffJitter = 0.2
)

// NewSpec reads a specification, with the schema's defaults filled in.
func NewSpec(t *frayv1.TaskSpec) *Spec {
	p := t.GetRetryPolicy()
	s := &Spec{
		Function: t.GetFunction(), Priority: t.GetPriority(), Resources: maps.Clone(t.GetResources()), Labels: maps.Clone(t.GetRequiredLabels()),
		Input:      DigestValue(t.GetPayload().GetEncoding(), t.GetPayload().GetData()),
		MaxRetries: p.GetMaxRetries(), MaxWorkerLosses: defaultWorkerLosses,
		BackoffBase: millis(p.GetBackoffBaseMs()), BackoffFactor: p.GetBackoffFactor(), BackoffCap: millis(p.GetBackoffCapMs()),
		Needs:         slices.Clone(t.GetNeededTaskIds()),
		NotBefore:     t.GetNotBeforeUnixMs(),
		BackoffJitter: defaultBackoffJitter, ExecutionTimeout: millis(t.GetExecutionTimeoutMs()), SchedulingTimeout: millis(t.GetSchedulingTimeoutMs()),
	}
	if t.MaxWorkerLosses != nil {
		s.MaxWorkerLosses = t.GetMaxWorkerLosses()
	}
	if a := t.GetActor(); a != nil {
		s.Actor = &ActorSpec{Name: a.GetName(), Concurrency: max(int(a.GetMaxConcurrency()), 1)}
		s.MaxRetries = s.MaxWorkerLosses // Which is the budget for both.
	}
	if c := t.GetCall(); c != nil {
		s.Call = &CallSpec{Actor: c.GetActorId(), Caller: c.GetCallerId(), Number: c.GetNumber()}
		s.MaxWorkerLosses = t.GetMaxWorkerLosses()
	}
	if c := t.GetSchedule(); c != nil {
		s.Schedule = &ScheduleSpec{c.GetName(), c.GetCron(), c.GetTimeZone(), c.GetCatchUp(), c.GetOverlaps()}
		s.Schedule.CatchUp = cmp.Or(s.Schedule.CatchUp, frayv1.CatchUp_CATCH_UP_LAST)
	}
	if u := t.GetUnique(); u != nil {
		s.Unique = &UniqueSpec{u.GetKey(), millis(u.GetPeriodMs())}
	}
	if g := t.GetGang(); g != nil {
		s.Gang = &GangSpec{g.GetGangId(), int(g.GetSize())}
	}
	for _, l := range t.GetLimits() {
		s.Limits = append(s.Limits, LimitSpec{l.GetName(), l.GetKey(), int(l.GetMaxConcurrent()), int(l.GetMaxStarts()), millis(l.GetPeriodMs())})
	}
	s.BackoffBase = cmp.Or(s.BackoffBase, defaultBackoffBase)
	s.BackoffFactor = cmp.Or(s.BackoffFactor, defaultBackoffFactor)
	s.BackoffCap = cmp.Or(s.BackoffCap, defaultBackoffCap)
	if p != nil && p.BackoffJitter != nil {
		s.BackoffJitter = p.GetBackoffJitter()
	}
	s.Class = class(t)
	return s
}

// waitsFirst says whether a task may have to wait for others, for its time, for its limits, for its gang, or for
// its actor, before it can be granted. A history does not tell when that was over.
func (s *Spec) waitsFirst() bool {
	return len(s.Needs) > 0 || s.NotBefore > 0 || len(s.Limits) > 0 || s.Gang != nil || s.Call != nil
}

// MinBackoff is the shortest delay that the policy allows before retry n, from 0.
func (s *Spec) MinBackoff(n int) time.Duration {
	d := min(float64(s.BackoffBase)*math.Pow(s.BackoffFactor, float64(n)), float64(s.BackoffCap))
	// The last nanosecond belongs to rounding.
	return max(time.Duration(d*(1-s.BackoffJitter))-1, 0)
}

func class(t *frayv1.TaskSpec) string {
	if len(t.GetResources()) == 0 && len(t.GetRequiredLabels()) == 0 && t.GetPriority() == 0 {
		return t.GetFunction()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%q %d", t.GetFunction(), t.GetPriority())
	for _, k := range slices.Sorted(maps.Keys(t.GetResources())) {
		fmt.Fprintf(&b, " %q=%d", k, t.GetResources()[k])
	}
	for _, k := range slices.Sorted(maps.Keys(t.GetRequiredLabels())) {
		fmt.Fprintf(&b, " %q:%q", k, t.GetRequiredLabels()[k])
	}
	return b.String()
}

// Capacity is what a worker said it has when it registered.
type Capacity struct {
	Slots     int               `json:"slots"`
	Resources map[string]int64  `json:"resources,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Functions []string          `json:"functions,omitempty"`
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// DigestValue stands for an encoded value. It is never 0.
func DigestValue(encoding string, data []byte) uint64 {
	return digest("value", encoding, string(data))
}

func digestError(e *frayv1.TaskError) uint64 {
	if e == nil {
		return digest("no error")
	}
	details := e.GetDetails()
	return digest("error", e.GetMessage(), e.GetType(), e.GetSentinel(), details.GetEncoding(), string(details.GetData()))
}

// digestResult stands for how a task ended, if that was shown.
func digestResult(r *frayv1.TaskResult) uint64 {
	switch {
	case r.GetValueOmitted() || !terminal(r.GetTask().GetStatus()):
		return 0
	case r.GetTask().GetStatus() == frayv1.TaskStatus_TASK_STATUS_COMPLETED:
		return DigestValue(r.GetValue().GetEncoding(), r.GetValue().GetData())
	default:
		return digestError(r.GetError())
	}
}

func digest(parts ...string) uint64 {
	h := chance.HashBasis
	for _, p := range parts {
		h = chance.Hash(chance.Hash(h, p), "\xff")
	}
	return max(h, 1)
}

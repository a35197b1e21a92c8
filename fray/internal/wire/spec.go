package wire

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/crontab"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// Limits of the schema, enforced by CheckSpec.
const (
	maxPayload     = limit.Payload
	maxResource    = limit.Resource
	maxTimeoutMs   = int64(limit.Timeout / time.Millisecond)
	maxBackoffMs   = int64(limit.Backoff / time.Millisecond)
	maxPairs       = limit.Pairs
	maxNameLen     = limit.NameLength
	maxLabelLen    = limit.LabelLength
	maxFunctionLen = 256
	maxPriority    = limit.Priority
	maxRetries     = limit.Retries
	maxLosses      = limit.WorkerLosses
	maxFactor      = limit.BackoffFactor
	maxNeeds       = limit.Needs
)

var objectPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

var encodingPattern = regexp.MustCompile(`^[a-z0-9.+/_-]*$`)

// CheckID reports what is wrong with a task or job id, or nil.
func CheckID(field, id string) error {
	if len(id) < 1 || len(id) > 128 {
		return fmt.Errorf("%s: must have 1 to 128 characters, has %d", field, len(id))
	}
	for i := range len(id) {
		c := id[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && strings.IndexByte("._:/-", c) >= 0:
		default:
			return fmt.Errorf("%s %q: must be letters, digits and, after the first, any of . _ : / -", field, id)
		}
	}
	return nil
}

// CheckSpec reports the first thing that is wrong with a spec, or nil. It is the schema's rules for
// TaskSpec, written out because the hot calls carry thousands at a time; a test holds the two
// together.
func CheckSpec(s *frayv1.TaskSpec) error {
	if err := CheckID("task_id", s.GetTaskId()); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(s.GetFunction()); n < 1 || n > maxFunctionLen {
		return fmt.Errorf("function: must have 1 to %d characters, has %d", maxFunctionLen, n)
	}
	if p := s.GetPayload(); p != nil {
		if len(p.GetData()) > maxPayload {
			return fmt.Errorf("payload.data: must have at most %d bytes, has %d", maxPayload, len(p.GetData()))
		}
		if e := p.GetEncoding(); e != "json" && (len(e) > maxNameLen || !encodingPattern.MatchString(e)) {
			return fmt.Errorf("payload.encoding %q: must be at most %d of a-z 0-9 . + / _ -", e, maxNameLen)
		}
	}
	if err := within("priority", int64(s.GetPriority()), -maxPriority, maxPriority); err != nil {
		return err
	}
	if err := checkRequirements(s); err != nil {
		return err
	}
	if err := checkRetryPolicy(s.GetRetryPolicy()); err != nil {
		return err
	}
	if err := within("max_worker_losses", int64(s.GetMaxWorkerLosses()), 0, maxLosses); err != nil {
		return err
	}
	if err := within("execution_timeout_ms", s.GetExecutionTimeoutMs(), 0, maxTimeoutMs); err != nil {
		return err
	}
	if err := within("scheduling_timeout_ms", s.GetSchedulingTimeoutMs(), 0, maxTimeoutMs); err != nil {
		return err
	}
	if err := within("not_before_unix_ms", s.GetNotBeforeUnixMs(), 0, limit.NotBefore); err != nil {
		return err
	}
	if err := CheckRole(s); err != nil {
		return err
	}
	if s.GetSchedule() != nil {
		if err := checkSchedule(s); err != nil {
			return err
		}
	}
	if err := CheckUnique(s); err != nil {
		return err
	}
	if err := CheckGang(s); err != nil {
		return err
	}
	if err := CheckLimits(s); err != nil {
		return err
	}
	return CheckNeeds(s)
}

// CheckLimits reports the first thing that is wrong with a task's limits, or nil.
func CheckLimits(s *frayv1.TaskSpec) error {
	ls := s.GetLimits()
	switch {
	case len(ls) == 0:
		return nil
	case len(ls) > limit.Limits:
		return fmt.Errorf("limits: must have at most %d items, has %d", limit.Limits, len(ls))
	case s.GetActor() != nil || s.GetCall() != nil:
		return errors.New("limits: lives of actors and calls have none")
	}
	for i, l := range ls {
		if err := checkLimit(l); err != nil {
			return fmt.Errorf("limits[%d]: %w", i, err)
		}
		for _, other := range ls[:i] {
			if other.GetName() == l.GetName() {
				return fmt.Errorf("limits[%d]: %q is there twice: a task has one key of a limit", i, l.GetName())
			}
		}
	}
	return nil
}

func checkLimit(l *frayv1.Limit) error {
	if n := utf8.RuneCountInString(l.GetName()); n < 1 || n > limit.LimitName {
		return fmt.Errorf("name: must have 1 to %d characters, has %d", limit.LimitName, n)
	}
	if n := utf8.RuneCountInString(l.GetKey()); n > limit.LimitKey {
		return fmt.Errorf("key: must have at most %d characters, has %d", limit.LimitKey, n)
	}
	if err := within("max_concurrent", int64(l.GetMaxConcurrent()), 0, limit.LimitCount); err != nil {
		return err
	}
	if err := within("max_starts", int64(l.GetMaxStarts()), 0, limit.LimitCount); err != nil {
		return err
	}
	if err := within("period_ms", l.GetPeriodMs(), 0, number.Millis(limit.LimitPeriod)); err != nil {
		return err
	}
	switch {
	case l.GetMaxConcurrent() == 0 && l.GetMaxStarts() == 0:
		return fmt.Errorf("%q: max_concurrent or max_starts must be set: a limit of zero would let nothing run", l.GetName())
	case (l.GetMaxStarts() > 0) != (l.GetPeriodMs() > 0):
		return fmt.Errorf("%q: max_starts and period_ms go together", l.GetName())
	}
	return nil
}

// CheckRole reports the first thing that is wrong with what a task is to an actor, or nil.
func CheckRole(s *frayv1.TaskSpec) error {
	if s.GetActor() != nil && s.GetCall() != nil || s.GetSchedule() != nil && (s.GetActor() != nil || s.GetCall() != nil) {
		return errors.New("actor, call and schedule: a task is the life of an actor, a call of one, or a schedule, this has two of them")
	}
	if a := s.GetActor(); a != nil {
		if s.GetExecutionTimeoutMs() != 0 {
			return errors.New("execution_timeout_ms: the life of an actor has none, must be 0")
		}
		if a.GetName() != "" {
			if err := CheckID("actor.name", a.GetName()); err != nil {
				return err
			}
		}
		return within("actor.max_concurrency", int64(a.GetMaxConcurrency()), 0, limit.Concurrency)
	}
	c := s.GetCall()
	if c == nil {
		return nil
	}
	if len(s.GetResources())+len(s.GetRequiredLabels()) > 0 || s.GetPriority() != 0 {
		return errors.New("resources, required_labels and priority: a call has none of them, its actor has")
	}
	if err := CheckID("call.actor_id", c.GetActorId()); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(c.GetCallerId()); n < 1 || n > limit.CallerID {
		return fmt.Errorf("call.caller_id: must have 1 to %d characters, has %d", limit.CallerID, n)
	}
	if c.GetNumber() < 1 {
		return errors.New("call.number: must be at least 1, is 0")
	}
	return nil
}

// CheckUnique reports the first thing that is wrong with a task's key, or nil.
func CheckUnique(s *frayv1.TaskSpec) error {
	u := s.GetUnique()
	switch {
	case u == nil:
		return nil
	case s.GetActor() != nil || s.GetCall() != nil || s.GetSchedule() != nil:
		return errors.New("unique: lives of actors, calls and schedules are not unique by a key")
	}
	if n := utf8.RuneCountInString(u.GetKey()); n < 1 || n > limit.UniqueKey {
		return fmt.Errorf("unique.key: must have 1 to %d characters, has %d", limit.UniqueKey, n)
	}
	return within("unique.period_ms", u.GetPeriodMs(), 0, number.Millis(limit.UniquePeriod))
}

// CheckGang reports the first thing that is wrong with what a task says of its gang, or nil.
func CheckGang(s *frayv1.TaskSpec) error {
	g := s.GetGang()
	switch {
	case g == nil:
		return nil
	case s.GetActor() != nil || s.GetCall() != nil || s.GetSchedule() != nil:
		return errors.New("gang: lives of actors, calls and schedules are of none")
	case s.GetUnique() != nil || len(s.GetLimits()) > 0:
		return errors.New("gang: its tasks have neither limits nor a unique key")
	}
	if err := CheckID("gang.gang_id", g.GetGangId()); err != nil {
		return err
	}
	if err := within("gang.size", int64(g.GetSize()), 1, limit.Gang); err != nil {
		return err
	}
	return within("gang.index", int64(g.GetIndex()), 0, int64(g.GetSize())-1)
}

// checkSchedule reports the first thing that is wrong with a schedule, or nil.
func checkSchedule(s *frayv1.TaskSpec) error {
	x := s.GetSchedule()
	if err := CheckID("schedule.name", x.GetName()); err != nil {
		return err
	}
	if n := len(s.GetTaskId()); n > limit.ScheduleID {
		return fmt.Errorf("task_id: that of a schedule must have at most %d characters, as those of its runs begin with it, has %d", limit.ScheduleID, n)
	}
	if n := len(s.GetPayload().GetData()); n > limit.SchedulePayload {
		return fmt.Errorf("payload.data: that of a schedule must have at most %d bytes, has %d", limit.SchedulePayload, n)
	}
	if n := utf8.RuneCountInString(x.GetCron()); n < 1 || n > limit.CronLine {
		return fmt.Errorf("schedule.cron: must have 1 to %d characters, has %d", limit.CronLine, n)
	}
	if n := utf8.RuneCountInString(x.GetTimeZone()); n > limit.TimeZone {
		return fmt.Errorf("schedule.time_zone: must have at most %d characters, has %d", limit.TimeZone, n)
	}
	if err := crontab.Check(x.GetCron(), x.GetTimeZone()); err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	if err := within("schedule.catch_up", int64(x.GetCatchUp()), 0, int64(frayv1.CatchUp_CATCH_UP_NONE)); err != nil {
		return err
	}
	if len(s.GetNeededTaskIds())+len(s.GetNeededObjectIds()) > 0 || s.GetNotBeforeUnixMs() != 0 {
		return errors.New("needed_task_ids, needed_object_ids and not_before_unix_ms: a schedule has none of them")
	}
	return nil
}

// CheckNeeds reports the first thing that is wrong with the names of what a task needs, or nil.
func CheckNeeds(s *frayv1.TaskSpec) error {
	if err := checkNames("needed_task_ids", s.GetNeededTaskIds(), CheckID); err != nil {
		return err
	}
	return checkNames("needed_object_ids", s.GetNeededObjectIds(), func(field, id string) error {
		if !objectPattern.MatchString(id) {
			return fmt.Errorf("%s %.80q: must be 64 of 0-9 a-f", field, id)
		}
		return nil
	})
}

func checkNames(field string, names []string, check func(field, name string) error) error {
	if len(names) > maxNeeds {
		return fmt.Errorf("%s: must have at most %d items, has %d", field, maxNeeds, len(names))
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if err := check(field, name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("%s: has %q twice", field, name)
		}
		seen[name] = true
	}
	return nil
}

func checkRequirements(s *frayv1.TaskSpec) error {
	if n := len(s.GetResources()); n > maxPairs {
		return fmt.Errorf("resources: must have at most %d entries, has %d", maxPairs, n)
	}
	for name, amount := range s.GetResources() { // order-free: any one error will do
		if n := utf8.RuneCountInString(name); n < 1 || n > maxNameLen {
			return fmt.Errorf("resources: a name must have 1 to %d characters, %q has %d", maxNameLen, name, n)
		}
		if err := within("resources["+name+"]", amount, 1, maxResource); err != nil {
			return err
		}
	}
	if n := len(s.GetRequiredLabels()); n > maxPairs {
		return fmt.Errorf("required_labels: must have at most %d entries, has %d", maxPairs, n)
	}
	for name, value := range s.GetRequiredLabels() { // order-free: any one error will do
		if n := utf8.RuneCountInString(name); n < 1 || n > maxNameLen {
			return fmt.Errorf("required_labels: a name must have 1 to %d characters, %q has %d", maxNameLen, name, n)
		}
		if n := utf8.RuneCountInString(value); n > maxLabelLen {
			return fmt.Errorf("required_labels[%s]: must have at most %d characters, has %d", name, maxLabelLen, n)
		}
	}
	return nil
}

func checkRetryPolicy(p *frayv1.RetryPolicy) error {
	if p == nil {
		return nil
	}
	if err := within("retry_policy.max_retries", int64(p.GetMaxRetries()), 0, maxRetries); err != nil {
		return err
	}
	if err := within("retry_policy.backoff_base_ms", p.GetBackoffBaseMs(), 0, maxBackoffMs); err != nil {
		return err
	}
	if f := p.GetBackoffFactor(); f != 0 && !(f >= 1 && f <= maxFactor) {
		return fmt.Errorf("retry_policy.backoff_factor: must be 0 (for the default of 2) or from 1 to %d, is %v", maxFactor, f)
	}
	if err := within("retry_policy.backoff_cap_ms", p.GetBackoffCapMs(), 0, maxBackoffMs); err != nil {
		return err
	}
	if j := p.GetBackoffJitter(); !(j >= 0 && j <= 1) {
		return fmt.Errorf("retry_policy.backoff_jitter: must be from 0 to 1, is %v", j)
	}
	return nil
}

func within(field string, v, low, high int64) error {
	if v < low || v > high {
		return fmt.Errorf("%s: must be from %d to %d, is %d", field, low, high, v)
	}
	return nil
}

// SameShape says whether two specs differ at most in what scheduling does not look at, cheaply: it
// may say no where they do.
func SameShape(a, b *frayv1.TaskSpec) bool {
	return a.GetFunction() == b.GetFunction() && (a.GetActor() == nil) == (b.GetActor() == nil) && (a.GetCall() == nil) == (b.GetCall() == nil) &&
		(a.GetSchedule() == nil) == (b.GetSchedule() == nil) && a.GetGang().GetSize() == b.GetGang().GetSize() && a.GetPriority() == b.GetPriority() &&
		a.GetExecutionTimeoutMs() == b.GetExecutionTimeoutMs() && a.GetSchedulingTimeoutMs() == b.GetSchedulingTimeoutMs() &&
		len(a.GetResources())+len(b.GetResources())+len(a.GetRequiredLabels())+len(b.GetRequiredLabels()) == 0 &&
		a.MaxWorkerLosses == nil && b.MaxWorkerLosses == nil && sameRetries(a.GetRetryPolicy(), b.GetRetryPolicy())
}

func sameRetries(a, b *frayv1.RetryPolicy) bool {
	return a.GetMaxRetries() == b.GetMaxRetries() && a.GetBackoffBaseMs() == b.GetBackoffBaseMs() &&
		a.GetBackoffFactor() == b.GetBackoffFactor() && a.GetBackoffCapMs() == b.GetBackoffCapMs() &&
		(a == nil || a.BackoffJitter == nil) && (b == nil || b.BackoffJitter == nil)
}

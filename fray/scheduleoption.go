package fray

import (
	"errors"
	"fmt"
	"unicode/utf8"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// ScheduleOption configures a schedule in [Task.Schedule]. Every [CallOption] but [WithNotBefore] is one, too: it
// holds for each run, and so do those of [Define]. [WithTaskID] chooses the schedule's id, of at most 107 characters,
// with which the ids of its runs begin.
type ScheduleOption interface {
	applyToSchedule(*scheduleConfig) error
}

// CatchUp says which times of a schedule are run that have passed while the controller was away, or had no room for
// their runs. The zero value is CatchUpLast.
type CatchUp int

// The ways to catch up.
const (
	// CatchUpLast: the last of them, once. The others are missed.
	CatchUpLast CatchUp = iota
	// CatchUpAll: all of them, in their order. If runs must not overlap, see [WithOverlap], those are missed that come while one
	// of them is open.
	CatchUpAll
	// CatchUpNone: none that is more than a minute late. They are missed.
	CatchUpNone
)

// catchUps are the names of the ways to catch up, and what they are on the wire.
var catchUps = [...]struct {
	name string
	wire frayv1.CatchUp
}{
	CatchUpLast: {"last", frayv1.CatchUp_CATCH_UP_LAST},
	CatchUpAll:  {"all", frayv1.CatchUp_CATCH_UP_ALL},
	CatchUpNone: {"none", frayv1.CatchUp_CATCH_UP_NONE},
}

func (u CatchUp) known() bool { return u >= 0 && int(u) < len(catchUps) }

// String returns last, all or none.
func (u CatchUp) String() string {
	if !u.known() {
		return fmt.Sprintf("CatchUp(%d)", int(u))
	}
	return catchUps[u].name
}

// catchUpOf returns what a way to catch up is that the wire has. One of a later release is -1.
func catchUpOf(w frayv1.CatchUp) CatchUp {
	if w == frayv1.CatchUp_CATCH_UP_UNSPECIFIED {
		return CatchUpLast
	}
	for u := range catchUps {
		if catchUps[u].wire == w {
			return CatchUp(u)
		}
	}
	return -1
}

// scheduleConfig is what a schedule asks for besides its times and its input.
type scheduleConfig struct {
	zone     string // empty: UTC
	catchUp  CatchUp
	overlaps bool
	call     callConfig // of its runs
}

// configureSchedule returns the config that opts make of the defaults of a task, which stay as they are.
func configureSchedule(task *callConfig, opts []ScheduleOption) (*scheduleConfig, error) {
	c := &scheduleConfig{call: *task}
	for _, opt := range opts {
		if err := opt.applyToSchedule(c); err != nil {
			return nil, err
		}
	}
	if !c.call.notBefore.IsZero() {
		return nil, errors.New("WithNotBefore is for tasks and calls: a schedule begins with its next time")
	}
	if n := len(c.call.taskID); n > limit.ScheduleID {
		return nil, fmt.Errorf("task id %.40q has %d characters, and that of a schedule at most %d: those of its runs begin with it", c.call.taskID, n, limit.ScheduleID)
	}
	c.call.seal()
	return c, nil
}

type scheduleOption func(*scheduleConfig) error

func (o scheduleOption) applyToSchedule(c *scheduleConfig) error { return o(c) }

// WithTimeZone has the times of a schedule be those of a time zone, by its IANA name of up to 64 characters, such as
// "Europe/Berlin". The default is UTC. It is the controller that has to know the zone.
func WithTimeZone(name string) ScheduleOption {
	return scheduleOption(func(c *scheduleConfig) error {
		c.zone = name
		if n := utf8.RuneCountInString(name); n > limit.TimeZone || !utf8.ValidString(name) {
			return fmt.Errorf("time zone %.40q must be UTF-8 of at most %d characters", name, limit.TimeZone)
		}
		return nil
	})
}

// WithCatchUp says which times of a schedule are run that have passed while the controller was away. The default is
// [CatchUpLast].
func WithCatchUp(u CatchUp) ScheduleOption {
	return scheduleOption(func(c *scheduleConfig) error {
		c.catchUp = u
		if !u.known() {
			return fmt.Errorf("%v is no way to catch up: it is CatchUpLast, CatchUpAll or CatchUpNone", u)
		}
		return nil
	})
}

// WithOverlap has a time of a schedule be run also while the last run has not ended. By default it is missed.
func WithOverlap() ScheduleOption {
	return scheduleOption(func(c *scheduleConfig) error {
		c.overlaps = true
		return nil
	})
}

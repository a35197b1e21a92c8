package fray

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// Limit bounds the tasks that are given it by [WithLimit], together: how many are executed at the same time, and
// how many attempts start in a period, such as those that call an API which allows no more. A task that its limit has
// no room for waits, and takes no slot meanwhile; what waits goes on by priority, and then in the order of
// submission.
//
// A limit is known by its name among all tasks of the same owner, whichever job and program they are of; on the sync and
// threadpool backends, among those of one job context. Of tasks that name it with other bounds, the last that was submitted
// tells those that are in force, for all of them.
//
// Make one with [NewLimit], as a package-level variable. It does not change, and may be used by several goroutines.
type Limit struct {
	name, key  string
	concurrent uint32 // 0: any number
	starts     uint32 // 0: any number
	period     time.Duration
}

// LimitBound is one bound of a [Limit]: [MaxConcurrent] or [MaxStarts].
type LimitBound interface {
	applyToLimit(*Limit) error
}

type limitBound func(*Limit) error

func (b limitBound) applyToLimit(l *Limit) error { return b(l) }

// MaxConcurrent bounds how many tasks have a place at the same time, 1 to 1,000,000. A task has its place from when it is ready
// for a worker until its attempt ends, and none while it waits to be tried again.
func MaxConcurrent(n int) LimitBound {
	return limitBound(func(l *Limit) (err error) {
		l.concurrent, err = number.Within[uint32]("max concurrent", n, 1, limit.LimitCount)
		return err
	})
}

// MaxStarts bounds how many attempts start in a period: n, 1 to 1,000,000, in a period of up to a day, in whole
// milliseconds. It is a bucket of n tokens that fills in a period: after a while without any, n start at once,
// and then one each n-th of the period. A controller that restarts begins with an empty bucket.
func MaxStarts(n int, period time.Duration) LimitBound {
	return limitBound(func(l *Limit) (err error) {
		if l.starts, err = number.Within[uint32]("max starts", n, 1, limit.LimitCount); err != nil {
			return err
		}
		if period%time.Millisecond != 0 {
			return fmt.Errorf("period %v of max starts is not in whole milliseconds", period)
		}
		l.period = period
		return checkRange("period of max starts", period, time.Millisecond, limit.LimitPeriod)
	})
}

// NewLimit returns a limit of a name, of 1 to 64 characters, with one bound of each kind at most, and at least one. It panics if
// one of them is not valid.
func NewLimit(name string, bounds ...LimitBound) Limit {
	l, err := newLimit(name, bounds)
	if err != nil {
		panic(fmt.Sprintf("fray.NewLimit(%.80q): %v", name, err))
	}
	return l
}

func newLimit(name string, bounds []LimitBound) (Limit, error) {
	if n := utf8.RuneCountInString(name); n < 1 || n > limit.LimitName || !utf8.ValidString(name) {
		return Limit{}, fmt.Errorf("the name must be UTF-8 of 1 to %d characters", limit.LimitName)
	}
	l := Limit{name: name}
	for _, b := range bounds {
		before := l
		if err := b.applyToLimit(&l); err != nil {
			return Limit{}, err
		}
		if before.concurrent > 0 && l.concurrent != before.concurrent || before.starts > 0 && (l.starts != before.starts || l.period != before.period) {
			return Limit{}, errors.New("it has two bounds of one kind")
		}
	}
	if l.concurrent == 0 && l.starts == 0 {
		return Limit{}, errors.New("it has no bound: give it MaxConcurrent or MaxStarts")
	}
	return l, nil
}

// Name returns the name of the limit.
func (l Limit) Name() string { return l.name }

// For returns the same limit for a key, such as a customer, of up to 128 characters: tasks with different keys do not count for each
// other. The limit itself has the empty key. [WithLimit] refuses a key that is too long.
func (l Limit) For(key string) Limit {
	l.key = key
	return l
}

// WithLimit has a limit bound the task together with others. A task may have 4, and one key of each; it has all of its
// places at once, or waits at the first limit that is full. An actor and its calls have none.
func WithLimit(l Limit) CallOption {
	return callOption(func(c *callConfig) error {
		if l.name == "" {
			return errors.New("the limit has no name: make it by NewLimit")
		}
		if n := utf8.RuneCountInString(l.key); n > limit.LimitKey || !utf8.ValidString(l.key) {
			return fmt.Errorf("the key %.40q of limit %q must be UTF-8 of at most %d characters", l.key, l.name, limit.LimitKey)
		}
		for _, other := range c.limits {
			if other.name == l.name {
				return fmt.Errorf("limit %q is given twice: a task has one key of a limit", l.name)
			}
		}
		if len(c.limits) == limit.Limits {
			return fmt.Errorf("limit %q is one too many: a task has at most %d", l.name, limit.Limits)
		}
		c.limits = append(slices.Clip(c.limits), l)
		return nil
	})
}

// wireLimits returns limits as the wire has them.
func wireLimits(ls []Limit) []*frayv1.Limit {
	if len(ls) == 0 {
		return nil
	}
	out := make([]*frayv1.Limit, len(ls))
	for i, l := range ls {
		out[i] = &frayv1.Limit{Name: l.name, Key: l.key, MaxConcurrent: l.concurrent, MaxStarts: l.starts, PeriodMs: number.Millis(l.period)}
	}
	return out
}

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
)

// addLimitFlag declares the option that bounds a task together with others.
func addLimitFlag(flags *pflag.FlagSet, limits *[]*frayv1.Limit) {
	flags.Var(&taskLimitsValue{limits}, "limit",
		"bound the task together with all that `name` the same limit and key: NAME[/KEY]=5 for 5 at a time, NAME[/KEY]=100/1m for 100 starts a minute; "+
			"may be given several times, and the numbers of the last task count")
}

// taskLimitsValue is a list of NAME[/KEY]=BOUND, in one or more uses of its flag. Two bounds of one name are of one limit.
type taskLimitsValue struct{ limits *[]*frayv1.Limit }

func (v *taskLimitsValue) String() string {
	if v.limits == nil {
		return ""
	}
	var list []string
	for _, l := range *v.limits {
		name := l.GetName()
		if l.GetKey() != "" {
			name += "/" + l.GetKey()
		}
		if l.GetMaxConcurrent() > 0 {
			list = append(list, fmt.Sprintf("%s=%d", name, l.GetMaxConcurrent()))
		}
		if l.GetMaxStarts() > 0 {
			list = append(list, fmt.Sprintf("%s=%d/%s", name, l.GetMaxStarts(), number.ShortDuration(number.FromMillis(l.GetPeriodMs()))))
		}
	}
	return strings.Join(list, ",")
}

func (*taskLimitsValue) Type() string { return "list" }

// Reset implements command.Resetter.
func (v *taskLimitsValue) Reset() { *v.limits = nil }

func (v *taskLimitsValue) Set(text string) error {
	if text == "" {
		return nil
	}
	for item := range strings.SplitSeq(text, ",") {
		l, err := parseLimit(item)
		if err != nil {
			return err
		}
		if err := v.add(l); err != nil {
			return fmt.Errorf("%q: %w", item, err)
		}
	}
	return nil
}

// add adds one bound, to its limit if that has been named.
func (v *taskLimitsValue) add(l *frayv1.Limit) error {
	i := slices.IndexFunc(*v.limits, func(other *frayv1.Limit) bool { return other.GetName() == l.GetName() })
	if i < 0 {
		*v.limits = append(*v.limits, l)
		return nil
	}
	switch known := (*v.limits)[i]; {
	case known.GetKey() != l.GetKey():
		return fmt.Errorf("limit %q is there with another key: a task has one key of a limit", l.GetName())
	case l.GetMaxConcurrent() > 0 && known.GetMaxConcurrent() == 0:
		known.MaxConcurrent = l.GetMaxConcurrent()
	case l.GetMaxStarts() > 0 && known.GetMaxStarts() == 0:
		known.MaxStarts, known.PeriodMs = l.GetMaxStarts(), l.GetPeriodMs()
	default:
		return fmt.Errorf("limit %q has such a bound already", l.GetName())
	}
	return nil
}

// parseLimit reads NAME[/KEY]=N or NAME[/KEY]=N/PERIOD.
func parseLimit(item string) (*frayv1.Limit, error) {
	named, bound, ok := strings.Cut(item, "=")
	name, key, _ := strings.Cut(named, "/")
	if !ok || name == "" {
		return nil, fmt.Errorf("%q is not like stripe=5 or stripe/KEY=100/1m", item)
	}
	count, period, rate := strings.Cut(bound, "/")
	n, err := number.Parse(count, 1, limit.LimitCount)
	if err != nil {
		if _, notANumber := strconv.Atoi(count); notANumber != nil {
			return nil, fmt.Errorf("%q is not like stripe=5 or stripe/KEY=100/1m", item)
		}
		return nil, fmt.Errorf("%q: %w: a limit lets at least one task run", item, err)
	}
	counted, err := number.Within[uint32]("limit", n, 1, limit.LimitCount)
	if err != nil {
		return nil, err
	}
	l := &frayv1.Limit{Name: name, Key: key}
	if !rate {
		l.MaxConcurrent = counted
		return l, nil
	}
	d, err := number.ParseDuration(period)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q: %q is not a period such as 1s or 1m", item, period)
	case d < time.Millisecond || d > limit.LimitPeriod || d%time.Millisecond != 0:
		return nil, fmt.Errorf("%q: the period must be in whole milliseconds, and a day at most", item)
	}
	l.MaxStarts, l.PeriodMs = counted, number.Millis(d)
	return l, nil
}

package command

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/internal/limit"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/spelling"
)

// Options are declared once, as flags of their command. Their variables and keys in the
// configuration file follow from the name of the command and of the flag; see SourceOf.

// A Resetter is a flag's value that several uses add to. It is reset before a source of higher
// precedence sets it.
type Resetter interface{ Reset() }

// Longest is the most that an option for a length of time takes, so that sums of a few of them are
// within range.
const Longest = 10 * 365 * 24 * time.Hour

// Duration declares an option that is a length of time, which is not negative.
func Duration(flags *pflag.FlagSet, d *time.Duration, name string, value time.Duration, usage string) {
	DurationWithin(flags, d, 0, Longest, name, value, usage)
}

// DurationWithin declares an option that is a length of time with bounds.
func DurationWithin(flags *pflag.FlagSet, d *time.Duration, low, high time.Duration, name string, value time.Duration, usage string) {
	*d = value
	flag := flags.VarPF(&durationValue{d, low, high}, name, "", usage)
	if value == 0 {
		flag.DefValue = "" // the usage says what it means
	}
}

type durationValue struct {
	value     *time.Duration
	low, high time.Duration
}

func (v *durationValue) String() string { return number.ShortDuration(*v.value) }
func (*durationValue) Type() string     { return "duration" }

func (v *durationValue) Set(text string) error {
	d, err := number.ParseDuration(text)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a duration such as 500ms, 30s or 1h30m", text)
	case d < 0:
		return fmt.Errorf("%s is negative", text)
	case d < v.low || d > v.high:
		return fmt.Errorf("%s is not from %s to %s", text, number.ShortDuration(v.low), number.ShortDuration(v.high))
	}
	*v.value = d
	return nil
}

// OneOf declares an option that has one of a few values, and perhaps a short name.
func OneOf(flags *pflag.FlagSet, s *string, name, short, value, usage string, choices ...string) {
	*s = value
	flags.VarP(&choiceValue{s, choices}, name, short, usage+": "+strings.Join(choices, ", "))
}

type choiceValue struct {
	value   *string
	choices []string
}

func (v *choiceValue) String() string { return *v.value }
func (*choiceValue) Type() string     { return "string" }

func (v *choiceValue) Set(text string) error {
	if err := CheckChoice(text, v.choices); err != nil {
		return err
	}
	*v.value = text
	return nil
}

// CheckChoice refuses what is not among a few values.
func CheckChoice(text string, choices []string) error {
	if slices.Contains(choices, text) {
		return nil
	}
	return fmt.Errorf("%q is not one of %s%s", text, strings.Join(choices, ", "), DidYouMean(text, choices))
}

// AtLeast declares an option that is a number with a lower bound.
func AtLeast(flags *pflag.FlagSet, n *int, low int, name string, value int, usage string) {
	Between(flags, n, low, math.MaxInt, name, value, usage)
}

// Between declares an option that is a number with bounds.
func Between(flags *pflag.FlagSet, n *int, low, high int, name string, value int, usage string) {
	*n = value
	flags.Var(&numberValue{n, low, high}, name, usage)
}

type numberValue struct {
	value     *int
	low, high int
}

func (v *numberValue) String() string { return strconv.Itoa(*v.value) }
func (*numberValue) Type() string     { return "number" }

func (v *numberValue) Set(text string) error {
	n, err := number.Parse(text, v.low, v.high)
	var outside *number.RangeError
	if errors.As(err, &outside) && outside.Below {
		return fmt.Errorf("%s is less than %d", outside.Value, v.low)
	}
	if err != nil {
		return err
	}
	*v.value = n
	return nil
}

// Resources declares an option that is amounts of resources.
func Resources(flags *pflag.FlagSet, m *map[string]int64, usage string) {
	flags.Var(&pairsValue[int64]{m, "cpu=2000,gpu=1", func(text string) (int64, error) {
		return number.Parse(text, 0, int64(limit.Resource))
	}}, "resources", usage+", such as cpu=2000,gpu=1; cpu is in thousandths")
}

// Labels declares an option that is labels and their values.
func Labels(flags *pflag.FlagSet, m *map[string]string, usage string) {
	flags.Var(&pairsValue[string]{m, "zone=a", func(text string) (string, error) {
		return text, nil
	}}, "labels", usage+", such as zone=a,disk=ssd")
}

// pairsValue is a list of name=value, in one or more uses of its flag.
type pairsValue[V any] struct {
	pairs   *map[string]V
	example string
	parse   func(string) (V, error)
}

func (v *pairsValue[V]) String() string {
	if v.pairs == nil {
		return ""
	}
	return PairList(*v.pairs)
}

func (*pairsValue[V]) Type() string { return "list" }

func (v *pairsValue[V]) Reset() { *v.pairs = nil }

func (v *pairsValue[V]) Set(text string) error {
	if text == "" {
		return nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(pair, "=")
		parsed, err := v.parse(value)
		var outside *number.RangeError
		if ok && errors.As(err, &outside) {
			return fmt.Errorf("%q: %w", pair, err)
		}
		if !ok || name == "" || err != nil {
			return fmt.Errorf("%q is not like %s", pair, v.example)
		}
		if *v.pairs == nil {
			*v.pairs = make(map[string]V)
		}
		(*v.pairs)[name] = parsed
	}
	return nil
}

// SetFlag sets a flag from a source other than the command line.
func SetFlag(flag *pflag.Flag, text string) error {
	if r, ok := flag.Value.(Resetter); ok {
		r.Reset()
	}
	return flag.Value.Set(text)
}

// DidYouMean returns a suggestion for what is not among the known names, or nothing.
func DidYouMean(name string, known []string) string {
	near := spelling.Nearest(name, known)
	if near == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean %q?", near)
}

// PairList is a mapping as it is written on the command line.
func PairList[V any](m map[string]V) string {
	list := make([]string, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, fmt.Sprintf("%s=%v", name, m[name]))
	}
	return strings.Join(list, ",")
}

package scenario

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/number"
)

// A Duration is a time with its unit, such as 250ms or 1h30m.
type Duration time.Duration

// MaxDuration keeps sums of a few durations within range.
const MaxDuration = 10 * 365 * 24 * time.Hour

var (
	bareNumber   = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
	spelledUnits = regexp.MustCompile(`^([0-9.]+) ?(ns|us|ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|millis|milliseconds?|microseconds?)$`)
)

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (d *Duration) UnmarshalText(raw []byte) error {
	text := string(raw)
	parsed, err := number.ParseDuration(text)
	switch {
	case bareNumber.MatchString(text) && text != "0":
		return Complain("duration %s has no unit", text).Suggest("write %ss or %sms", text, text)
	case err != nil:
		c := Complain("%q is not a duration", text)
		if m := spelledUnits.FindStringSubmatch(strings.ToLower(text)); m != nil {
			return c.Suggest("write %s", shortDuration(m[1], m[2]))
		}
		return c.Suggest("write a number and a unit, such as 250ms, 10s or 1h30m")
	case parsed < 0:
		return Complain("duration %s is negative", text).Suggest("write %s", strings.TrimPrefix(text, "-"))
	case parsed > MaxDuration:
		return Complain("duration %s is too long", text).Suggest("write at most %v", MaxDuration)
	}
	*d = Duration(parsed)
	return nil
}

// shortDuration writes a number of some unit as Go does.
func shortDuration(number, unit string) string {
	switch {
	case strings.HasPrefix(unit, "d"):
		if days, err := strconv.ParseFloat(number, 64); err == nil {
			return strconv.FormatFloat(days*24, 'g', -1, 64) + "h"
		}
	case strings.HasPrefix(unit, "milli"):
		unit = "ms"
	case strings.HasPrefix(unit, "micro"):
		unit = "us"
	case unit != "ms" && unit != "us" && unit != "ns":
		unit = unit[:1]
	}
	return number + unit
}

// String writes the duration as it is read, without units that count nothing.
func (d Duration) String() string {
	return strings.Replace(number.ShortDuration(time.Duration(d)), "µ", "u", 1)
}

const durationPattern = `([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+`

func (Duration) schema() map[string]any {
	return textSchema("^(0|" + durationPattern + ")$")
}

// A Step is by how much a clock is set: a Duration with a sign, such as -1h or 250ms.
type Step time.Duration

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (s *Step) UnmarshalText(raw []byte) error {
	text, back := strings.CutPrefix(string(raw), "-")
	var d Duration
	if err := d.UnmarshalText([]byte(strings.TrimPrefix(text, "+"))); err != nil {
		return err
	}
	if *s = Step(d); back {
		*s = -Step(d)
	}
	return nil
}

func (s Step) String() string {
	if s < 0 {
		return "-" + Duration(-s).String()
	}
	return Duration(s).String()
}

func (Step) schema() map[string]any {
	return textSchema("^[+-]?" + durationPattern + "$")
}

// A Probability is a chance from 0 to 1, written as a number or in percent.
type Probability float64

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (p *Probability) UnmarshalText(raw []byte) error {
	text := string(raw)
	number, percent := strings.CutSuffix(text, "%")
	value, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil || math.IsNaN(value) || math.IsInf(value, 0):
		return Complain("%q is not a probability", text).Suggest("write a number from 0 to 1, or a share such as 30%%")
	case percent:
		value /= 100
	}
	if value < 0 {
		return Complain("probability %s is below 0", text).Suggest("write a number from 0 to 1")
	}
	if value > 1 {
		c := Complain("probability %s is above 1", text)
		if !percent && value <= 100 && value == math.Trunc(value) {
			return c.Suggest("write %s%%", number)
		}
		return c.Suggest("write a number from 0 to 1, or a share up to 100%%")
	}
	*p = Probability(value)
	return nil
}

func (p Probability) String() string { return strconv.FormatFloat(float64(p), 'g', -1, 64) }

func (Probability) schema() map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "number", "minimum": 0, "maximum": 1},
		textSchema(`^([0-9]|[1-9][0-9]|100)(\.[0-9]+)?%$`),
	}}
}

// A Rate is how often something happens, such as 100/s. The zero Rate is none.
type Rate struct {
	count float64
	per   time.Duration
}

// RateOf returns the rate of so many in that time, which is one of those that a file can name.
func RateOf(count float64, per time.Duration) Rate { return Rate{count, per} }

var rateUnits = []string{"ms", "s", "m", "h"}

func rateUnit(name string) (time.Duration, bool) {
	per, err := time.ParseDuration("1" + name)
	return per, err == nil && slices.Contains(rateUnits, name)
}

// UnmarshalText reads what String writes, and the other forms that a file may have.
func (r *Rate) UnmarshalText(raw []byte) error {
	text := string(raw)
	number, unit, found := strings.Cut(text, "/")
	if !found {
		c := Complain("rate %q has no unit", text)
		if bareNumber.MatchString(text) {
			return c.Suggest("write %s/s", text)
		}
		return c.Suggest("write a number, / and a unit, such as 100/s")
	}
	count, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(count) || count <= 0 || count > 1e9 {
		return Complain("rate %q does not start with a number above 0, up to 1e9", text).Suggest("write a rate such as 100/s")
	}
	per, ok := rateUnit(unit)
	if !ok {
		c := Complain("rate %q has an unknown unit", text)
		if near := nearest(unit, []string{"sec", "second", "min", "minute", "hour", "hr"}); near != "" {
			return c.Suggest("write %s/%s", number, near[:1])
		}
		return c.Suggest("use one of /%s", strings.Join(rateUnits, ", /"))
	}
	if interval := float64(per) / count; interval < 1 || interval > float64(MaxDuration) {
		return Complain("rate %q is out of range", text).Suggest("write a rate between 1/h and 1000/ms")
	}
	*r = Rate{count: count, per: per}
	return nil
}

// Interval is the mean time from one to the next, or 0 without a rate.
func (r Rate) Interval() time.Duration {
	if r.count == 0 {
		return 0
	}
	return time.Duration(float64(r.per) / r.count)
}

func (r Rate) String() string {
	if r.count == 0 {
		return ""
	}
	for _, unit := range rateUnits {
		if per, _ := rateUnit(unit); per == r.per {
			return strconv.FormatFloat(r.count, 'g', -1, 64) + "/" + unit
		}
	}
	return ""
}

func (Rate) schema() map[string]any {
	return textSchema(`^[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?/(ms|s|m|h)$`)
}

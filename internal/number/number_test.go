package number_test

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"testing"
	"time"

	"github.com/frayrpc/fray/internal/number"
)

func TestWithinRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		v         int64
		low, high int32
		ok        bool
	}{
		{5, -1000, 1000, true},
		{-1000, -1000, 1000, true},
		{1000, -1000, 1000, true},
		{1001, -1000, 1000, false},
		{1<<32 + 5, -1000, 1000, false},
		{-1<<32 + 5, -1000, 1000, false},
		{math.MaxInt64, -1000, 1000, false},
		{math.MinInt64, math.MinInt32, math.MaxInt32, false},
		{math.MaxInt32, math.MinInt32, math.MaxInt32, true},
	} {
		got, err := number.Within("priority", c.v, c.low, c.high)
		if (err == nil) != c.ok || c.ok && int64(got) != c.v {
			t.Errorf("Within(%d, %d, %d) = %d, %v", c.v, c.low, c.high, got, err)
		}
	}
	_, err := number.Within("priority", 1<<32+5, int32(-1000), 1000)
	if want := "priority 4294967301 is not from -1000 to 1000"; err == nil || err.Error() != want {
		t.Errorf("Within says %v, want %q", err, want)
	}
	if _, err := number.Within("count", uint64(math.MaxUint64), int64(-1), math.MaxInt64); err == nil {
		t.Error("the greatest uint64 passes for an int64")
	}
	if _, err := number.Within("count", -1, uint64(0), math.MaxUint64); err == nil {
		t.Error("-1 passes for a uint64")
	}
}

func TestClampStaysWithinTheType(t *testing.T) {
	check := func(got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("Clamp = %v, want %v", got, want)
		}
	}
	check(number.Clamp[uint32](int64(-1)), uint32(0))
	check(number.Clamp[uint32](int64(1<<32)), uint32(math.MaxUint32))
	check(number.Clamp[uint32](7), uint32(7))
	check(number.Clamp[int32](int64(math.MinInt64)), int32(math.MinInt32))
	check(number.Clamp[int32](uint64(1<<31)), int32(math.MaxInt32))
	check(number.Clamp[int64](uint64(math.MaxUint64)), int64(math.MaxInt64))
	check(number.Clamp[uint64](-3), uint64(0))
	check(number.Clamp[int64](uint64(9)), int64(9))
}

func TestParseReadsDecimalsOnly(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "10": "10", "010": "10", "+7": "7", "-3": "-3", "-1000": "-1000",
		"1001":                 "1001 is not from -1000 to 1000",
		"4294967301":           "4294967301 is not from -1000 to 1000",
		"18446744073709551621": "18446744073709551621 is not from -1000 to 1000",
		"":                     `"" is not a whole number`, "-": `"-" is not a whole number`, "1e3": `"1e3" is not a whole number`,
		"1_0": `"1_0" is not a whole number`, "0x5": `"0x5" is not a whole number`, "5_": `"5_" is not a whole number`,
	} {
		got, err := number.Parse(text, int32(-1000), 1000)
		if said := say(got, err); said != want {
			t.Errorf("Parse(%q) = %s, want %s", text, said, want)
		}
	}
	for text, want := range map[string]string{
		"-1": "-1 is not from 0 to 10", "-0": "0", "+": `"+" is not a whole number`, "--1": `"--1" is not a whole number`,
		"99999999999999999999": "99999999999999999999 is not from 0 to 10",
	} {
		got, err := number.Parse(text, uint32(0), 10)
		if said := say(got, err); said != want {
			t.Errorf("Parse(%q) = %s, want %s", text, said, want)
		}
	}
}

func say[T any](v T, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(v)
}

func TestDurationsRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		0: 0, 1: 1, 900 * time.Microsecond: 1, time.Millisecond: 1, 1500 * time.Microsecond: 2, -1: -1,
		math.MaxInt64: math.MaxInt64/1_000_000 + 1, math.MinInt64: math.MinInt64/1_000_000 - 1,
	} {
		if got := number.Millis(d); got != want {
			t.Errorf("Millis(%d) = %d, want %d", d, got, want)
		}
	}
	for ms, want := range map[int64]time.Duration{
		0: 0, 5: 5 * time.Millisecond, math.MaxInt64: math.MaxInt64, math.MinInt64: math.MinInt64, math.MaxInt64 / 1_000_000: math.MaxInt64 / 1_000_000 * 1_000_000,
	} {
		if got := number.FromMillis(ms); got != want {
			t.Errorf("FromMillis(%d) = %d, want %d", ms, got, want)
		}
	}
	for text, want := range map[string]time.Duration{"0.1ns": 1, "0.0001us": 1, "0": 0, "0s": 0, "-0.5ns": -1, "1ns": 1, "1h": time.Hour} {
		if got, err := number.ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

// FuzzParse holds Parse to arithmetic without bounds.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0", "010", "-1", "4294967301", "18446744073709551616", "+", "1e3", "٣"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		exact, isNumber := new(big.Int).SetString(text, 10)
		hold(t, text, exact, isNumber, -1000, int32(1000))
		hold(t, text, exact, isNumber, 0, uint32(math.MaxUint32))
		hold(t, text, exact, isNumber, math.MinInt64, int64(math.MaxInt64))
		hold(t, text, exact, isNumber, 1, uint64(math.MaxUint64))
	})
}

func hold[T number.Integer](t *testing.T, text string, exact *big.Int, isNumber bool, low, high T) {
	t.Helper()
	bound := func(v T) *big.Int {
		n, _ := new(big.Int).SetString(fmt.Sprint(v), 10)
		return n
	}
	within := isNumber && exact.Cmp(bound(low)) >= 0 && exact.Cmp(bound(high)) <= 0
	got, err := number.Parse(text, low, high)
	if (err == nil) != within || within && fmt.Sprint(got) != exact.String() {
		t.Errorf("Parse(%q, %d, %d) = %d, %v", text, low, high, got, err)
	}
}

// FuzzMillis holds the two ways of a length of time together: what comes back is no shorter, and
// longer by less than a millisecond.
func FuzzMillis(f *testing.F) {
	for _, seed := range []int64{0, 1, 900_000, 1_500_000, math.MaxInt64, math.MinInt64, -1} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ns int64) {
		d := time.Duration(ns)
		back := number.FromMillis(number.Millis(d))
		if d >= 0 && (back < d || uint64(back)-uint64(d) >= uint64(time.Millisecond)) {
			t.Errorf("%d ns come back as %d", ns, back)
		}
		if d != 0 && number.Millis(d) == 0 {
			t.Errorf("%d ns are nothing: %s", ns, strconv.FormatInt(number.Millis(d), 10))
		}
	})
}

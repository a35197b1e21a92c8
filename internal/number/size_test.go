package number_test

import (
	"math"
	"testing"
	"time"

	"github.com/frayrpc/fray/internal/number"
)

func TestSizes(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0B", 1: "1B", 1023: "1023B", 1024: "1KiB", 1025: "1025B", 64 << 10: "64KiB", 3 << 20: "3MiB", 1024 << 30: "1024GiB",
		1_000_000: "1000000B", -5 << 10: "-5KiB", math.MaxInt64: "9223372036854775807B", math.MinInt64: "-8589934592GiB",
	} {
		got := number.FormatSize(bytes)
		if got != want {
			t.Errorf("%d bytes are %s, want %s", bytes, got, want)
		}
		digits, unit := number.CutUnit(got, number.Units)
		if n, err := number.Parse(digits, math.MinInt64/unit, math.MaxInt64/unit); err != nil || n*unit != bytes {
			t.Errorf("%s is read as %d times %d, %v", got, n, unit, err)
		}
	}
}

func TestUnits(t *testing.T) {
	for _, test := range []struct {
		text, digits string
		bytes        int64
	}{
		{"64KiB", "64", 1 << 10},
		{"64 KiB", "64 ", 1 << 10},
		{"64kB", "64", 1000},
		{"64B", "64", 1},
		{"64", "64", 1},
		{"64kb", "64kb", 1},
		{"", "", 1},
	} {
		if digits, bytes := number.CutUnit(test.text, number.AllUnits); digits != test.digits || bytes != test.bytes {
			t.Errorf("%q is %q times %d, want %q times %d", test.text, digits, bytes, test.digits, test.bytes)
		}
	}
	if digits, bytes := number.CutUnit("64kB", number.Units); digits != "64k" || bytes != 1 {
		t.Errorf("64kB is %q times %d without decimal units", digits, bytes)
	}
}

func TestDurationsAreWrittenInASCII(t *testing.T) {
	for d, want := range map[time.Duration]string{3 * time.Microsecond: "3us", time.Minute: "1m0s", -1500: "-1.5us"} {
		if got := number.FormatDuration(d); got != want {
			t.Errorf("%d ns are %s, want %s", d, got, want)
		}
	}
}

package crontab_test

import (
	"strings"
	"testing"
	"time"

	"github.com/frayrpc/fray/internal/crontab"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestTimes(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, line, zone, after, want string }{
		{"each minute", "* * * * *", "", "2026-11-30T12:00:00Z", "2026-11-30T12:01:00Z"},
		{"within a second", "* * * * *", "", "2026-11-30T12:00:59.999Z", "2026-11-30T12:01:00Z"},
		{"in a zone", "0 3 * * *", "Europe/Berlin", "2026-11-30T12:00:00Z", "2026-12-01T02:00:00Z"},
		{"in a zone in summer", "0 3 * * *", "Europe/Berlin", "2026-07-30T12:00:00Z", "2026-07-31T01:00:00Z"},
		{"macro", "@daily", "", "2026-11-30T12:00:00Z", "2026-12-01T00:00:00Z"},
		{"every", "@every 90s", "", "2026-11-30T12:00:00Z", "2026-11-30T12:01:30Z"},
		{"names", "30 9 * JAN MON-FRI", "", "2026-12-31T23:59:59Z", "2027-01-01T09:30:00Z"},
		{"Sunday by either number", "0 0 * * 7", "", "2026-11-30T12:00:00Z", "2026-12-06T00:00:00Z"},
		// crontab(5): the day may match either of the two if both are given.
		{"day of month", "0 0 13 * 5", "", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"},
		{"or day of week", "0 0 13 * 5", "", "2026-12-13T00:00:00Z", "2026-12-18T00:00:00Z"},
		{"a skipped hour", "30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", "2027-03-28T01:30:00Z"},
		{"after it", "30 2 * * *", "Europe/Berlin", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"},
		{"a repeated hour", "30 2 * * *", "Europe/Berlin", "2027-10-30T12:00:00Z", "2027-10-31T00:30:00Z"},
		{"once", "30 2 * * *", "Europe/Berlin", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"},
		{"each hour of a repeated one", "30 * * * *", "Europe/Berlin", "2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z"},
		{"eight years", "0 0 29 2 *", "", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			times, err := crontab.Parse(tt.line, tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := times.After(at(t, tt.after)); !ok || !got.Equal(at(t, tt.want)) {
				t.Errorf("%q after %s: %v, %v, want %s", tt.line, tt.after, got.Format(time.RFC3339), ok, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, line, zone, want string }{
		{"nothing", "", "", "write minute, hour"},
		{"four fields", "* * * *", "", "write minute, hour"},
		{"six fields", "0 * * * * *", "", "write minute, hour"},
		{"out of range", "61 * * * *", "", "write minute, hour"},
		{"no macro", "@never", "", "write minute, hour"},
		{"never", "0 0 30 2 *", "", "never fires"},
		{"nor that", "0 0 31 4,6,9,11 *", "", "never fires"},
		{"hasty", "@every 10ms", "", "at least"},
		{"zone in the line", "TZ=Europe/Berlin 0 3 * * *", "", "a field of its own"},
		{"no zone", "0 3 * * *", "Europe/Nowhere", `time zone "Europe/Nowhere"`},
		{"local", "0 3 * * *", "Local", `time zone "Local"`},
		{"no name of a file", "0 3 * * *", "../../etc/passwd", "time zone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := crontab.Check(tt.line, tt.zone); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q in %q: %v, want %q", tt.line, tt.zone, err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{"* * * * *", "@every 1h", "0 0 29 2 1", "1-59/7 */3 1,15 JAN-MAR MON"} {
		f.Add(line, int64(1_796_000_000))
	}
	f.Fuzz(func(t *testing.T, line string, from int64) {
		times, err := crontab.Parse(line, "Europe/Berlin")
		if err != nil {
			return
		}
		after := time.Unix(from%(1<<33), 0)
		next, ok := times.After(after)
		if ok && (!next.After(after) || next.Nanosecond() != 0) {
			t.Errorf("%q after %v: %v", line, after, next)
		}
	})
}

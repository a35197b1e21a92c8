package number

import (
	"math"
	"strings"
	"time"
)

// ParseDuration is time.ParseDuration, but what is more than nothing is at least a nanosecond.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && d == 0 && strings.ContainsAny(text, "123456789") {
		d = 1
		if text[0] == '-' {
			d = -1
		}
	}
	return d, err
}

// FormatDuration is that of time.Duration in ASCII.
func FormatDuration(d time.Duration) string { return strings.Replace(d.String(), "µ", "u", 1) }

// ShortDuration is d without the zero units that time.Duration prints behind others.
func ShortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Millis returns d in whole milliseconds, rounded away from nothing.
func Millis(d time.Duration) int64 { return whole(d, time.Millisecond) }

// Seconds returns d in whole seconds, rounded away from nothing.
func Seconds(d time.Duration) int64 { return whole(d, time.Second) }

// Micros returns d in whole microseconds, rounded away from nothing.
func Micros(d time.Duration) int64 { return whole(d, time.Microsecond) }

func whole(d, unit time.Duration) int64 {
	n, rest := int64(d/unit), d%unit
	switch {
	case rest > 0:
		n++
	case rest < 0:
		n--
	}
	return n
}

// FromMillis returns so many milliseconds, or the longest time there is in that direction.
func FromMillis(ms int64) time.Duration { return saturate(ms, time.Millisecond) }

// FromMicros returns so many microseconds, or the longest time there is in that direction.
func FromMicros(us int64) time.Duration { return saturate(us, time.Microsecond) }

// FromSeconds returns so many seconds, or the longest time there is in that direction.
func FromSeconds(s int64) time.Duration { return saturate(s, time.Second) }

func saturate(n int64, unit time.Duration) time.Duration {
	switch limit := int64(math.MaxInt64 / unit); {
	case n > limit:
		return math.MaxInt64
	case n < -limit:
		return math.MinInt64
	}
	return time.Duration(n) * unit
}

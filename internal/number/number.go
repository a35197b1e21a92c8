// Package number is the one way by which numbers enter: from flags, variables of the environment,
// files, options of Go and messages. A number arrives as it was given, or is refused with its name,
// its value and its bounds; it is never cut to fewer bits.
//
//	retries, err := number.Within("retries", given, 0, uint32(10_000))
//
// Lengths of time are in nanoseconds in Go and in whole milliseconds or microseconds on the wire.
// What is more than nothing stays so: they are rounded up, and those that are too long become the
// longest there is. Sizes are in bytes.
package number

import (
	"errors"
	"fmt"
	"strconv"
)

// Integer is a type of whole numbers.
type Integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// A RangeError says that a number is not within its bounds.
type RangeError struct {
	What             string // empty: the message is to stand behind the name
	Value, Low, High string
	// It is less than Low, not more than High.
	Below bool
}

// Error implements error.
func (e *RangeError) Error() string {
	text := e.Value + " is not from " + e.Low + " to " + e.High
	if e.What != "" {
		text = e.What + " " + text
	}
	return text
}

// Within returns v as another type, or a [*RangeError] unless low <= v <= high. The bounds have the
// type of the result, so that it always has room.
func Within[T, V Integer](what string, v V, low, high T) (T, error) {
	below := less(v, low)
	if below || less(high, v) {
		return 0, outside(what, fmt.Sprint(v), low, high, below)
	}
	return T(v), nil
}

func outside[T Integer](what, value string, low, high T, below bool) error {
	return &RangeError{What: what, Value: value, Low: fmt.Sprint(low), High: fmt.Sprint(high), Below: below}
}

// Clamp returns v as another type, or what comes nearest to it there: for figures that are shown,
// never for what is asked for.
func Clamp[T, V Integer](v V) T {
	if t := T(v); (v < 0) == (t < 0) && V(t) == v {
		return t
	}
	low, high := limits[T]()
	if v < 0 {
		return low
	}
	return high
}

// limits returns the least and the greatest number of a type.
func limits[T Integer]() (low, high T) {
	high = ^T(0)
	if high > 0 {
		return 0, high // Without a sign.
	}
	low = 1
	for low<<1 != 0 {
		low <<= 1
	}
	return low, ^low
}

// less says whether a < b, whatever their types.
func less[A, B Integer](a A, b B) bool {
	switch {
	case a < 0 && b >= 0:
		return true
	case a >= 0 && b < 0:
		return false
	case a < 0:
		return int64(a) < int64(b)
	default:
		return uint64(a) < uint64(b)
	}
}

// Parse reads a whole number in decimal digits, with a sign perhaps. 010 is ten.
func Parse[T Integer](text string, low, high T) (T, error) {
	if low < 0 {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, fmt.Errorf("%q is not a whole number", text)
		}
		if err == nil {
			return Within("", v, low, high)
		}
		return 0, outside("", text, low, high, text[0] == '-')
	}
	digits := text
	if len(digits) > 1 && (digits[0] == '+' || digits[0] == '-') {
		digits = digits[1:]
	}
	v, err := strconv.ParseUint(digits, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	if err == nil && (text[0] != '-' || v == 0) {
		return Within("", v, low, high)
	}
	return 0, outside("", text, low, high, text[0] == '-')
}

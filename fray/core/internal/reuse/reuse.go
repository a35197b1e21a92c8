// Package reuse keeps the memory of slices that are filled again and again, as long as it is
// little.
package reuse

// maxKept is how many elements a list keeps room for between two steps. What one large step needed
// is let go.
const maxKept = 4096

// Emptied returns s without elements, to be filled anew.
func Emptied[T any](s []T) []T {
	if cap(s) > maxKept {
		return nil
	}
	clear(s)
	return s[:0]
}

// Trimmed returns s in less memory where most of its room is unused. That costs no more than to
// fill it did.
func Trimmed[T any](s []T) []T {
	if cap(s) <= maxKept || len(s) > cap(s)/4 {
		return s
	}
	return append(make([]T, 0, cap(s)/2), s...)
}

package core

// maxKept is how many elements a list keeps room for between two steps. What one large step needed is let go.
const maxKept = 4096

// emptied returns s without elements, to be filled anew.
func emptied[T any](s []T) []T {
	if cap(s) > maxKept {
		return nil
	}
	clear(s)
	return s[:0]
}

// trimmed returns s in less memory where most of its room is unused. That costs no more than to fill it did.
func trimmed[T any](s []T) []T {
	if cap(s) <= maxKept || len(s) > cap(s)/4 {
		return s
	}
	return append(make([]T, 0, cap(s)/2), s...)
}

// Package spelling finds the name that a user may have meant who misspelt it.
//
//	spelling.Nearest("worker-crush", []string{"worker-crash", "worker-pause"}) // worker-crash
package spelling

import "strings"

const (
	// maxChanges is the most changes that a name may be away.
	maxChanges = 3
	// maxLength is how long a word may be to be compared, in bytes.
	maxLength = 256
)

// Nearest returns the known name that is the fewest changes away from a word, upper and lower case
// apart, and the first of equals; or "" if none is near: within three changes, and half of the
// word's length.
func Nearest(word string, known []string) string {
	if i := Within(min(maxChanges, len(word)/2), word, known); i >= 0 {
		return known[i]
	}
	return ""
}

// Within is Nearest with another bound on the changes. It returns the index of the name, or -1.
func Within(changes int, word string, known []string) int {
	best, least := -1, changes+1
	for i, name := range known {
		if len(word) > maxLength || len(name) > maxLength {
			continue
		}
		if d := distance(strings.ToLower(word), strings.ToLower(name)); d < least {
			best, least = i, d
		}
	}
	return best
}

// distance is the number of characters to insert, delete, replace or swap with their neighbour that
// leads from a to b (Damerau and Levenshtein, restricted).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, last, row = last, row, before
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

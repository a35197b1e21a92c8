package scenario

import (
	"slices"
	"strings"
)

const (
	// suggestDistance is the most single-character changes that a suggestion may be away.
	suggestDistance = 3
	// maxSuggested is how many names a suggestion lists.
	maxSuggested = 20
	// maxCompared is how long a word may be to be compared.
	maxCompared = 100
)

// suggestName suggests the known name that is nearest to a word, or lists them if none is near.
func (c *complaint) suggestName(word string, known []string) *complaint {
	if near := nearest(word, known); near != "" {
		return c.suggest("did you mean %s?", near)
	}
	switch {
	case len(known) == 0:
		return c
	case len(known) > maxSuggested:
		return c.suggest("use one of %s, ...", strings.Join(known[:maxSuggested], ", "))
	case len(known) == 1:
		return c.suggest("use %s", known[0])
	}
	return c.suggest("use one of %s", strings.Join(known, ", "))
}

// nearest returns the known word that is the fewest changes away, the first of equals, or "" if none is near.
func nearest(word string, known []string) string {
	if len(word) > maxCompared {
		return ""
	}
	word = strings.ToLower(word)
	best, least := "", min(suggestDistance, len(word)/2)+1
	for _, candidate := range known {
		lower := strings.ToLower(candidate)
		d := distance(word, lower)
		if len(word) > 3 && (strings.HasPrefix(lower, word) || strings.HasSuffix(lower, word)) {
			d = min(d, suggestDistance)
		}
		if d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance is the number of characters to insert, delete, replace or swap with their neighbour that leads from a to b
// (Damerau and Levenshtein, restricted).
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

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

package faults

import (
	"fmt"
	"strings"
)

// suggestDistance is the most single-character changes that a suggestion may be away.
const suggestDistance = 3

// didYouMean returns "; did you mean x?" for the nearest known word, or the whole list if none is near.
func didYouMean[T ~string](word string, known []T) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return fmt.Sprintf("; use one of %s", join(known, ", "))
}

// nearest returns the known word that is the fewest changes away, the first of equals, or none that is near.
func nearest[T ~string](word string, known []T) T {
	var best T
	least := min(suggestDistance, len(word)/2) + 1
	for _, candidate := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(string(candidate)), least); d < least {
			best, least = candidate, d
		}
	}
	return best
}

// distance is Levenshtein's, or at least limit as soon as it is sure to reach it.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

func join[T ~string](words []T, separator string) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, separator)
}

package faults

import (
	"strings"

	"github.com/frayrpc/fray/internal/spelling"
)

// didYouMean returns "; did you mean x?" for the nearest known word, or the whole list if none is
// near.
func didYouMean[T ~string](word string, known []T) string {
	names := texts(known)
	if near := spelling.Nearest(word, names); near != "" {
		return "; did you mean " + near + "?"
	}
	return "; use one of " + strings.Join(names, ", ")
}

func texts[T ~string](words []T) []string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = string(word)
	}
	return all
}

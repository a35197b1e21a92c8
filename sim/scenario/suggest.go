package scenario

import (
	"strings"

	"github.com/frayrpc/fray/internal/spelling"
)

// maxSuggested is how many names a suggestion lists.
const maxSuggested = 20

// SuggestName suggests the known name that is nearest to a word, or lists them if none is near.
func (c *Complaint) SuggestName(word string, known []string) *Complaint {
	if near := nearest(word, known); near != "" {
		return c.Suggest("did you mean %s?", near)
	}
	switch {
	case len(known) == 0:
		return c
	case len(known) > maxSuggested:
		return c.Suggest("use one of %s, ...", strings.Join(known[:maxSuggested], ", "))
	case len(known) == 1:
		return c.Suggest("use %s", known[0])
	}
	return c.Suggest("use one of %s", strings.Join(known, ", "))
}

// nearest returns the known word that a word was meant to be: the one that is the fewest changes
// away, or else one that it is the beginning or the end of; "" if there is none.
func nearest(word string, known []string) string {
	if near := spelling.Nearest(word, known); near != "" || len(word) < minPart {
		return near
	}
	word = strings.ToLower(word)
	for _, candidate := range known {
		if lower := strings.ToLower(candidate); strings.HasPrefix(lower, word) || strings.HasSuffix(lower, word) {
			return candidate
		}
	}
	return ""
}

// minPart is how long a part of a name must be to say which is meant.
const minPart = 4

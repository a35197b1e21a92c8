package story

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/frayrpc/fray/internal/spelling"
	"github.com/frayrpc/fray/sim/report"
)

// ErrUnknown is wrapped by the error about a thing that there are no events about.
var ErrUnknown = errors.New("no event of the run is about it")

// fewThings is how many of the things that there are an error names.
const fewThings = 5

// WriteLife writes all that touched a thing. The error about one that there is not names some that
// there are.
func (r *Recorder) WriteLife(w io.Writer, thing string) error {
	life := r.Life(thing)
	if len(life) == 0 {
		return r.unknown(thing)
	}
	fmt.Fprintf(w, "%s:\n\n", thing)
	report.Events(w, life)
	return nil
}

func (r *Recorder) unknown(thing string) error {
	things := r.Things()
	switch near := spelling.Nearest(thing, things); {
	case len(things) == 0:
		return fmt.Errorf("%w: the subject tells of no things by id", ErrUnknown)
	case near != "":
		return fmt.Errorf("%w: did you mean %s? There are %d, such as %s", ErrUnknown, near, len(things), few(things))
	default:
		return fmt.Errorf("%w: there are %d, such as %s", ErrUnknown, len(things), few(things))
	}
}

// few returns some of the things: the first and the last ones.
func few(things []string) string {
	if len(things) > fewThings {
		things = slices.Concat(things[:fewThings-1], things[len(things)-1:])
	}
	return strings.Join(things, ", ")
}

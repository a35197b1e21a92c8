package reach

import (
	"cmp"
	"strings"

	"github.com/frayrpc/fray/sim/engine"
)

// KindHistory is the kind of what follows upon what about one thing in the history of a subject that
// adds no points of its own.
const KindHistory = "history"

// maxThings bounds how many things are followed: the first ones.
const maxThings = 1 << 16

// things follow each thing that a history is about, and what is about none.
type things struct{ last map[string]string }

func newThings() *things { return &things{map[string]string{}} }

// Compare implements engine.Reacher. The history is that of an [engine.Blank]; of others nothing is
// known.
func (*things) Compare(a, b any) int {
	x, xKnown := a.(*engine.Event)
	y, yKnown := b.(*engine.Event)
	if !xKnown || !yKnown {
		return 0
	}
	return cmp.Or(
		cmp.Compare(x.At, y.At),
		strings.Compare(x.Host, y.Host), strings.Compare(x.Kind, y.Kind), strings.Compare(x.Text, y.Text),
	)
}

// Take implements engine.Reacher.
func (t *things) Take(event any, reached func(kind, point string)) {
	e, known := event.(*engine.Event)
	if !known || e.Aside {
		return
	}
	what, about := cmp.Or(e.Gist, e.Kind), e.Tasks
	if len(about) == 0 {
		about = []string{""}
	}
	for _, thing := range about {
		before, seen := t.last[thing]
		reached(KindHistory, cmp.Or(before, "nothing")+", then "+what)
		if seen || len(t.last) < maxThings {
			t.last[thing] = what
		}
	}
}

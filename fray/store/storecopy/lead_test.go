package storecopy_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
	"github.com/frayrpc/fray/fray/store/storecopy"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
)

// claim takes the seat of a database, as a copy does.
func claim(t *testing.T, d lead.Database, after uint64) *lead.Term {
	t.Helper()
	term, err := lead.Claim(t.Context(), lead.Config{Database: d, Holder: lead.Holder{ID: "copy"}, Beat: time.Millisecond}, lead.Terms{After: after})
	if err != nil {
		t.Fatal(err)
	}
	return term
}

func leave(t *testing.T, terms ...*lead.Term) {
	t.Helper()
	for _, term := range terms {
		if err := term.Leave(); err != nil {
			t.Error(err)
		}
	}
}

// incarnation is what a store counts.
func incarnation(t *testing.T, s store.Store) uint64 {
	t.Helper()
	value, err := s.Get(store.ControllerKey)
	if err != nil {
		t.Fatal(err)
	}
	var r storev1.ControllerRecord
	if err := proto.Unmarshal(value, &r); err != nil {
		t.Fatal(err)
	}
	return r.GetIncarnation()
}

// A cluster goes from a data directory to a database, to another one, and back, and controllers run
// in between. None of them has an incarnation that another has had.
func TestIncarnationsRiseOverCopies(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]uint64{"a database that counts from less": 5, "a database that counts from more": 500_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const start = 70_000
			var seen []uint64
			run := func(s store.Store) {
				t.Helper()
				if err := runOn(t, s); err != nil {
					t.Fatal(err)
				}
				seen = append(seen, incarnation(t, s))
			}
			runTerm := func(m *leadtest.Memory) {
				t.Helper()
				term, err := lead.Stand(t.Context(), lead.Config{Database: m.Client(), Holder: lead.Holder{ID: "controller"}})
				if err != nil {
					t.Fatal(err)
				}
				run(term)
				leave(t, term)
			}
			dir := filled(t, some().withController(start))
			run(dir)
			a, b := leadtest.NewMemory(first), leadtest.NewMemory(first)
			term := claim(t, a.Client(), from(t, dir).Incarnation())
			copied(t, dir, term)
			leave(t, term)
			for range 3 {
				runTerm(a)
			}
			original := claim(t, a.Client(), 0)
			term = claim(t, b.Client(), from(t, original).Incarnation())
			copied(t, original, term)
			leave(t, original, term)
			runTerm(b)
			original = claim(t, b.Client(), 0)
			back := newLasting()
			copied(t, original, back)
			leave(t, original)
			run(back)
			for i, n := range seen[1:] {
				if n <= seen[i] {
					t.Errorf("incarnations %v", seen)
				}
			}
			if len(seen) != 6 {
				t.Errorf("incarnations %v", seen)
			}
		})
	}
}

// Epochs in which tokens were given, or in which none could be, are refused before anything is
// written.
func TestCopyInAnEpochThatIsNoGood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first uint64
		want  string
	}{
		"it was had":       {6, "in epoch 7, and tokens were given in those up to 7"},
		"it is the last":   {core.MaxIncarnation - 1, "copy to a new one"},
		"it is beyond all": {1 << 40, "copy to a new one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := leadtest.NewMemory(c.first)
			term := claim(t, m.Client(), 0)
			if _, err := from(t, filled(t, some())).To(t.Context(), term, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			wantRecords(t, term, records{})
			leave(t, term)
		})
	}
}

// A source that another took over while it was copied may have changed: the copy stays unfinished.
func TestSourceIsLost(t *testing.T) {
	t.Parallel()
	m := leadtest.NewMemory(5)
	first := claim(t, m.Client(), 0)
	some().fill(t, first)
	to := newLasting()
	_, err := from(t, first).To(t.Context(), to, func(p storecopy.Progress) {
		if p.Doing == "comparing" && p.Kind == store.Spec && p.Records == 0 {
			for taken := false; !taken; { // It may beat in between.
				taken = m.Client().Take(t.Context(), m.Seat(), lead.Holder{ID: "b"}) == nil
			}
		}
	})
	if !errors.Is(err, lead.ErrLost) || !strings.Contains(err.Error(), "whether there stayed as it was is unknown") {
		t.Errorf("copy: %v", err)
	}
	wantUnfinished(t, to)
	_ = first.Close()
}

// Of an interrupted copy in a database no controller makes anything, and the next copy makes a whole
// one.
func TestUnfinishedCopyInADatabase(t *testing.T) {
	t.Parallel()
	m := leadtest.NewMemory(5)
	source := filled(t, some())
	term := claim(t, m.Client(), 7)
	if _, err := from(t, source).To(t.Context(), &cutting{Store: term, at: 3}, nil); !errors.Is(err, errCut) {
		t.Fatalf("copy: %v", err)
	}
	leave(t, term)
	next := claim(t, m.Client(), 0)
	wantUnfinished(t, next)
	leave(t, next)
	term = claim(t, m.Client(), 7)
	copied(t, source, term)
	wantRecords(t, term, some())
	leave(t, term)
}

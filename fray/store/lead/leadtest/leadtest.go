package leadtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
)

// Run runs the suite. open returns a database that is new and empty, as two controllers have it; the
// suite closes both.
func Run(t *testing.T, open func(t *testing.T) (a, b lead.Database)) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, a, b lead.Database)
	}{
		{"a new one has a seat that nobody holds", vacantAtFirst},
		{"of two who take the seat one gets it", oneTakes},
		{"a seat that has changed since it was seen is not taken", takesWhatWasSeen},
		{"a commit of another epoch changes nothing", fenced},
		{"a commit that is not the next changes nothing", inOrder},
		{"a commit counts itself, also an empty one and a lazy one", counts},
		{"epochs go on after the one that they were raised to", raises},
		{"beats are counted, those of another epoch are not", beats},
		{"who settles leaves a trace", settles},
		{"a seat that was left is vacant, and who waits is told", leaves},
		{"a batch that can never be applied is refused", refuses},
		{"who is done waiting is let go", letsGo},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := open(t)
			defer func() {
				for _, d := range []lead.Database{a, b} {
					if err := d.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				}
			}()
			c.test(t, a, b)
		})
	}
}

func look(t *testing.T, d lead.Database) lead.Seat {
	t.Helper()
	seat, err := d.Look(t.Context())
	if err != nil {
		t.Fatalf("look: %v", err)
	}
	return seat
}

func take(t *testing.T, d lead.Database, id string) lead.Seat {
	t.Helper()
	if err := d.Take(t.Context(), look(t, d), lead.Holder{ID: id, Address: "http://" + id}); err != nil {
		t.Fatalf("take: %v", err)
	}
	return look(t, d)
}

func set(num uint64, value string) *store.Batch {
	b := &store.Batch{}
	b.Set(store.Key{Kind: store.Spec, Num: num}, []byte(value))
	return b
}

func wantValue(t *testing.T, d lead.Database, num uint64, want string) {
	t.Helper()
	v, err := d.Get(t.Context(), store.Key{Kind: store.Spec, Num: num})
	if want == "" && errors.Is(err, store.ErrNotFound) {
		return
	}
	if err != nil || string(v) != want {
		t.Errorf("record %d is %q, %v; want %q", num, v, err, want)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func vacantAtFirst(t *testing.T, a, b lead.Database) {
	seat := look(t, a)
	if !seat.Vacant || seat.Commits != 0 || seat.Holder != (lead.Holder{}) {
		t.Errorf("the seat is %+v", seat)
	}
	if other := look(t, b); other != seat {
		t.Errorf("to another it is %+v", other)
	}
}

func oneTakes(t *testing.T, a, b lead.Database) {
	first := look(t, a)
	ended := make(chan error, 2)
	for id, d := range map[string]lead.Database{"a": a, "b": b} {
		go func() { ended <- d.Take(t.Context(), first, lead.Holder{ID: id}) }()
	}
	took := 0
	for range 2 {
		if err := <-ended; err == nil {
			took++
		} else {
			wantErr(t, "take", err, lead.ErrReplaced)
		}
	}
	seat := look(t, a)
	if took != 1 || seat.Epoch != first.Epoch+1 || seat.Vacant || seat.Holder.ID == "" {
		t.Errorf("%d took it, and it is %+v", took, seat)
	}
}

func takesWhatWasSeen(t *testing.T, a, b lead.Database) {
	seen := take(t, a, "a")
	for what, change := range map[string]func() error{
		"a beat":   func() error { return a.Beat(t.Context(), seen.Epoch) },
		"a commit": func() error { return a.Commit(t.Context(), seen.Epoch, look(t, a).Commits+1, set(1, "v")) },
	} {
		before := look(t, b)
		if err := change(); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "take after "+what, b.Take(t.Context(), before, lead.Holder{ID: "b"}), lead.ErrReplaced)
	}
	if err := b.Take(t.Context(), look(t, b), lead.Holder{ID: "b"}); err != nil {
		t.Error(err)
	}
}

func fenced(t *testing.T, a, b lead.Database) {
	old := take(t, a, "a")
	now := take(t, b, "b")
	wantErr(t, "commit of the old epoch", a.Commit(t.Context(), old.Epoch, 1, set(1, "old")), lead.ErrReplaced)
	wantErr(t, "leave of the old epoch", a.Leave(t.Context(), old.Epoch), lead.ErrReplaced)
	wantErr(t, "commit of an epoch to come", a.Commit(t.Context(), now.Epoch+1, 1, set(1, "early")), lead.ErrReplaced)
	wantValue(t, a, 1, "")
	if err := b.Commit(t.Context(), now.Epoch, 1, set(1, "new")); err != nil {
		t.Fatal(err)
	}
	wantValue(t, a, 1, "new")
	if seat := look(t, a); seat.Epoch != now.Epoch || seat.Commits != 1 || seat.Vacant {
		t.Errorf("the seat is %+v", seat)
	}
	if err := b.Leave(t.Context(), now.Epoch); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "commit of who has left", b.Commit(t.Context(), now.Epoch, 2, set(1, "late")), lead.ErrReplaced)
	wantValue(t, a, 1, "new")
}

func inOrder(t *testing.T, a, _ lead.Database) {
	epoch := take(t, a, "a").Epoch
	if err := a.Commit(t.Context(), epoch, 1, set(1, "first")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "a commit again", a.Commit(t.Context(), epoch, 1, set(1, "again")), lead.ErrNotNext)
	wantErr(t, "the next but one", a.Commit(t.Context(), epoch, 3, set(1, "third")), lead.ErrNotNext)
	wantValue(t, a, 1, "first")
}

func counts(t *testing.T, a, b lead.Database) {
	epoch := take(t, a, "a").Epoch
	lazy := set(2, "lazy")
	lazy.Lazy = true
	for i, batch := range []*store.Batch{set(1, "v"), {}, lazy} {
		number := uint64(i) + 1
		if err := a.Commit(t.Context(), epoch, number, batch); err != nil {
			t.Fatal(err)
		}
		if got := look(t, b).Commits; got != number {
			t.Errorf("after commit %d the seat counts %d", number, got)
		}
	}
	wantValue(t, b, 2, "lazy")
	if now := take(t, b, "b"); now.Commits != 3 {
		t.Errorf("the next epoch begins with %d commits", now.Commits)
	}
}

func raises(t *testing.T, a, b lead.Database) {
	r, ok := a.(lead.Raiser)
	if !ok {
		t.Skip("its epochs cannot be raised")
	}
	seen := look(t, a)
	to := seen.Epoch + 1000
	if err := r.Raise(t.Context(), seen, to); err != nil {
		t.Fatal(err)
	}
	raised := look(t, b)
	if want := (lead.Seat{Epoch: to, Vacant: true}); raised != want {
		t.Errorf("the seat is %+v, want %+v", raised, want)
	}
	wantErr(t, "raise a seat that has changed", r.Raise(t.Context(), seen, to+1), lead.ErrReplaced)
	for _, epoch := range []uint64{to, to - 1} {
		wantErr(t, "raise to where it is, or below", r.Raise(t.Context(), raised, epoch), lead.ErrReplaced)
	}
	if epoch := take(t, b, "b").Epoch; epoch != to+1 {
		t.Errorf("epoch %d follows %d", epoch, to)
	}
}

func beats(t *testing.T, a, b lead.Database) {
	seat := take(t, a, "a")
	if err := a.Beat(t.Context(), seat.Epoch); err != nil {
		t.Fatal(err)
	}
	if got := look(t, b).Beats; got != seat.Beats+1 {
		t.Errorf("%d beats after %d and one", got, seat.Beats)
	}
	take(t, b, "b")
	wantErr(t, "beat of the old epoch", a.Beat(t.Context(), seat.Epoch), lead.ErrReplaced)
}

func settles(t *testing.T, a, b lead.Database) {
	before := take(t, a, "a")
	seat, err := a.Settle(t.Context())
	if err != nil || seat.Epoch != before.Epoch || seat.Beats != before.Beats+1 || seat.Holder != before.Holder {
		t.Errorf("settled on %+v, %v; it was %+v", seat, err, before)
	}
	if now := look(t, b); now != seat {
		t.Errorf("another sees %+v, and not %+v", now, seat)
	}
}

func leaves(t *testing.T, a, b lead.Database) {
	epoch := take(t, a, "a").Epoch
	told := make(chan error, 1)
	waiting, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		for { // It may be woken for nothing.
			err := b.Await(waiting)
			if seat, lookErr := b.Look(t.Context()); err != nil || lookErr != nil || seat.Vacant || waiting.Err() != nil {
				told <- errors.Join(err, lookErr, waiting.Err())
				return
			}
		}
	}()
	for { // It may be left before anybody waits, and can be left again.
		if err := a.Leave(t.Context(), epoch); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-told:
			if err != nil {
				t.Errorf("who waits for the seat is told %v", err)
			}
			if seat := look(t, b); !seat.Vacant || seat.Epoch != epoch {
				t.Errorf("the seat is %+v", seat)
			}
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func refuses(t *testing.T, a, _ lead.Database) {
	epoch := take(t, a, "a").Epoch
	b := &store.Batch{}
	b.Set(store.Key{Num: 1}, nil)
	wantErr(t, "a record of kind 0", a.Commit(t.Context(), epoch, 1, b), lead.ErrRefused)
	b.Reset()
	b.Set(store.Key{Kind: 200, Num: 1}, nil)
	if err := a.Commit(t.Context(), epoch, 1, b); err != nil && !errors.Is(err, lead.ErrRefused) {
		t.Errorf("a record of a kind that there is not: %v", err)
	}
}

func letsGo(t *testing.T, a, _ lead.Database) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = a.Await(ctx)
	if _, err := a.Look(ctx); err == nil {
		t.Error("a look whose context is done has an answer")
	}
	look(t, a)
}

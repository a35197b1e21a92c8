package storecopy_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/storecopy"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
)

// Whatever is in a store is in its copy, and nothing else, and is counted.
func TestCopyHasAllRecords(t *testing.T) {
	t.Parallel()
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				want := records{}.withController(rapid.Uint64Range(1, 1000).Draw(rt, "incarnation"))
				for range rapid.IntRange(0, 50).Draw(rt, "records") {
					k := store.Key{
						Kind: rapid.SampledFrom(slices.Collect(store.Kinds())).Draw(rt, "kind"),
						Num:  rapid.OneOf(rapid.Uint64Range(0, 5), rapid.Uint64(), rapid.Just(uint64(math.MaxUint64))).Draw(rt, "num"),
					}
					if k != store.ControllerKey {
						want[k] = rapid.StringN(0, 40, -1).Draw(rt, "value")
					}
				}
				to := engines[name](t)
				defer to.Close()
				report := copied(t, filled(t, want), to)
				wantRecords(t, to, want)
				size := 0
				for _, v := range want {
					size += len(v)
				}
				if n, bytes := report.Total(); n != uint64(len(want)) || bytes != uint64(size) || len(report.Kinds) != 8 {
					rt.Errorf("it reports %+v of %d records with %d bytes", report.Kinds, len(want), size)
				}
			})
		})
	}
}

// measured is a store that notes how large its batches are.
type measured struct {
	store.Store

	bytes, ops int // of the largest
	commits    int
}

func (m *measured) Commit(b *store.Batch) error {
	size := 0
	for _, op := range b.Ops() {
		size += len(op.Value)
	}
	m.bytes, m.ops, m.commits = max(m.bytes, size), max(m.ops, len(b.Ops())), m.commits+1
	return m.Store.Commit(b)
}

// No batch is larger than its bounds and one record, also when what an interrupted copy left is
// cleared; and progress goes up to its end.
func TestCopyIsBounded(t *testing.T) {
	t.Parallel()
	const small, few = 30_000, 5
	want := records{}.withController(1)
	for n := range uint64(small) {
		want[store.Key{Kind: store.State, Num: n}] = "s"
	}
	for n := range uint64(few) {
		want[store.Key{Kind: store.Result, Num: n}] = strings.Repeat("l", large)
	}
	source := from(t, filled(t, want))
	to := &measured{Store: newLasting()}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := source.To(ctx, to, func(p storecopy.Progress) {
		if p.Doing == "comparing" && p.Kind == store.State {
			cancel()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	wantUnfinished(t, to)
	last := storecopy.Progress{Step: -1}
	report, err := source.To(t.Context(), to, func(p storecopy.Progress) {
		if p.Step < last.Step || p.Step == last.Step && p.Records < last.Records || p.Step >= p.Steps {
			t.Errorf("%+v follows %+v", p, last)
		}
		last = p
	})
	if err != nil {
		t.Fatal(err)
	}
	if last.Step != last.Steps-1 || last.Doing != "comparing" || last.Kind != store.Controller {
		t.Errorf("it ends with %+v", last)
	}
	if report.Cleared != small+few {
		t.Errorf("%d records were cleared", report.Cleared)
	}
	if to.bytes > 4<<20+large || to.ops > 4096 {
		t.Errorf("a batch has %d bytes, and one %d records", to.bytes, to.ops)
	}
	wantRecords(t, to, want)
}

// A store that has records of its own is not written to, and it is said which.
func TestCopyToWhatIsNotEmpty(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]records{
		"a cluster":                  some(),
		"records without controller": {{Kind: store.Result, Num: 3}: "r"},
		"a kind of a newer Fray":     {{Kind: 200, Num: 3}: "r"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := &measured{Store: filled(t, there)}
			_, err := from(t, filled(t, some())).To(t.Context(), to, nil)
			var full *storecopy.NotEmptyError
			if !errors.As(err, &full) || to.commits > 0 {
				t.Errorf("%d commits, %v", to.commits, err)
			}
			kinds := map[store.RecordKind]bool{}
			for k := range there {
				kinds[k.Kind] = true
			}
			if full != nil && !slices.Equal(full.Kinds, slices.Sorted(maps.Keys(kinds))) {
				t.Errorf("it names %v", full.Kinds)
			}
		})
	}
}

func TestSourcesThatAreRefused(t *testing.T) {
	t.Parallel()
	record := func(r *storev1.ControllerRecord) records {
		value, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return records{store.ControllerKey: string(value)}
	}
	for name, c := range map[string]struct {
		records records
		is      error
		want    string
	}{
		"empty":                       {records{}, nil, "there is nothing to copy"},
		"no controller":               {records{{Kind: store.Spec, Num: 1}: "s"}, nil, "there is nothing to copy"},
		"a record that is none":       {records{store.ControllerKey: "\xff\xff"}, store.ErrCorrupt, "cannot be decoded"},
		"an unfinished copy":          {record(&storev1.ControllerRecord{UnfinishedCopyOf: "elsewhere"}), store.ErrUnfinished, "of elsewhere"},
		"incarnations used up":        {record(&storev1.ControllerRecord{Incarnation: core.MaxIncarnation}), nil, "have counted 16777215 starts"},
		"all but one of them":         {record(&storev1.ControllerRecord{Incarnation: core.MaxIncarnation - 1}), nil, "have counted 16777214 starts"},
		"a kind that a newer one has": {records{{Kind: 9, Num: 1}: "?"}.withController(1), nil, "records of kind 9, which a newer Fray has written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := storecopy.From("there", filled(t, c.records))
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) || !strings.HasPrefix(err.Error(), "there") {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	last := filled(t, record(&storev1.ControllerRecord{Incarnation: core.MaxIncarnation - 2}))
	if got := from(t, last).Incarnation(); got != core.MaxIncarnation-2 {
		t.Errorf("incarnation %d", got)
	}
}

var errCut = errors.New("cut")

// cutting is a store whose commit of a number fails, before or after it has an effect, and all after it.
type cutting struct {
	store.Store

	at      int
	applied bool
	commits int
}

func (c *cutting) Commit(b *store.Batch) error {
	c.commits++
	switch {
	case c.commits < c.at, c.at == 0:
		return c.Store.Commit(b)
	case c.commits == c.at && c.applied:
		return errors.Join(errCut, c.Store.Commit(b))
	default:
		return errCut
	}
}

// However far a copy had come when it was interrupted: no controller starts on it, and to copy again,
// also of another source, makes a whole one.
func TestCopyIsInterruptedAtEachCommit(t *testing.T) {
	t.Parallel()
	first, second := some(), records{{Kind: store.Result, Num: 1}: "other"}.withController(3)
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := &cutting{Store: engines[name](t)}
			defer all.Close()
			copied(t, filled(t, first), all)
			if all.commits < 6 {
				t.Fatalf("there are only %d commits to interrupt", all.commits)
			}
			for at := range all.commits {
				for _, applied := range []bool{false, true} {
					t.Run(fmt.Sprintf("commit %d, applied %v", at+1, applied), func(t *testing.T) {
						t.Parallel()
						to := engines[name](t)
						defer to.Close()
						_, err := from(t, filled(t, first)).To(t.Context(), &cutting{Store: to, at: at + 1, applied: applied}, nil)
						if !errors.Is(err, errCut) || !strings.Contains(err.Error(), "the same again begins anew") {
							t.Fatalf("copy: %v", err)
						}
						switch {
						case at == 0 && !applied:
							wantRecords(t, to, records{})
						case at == all.commits-1 && applied:
							wantRecords(t, to, first)
							if err := runOn(t, to); err != nil {
								t.Errorf("a controller on a whole copy: %v", err)
							}
							return
						default:
							wantUnfinished(t, to)
						}
						again := second
						if at%2 == 0 {
							again = first
						}
						copied(t, filled(t, again), to)
						wantRecords(t, to, again)
						if err := runOn(t, to); err != nil {
							t.Errorf("a controller on a whole copy: %v", err)
						}
					})
				}
			}
		})
	}
}

// A Fray that does not know the mark does not start on it either.
func TestMarkKeepsOlderControllersOut(t *testing.T) {
	t.Parallel()
	to := newLasting()
	if _, err := from(t, filled(t, some())).To(t.Context(), &cutting{Store: to, at: 2}, nil); err == nil {
		t.Fatal("it was not cut")
	}
	value, err := to.Get(store.ControllerKey)
	if err != nil {
		t.Fatal(err)
	}
	var mark storev1.ControllerRecord
	if err := proto.Unmarshal(value, &mark); err != nil {
		t.Fatal(err)
	}
	mark.UnfinishedCopyOf = "" // What it does not see.
	if value, err = proto.Marshal(&mark); err != nil {
		t.Fatal(err)
	}
	records{store.ControllerKey: string(value)}.fill(t, to)
	if err := runOn(t, to); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "starts") {
		t.Errorf("it starts: %v", err)
	}
}

// changing is a store that does not keep what it is given: it changes one record, or loses it, or adds
// another.
type changing struct {
	store.Store

	key   store.Key
	value []byte // nil: it is lost
}

func (c *changing) Commit(b *store.Batch) error {
	var changed store.Batch
	for _, op := range b.Ops() {
		switch {
		case op.Key != c.key || strings.Contains(string(op.Value), "there"): // Not the mark, which names that.
			changed.Set(op.Key, op.Value)
		case c.value != nil:
			changed.Set(op.Key, c.value)
		}
	}
	return c.Store.Commit(&changed)
}

// A copy that differs from what it was made of is found out, and stays unfinished.
func TestCopyThatDiffers(t *testing.T) {
	t.Parallel()
	piece := store.Key{Kind: store.Piece, Num: 1}
	for name, c := range map[string]*changing{
		"a record is lost":               {key: piece},
		"a record is shorter":            {key: piece, value: []byte("short")},
		"a record has other bytes":       {key: piece, value: make([]byte, large)},
		"the controller's is another":    {key: store.ControllerKey, value: []byte(records{}.withController(8)[store.ControllerKey])},
		"the controller's is not stored": {key: store.ControllerKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.Store = newLasting()
			if _, err := from(t, filled(t, some())).To(t.Context(), c, nil); !errors.Is(err, storecopy.ErrDiffers) {
				t.Errorf("copy: %v", err)
			}
			wantUnfinished(t, c)
		})
	}
}

// full is a store with room for a mark, which waits for more.
type full struct {
	store.Store

	waits, given chan struct{}
}

func (f *full) Commit(b *store.Batch) error {
	if len(b.Ops()) == 1 {
		return f.Store.Commit(b)
	}
	close(f.waits)
	<-f.given
	return store.ErrFailed
}

func (f *full) Abandon() { close(f.given) }

// Who interrupts a copy that waits for room is not kept waiting.
func TestCopyThatWaitsForRoomIsInterrupted(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	to := &full{newLasting(), make(chan struct{}), make(chan struct{})}
	go func() { <-to.waits; cancel(enough) }()
	if _, err := from(t, filled(t, some())).To(ctx, to, nil); !errors.Is(err, enough) {
		t.Errorf("copy: %v", err)
	}
	wantUnfinished(t, to)
}

// A record that cannot be read ends the copy.
func TestSourceThatCannotBeRead(t *testing.T) {
	t.Parallel()
	source := &unreadable{filled(t, some()), false}
	s := from(t, source)
	source.broken = true
	to := newLasting()
	if _, err := s.To(t.Context(), to, nil); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("copy: %v", err)
	}
	wantUnfinished(t, to)
}

type unreadable struct {
	store.Store

	broken bool
}

func (u *unreadable) Scan(kind store.RecordKind, from uint64, f func(uint64, []byte) error) error {
	if err := u.Store.Scan(kind, from, f); err != nil || kind != store.Object || !u.broken {
		return err
	}
	return store.ErrCorrupt
}

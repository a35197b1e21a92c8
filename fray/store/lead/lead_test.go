package lead_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
	"github.com/frayrpc/fray/fray/store/storetest"
)

const firstEpoch = 41

func TestMemory(t *testing.T) {
	t.Parallel()
	leadtest.Run(t, func(*testing.T) (a, b lead.Database) {
		m := leadtest.NewMemory(firstEpoch)
		return m.Client(), m.Client()
	})
}

func TestTermIsAStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return stand(t, leadtest.NewMemory(firstEpoch).Client(), "a")
	})
}

// reopened is a database that is led again and again.
type reopened struct {
	m     *leadtest.Memory
	terms int
}

func (r *reopened) Open(t *testing.T) store.Store {
	t.Helper()
	r.terms++
	return &leaving{stand(t, r.m.Client(), fmt.Sprint(r.terms))}
}

func (*reopened) Crash(*testing.T, *rand.Rand) storetest.Medium { return nil }

// leaving is a term that is left when it is closed.
type leaving struct{ *lead.Term }

func (l *leaving) Close() error { return l.Leave() }

func TestTermOutlivesItself(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(*testing.T) storetest.Medium { return &reopened{m: leadtest.NewMemory(firstEpoch)} })
}

func stand(t *testing.T, d lead.Database, id string) *lead.Term {
	t.Helper()
	term, err := lead.Stand(t.Context(), lead.Config{Database: d, Holder: lead.Holder{ID: id, Address: "http://" + id}})
	if err != nil {
		t.Fatal(err)
	}
	return term
}

// follow stands by, and tells of its term.
func follow(ctx context.Context, d lead.Database, id string) <-chan *lead.Term {
	led := make(chan *lead.Term, 1)
	go func() {
		term, _ := lead.Stand(ctx, lead.Config{Database: d, Holder: lead.Holder{ID: id}})
		led <- term
	}()
	return led
}

func batch(num uint64, value string) *store.Batch {
	b := &store.Batch{}
	b.Set(store.Key{Kind: store.Spec, Num: num}, []byte(value))
	return b
}

func wantRecord(t *testing.T, s *lead.Term, num uint64, want string) {
	t.Helper()
	v, err := s.Get(store.Key{Kind: store.Spec, Num: num})
	if want == "" && errors.Is(err, store.ErrNotFound) {
		return
	}
	if err != nil || string(v) != want {
		t.Errorf("record %d is %q, %v; want %q", num, v, err, want)
	}
}

const patience = lead.DefaultPatience * lead.DefaultBeat

// A leader that is alive is not followed, however long it has nothing to do; one that is gone is, in
// the time that patience takes.
func TestStandbyFollowsWhoIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		first := stand(t, m.Client(), "a")
		led := follow(t.Context(), m.Client(), "b")
		time.Sleep(time.Hour)
		select {
		case <-led:
			t.Fatal("a leader that is alive was replaced")
		default:
		}
		gone := time.Now()
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		second := <-led
		defer func() { _ = second.Close() }()
		if took := time.Since(gone); took > patience+2*lead.DefaultBeat || took < patience-2*lead.DefaultBeat {
			t.Errorf("followed after %v", took)
		}
		if first.Epoch() != firstEpoch+1 || second.Epoch() != firstEpoch+2 {
			t.Errorf("epochs %d and %d", first.Epoch(), second.Epoch())
		}
	})
}

func TestWhoLeavesIsFollowedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		first := stand(t, m.Client(), "a")
		led := follow(t.Context(), m.Client(), "b")
		synctest.Wait()
		left := time.Now()
		if err := first.Leave(); err != nil {
			t.Fatal(err)
		}
		second := <-led
		if took := time.Since(left); took > 0 {
			t.Errorf("followed after %v", took)
		}
		if err := second.Leave(); err != nil {
			t.Error(err)
		}
		if err := second.Close(); !errors.Is(err, store.ErrClosed) {
			t.Errorf("closed again: %v", err)
		}
	})
}

// standAgain stands by after an epoch in which it was asked to step down, and tells of its term.
func standAgain(ctx context.Context, d lead.Database, epoch uint64) <-chan *lead.Term {
	led := make(chan *lead.Term, 1)
	go func() {
		term, _ := lead.Stand(ctx, lead.Config{Database: d, Holder: lead.Holder{ID: "a.2"}, SteppedDown: epoch})
		led <- term
	}()
	return led
}

// Who was asked to step down takes the seat again only after others had as many looks as patience has,
// on top of those that a seat takes that could not be left.
func TestWhoStepsDownLeavesTheSeatToOthers(t *testing.T) {
	t.Parallel()
	const nobody = -1
	for name, c := range map[string]struct {
		held  bool          // It could not leave the seat.
		other time.Duration // After which another comes.
		want  time.Duration // After which the seat is taken.
	}{
		"alone":                          {other: nobody, want: patience},
		"another stands by":              {want: 0},
		"another comes":                  {other: patience - lead.DefaultBeat, want: patience - lead.DefaultBeat},
		"alone, with a seat not left":    {held: true, other: nobody, want: 2 * patience},
		"another, with one that is held": {held: true, want: patience},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := leadtest.NewMemory(firstEpoch)
				first := stand(t, m.Client(), "a")
				leave := first.Leave
				if c.held {
					leave = first.Close
				}
				if err := leave(); err != nil {
					t.Fatal(err)
				}
				left := time.Now()
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				again := standAgain(ctx, m.Client(), first.Epoch())
				next := again
				if c.other != nobody {
					synctest.Wait() // The first has looked.
					time.Sleep(c.other)
					next = follow(ctx, m.Client(), "b")
				}
				var second *lead.Term
				select {
				case second = <-next:
				case <-time.After(time.Minute):
					t.Error("the first has taken the seat from the other")
					_ = (<-again).Close()
					return
				}
				if took := time.Since(left); took != c.want {
					t.Errorf("followed after %v, want %v", took, c.want)
				}
				time.Sleep(time.Minute)
				if seat := m.Seat(); seat.Epoch != second.Epoch() || seat.Vacant {
					t.Errorf("epoch %d leads, and later the seat is %+v", second.Epoch(), seat)
				}
				stop()
				if err := second.Close(); err != nil {
					t.Error(err)
				}
				if c.other != nobody && <-again != nil {
					t.Error("the first has the seat of another")
				}
			})
		})
	}
}

// Once another has led, who has stepped down before follows like all others.
func TestWhoSteppedDownFollowsTheNextAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		first := stand(t, m.Client(), "a")
		if err := first.Leave(); err != nil {
			t.Fatal(err)
		}
		second := stand(t, m.Client(), "b")
		again := standAgain(t.Context(), m.Client(), first.Epoch())
		time.Sleep(time.Minute)
		left := time.Now()
		if err := second.Leave(); err != nil {
			t.Fatal(err)
		}
		third := <-again
		if took := time.Since(left); took > 0 || third.Epoch() != firstEpoch+3 {
			t.Errorf("followed after %v, in epoch %d", took, third.Epoch())
		}
		_ = third.Close()
	})
}

// How long others have is counted in looks that told something.
func TestWhoSteppedDownCountsLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		first := stand(t, m.Client(), "a")
		if err := first.Leave(); err != nil {
			t.Fatal(err)
		}
		d := m.Client()
		looks, told := 0, 0
		d.Before = func(_ context.Context, call leadtest.Call) error {
			if call == leadtest.Look {
				if looks++; looks%2 == 0 {
					time.Sleep(patience)
					return leadtest.ErrCut
				}
				told++
			}
			return nil
		}
		again := <-standAgain(t.Context(), d, first.Epoch())
		if told != lead.DefaultPatience+1 {
			t.Errorf("it was told of the seat %d times", told)
		}
		_ = again.Close()
	})
}

// A leader that was asleep while another was elected changes nothing when it wakes up, and says that
// what it was about is unknown.
func TestZombieChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		var asleep atomic.Bool
		d := m.Client()
		d.Before = func(ctx context.Context, call leadtest.Call) error {
			if asleep.Load() && call == leadtest.Beat {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		first := stand(t, d, "a")
		if err := first.Commit(batch(1, "first")); err != nil {
			t.Fatal(err)
		}
		asleep.Store(true)
		second := <-follow(t.Context(), m.Client(), "b")
		if err := second.Commit(batch(1, "second")); err != nil {
			t.Fatal(err)
		}
		if err := first.Prove(); !errors.Is(err, lead.ErrLost) || !errors.Is(err, store.ErrFailed) {
			t.Errorf("the first proves that it leads: %v", err)
		}
		<-first.Failed()
		if err := first.Commit(batch(1, "zombie")); !errors.Is(err, lead.ErrLost) {
			t.Errorf("the first commits: %v", err)
		}
		if _, err := first.Get(store.Key{Kind: store.Spec, Num: 1}); !errors.Is(err, lead.ErrLost) {
			t.Errorf("the first reads: %v", err)
		}
		wantRecord(t, second, 1, "second")
		if err := first.Leave(); !errors.Is(err, lead.ErrLost) {
			t.Errorf("the first leaves: %v", err)
		}
		if m.Seat().Vacant {
			t.Error("who was replaced has left the seat of another")
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What became of a commit whose connection was cut is found out, whatever it is.
func TestUnknownCommitsAreSettled(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		for _, lazy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, lazy %v", when, lazy), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					m := leadtest.NewMemory(firstEpoch)
					cuts, settles := 0, 0
					cut := func(_ context.Context, call leadtest.Call) error {
						if call == leadtest.Commit {
							if cuts++; cuts%3 != 0 { // The try after may be cut as well.
								return leadtest.ErrCut
							}
						}
						if call == leadtest.Settle {
							if settles++; settles%2 == 0 { // And so may the question.
								return leadtest.ErrCut
							}
						}
						return nil
					}
					d := m.Client()
					if when == "before" {
						d.Before = cut
					} else {
						d.After = cut
					}
					term := stand(t, d, "a")
					const commits = 10
					for n := range uint64(commits) {
						b := batch(n, "v")
						b.Lazy = lazy
						if err := term.Commit(b); err != nil {
							t.Fatal(err)
						}
						wantRecord(t, term, n, "v")
					}
					if got := m.Seat().Commits; got != commits {
						t.Errorf("%d commits are counted, and %d were made", got, commits)
					}
					if err := term.Close(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// A commit whose outcome is unknown while another takes the lead stays unknown: it is neither told as
// done nor made again.
func TestUnknownStaysUnknown(t *testing.T) {
	t.Parallel()
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprint("applied ", applied), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := leadtest.NewMemory(firstEpoch)
				d := m.Client()
				replace := func(_ context.Context, call leadtest.Call) error {
					if call != leadtest.Commit {
						return nil
					}
					if err := m.Client().Take(t.Context(), m.Seat(), lead.Holder{ID: "b"}); err != nil {
						t.Error(err)
					}
					return leadtest.ErrCut
				}
				if applied {
					d.After = replace
				} else {
					d.Before = replace
				}
				term := stand(t, d, "a")
				if err := term.Commit(batch(1, "v")); !errors.Is(err, lead.ErrLost) {
					t.Errorf("commit: %v", err)
				}
				if got := m.Seat().Commits == 1; got != applied {
					t.Errorf("applied: %v", got)
				}
				if err := term.Close(); !errors.Is(err, lead.ErrLost) {
					t.Errorf("close: %v", err)
				}
			})
		})
	}
}

// A try to take the seat whose connection was cut is found out, too.
func TestUnknownTakesAreSettled(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := leadtest.NewMemory(firstEpoch)
				left := 3
				cut := func(_ context.Context, call leadtest.Call) error {
					if left > 0 && (call == leadtest.Take || call == leadtest.Settle || call == leadtest.Look) {
						left--
						return leadtest.ErrCut
					}
					return nil
				}
				d := m.Client()
				if when == "before" {
					d.Before = cut
				} else {
					d.After = cut
				}
				term := stand(t, d, "a")
				if term.Epoch() != firstEpoch+1 {
					t.Errorf("epoch %d: it took its own seat", term.Epoch())
				}
				if err := term.Commit(batch(1, "v")); err != nil {
					t.Error(err)
				}
				_ = term.Close()
			})
		})
	}
}

// A database that has lost what it acknowledged, as one does that was put back, is no ground to go on.
func TestDatabaseThatWasPutBackIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		d := m.Client()
		term := stand(t, d, "a")
		for n := range uint64(3) {
			if err := term.Commit(batch(n, "v")); err != nil {
				t.Fatal(err)
			}
		}
		m.PutBack(1)
		err := term.Commit(batch(4, "v"))
		if !errors.Is(err, store.ErrFailed) || errors.Is(err, lead.ErrLost) || !strings.Contains(err.Error(), "up to 3 that it has acknowledged the database has those up to 1") {
			t.Errorf("commit: %v", err)
		}
		_ = term.Close()
	})
}

// Who reads until it has enough is told so, also when the lead is lost meanwhile.
func TestScanReturnsTheErrorOfItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		d := m.Client()
		term := stand(t, d, "a")
		if err := term.Commit(batch(1, "v")); err != nil {
			t.Fatal(err)
		}
		enough := errors.New("enough")
		err := term.Scan(store.Spec, 0, func(uint64, []byte) error {
			if err := d.Leave(t.Context(), term.Epoch()); err != nil {
				t.Error(err)
			}
			<-term.Failed()
			return enough
		})
		if !errors.Is(err, enough) {
			t.Errorf("got %v", err)
		}
		_ = term.Close()
	})
}

// What nobody waited for may go with a database that was replaced. The leader knows more then than there is, and begins
// anew.
func TestLostLazyCommitsEndTheTerm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		term := stand(t, m.Client(), "a")
		for n := range uint64(3) {
			b := batch(n, "v")
			b.Lazy = n > 0
			if err := term.Commit(b); err != nil {
				t.Fatal(err)
			}
		}
		m.PutBack(1)
		if err := term.Commit(batch(4, "v")); !errors.Is(err, lead.ErrLost) || !strings.Contains(err.Error(), "the commits from 2 to 3") {
			t.Errorf("commit: %v", err)
		}
		_ = term.Close()
	})
}

// A leader in the midst of a long commit is not replaced by who sees it stand still.
func TestLongCommitIsAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		var hold atomic.Bool // The seat is the commit's while it is made.
		var slow atomic.Bool
		slow.Store(true)
		d, other := m.Client(), m.Client()
		d.Before = func(ctx context.Context, call leadtest.Call) error {
			switch {
			case call == leadtest.Commit && slow.Load():
				hold.Store(true)
				time.Sleep(2 * patience)
			case call == leadtest.Beat && hold.Load():
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		d.After = func(_ context.Context, call leadtest.Call) error {
			if call == leadtest.Commit {
				hold.Store(false)
			}
			return nil
		}
		other.Before = func(_ context.Context, call leadtest.Call) error {
			for call == leadtest.Take && hold.Load() {
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		term := stand(t, d, "a")
		ctx, cancel := context.WithCancel(t.Context())
		led := follow(ctx, other, "b")
		if err := term.Commit(batch(1, "v")); err != nil {
			t.Errorf("a commit that takes long: %v", err)
		}
		slow.Store(false)
		if err := term.Commit(batch(2, "v")); err != nil {
			t.Errorf("the next: %v", err)
		}
		cancel()
		if second := <-led; second != nil {
			t.Error("it was replaced")
		}
		_ = term.Close()
	})
}

// Who stands by counts what it sees, not how long it took: that an answer was long in coming, or that
// the database was away, is nothing against the leader.
func TestPatienceCountsLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		d := m.Client()
		looks, changed := 0, 0
		d.Before = func(_ context.Context, call leadtest.Call) error {
			switch call {
			case leadtest.Look:
				if looks++; looks < 2*lead.DefaultPatience {
					time.Sleep(time.Duration(looks) * time.Second)
					return leadtest.ErrCut
				}
				changed++
			case leadtest.Await:
				return leadtest.ErrCut
			}
			return nil
		}
		if err := m.Client().Take(t.Context(), m.Seat(), lead.Holder{ID: "a"}); err != nil {
			t.Fatal(err)
		}
		term := stand(t, d, "b")
		if changed != lead.DefaultPatience+1 {
			t.Errorf("it looked %d times", changed)
		}
		_ = term.Close()
	})
}

// A leader that cannot reach the database gives up, and says why; what it was about is unknown.
func TestLeaderThatIsCutOffGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		var away atomic.Bool
		d := m.Client()
		d.Before = func(ctx context.Context, _ leadtest.Call) error {
			if away.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		term := stand(t, d, "a")
		time.Sleep(time.Minute)
		away.Store(true)
		cut := time.Now()
		if err := term.Commit(batch(1, "v")); !errors.Is(err, lead.ErrLost) || !strings.Contains(err.Error(), "was not heard for") {
			t.Errorf("commit: %v", err)
		}
		<-term.Failed()
		if took := time.Since(cut); took < lead.DefaultGiveUp-lead.DefaultBeat || took > 2*lead.DefaultGiveUp+2*lead.DefaultBeat {
			t.Errorf("it gave up after %v", took)
		}
		_ = term.Close()
	})
}

// One that is away for a moment is waited for.
func TestDatabaseThatComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		var away atomic.Bool
		d := m.Client()
		d.Before = func(context.Context, leadtest.Call) error {
			if away.Load() {
				return leadtest.ErrCut
			}
			return nil
		}
		term := stand(t, d, "a")
		away.Store(true)
		go func() {
			time.Sleep(lead.DefaultGiveUp / 2)
			away.Store(false)
		}()
		if err := term.Commit(batch(1, "v")); err != nil {
			t.Errorf("commit: %v", err)
		}
		wantRecord(t, term, 1, "v")
		if err := term.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestAbandonedCommitIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		full := fmt.Errorf("%w: no room", store.ErrFull)
		d := m.Client()
		d.Before = func(_ context.Context, call leadtest.Call) error {
			if call == leadtest.Commit {
				return full
			}
			return nil
		}
		term := stand(t, d, "a")
		ended := make(chan error, 1)
		go func() { ended <- term.Commit(batch(1, "v")) }()
		time.Sleep(time.Hour)
		if err := term.Room(); !errors.Is(err, store.ErrFull) {
			t.Errorf("there is room: %v", err)
		}
		term.Abandon()
		if err := <-ended; !errors.Is(err, store.ErrFailed) {
			t.Errorf("commit: %v", err)
		}
		if err := term.Room(); err != nil {
			t.Errorf("room: %v", err)
		}
		_ = term.Close()
	})
}

// Proofs that are asked for while a commit is made share the next.
func TestProofsShareCommits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		d := m.Client()
		d.Before = func(_ context.Context, call leadtest.Call) error {
			if call == leadtest.Commit {
				time.Sleep(time.Millisecond)
			}
			return nil
		}
		term := stand(t, d, "a")
		const callers = 100
		proved := make(chan error, callers)
		for range callers {
			go func() { proved <- term.Prove() }()
		}
		for range callers {
			if err := <-proved; err != nil {
				t.Error(err)
			}
		}
		if n := m.Seat().Commits; n < 1 || n > 2 {
			t.Errorf("%d commits prove it to %d callers", n, callers)
		}
		// One that began before the question is no proof.
		ended := make(chan error, 1)
		go func() { ended <- term.Commit(batch(1, "v")) }()
		synctest.Wait()
		before := m.Seat().Commits
		if err := term.Prove(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil || m.Seat().Commits != before+2 {
			t.Errorf("%v, and %d commits after %d", err, m.Seat().Commits, before)
		}
		_ = term.Close()
	})
}

func TestStandEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		term := stand(t, m.Client(), "a")
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { time.Sleep(time.Minute); cancel(enough) }()
		if _, err := lead.Stand(ctx, lead.Config{Database: m.Client(), Holder: lead.Holder{ID: "b"}}); !errors.Is(err, enough) {
			t.Errorf("got %v", err)
		}
		_ = term.Close()
	})
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	d := leadtest.NewMemory(0).Client()
	for want, c := range map[string]lead.Config{
		"Database is required":  {Holder: lead.Holder{ID: "a"}},
		"Holder.ID is required": {Database: d},
		"must not be negative":  {Database: d, Holder: lead.Holder{ID: "a"}, Beat: -1},
	} {
		if _, err := lead.Stand(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

package lead_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/fray/store/lead/leadtest"
)

func claim(ctx context.Context, d lead.Database, on lead.Terms) (*lead.Term, error) {
	return lead.Claim(ctx, lead.Config{Database: d, Holder: lead.Holder{ID: "copy"}}, on)
}

// wantHeld checks that a claim was refused because another has the seat.
func wantHeld(t *testing.T, term *lead.Term, err error, lives bool, holder string) {
	t.Helper()
	var held *lead.HeldError
	if term != nil || !errors.As(err, &held) || held.Lives != lives || held.Seat.Holder.ID != holder {
		t.Errorf("%v, %v; want an error of %q, who lives: %v", term, err, holder, lives)
	}
}

func anyone(lead.Holder) bool { return true }

func TestClaimASeatThatWasLeft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ after, want uint64 }{
		"the next epoch":                      {0, firstEpoch + 1},
		"the next is beyond what it is after": {firstEpoch - 1, firstEpoch + 1},
		"the next is after it":                {firstEpoch, firstEpoch + 1},
		"epochs go on from what it is after":  {firstEpoch + 1000, firstEpoch + 1001},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := leadtest.NewMemory(firstEpoch)
				began := time.Now()
				term, err := claim(t.Context(), m.Client(), lead.Terms{After: c.after})
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < patience {
					t.Errorf("it was watched for %v", took)
				}
				if term.Epoch() != c.want {
					t.Errorf("epoch %d, want %d", term.Epoch(), c.want)
				}
				if err := term.Commit(batch(1, "v")); err != nil {
					t.Error(err)
				}
				if err := term.Leave(); err != nil {
					t.Error(err)
				}
				next := stand(t, m.Client(), "a")
				if next.Epoch() != c.want+1 {
					t.Errorf("epoch %d follows %d", next.Epoch(), c.want)
				}
				_ = next.Close()
			})
		})
	}
}

func TestClaimASeatThatIsHeld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		gone  func(lead.Holder) bool
		lives bool
		takes time.Duration
	}{
		"nobody is believed to be gone": {nil, false, 0},
		"another is":                    {func(h lead.Holder) bool { return h.ID == "b" }, false, 0},
		"the one that lives is":         {anyone, true, 2 * lead.DefaultBeat},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := leadtest.NewMemory(firstEpoch)
				leads := stand(t, m.Client(), "a")
				began := time.Now()
				term, err := claim(t.Context(), m.Client(), lead.Terms{Gone: c.gone})
				wantHeld(t, term, err, c.lives, "a")
				if took := time.Since(began); took > c.takes {
					t.Errorf("it took %v", took)
				}
				if err := leads.Commit(batch(1, "v")); err != nil {
					t.Errorf("who leads is disturbed: %v", err)
				}
				_ = leads.Close()
			})
		})
	}
}

// Who stands by for a seat that was left takes it while it is watched.
func TestClaimWhileAnotherStandsBy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		led := make(chan *lead.Term, 1)
		go func() {
			time.Sleep(patience / 2)
			led <- <-follow(t.Context(), m.Client(), "a")
		}()
		term, err := claim(t.Context(), m.Client(), lead.Terms{})
		wantHeld(t, term, err, true, "a")
		_ = (<-led).Close()
	})
}

// A leader that is gone is replaced, and what it sends later changes nothing.
func TestClaimASeatWhoseHolderIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		gone := stand(t, m.Client(), "a")
		if err := gone.Commit(batch(1, "v")); err != nil {
			t.Fatal(err)
		}
		epoch := gone.Epoch()
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		term, err := claim(t.Context(), m.Client(), lead.Terms{Gone: anyone, After: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Client().Commit(t.Context(), epoch, 2, batch(1, "late")); !errors.Is(err, lead.ErrReplaced) {
			t.Errorf("a commit of who is gone: %v", err)
		}
		wantRecord(t, term, 1, "v")
		if term.Epoch() != 1001 {
			t.Errorf("epoch %d", term.Epoch())
		}
		_ = term.Close()
	})
}

// Another is faster: as the epoch is raised, or as the seat is taken.
func TestClaimIsLost(t *testing.T) {
	t.Parallel()
	for _, at := range []leadtest.Call{leadtest.Raise, leadtest.Take} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := leadtest.NewMemory(firstEpoch)
				d := m.Client()
				d.Before = func(_ context.Context, call leadtest.Call) error {
					if call != at {
						return nil
					}
					return m.Client().Take(t.Context(), m.Seat(), lead.Holder{ID: "a"})
				}
				term, err := claim(t.Context(), d, lead.Terms{After: 1000})
				var held *lead.HeldError
				if term != nil || !errors.As(err, &held) || !held.Lives {
					t.Errorf("%v, %v", term, err)
				}
				if holder := m.Seat().Holder.ID; holder != "a" {
					t.Errorf("%q has the seat", holder)
				}
			})
		})
	}
}

// A database that is away is not waited for.
func TestClaimOfADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	for _, at := range []leadtest.Call{leadtest.Look, leadtest.Raise, leadtest.Settle} {
		t.Run(string(at), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := leadtest.NewMemory(firstEpoch).Client()
				d.Before = func(_ context.Context, call leadtest.Call) error {
					if call == at {
						return leadtest.ErrCut
					}
					return nil
				}
				if term, err := claim(t.Context(), d, lead.Terms{After: 1000}); term != nil || !errors.Is(err, leadtest.ErrCut) {
					t.Errorf("%v, %v", term, err)
				}
			})
		})
	}
}

// plain is a database whose epochs cannot be raised.
type plain struct{ lead.Database }

func TestClaimAfterWhatCannotBeRaised(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := leadtest.NewMemory(firstEpoch)
		if term, err := claim(t.Context(), plain{m.Client()}, lead.Terms{After: 1000}); err == nil {
			t.Errorf("it leads in epoch %d", term.Epoch())
		}
		term, err := claim(t.Context(), plain{m.Client()}, lead.Terms{After: firstEpoch})
		if err != nil {
			t.Fatal(err)
		}
		_ = term.Close()
	})
}

func TestClaimEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(patience/2, func() { cancel(enough) })
		if term, err := claim(ctx, leadtest.NewMemory(firstEpoch).Client(), lead.Terms{}); term != nil || !errors.Is(err, enough) {
			t.Errorf("%v, %v", term, err)
		}
	})
}

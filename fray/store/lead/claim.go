package lead

import (
	"context"
	"errors"
	"fmt"

	"github.com/frayrpc/fray/internal/sleep"
)

// Raiser is a Database of which it can be said where its epochs go on.
type Raiser interface {
	// Raise has the last epoch be this one, which must be greater, if the seat still is as it was seen,
	// or returns ErrReplaced.
	Raise(ctx context.Context, seen Seat, epoch uint64) error
}

// Terms are on what a seat is claimed.
type Terms struct {
	// Gone says of the holder of a seat that was not left whether it may be taken for gone, if it is not
	// seen to live either. That it is not does not show that it will not: a process that was stopped
	// goes on, and stands by for the seat. Nil: none may.
	Gone func(Holder) bool
	// After, if not 0, is what the epoch of the term must come after. It needs a Raiser.
	After uint64
}

// HeldError says who has a seat that was claimed.
type HeldError struct {
	Seat  Seat
	Lives bool // It was seen to.
}

// Error says who has it.
func (e *HeldError) Error() string {
	who := "its last leader"
	if e.Seat.Holder.Address != "" {
		who += ", at " + e.Seat.Holder.Address + ","
	}
	if e.Lives {
		return "a controller leads there, or is about to: " + who + " is seen to live"
	}
	return who + " has not left, whether it lives or not"
}

// Claim takes the seat for who is no controller, and wants nobody to lead meanwhile, such as a copy of
// the records. Unlike Stand it waits neither for others to go, but returns a *HeldError, nor for a
// database that is away. Also a seat that was left is watched for as long as it takes to miss a
// leader: who stands by takes it within that time.
func Claim(ctx context.Context, cfg Config, on Terms) (*Term, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	w := &watch{cfg: cfg.withDefaults()}
	first, err := w.find(ctx)
	if err != nil {
		return nil, err
	}
	if !first.Vacant && (on.Gone == nil || !on.Gone(first.Holder)) {
		return nil, &HeldError{Seat: *first}
	}
	for w.idle < w.cfg.Patience {
		if err := sleep.For(ctx, w.cfg.Beat); err != nil {
			return nil, err
		}
		seat, err := w.find(ctx)
		if err != nil {
			return nil, err
		}
		if *seat != *first {
			return nil, &HeldError{Seat: *seat, Lives: true}
		}
	}
	seat := *first
	if seat.Epoch < on.After {
		if err := w.raise(ctx, seat, on.After); err != nil {
			return nil, err
		}
		seat.Epoch = on.After
	}
	taken, err := w.take(ctx, &seat)
	switch {
	case err != nil:
		return nil, fmt.Errorf("take the lead: %w", err)
	case taken == nil:
		return nil, &HeldError{Seat: seat, Lives: true}
	}
	return newTerm(w.cfg, *taken), nil
}

// find is look, of a database that is not waited for.
func (w *watch) find(ctx context.Context) (*Seat, error) {
	seat, err := w.look(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, fmt.Errorf("look who leads: %w", err)
	}
	return seat, nil
}

// raise has the epochs go on after one.
func (w *watch) raise(ctx context.Context, seen Seat, epoch uint64) error {
	r, ok := w.cfg.Database.(Raiser)
	if !ok {
		return fmt.Errorf("lead: epochs of this database go on from %d, and have to from %d", seen.Epoch, epoch)
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.GiveUp)
	defer cancel()
	err := r.Raise(ctx, seen, epoch)
	if errors.Is(err, ErrReplaced) {
		return &HeldError{Seat: seen, Lives: true}
	}
	if err != nil {
		return fmt.Errorf("raise the epoch: %w", err)
	}
	return nil
}

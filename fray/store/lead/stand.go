package lead

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/frayrpc/fray/internal/sleep"
)

const (
	// DefaultBeat is how often a leader says that it is there, and is looked for.
	DefaultBeat = 500 * time.Millisecond
	// DefaultPatience is how many looks that find nothing changed make a leader that is gone.
	DefaultPatience = 6
	// DefaultGiveUp is how long a leader that the database does not answer goes on hoping.
	DefaultGiveUp = 10 * time.Second
	// DefaultRecentBytes is how much of what it has committed a leader keeps in memory.
	DefaultRecentBytes = 64 << 20
)

// Config is how to lead. The zero value of each field but the first two is its default.
type Config struct {
	Database Database
	Holder   Holder
	// Beat is how often a leader says that it is there, and how often who stands by looks. All
	// controllers of a cluster should have the same. Default: DefaultBeat.
	Beat time.Duration
	// Patience is how many looks in a row must find nothing changed before the seat is taken. Default:
	// DefaultPatience.
	Patience int
	// GiveUp is how long a leader may hear nothing of the database before it leads no more: it could
	// not know whether another does. It also bounds each question and each commit without its values.
	// Default: DefaultGiveUp.
	GiveUp time.Duration
	// RecentBytes bounds how much of the tasks and results that it committed last a leader keeps in
	// memory, to read them without the database. Default: DefaultRecentBytes.
	RecentBytes int
	// SteppedDown is the epoch in which this controller led, and which it has ended for another to lead.
	// Until a later one begins, it looks Patience times more before it takes the seat. Default: none.
	SteppedDown uint64
	// Seen, if not nil, is called with the seat each time it was looked at, by one goroutine at a time.
	Seen func(Seat)
	// Metrics count what is done with the database. Default: nothing does.
	Metrics *Metrics
	// Logger is told who leads, and why. Default: nobody is.
	Logger *slog.Logger
}

// Validate returns what is wrong with c.
func (c *Config) Validate() error {
	switch {
	case c.Database == nil:
		return errors.New("lead: Database is required")
	case c.Holder.ID == "":
		return errors.New("lead: Holder.ID is required")
	case c.Beat < 0 || c.Patience < 0 || c.GiveUp < 0 || c.RecentBytes < 0:
		return fmt.Errorf("lead: Beat %v, Patience %d, GiveUp %v and RecentBytes %d must not be negative", c.Beat, c.Patience, c.GiveUp, c.RecentBytes)
	}
	return nil
}

func (c *Config) withDefaults() Config {
	d := *c
	d.Beat = cmp.Or(d.Beat, DefaultBeat)
	d.Patience = cmp.Or(d.Patience, DefaultPatience)
	d.GiveUp = cmp.Or(d.GiveUp, DefaultGiveUp)
	d.RecentBytes = cmp.Or(d.RecentBytes, DefaultRecentBytes)
	d.Logger = cmp.Or(d.Logger, slog.New(slog.DiscardHandler))
	if d.Seen == nil {
		d.Seen = func(Seat) {}
	}
	return d
}

// Stand waits until this controller leads, and returns its term. It stands by while another leads,
// and while the database is away. It returns the cause of ctx when that is done first.
func Stand(ctx context.Context, cfg Config) (*Term, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	w := &watch{cfg: cfg.withDefaults()}
	for {
		seat, err := w.look(ctx)
		if err == nil {
			if seat, err = w.take(ctx, seat); err == nil && seat != nil {
				return newTerm(w.cfg, *seat), nil
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		w.note(err)
		w.pause(ctx)
	}
}

// watch is what a controller that stands by has seen.
type watch struct {
	cfg  Config
	last Seat
	// How many looks in a row found the seat as it was, each Beat after the one before, and when the last did.
	idle    int
	counted time.Time
	away    bool
}

// look looks at the seat. An answer that was long in coming counts as well as any: it is what the
// answer says, again and again, that counts.
func (w *watch) look(ctx context.Context) (*Seat, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.GiveUp)
	defer cancel()
	seat, err := w.cfg.Database.Look(ctx)
	w.cfg.Metrics.looked(err)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	switch {
	case seat != w.last:
		w.last, w.idle, w.counted = seat, 0, now
	case now.Sub(w.counted) >= w.cfg.Beat: // It may have been woken before its time.
		w.idle, w.counted = w.idle+1, now
	}
	w.cfg.Seen(seat)
	return &seat, nil
}

// take takes the seat if it is free, and returns it once it is held.
func (w *watch) take(ctx context.Context, seat *Seat) (*Seat, error) {
	if !seat.Vacant && seat.Holder.ID == w.cfg.Holder.ID {
		return w.settled(ctx) // An earlier try has come to its end after all.
	}
	if w.idle < w.patience(seat) {
		return nil, nil //nolint:nilnil // Another has it, or may have it.
	}
	why := "it was left"
	if !seat.Vacant {
		why = "its leader was not seen to live"
	}
	w.cfg.Logger.Info("takes the lead", "epoch", seat.Epoch+1, "from", seat.Holder.Address, "because", why)
	within, cancel := context.WithTimeout(ctx, w.cfg.GiveUp)
	defer cancel()
	err := w.cfg.Database.Take(within, *seat, w.cfg.Holder)
	if errors.Is(err, ErrReplaced) {
		w.idle = 0
		return nil, nil //nolint:nilnil // Another was faster.
	}
	if err != nil {
		w.cfg.Logger.Warn("whether it leads is unknown", "error", err)
	}
	return w.settled(ctx)
}

// patience returns how many looks must have found the seat as it is before it is taken.
func (w *watch) patience(seat *Seat) (looks int) {
	if !seat.Vacant {
		looks += w.cfg.Patience // Its leader may live.
	}
	if w.cfg.SteppedDown != 0 && w.cfg.SteppedDown == seat.Epoch {
		looks += w.cfg.Patience // Another may want it.
	}
	return looks
}

// settled returns the seat if it is held, once that cannot change but by another epoch.
func (w *watch) settled(ctx context.Context) (*Seat, error) {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.GiveUp)
	defer cancel()
	seat, err := w.cfg.Database.Settle(ctx)
	if err != nil || seat.Vacant || seat.Holder.ID != w.cfg.Holder.ID {
		return nil, err
	}
	return &seat, nil
}

// note tells when the database goes and comes.
func (w *watch) note(err error) {
	if away := err != nil; away != w.away {
		w.away = away
		if away {
			w.cfg.Logger.Warn("the database is away", "error", err)
		} else {
			w.cfg.Logger.Info("the database is back")
		}
	}
}

// pause waits for the next look, or until the seat may have been left.
func (w *watch) pause(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, w.cfg.Beat)
	defer cancel()
	if w.cfg.Database.Await(within) != nil {
		_ = sleep.For(within, w.cfg.Beat)
	}
}

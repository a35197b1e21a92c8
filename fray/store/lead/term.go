package lead

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/internal/sleep"
)

const (
	// floorRate is the slowest database, in bytes per second, that limits of time allow for.
	floorRate = 1 << 20
	// minPause and maxPause bound the time between two tries of what the database did not answer.
	minPause = 10 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// ErrLost is why a term ended: another controller leads, or may lead. It wraps store.ErrFailed: what the last commits did
// is unknown to this one.
var ErrLost = fmt.Errorf("%w: the lead is lost", store.ErrFailed)

// Term is the time for which one controller leads: a store.Store whose records are those of the
// database, and whose commits are its epoch's. It ends with the first that is not certain to be, and
// is of no use then: stand again for another. Its methods may be called concurrently, but for Close
// and Leave, of which one must be the last call.
type Term struct {
	cfg    Config
	epoch  uint64
	gate   context.Context //nolint:containedctx // The life of the term: done once it has ended, by Close or by loss.
	end    context.CancelCauseFunc
	quit   context.Context //nolint:containedctx // Done once nothing more is waited for: by Abandon, and with gate.
	giveUp context.CancelFunc
	failed chan struct{} // closed once the lead is lost
	once   sync.Once
	cause  error // set before failed is closed

	turn    chan struct{} // holds one token while a commit is made
	number  uint64        // of the last commit; of the goroutine that has the turn
	durable uint64        // of the last that is known to be durable; likewise
	begun   atomic.Uint64 // commits that were begun
	proven  atomic.Uint64 // the last of them, by that count, that has shown who led
	heard   atomic.Int64  // when the database last answered, since began
	began   time.Time
	recent  *recent               // of what this term has committed
	noRoom  atomic.Pointer[error] // why the commit under way waits for room
	beating sync.WaitGroup
}

var (
	_ store.Store     = (*Term)(nil)
	_ store.Failer    = (*Term)(nil)
	_ store.Abandoner = (*Term)(nil)
	_ store.Roomer    = (*Term)(nil)
	_ store.Led       = (*Term)(nil)
)

func newTerm(cfg Config, seat Seat) *Term {
	t := &Term{
		cfg: cfg, epoch: seat.Epoch, number: seat.Commits, durable: seat.Commits, began: time.Now(),
		failed: make(chan struct{}), turn: make(chan struct{}, 1), recent: newRecent(cfg.RecentBytes),
	}
	t.gate, t.end = context.WithCancelCause(context.Background())
	t.quit, t.giveUp = context.WithCancel(t.gate)
	t.beating.Go(t.beat)
	return t
}

// Epoch implements store.Led.
func (t *Term) Epoch() uint64 { return t.epoch }

// lose ends the term.
func (t *Term) lose(cause error) error {
	t.once.Do(func() {
		t.cause = cause
		close(t.failed)
		t.end(cause)
		t.cfg.Logger.Warn("leads no more", "epoch", t.epoch, "because", cause)
	})
	if t.cause == nil {
		return store.ErrClosed
	}
	return t.cause
}

// Failed implements store.Failer.
func (t *Term) Failed() <-chan struct{} { return t.failed }

// Failure implements store.Failer.
func (t *Term) Failure() error {
	select {
	case <-t.failed:
		return t.cause
	default:
		return nil
	}
}

// over returns why the term has ended, or nil.
func (t *Term) over() error { return context.Cause(t.gate) }

// answered notes that the database was heard.
func (t *Term) answered() {
	t.heard.Store(int64(time.Since(t.began)))
	t.cfg.Metrics.hear()
}

// silent returns for how long it was not.
func (t *Term) silent() time.Duration { return time.Since(t.began) - time.Duration(t.heard.Load()) }

// within returns a context for one question that carries so many bytes.
func (t *Term) within(ctx context.Context, bytes int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, t.cfg.GiveUp+time.Duration(bytes)*(time.Second/floorRate))
}

// beat says that this controller is there, each time in which nothing was committed, and ends the
// term of one that hears nothing for too long.
func (t *Term) beat() {
	before := t.heard.Load()
	for sleep.For(t.gate, t.cfg.Beat) == nil {
		if now := t.heard.Load(); now != before {
			before = now
			continue
		}
		ctx, cancel := t.within(t.gate, 0)
		err := t.cfg.Database.Beat(ctx, t.epoch)
		cancel()
		switch {
		case err == nil:
			t.answered()
			before = t.heard.Load()
		case errors.Is(err, ErrReplaced):
			_ = t.lose(fmt.Errorf("%w: %w", ErrLost, err))
		case t.gate.Err() == nil && t.silent() > t.cfg.GiveUp:
			_ = t.lose(fmt.Errorf("%w: the database was not heard for %v: %w", ErrLost, t.silent().Round(time.Millisecond), err))
		}
	}
}

// Commit implements store.Store. It waits while the database is away, until the term ends.
func (t *Term) Commit(b *store.Batch) error {
	if err := t.over(); err != nil {
		return err
	}
	if len(b.Ops()) == 0 {
		return nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-t.quit.Done():
		return t.abandoned()
	}
	defer func() { <-t.turn }()
	return t.commit(b)
}

// Prove implements store.Led. A commit that is made for others anyway is proof enough.
func (t *Term) Prove() error {
	next := t.begun.Load() + 1
	select {
	case t.turn <- struct{}{}:
	case <-t.quit.Done():
		return t.abandoned()
	}
	defer func() { <-t.turn }()
	if t.proven.Load() >= next {
		return nil
	}
	return t.commit(&store.Batch{})
}

// commit makes one commit. Its caller has the turn.
func (t *Term) commit(b *store.Batch) error {
	begun := t.begun.Add(1)
	size := 0
	for _, op := range b.Ops() {
		size += len(op.Value)
	}
	next, asked, m := t.number+1, time.Now(), t.cfg.Metrics
	defer t.noRoom.Store(nil)
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		ctx, cancel := t.within(t.quit, size)
		err := t.cfg.Database.Commit(ctx, t.epoch, next, b)
		cancel()
		switch {
		case err == nil:
			t.made(next, begun, b)
			m.committed(made, size, time.Since(asked))
			return nil
		case errors.Is(err, ErrReplaced):
			m.tried(replaced)
			return t.lose(fmt.Errorf("%w: %w", ErrLost, err))
		case errors.Is(err, ErrRefused):
			m.tried(refused)
			return fmt.Errorf("commit: %w", err)
		case errors.Is(err, store.ErrFull):
			m.tried(full)
			t.noRoom.Store(&err)
		default:
			t.cfg.Logger.Warn("what became of a commit is unknown", "commit", next, "error", err)
			done, err := t.resolve(next)
			if err != nil {
				m.tried(leftUnknown)
				return err
			}
			if done {
				t.made(next, begun, b)
				m.committed(foundMade, size, time.Since(asked))
				return nil
			}
			m.tried(foundMissing)
		}
		if sleep.For(t.quit, pause) != nil {
			return t.abandoned()
		}
	}
}

// made notes a commit. A lazy one shows nothing: it may be one of a database that has been replaced
// itself. One whose outcome was unknown is durable, see Database.Settle.
func (t *Term) made(number, begun uint64, b *store.Batch) {
	t.answered()
	t.number = number
	t.recent.note(b.Ops())
	if !b.Lazy || t.durable == number {
		t.durable = number
		t.proven.Store(begun)
	}
}

// resolve finds out whether a commit was made whose outcome is unknown.
func (t *Term) resolve(number uint64) (done bool, err error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		ctx, cancel := t.within(t.quit, 0)
		seat, err := t.cfg.Database.Settle(ctx)
		cancel()
		switch {
		case err != nil:
		case seat.Epoch != t.epoch || seat.Vacant || seat.Holder.ID != t.cfg.Holder.ID:
			return false, t.lose(fmt.Errorf("%w: %w", ErrLost, ErrReplaced))
		case seat.Commits == number || seat.Commits == number-1:
			t.answered()
			t.durable = seat.Commits
			return seat.Commits == number, nil
		case seat.Commits >= t.durable && seat.Commits < number:
			return false, t.lose(fmt.Errorf("%w: the commits from %d to %d, for which nobody waited, went with a database that was replaced",
				ErrLost, seat.Commits+1, number-1))
		default:
			return false, t.lose(fmt.Errorf("%w: of the commits up to %d that it has acknowledged the database has those up to %d: "+
				"it was put back to an earlier state, or another controller writes to it as this one", store.ErrFailed, number-1, seat.Commits))
		}
		if sleep.For(t.quit, pause) != nil {
			return false, t.abandoned()
		}
	}
}

// abandoned returns why a commit is waited for no longer. What it did is unknown.
func (t *Term) abandoned() error {
	if err := t.over(); err != nil {
		return err
	}
	return t.lose(fmt.Errorf("%w: a commit was given up while the database was away, or without room", ErrLost))
}

// Get implements store.Store.
func (t *Term) Get(k store.Key) ([]byte, error) {
	if err := t.over(); err != nil {
		return nil, err
	}
	if value, ok := t.recent.get(k); ok {
		return value, nil
	}
	ctx, cancel := t.within(t.gate, 0)
	defer cancel()
	value, err := t.cfg.Database.Get(ctx, k)
	return value, t.readError(err)
}

// Scan implements store.Store.
func (t *Term) Scan(kind store.RecordKind, from uint64, f func(num uint64, value []byte) error) error {
	if err := t.over(); err != nil {
		return err
	}
	var enough error
	err := t.cfg.Database.Scan(t.gate, kind, from, func(num uint64, value []byte) error {
		enough = f(num, value)
		return enough
	})
	if enough != nil {
		return enough
	}
	return t.readError(err)
}

// readError says what became of a read that failed.
func (t *Term) readError(err error) error {
	if err != nil && t.over() != nil {
		return t.over()
	}
	return err
}

// Room implements store.Roomer. There is none while a commit waits for it.
func (t *Term) Room() error {
	if err := t.noRoom.Load(); err != nil {
		return *err
	}
	return nil
}

// Durability implements store.Store.
func (t *Term) Durability() store.Durability { return t.cfg.Database.Durability() }

// Abandon implements store.Abandoner.
func (t *Term) Abandon() { t.giveUp() }

// Close implements store.Store. The seat stays held, and others take it once they have missed this
// controller; see Leave. It returns why the lead was lost, if it was.
func (t *Term) Close() error {
	if errors.Is(t.over(), store.ErrClosed) {
		return store.ErrClosed
	}
	t.end(store.ErrClosed)
	t.beating.Wait()
	return t.Failure()
}

// Leave is Close, and lets another take the seat at once.
func (t *Term) Leave() error {
	err := t.Close()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), t.cfg.GiveUp)
	defer cancel()
	if err := t.cfg.Database.Leave(ctx, t.epoch); err != nil && !errors.Is(err, ErrReplaced) {
		return fmt.Errorf("leave the lead: %w", err)
	}
	return nil
}

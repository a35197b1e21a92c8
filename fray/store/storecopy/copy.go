package storecopy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
)

const (
	// batchBytes is where a batch ends: with the value that reaches it.
	batchBytes = 4 << 20
	// batchRecords bounds a batch of small records.
	batchRecords = 4096
	// recordBytes is what a record counts beside its value: its key, and what a store adds to it.
	recordBytes = 32
)

// Progress is how far a copy is.
type Progress struct {
	// Doing is what is done with records of Kind: "clearing", "copying" or "comparing".
	Doing string
	Kind  store.RecordKind
	// Step is how many of Steps are done, which take as long as their kinds have records.
	Step, Steps int
	// Records and Bytes are how many of this step are done, and what their values have.
	Records, Bytes uint64
}

// Report is what a copy has.
type Report struct {
	// Kinds are all, in the order of their numbers.
	Kinds []Count
	// Cleared are the records of an unfinished copy that were deleted first.
	Cleared uint64
	// Copying and Comparing are what the copy took, and the comparison with what was read back.
	Copying, Comparing time.Duration
}

// Total returns the sum over all kinds.
func (r *Report) Total() (records, bytes uint64) {
	for _, c := range r.Kinds {
		records, bytes = records+c.Records, bytes+c.Bytes
	}
	return records, bytes
}

// copying is one copy that is made.
type copying struct {
	*Source

	ctx     context.Context //nolint:containedctx // The call's; stores take none.
	to      store.Store
	observe func(Progress)
	doing   Progress
	report  Report
	digests []*digest // of the source, by kind
	batch   store.Batch
	bytes   int  // of the batch
	ending  bool // the mark is being replaced
}

// To copies the source to a store, which must be empty or an unfinished copy, and compares what was
// copied with what is read back. A database must be led in an epoch after Incarnation. observe, if
// not nil, is called with each batch. When ctx is done To returns the cause. With any error it leaves
// an unfinished copy, once it has begun; of a target that has records of its own it returns a
// *NotEmptyError, and has not.
func (s *Source) To(ctx context.Context, to store.Store, observe func(Progress)) (*Report, error) {
	if observe == nil {
		observe = func(Progress) {}
	}
	c := &copying{Source: s, ctx: ctx, to: to, observe: observe}
	kinds, err := c.admit()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() {
		if a, ok := to.(store.Abandoner); ok {
			a.Abandon() // A commit may wait for room.
		}
	})
	defer stop()
	if err := c.run(kinds); err != nil {
		if ctx.Err() != nil && !c.ending {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("copy %s: %w; %s", s.name, err, c.left())
	}
	return &c.report, nil
}

// left says what a copy that failed has left.
func (c *copying) left() string {
	if c.ending {
		return "whether the copy is whole is unknown: the same again begins anew, or is refused because it is"
	}
	return "what is there so far is marked as unfinished: the same again begins anew"
}

// admit returns the kinds of records that the target has of an unfinished copy, or an error if they
// are no such copy's, or if no controller could start on the copy.
func (c *copying) admit() ([]store.RecordKind, error) {
	if led, ok := c.to.(store.Led); ok {
		switch epoch := led.Epoch(); {
		case epoch <= c.incarnation:
			return nil, fmt.Errorf("the copy would be written in epoch %d, and tokens were given in those up to %d", epoch, c.incarnation)
		case epoch >= core.MaxIncarnation:
			return nil, fmt.Errorf("the database has counted %d epochs, and tokens have room for %d: copy to a new one", epoch, core.MaxIncarnation)
		}
	}
	kinds, err := present(c.to)
	if err != nil || len(kinds) == 0 {
		return nil, err
	}
	_, record, err := controllerRecord(c.to)
	if err == nil && !errors.Is(CheckWhole(record), store.ErrUnfinished) {
		err = &NotEmptyError{kinds}
	}
	return kinds, err
}

// NotEmptyError says of which kinds a store has records that is to be copied to.
type NotEmptyError struct{ Kinds []store.RecordKind }

func (e *NotEmptyError) Error() string {
	names := make([]string, 0, len(e.Kinds))
	for _, kind := range e.Kinds {
		names = append(names, kind.String())
	}
	return fmt.Sprintf("it has records already (of kinds %s): a copy needs a place of its own", strings.Join(names, ", "))
}

func (c *copying) run(unfinished []store.RecordKind) error {
	if err := mark(c.to, c.name); err != nil {
		return err
	}
	const passes = 2 // copying and comparing
	for range store.Kinds() {
		c.doing.Steps += passes
	}
	c.doing.Steps += len(unfinished)
	for _, kind := range unfinished {
		if err := c.clear(kind); err != nil {
			return fmt.Errorf("clear records of %v: %w", kind, err)
		}
	}
	began := time.Now()
	for kind := range store.Kinds() {
		if err := c.copy(kind); err != nil {
			return fmt.Errorf("copy records of %v: %w", kind, err)
		}
	}
	c.report.Copying = time.Since(began)
	return c.finish()
}

// finish compares what there is with what was read, and makes the copy one that controllers start on.
func (c *copying) finish() error {
	began := time.Now()
	var last *digest // of the kind that the controller's record is of, which the mark still stands for
	for _, d := range c.digests {
		if d.Kind == store.ControllerKey.Kind {
			last = d
			continue
		}
		if err := c.compare(d); err != nil {
			return err
		}
	}
	if led, ok := c.store.(store.Led); ok {
		if err := led.Prove(); err != nil {
			return fmt.Errorf("whether %s stayed as it was is unknown: %w", c.name, err)
		}
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.ending, c.ctx = true, context.WithoutCancel(c.ctx) // It is almost done.
	if err := replace(c.to, c.record); err != nil {
		return err
	}
	if err := c.compare(last); err != nil {
		return errors.Join(err, mark(c.to, c.name))
	}
	c.report.Comparing = time.Since(began)
	return nil
}

// step begins a step.
func (c *copying) step(doing string, kind store.RecordKind) {
	if c.doing.Doing != "" {
		c.doing.Step++
	}
	c.doing.Doing, c.doing.Kind, c.doing.Records, c.doing.Bytes = doing, kind, 0, 0
	c.observe(c.doing)
}

// passed notes that a record of this step is done. It returns the cause once the copy is to end.
func (c *copying) passed(value []byte) error {
	c.doing.Records++
	c.doing.Bytes += uint64(len(value))
	if c.doing.Records%batchRecords == 0 {
		c.observe(c.doing)
	}
	return c.ctx.Err()
}

// clear deletes the records of a kind in the target, but for the mark.
func (c *copying) clear(kind store.RecordKind) error {
	c.step("clearing", kind)
	for from := uint64(0); ; {
		err := c.to.Scan(kind, from, func(num uint64, value []byte) error {
			if k := (store.Key{Kind: kind, Num: num}); k != store.ControllerKey {
				c.batch.Delete(k)
			}
			from = num
			if err := c.passed(value); err != nil {
				return err
			}
			if len(c.batch.Ops()) == batchRecords {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		c.report.Cleared += uint64(len(c.batch.Ops()))
		if commitErr := c.flush(); commitErr != nil || err == nil {
			return commitErr
		}
	}
}

// copy copies the records of a kind, but for the controller's own.
func (c *copying) copy(kind store.RecordKind) error {
	c.step("copying", kind)
	d := newDigest(kind)
	c.digests = append(c.digests, d)
	err := c.store.Scan(kind, 0, func(num uint64, value []byte) error {
		d.add(num, value)
		k := store.Key{Kind: kind, Num: num}
		if k == store.ControllerKey {
			return c.passed(value)
		}
		c.batch.Set(k, bytes.Clone(value))
		if c.bytes += recordBytes + len(value); c.bytes >= batchBytes || len(c.batch.Ops()) >= batchRecords {
			if err := c.flush(); err != nil {
				return err
			}
		}
		return c.passed(value)
	})
	if err != nil {
		return err
	}
	c.report.Kinds = append(c.report.Kinds, d.Count)
	return c.flush()
}

// flush commits the batch, which is durable with the last.
func (c *copying) flush() error {
	if err := c.ctx.Err(); err != nil || len(c.batch.Ops()) == 0 {
		return err
	}
	c.batch.Lazy = true
	err := c.to.Commit(&c.batch)
	c.batch.Reset()
	c.bytes = 0
	c.observe(c.doing)
	return err
}

// compare reads the records of a kind back.
func (c *copying) compare(want *digest) error {
	c.step("comparing", want.Kind)
	got := newDigest(want.Kind)
	err := c.to.Scan(want.Kind, 0, func(num uint64, value []byte) error {
		got.add(num, value)
		return c.passed(value)
	})
	if err != nil {
		return fmt.Errorf("read records of %v back: %w", want.Kind, err)
	}
	return got.mustBe(want)
}

package controller

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/frayrpc/fray/fray/core"
	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/storecopy"
	storev1 "github.com/frayrpc/fray/gen/fray/store/v1"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
)

// recover returns a scheduler that goes on where the store's last controller ended. Its incarnation
// is durably greater than all before, so that no token is ever given twice. A store that is not
// durable has nothing to go on from.
func (c *Controller) recover() (*core.Scheduler, error) {
	c.cfg.Core.Durable = c.cfg.Store.Durability() != store.None
	c.cfg.Core.Commits = true
	if !c.cfg.Core.Durable {
		c.cfg.Core.Incarnation = cmp.Or(c.cfg.Core.Incarnation, uint64(c.line.Start().UnixMilli())) // After 1970.
		if err := c.sealWith(nil); err != nil {
			return nil, err
		}
		return core.NewScheduler(c.cfg.Core), nil
	}
	began := c.now()
	record, err := c.nextIncarnation()
	if err != nil {
		return nil, err
	}
	jobs, err := c.storedJobs()
	if err != nil {
		return nil, err
	}
	s := core.NewScheduler(c.cfg.Core)
	s.RestoreGaps(knownGaps(record))
	err = s.Restore(c.now(), jobs, c.storedTasks)
	switch {
	case errors.Is(err, core.ErrBadRecord):
		return nil, fmt.Errorf("%w: restore tasks: %w", store.ErrCorrupt, err)
	case err != nil:
		return nil, fmt.Errorf("restore tasks: %w", err)
	}
	err = s.RestoreObjects(c.storedObjects)
	switch {
	case errors.Is(err, core.ErrBadRecord):
		return nil, fmt.Errorf("%w: restore objects: %w", store.ErrCorrupt, err)
	case err != nil:
		return nil, fmt.Errorf("restore objects: %w", err)
	}
	c.line.Advance(int64(s.Now()))
	record.Gaps = gapRecords(s.Gaps())
	var b store.Batch
	if err := set(&b, store.ControllerKey, record); err != nil {
		return nil, err
	}
	if err := c.cfg.Store.Commit(&b); err != nil {
		return nil, fmt.Errorf("commit controller record: %w", err)
	}
	c.cfg.Logger.Info("recovered", "tasks", s.Stats().Restored, "took", c.now().Sub(began))
	return s, nil
}

// nextIncarnation returns the controller's record as it is to be from now on, before any token is
// given.
func (c *Controller) nextIncarnation() (*storev1.ControllerRecord, error) {
	record := &storev1.ControllerRecord{}
	value, err := c.cfg.Store.Get(store.ControllerKey)
	switch {
	case errors.Is(err, store.ErrNotFound):
		record.Incarnation = firstIncarnation(c.line.Start())
	case err != nil:
		return nil, fmt.Errorf("read controller record: %w", err)
	default:
		if err := proto.Unmarshal(value, record); err != nil {
			return nil, fmt.Errorf("%w: controller record cannot be decoded: %w", store.ErrCorrupt, err)
		}
		if err := storecopy.CheckWhole(record); err != nil {
			return nil, err
		}
	}
	if err := c.sealWith(&record.TokenKey); err != nil {
		return nil, err
	}
	if record.Incarnation, err = c.count(record.GetIncarnation(), value != nil); err != nil {
		return nil, err
	}
	c.cfg.Core.Incarnation = record.GetIncarnation()
	return record, nil
}

// count returns the number of this start, after that of the last, or after none but of a store that was lost. Of several
// controllers each has the number of its epoch, which is nobody else's.
func (c *Controller) count(last uint64, known bool) (uint64, error) {
	next := last + 1
	if led, ok := c.cfg.Store.(store.Led); ok {
		epoch := led.Epoch()
		if known && epoch < next {
			return 0, fmt.Errorf("%w: controller record is of epoch %d, and this one leads in epoch %d: the database was put back to an earlier state",
				store.ErrCorrupt, last, epoch)
		}
		next = epoch
	}
	if next > core.MaxIncarnation {
		return 0, fmt.Errorf("%w: controller record counts %d starts, and no more than %d are possible", store.ErrCorrupt, next-1, core.MaxIncarnation)
	}
	return next, nil
}

// sealWith makes the seal of the key at a place, where one is put if there is none.
func (c *Controller) sealWith(key *[]byte) error {
	if key == nil {
		key = new([]byte)
	}
	var err error
	if len(*key) == 0 {
		if *key, err = newSealKey(c.cfg.Keys); err != nil {
			return err
		}
	}
	if c.seal, err = newSeal(*key); err != nil {
		return fmt.Errorf("%w: controller record: %w", store.ErrCorrupt, err)
	}
	return nil
}

func knownGaps(r *storev1.ControllerRecord) []core.Gap {
	known := make([]core.Gap, 0, len(r.GetGaps()))
	for _, g := range r.GetGaps() {
		known = append(known, core.Gap{At: core.Time(g.GetEndedUnixNs()), Lasted: time.Duration(g.GetLastedNs())})
	}
	return known
}

func gapRecords(known []core.Gap) []*storev1.Gap {
	records := make([]*storev1.Gap, 0, len(known))
	for _, g := range known {
		records = append(records, &storev1.Gap{EndedUnixNs: int64(g.At), LastedNs: int64(g.Lasted)})
	}
	return records
}

// firstIncarnation is where an empty store begins to count: anywhere in the lower half, by the
// clock. Workers and clients may still hold tokens of a controller whose store was lost, and these
// must be nobody's.
func firstIncarnation(now time.Time) uint64 {
	return uint64(now.UnixMilli()) % (core.MaxIncarnation / 2) // After 1970.
}

func (c *Controller) storedJobs() ([]core.RestoredJob, error) {
	var jobs []core.RestoredJob
	for r, err := range scan(c.cfg.Store, store.Job) {
		if err != nil {
			return nil, err
		}
		var record storev1.JobRecord
		if err := proto.Unmarshal(r.value, &record); err != nil {
			return nil, fmt.Errorf("%w: record of job %d cannot be decoded: %w", store.ErrCorrupt, r.num, err)
		}
		job, err := restoredJob(r.num, &record)
		if err != nil {
			return nil, fmt.Errorf("%w: record of job %d: %w", store.ErrCorrupt, r.num, err)
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

// storedObjects yields what is known of all objects.
func (c *Controller) storedObjects(yield func(*core.ObjectRecord, error) bool) {
	for r, err := range scan(c.cfg.Store, store.Object) {
		var record storev1.ObjectRecord
		if err == nil {
			if err = proto.Unmarshal(r.value, &record); err != nil {
				err = fmt.Errorf("%w: record of object %d cannot be decoded: %w", store.ErrCorrupt, r.num, err)
			}
		}
		o := &core.ObjectRecord{
			Num: core.ObjectNum(r.num), Jobs: record.GetJobIds(), Owner: record.GetOwner(), Upload: record.GetUploadId(), ForTasks: record.GetTasksOnlyJobIds(),
			View: core.ObjectView{Encoding: record.GetEncoding(), Size: record.GetSizeBytes(), Pieces: record.GetPieceCount()},
		}
		copy(o.View.ID[:], record.GetObjectId())
		copy(o.Chain[:], record.GetChain())
		if !yield(o, err) {
			return
		}
	}
}

// storedTasks yields all tasks, each with its state.
func (c *Controller) storedTasks(yield func(*core.Restored, error) bool) {
	var states stateReader
	states.next, states.stop = iter.Pull2(scan(c.cfg.Store, store.State))
	defer states.stop()
	var decoder taskDecoder
	for r, err := range scan(c.cfg.Store, store.Spec) {
		var t *core.Restored
		if err == nil {
			t, err = decoder.decode(r)
		}
		if err == nil {
			t.State, err = states.of(r.num)
		}
		if !yield(t, err) {
			return
		}
	}
	if _, err := states.of(math.MaxUint64); err != nil {
		yield(nil, err)
	}
}

// stateReader reads the states of tasks in the order of their numbers.
type stateReader struct {
	next func() (stored, error, bool)
	stop func()
	// The next that nobody asked for yet, once it was read; numbered math.MaxUint64 where there is
	// none.
	head    stored
	hasHead bool
	// Scratch, and the ids of workers: there are few.
	record  storev1.TaskStateRecord
	workers map[string]string
}

// of returns the state of a task, zero if it has none. It is an error if there is one of a task
// before it that nobody asked for.
func (s *stateReader) of(num uint64) (core.State, error) {
	if !s.hasHead {
		var err error
		var ok bool
		if s.head, err, ok = s.next(); err != nil {
			return core.State{}, err
		}
		if s.hasHead = true; !ok {
			s.head.num = math.MaxUint64
		}
	}
	switch {
	case s.head.num < num:
		return core.State{}, fmt.Errorf("%w: there is a state of task number %d, and no such task", store.ErrCorrupt, s.head.num)
	case s.head.num > num || num == math.MaxUint64:
		return core.State{}, nil
	}
	s.hasHead = false
	r := &s.record
	if err := proto.Unmarshal(s.head.value, r); err != nil {
		return core.State{}, fmt.Errorf("%w: state of task number %d cannot be decoded: %w", store.ErrCorrupt, num, err)
	}
	if frayv1.TaskStatus_name[int32(r.GetStatus())] == "" || frayv1.FailureReason_name[int32(r.GetFailureReason())] == "" { // within: an enum is one
		return core.State{}, fmt.Errorf("%w: state of task number %d has a status or reason that this version does not know", store.ErrCorrupt, num)
	}
	st := state(r)
	st.WorkerID = s.worker(st.WorkerID)
	return st, nil
}

// worker returns the one copy of a worker's id.
func (s *stateReader) worker(id string) string {
	const maxWorkers = 10_000
	if known, ok := s.workers[id]; ok {
		return known
	}
	if s.workers == nil || len(s.workers) >= maxWorkers {
		s.workers = make(map[string]string)
	}
	s.workers[id] = id
	return id
}

type stored struct {
	num   uint64
	value []byte
}

// scan yields all records of a kind, in the order of their numbers, or an error as the last.
func scan(s store.Store, kind store.RecordKind) iter.Seq2[stored, error] {
	return func(yield func(stored, error) bool) {
		enough := false
		err := s.Scan(kind, 0, func(num uint64, value []byte) error {
			if enough = !yield(stored{num, value}, nil); enough {
				return errEnough
			}
			return nil
		})
		if err != nil && !enough { // Whatever the store makes of that.
			yield(stored{}, fmt.Errorf("read records: %w", err))
		}
	}
}

var errEnough = errors.New("enough")

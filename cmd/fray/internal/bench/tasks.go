package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/number"
)

// smallBytes is the size of inputs but those of payload.
const smallBytes = 64

// payloadCallers are those of payload and of the limit that it is compared with.
const payloadCallers = 4

// sleepTime is how long a task of fanout takes.
const sleepTime = 10 * time.Millisecond

// input returns so many bytes that hardly compress, with a number in them, so that no two are equal.
func input(size int, number uint64) []byte {
	in := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(in) // never fails
	setNumber(in, number)
	return in
}

// setNumber writes a number into an input as far as it has room.
func setNumber(in []byte, number uint64) {
	var stamp [8]byte
	binary.LittleEndian.PutUint64(stamp[:], number)
	copy(in, stamp[:])
}

// inputs returns n small inputs.
func inputs(n int) [][]byte {
	ins := make([][]byte, n)
	for i := range ins {
		ins[i] = input(smallBytes, uint64(i))
	}
	return ins
}

// same returns an error that says where what came back differs from what was sent.
func same(sent, got []byte) error {
	if bytes.Equal(sent, got) {
		return nil
	}
	for i := range min(len(sent), len(got)) {
		if sent[i] != got[i] {
			return fmt.Errorf("what was sent has come back changed: byte %d of %d is %#02x, and was %#02x", i, len(sent), got[i], sent[i])
		}
	}
	return fmt.Errorf("what was sent has come back changed: %d bytes, and were %d", len(got), len(sent))
}

// get waits for an echo, and compares it.
func get(ctx context.Context, row string, f *fray.Future[[]byte], sent []byte) error {
	out, err := f.Get(ctx)
	if err == nil {
		err = same(sent, out)
	}
	if err != nil {
		return &TaskError{row, f.ID(), err}
	}
	return nil
}

func batch(ctx context.Context, m *meter) error {
	ins := inputs(m.Tasks)
	return m.job(ctx, &m.Target, func(ctx context.Context) error {
		cost := m.cost(ctx, &m.Target)
		begun := time.Now()
		futures, err := m.Functions.echo.RunAll(ctx, ins)
		submitted := time.Since(begun)
		if err != nil {
			return &TaskError{Row: "batch/submit", Err: err}
		}
		m.came.Add(1)
		for i, f := range futures {
			if err := get(ctx, "batch", f, ins[i]); err != nil {
				return err
			}
			m.came.Add(1)
		}
		took := time.Since(begun)
		m.note("batch", sample{count: len(ins), took: took, cost: cost(len(ins))})
		m.note("batch/submit", sample{count: len(ins), took: submitted})
		return nil
	})
}

func calls(ctx context.Context, m *meter) error {
	for _, callers := range m.Callers {
		if err := m.echoes(ctx, fmt.Sprintf("call/%d", callers), callers, smallBytes); err != nil {
			return err
		}
	}
	return nil
}

func payload(ctx context.Context, m *meter) error {
	return m.echoes(ctx, "payload", payloadCallers, m.PayloadBytes)
}

// echoes notes what goroutines come to that call a task with inputs of a size, one after the other.
func (m *meter) echoes(ctx context.Context, row string, callers, size int) error {
	return m.job(ctx, &m.Target, func(ctx context.Context) error {
		cost := m.cost(ctx, &m.Target)
		d, err := m.drive(ctx, callers, func(caller int) func(context.Context) error {
			in, n := input(size, 0), number.Clamp[uint64](caller)<<32
			begun := time.Now().UnixMicro()
			return func(ctx context.Context) error {
				n++
				setNumber(in, n)
				id := fmt.Sprintf("%016d%03d%07d", begun, caller, n&(1<<32-1)) // As long as one that is drawn.
				out, err := m.Functions.echo.Call(ctx, in, fray.WithTaskID(id))
				if err == nil {
					err = same(in, out)
				}
				if err != nil {
					return &TaskError{row, id, err}
				}
				return nil
			}
		})
		if err != nil {
			return err
		}
		s := sample{count: d.count, took: d.took, latency: d.timings, cost: cost(d.count)}
		if m.workload.Unit == unitBytes {
			s.value = float64(d.count) * float64(size) / 1e6 / d.took.Seconds()
		}
		m.note(row, s)
		return nil
	})
}

func runs(ctx context.Context, m *meter) error {
	for _, callers := range m.Callers {
		if err := m.submissions(ctx, fmt.Sprintf("run/%d", callers), callers); err != nil {
			return err
		}
	}
	return nil
}

// submissions notes what goroutines come to that each run their share of the tasks, and then get all
// results.
func (m *meter) submissions(ctx context.Context, row string, callers int) error {
	ins := inputs(m.Tasks)
	return m.job(ctx, &m.Target, func(ctx context.Context) error {
		cost := m.cost(ctx, &m.Target)
		futures := make([][]*fray.Future[[]byte], callers)
		shares := shares(ins, callers)
		begun := time.Now()
		d, err := m.drive(ctx, callers, func(caller int) func(context.Context) error {
			return func(ctx context.Context) error {
				n := len(futures[caller])
				if n == len(shares[caller]) {
					return errNothingLeft
				}
				f, err := m.Functions.echo.Run(ctx, shares[caller][n])
				if err != nil {
					return &TaskError{Row: row, Err: err}
				}
				futures[caller] = append(futures[caller], f)
				return nil
			}
		})
		if err != nil {
			return err
		}
		for caller, mine := range futures {
			for i, f := range mine {
				if err := get(ctx, row, f, shares[caller][i]); err != nil {
					return err
				}
				m.came.Add(1)
			}
		}
		m.note(row, sample{count: d.count, took: time.Since(begun), latency: d.timings, cost: cost(d.count)})
		return nil
	})
}

// shares cuts inputs into as equal parts as can be, of which some may be empty.
func shares(ins [][]byte, parts int) [][][]byte {
	cut := make([][][]byte, parts)
	for i := range cut {
		cut[i] = ins[len(ins)*i/parts : len(ins)*(i+1)/parts]
	}
	return cut
}

func fanout(ctx context.Context, m *meter) error { return m.sleeps(ctx, "fanout", &m.Target) }

// sleeps notes what tasks come to that sleep, as many as all slots of a target can run in the duration.
func (m *meter) sleeps(ctx context.Context, row string, target *Target) error {
	ideal := float64(target.Slots) / sleepTime.Seconds()
	n := min(max(int(ideal*m.Duration.Seconds()), target.Slots), MaxTasks)
	ins := slices.Repeat([]time.Duration{sleepTime}, n)
	return m.job(ctx, target, func(ctx context.Context) error {
		cost := m.cost(ctx, target)
		begun := time.Now()
		futures, err := m.Functions.sleep.RunAll(ctx, ins)
		if err != nil {
			return &TaskError{Row: row, Err: err}
		}
		for _, f := range futures {
			slept, err := f.Get(ctx)
			if err == nil && slept != sleepTime {
				err = fmt.Errorf("%v has come back as %v", sleepTime, slept)
			}
			if err != nil {
				return &TaskError{row, f.ID(), err}
			}
			m.came.Add(1)
		}
		m.note(row, sample{count: n, took: time.Since(begun), ideal: ideal, cost: cost(n)})
		return nil
	})
}

// queue submits tasks that wait for ever, for a controller may have other memory to give before it
// asks the system for more.
func queue(ctx context.Context, m *meter) (err error) {
	target := m.Target
	if m.Fresh != nil {
		var end func() error
		if target, end, err = m.Fresh(ctx, Crew{}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
	} else if m.repetition > 0 {
		return nil // It would be filled again.
	}
	if target.Metrics == nil {
		m.leaveOut("the controller's metrics are not known")
		return nil
	}
	before, err := target.Metrics(ctx)
	if err != nil {
		m.leaveOut("%v", err)
		return nil
	}
	return m.job(ctx, &target, func(ctx context.Context) error {
		begun := time.Now()
		if _, err := m.Functions.nowhere.RunAll(ctx, inputs(m.Queued)); err != nil {
			return &TaskError{Row: "queue", Err: err}
		}
		took := time.Since(begun)
		after, err := target.Metrics(ctx)
		if err != nil {
			return err
		}
		for _, r := range []struct{ row, metric string }{{"queue", metricResident}, {"queue/heap", metricHeap}} {
			if grown := after[r.metric] - before[r.metric]; after[r.metric] > 0 {
				m.note(r.row, sample{count: m.Queued, took: took, value: grown / float64(m.Queued)})
			}
		}
		jc, err := fray.FromContext(ctx)
		if err != nil {
			return err
		}
		return cancel(ctx, jc)
	})
}

package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/internal/sleep"
)

// objects has one object put, read by a task that puts another as large, and got, at a controller and
// by a worker that do nothing else. How much memory these take is their processes' peak, of which what
// they had before is taken off.
func objects(ctx context.Context, m *meter) error {
	if m.others() {
		return nil
	}
	return m.crewed(ctx, Crew{Processes: 1, Workers: 1, Slots: 1}, func(target *Target) error {
		// What their start has left to do is no part of it.
		if err := sleep.For(ctx, min(m.Duration, maxIdleTime)); err != nil {
			return err
		}
		before, begun := target.memory(), time.Now()
		if err := m.job(ctx, target, m.object); err != nil {
			return err
		}
		return m.memory(before, target.memory(), time.Since(begun))
	})
}

// object notes how long an object of the plan took on each of its ways.
func (m *meter) object(ctx context.Context) error {
	size, seed := int64(m.ObjectBytes), sha256.Sum256(fmt.Appendf(nil, "%s %d", m.Run, m.repetition))
	timed := func(row string, f func() error) error {
		begun := time.Now()
		if err := f(); err != nil {
			return &TaskError{Row: row, Err: err}
		}
		took := time.Since(begun)
		m.came.Add(1)
		m.note(row, sample{count: 1, took: took, value: float64(size) / 1e6 / took.Seconds()})
		return nil
	}
	var sent, got fray.Ref[[]byte]
	err := timed("objects/put", func() (err error) {
		sent, err = fray.PutReader(ctx, m.watched(io.LimitReader(rand.NewChaCha8(seed), size)))
		return err
	})
	if err != nil {
		return err
	}
	err = timed("objects/task", func() (err error) {
		got, err = m.Functions.invert.Call(ctx, sent)
		return err
	})
	if err != nil {
		return err
	}
	return timed("objects/get", func() error {
		body, err := got.Open(ctx)
		if err != nil {
			return err
		}
		defer body.Close()
		return sameBytes(m.watched(body), inverted{io.LimitReader(rand.NewChaCha8(seed), size)})
	})
}

// watched counts what is read as what has come back, or else a slow object would look like none.
func (m *meter) watched(r io.Reader) io.Reader {
	return readFunc(func(p []byte) (int, error) {
		m.came.Add(1)
		return r.Read(p)
	})
}

type readFunc func(p []byte) (int, error)

// Read implements io.Reader.
func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// inverted reads what another reader has with all of its bits inverted: a value of its own that is as
// large.
type inverted struct{ io.Reader }

// Read implements io.Reader.
func (i inverted) Read(p []byte) (int, error) {
	n, err := i.Reader.Read(p)
	for at := range p[:n] {
		p[at] = ^p[at]
	}
	return n, err
}

// sameBytes returns an error if two readers do not have the same.
func sameBytes(got, want io.Reader) error {
	var g, w [64 << 10]byte
	for {
		n, err := readFull(got, g[:])
		more, werr := readFull(want, w[:])
		switch {
		case err != nil || werr != nil:
			return errors.Join(err, werr)
		case !bytes.Equal(g[:n], w[:more]):
			return errors.New("the object has come back changed")
		case n < len(g):
			return nil
		}
	}
}

// readFull reads what there is, as far as p has room. There may be less.
func readFull(r io.Reader, p []byte) (int, error) {
	n, err := io.ReadFull(r, p)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}

// Memory is what a process has of the machine's memory, in bytes.
type Memory struct {
	// Resident is what it has now, and Peak what it has had at most since it began.
	Resident, Peak int64
}

// MemoryOf returns what a process has, as Linux tells in /proc; false: that is not known.
func MemoryOf(pid int) (Memory, bool) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return Memory{}, false
	}
	return parseMemory(string(status))
}

// parseMemory reads the file status of a process.
func parseMemory(status string) (m Memory, ok bool) {
	known := 0
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		into := map[string]*int64{"VmRSS": &m.Resident, "VmHWM": &m.Peak}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil {
			return m, false
		}
		*into = kib << 10
		known++
	}
	return m, known == 2
}

// ErrTooMuchMemory says that objects took more memory than the plan allows.
var ErrTooMuchMemory = errors.New("too much memory")

// memoryParts are the parts of a cluster whose memory is measured.
var memoryParts = []string{"controller", "worker"}

// memory returns what the processes of a target have; nil: that is not known.
func (t *Target) memory() map[string]Memory {
	if t.Memory == nil {
		return nil
	}
	return t.Memory()
}

// memory notes how much more memory each process had at its peak than before, and returns an error if
// that is more than the plan allows.
func (m *meter) memory(before, after map[string]Memory, took time.Duration) (err error) {
	for _, part := range memoryParts {
		then, ok := before[part]
		now, known := after[part]
		if !ok || !known {
			if m.MemoryBytes > 0 {
				return fmt.Errorf("objects: how much memory the %s takes is not known here, and so not whether it is no more than %d bytes", part, m.MemoryBytes)
			}
			m.leaveOut("how much memory the %s takes is not known", part)
			continue
		}
		grown := max(now.Peak-then.Resident, 0)
		m.note("objects/"+part, sample{count: 1, took: took, value: float64(grown) / (1 << 20), unit: unitMemory})
		if most := int64(m.MemoryBytes); most > 0 && grown > most {
			err = errors.Join(err, fmt.Errorf("objects: %w: the %s took %d bytes above idle at its peak, and may take %d", ErrTooMuchMemory, part, grown, most))
		}
	}
	return err
}

package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	// SpillBytes is the size of the least value that a spilling store keeps in its file.
	SpillBytes = 32 << 10
	// segmentBytes is where a file of spilled values ends, and the next begins.
	segmentBytes = 64 << 20
	// sparse is the share, 1 in so many, of a segment that must be in use; the rest of a sparser
	// one is moved.
	sparse = 4
	// spillRetry is how long a store whose directory had no room says so.
	spillRetry = time.Second
)

// spill keeps large values out of the heap, in unlinked files that end with the process. Its owner
// guards it.
type spill struct {
	dir      string
	current  *segment // nil: none yet
	places   map[Key]place
	segments map[*segment]struct{}
	// Why the last value had to stay in the heap, and until when that counts.
	err   error
	until time.Time
}

// segment is one file, which is only appended to.
type segment struct {
	file       *os.File
	size, live int64
	keys       map[Key]struct{}
}

// place is where a value is.
type place struct {
	segment *segment
	offset  int64
	size    int
}

// NewSpilling returns an empty store that keeps values of SpillBytes and more in files below dir,
// which have no name and end with the process; empty: below [os.TempDir]. The files take at most
// four times the bytes of the values and two segments of 64 MiB. Where the directory has no room a
// value stays in the heap, and Room says so.
func NewSpilling(dir string) (*Memory, error) {
	s := &spill{dir: dir, places: make(map[Key]place), segments: make(map[*segment]struct{})}
	if err := s.begin(); err != nil {
		return nil, fmt.Errorf("spill large values: %w", err)
	}
	m := NewMemory()
	m.spill = s
	return m, nil
}

// begin makes a new segment the current one.
func (s *spill) begin() error {
	f, err := os.CreateTemp(s.dir, "fray-spill-*")
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		return errors.Join(err, f.Close())
	}
	old := s.current
	s.current = &segment{file: f, keys: make(map[Key]struct{})}
	s.segments[s.current] = struct{}{}
	if old != nil {
		s.tidy(old)
	}
	return nil
}

// put takes a value in, and says whether it did.
func (s *spill) put(k Key, value []byte) bool {
	if s.current.size >= segmentBytes {
		if err := s.begin(); err != nil {
			return s.failed(err)
		}
	}
	c := s.current
	if _, err := c.file.WriteAt(value, c.size); err != nil {
		return s.failed(err) // What was written of it is written over.
	}
	s.places[k] = place{segment: c, offset: c.size, size: len(value)}
	c.keys[k] = struct{}{}
	c.size += int64(len(value))
	c.live += int64(len(value))
	s.err = nil
	return true
}

func (s *spill) failed(err error) bool {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	s.err, s.until = err, time.Now().Add(spillRetry)
	return false
}

// get returns a copy of a value.
func (s *spill) get(p place) ([]byte, error) {
	value := make([]byte, p.size)
	if _, err := p.segment.file.ReadAt(value, p.offset); err != nil {
		return nil, fmt.Errorf("read spilled value: %w", err)
	}
	return value, nil
}

// drop lets go of a value, if there is one.
func (s *spill) drop(k Key) {
	p, ok := s.places[k]
	if !ok {
		return
	}
	delete(s.places, k)
	delete(p.segment.keys, k)
	p.segment.live -= int64(p.size)
	s.tidy(p.segment)
}

// tidy ends a segment of which little is in use; what that is moves to the current one.
func (s *spill) tidy(g *segment) {
	if _, known := s.segments[g]; !known || g == s.current || g.live > g.size/sparse {
		return
	}
	for k := range g.keys { // order-free: each is found by its key
		p := s.places[k]
		value, err := s.get(p)
		if err != nil || !s.put(k, value) {
			return // It stays where it is, and so do the others.
		}
		delete(g.keys, k)
		g.live -= int64(p.size)
	}
	delete(s.segments, g)
	_ = g.file.Close() // There is nothing left in it.
}

func (s *spill) room() error {
	if s.err == nil || time.Now().After(s.until) {
		return nil
	}
	return fmt.Errorf("large values cannot be kept in %s: %w", s.directory(), s.err)
}

func (s *spill) directory() string {
	if s.dir == "" {
		return os.TempDir()
	}
	return s.dir
}

func (s *spill) close() error {
	var errs []error
	for g := range s.segments { // order-free: all are closed
		errs = append(errs, g.file.Close())
	}
	s.segments, s.places = nil, nil
	return errors.Join(errs...)
}

package pebblestore

import (
	"fmt"
	"time"

	"github.com/frayrpc/fray/fray/store"
)

// Room implements store.Roomer. It returns an error that wraps store.ErrFull while a commit waits
// for room, or less than the reserve is free. What it knows is at most roomInterval old.
func (s *Store) Room() error {
	if s.disk.waiting.Load() > 0 {
		return fmt.Errorf("%w: no room is left on the disk of %s; commits wait", store.ErrFull, s.cfg.Dir)
	}
	if s.cfg.ReserveBytes < 0 {
		return nil
	}
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	if now := time.Now(); s.room.checked.IsZero() || now.Sub(s.room.checked) >= roomInterval {
		s.room.checked, s.room.err = now, s.measureRoom()
	}
	return s.room.err
}

func (s *Store) measureRoom() error {
	// A filesystem that does not tell is full when a write says so.
	usage, err := s.cfg.FS.GetDiskUsage(s.cfg.Dir)
	reserve := uint64(s.cfg.ReserveBytes) //nolint:gosec // Not negative.
	if err == nil && usage.AvailBytes < reserve {
		return fmt.Errorf("%w: the disk of %s has %s left, and %s are kept in reserve",
			store.ErrFull, s.cfg.Dir, size(usage.AvailBytes), size(reserve))
	}
	return nil
}

// size writes a number of bytes for people.
func size(bytes uint64) string {
	const unit = 1 << 20
	if bytes < 10*unit {
		return fmt.Sprintf("%.1f MiB", float64(bytes)/unit)
	}
	return fmt.Sprintf("%d MiB", bytes/unit)
}

package store

import (
	"fmt"
	"slices"
	"sync"
)

// Memory is a Store that forgets everything when its process ends.
type Memory struct {
	mu      sync.RWMutex
	records map[Key][]byte // nil once closed
	spill   *spill         // has what records has not; nil: there is nothing
}

var (
	_ Store  = (*Memory)(nil)
	_ Roomer = (*Memory)(nil)
)

// NewMemory returns an empty store that keeps everything in the heap; see also NewSpilling.
func NewMemory() *Memory { return &Memory{records: make(map[Key][]byte)} }

// Commit implements Store. It never fails while the store is open.
func (m *Memory) Commit(b *Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		return ErrClosed
	}
	for _, op := range b.ops {
		if m.spill != nil {
			m.spill.drop(op.Key)
			if !op.Delete && len(op.Value) >= SpillBytes && m.spill.put(op.Key, op.Value) {
				delete(m.records, op.Key)
				continue
			}
		}
		if op.Delete {
			delete(m.records, op.Key)
		} else {
			m.records[op.Key] = op.Value
		}
	}
	return nil
}

// Get implements Store.
func (m *Memory) Get(k Key) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.records == nil {
		return nil, ErrClosed
	}
	return m.get(k)
}

func (m *Memory) get(k Key) ([]byte, error) {
	if v, ok := m.records[k]; ok {
		return v, nil
	}
	if m.spill != nil {
		if p, ok := m.spill.places[k]; ok {
			return m.spill.get(p)
		}
	}
	return nil, ErrNotFound
}

// Scan implements Store. It sorts the kind's numbers first.
func (m *Memory) Scan(kind RecordKind, from uint64, f func(num uint64, value []byte) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.records == nil {
		return ErrClosed
	}
	var nums []uint64
	note := func(k Key) {
		if k.Kind == kind && k.Num >= from {
			nums = append(nums, k.Num)
		}
	}
	for k := range m.records {
		note(k)
	}
	if m.spill != nil {
		for k := range m.spill.places {
			note(k)
		}
	}
	slices.Sort(nums)
	for _, n := range nums {
		value, err := m.get(Key{Kind: kind, Num: n})
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		if err := f(n, value); err != nil {
			return err
		}
	}
	return nil
}

// Room implements Roomer.
func (m *Memory) Room() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.records == nil {
		return ErrClosed
	}
	if m.spill == nil {
		return nil
	}
	return m.spill.room()
}

// Durability implements Store.
func (m *Memory) Durability() Durability { return None }

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	closed := m.records == nil
	m.records = nil
	if m.spill == nil || closed {
		return nil
	}
	return m.spill.close()
}

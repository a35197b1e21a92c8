package store

import (
	"slices"
	"sync"
)

// Memory is a Store that forgets everything when its process ends.
type Memory struct {
	mu      sync.RWMutex
	records map[Key][]byte // nil once closed
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{records: make(map[Key][]byte)} }

// Commit implements Store. It never fails while the store is open.
func (m *Memory) Commit(b *Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records == nil {
		return ErrClosed
	}
	for _, op := range b.ops {
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
	v, ok := m.records[k]
	if !ok {
		return nil, ErrNotFound
	}
	return v, nil
}

// Scan implements Store. It sorts the kind's numbers first.
func (m *Memory) Scan(kind Kind, from uint64, f func(num uint64, value []byte) error) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.records == nil {
		return ErrClosed
	}
	var nums []uint64
	for k := range m.records {
		if k.Kind == kind && k.Num >= from {
			nums = append(nums, k.Num)
		}
	}
	slices.Sort(nums)
	for _, n := range nums {
		if err := f(n, m.records[Key{Kind: kind, Num: n}]); err != nil {
			return err
		}
	}
	return nil
}

// Durability implements Store.
func (m *Memory) Durability() Durability { return None }

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = nil
	return nil
}

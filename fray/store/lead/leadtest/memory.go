// Package leadtest has a lead.Database in memory that can be made to fail, and the suite that every
// lead.Database passes.
package leadtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
)

// Memory is a database in memory. Each controller has a Client of its own.
type Memory struct {
	mu      sync.Mutex
	seat    lead.Seat
	records *store.Memory
	left    chan struct{} // closed, and made anew, when the seat is left
}

// NewMemory returns an empty database, whose first epoch comes after the given one.
func NewMemory(epoch uint64) *Memory {
	return &Memory{seat: lead.Seat{Epoch: epoch, Vacant: true}, records: store.NewMemory(), left: make(chan struct{})}
}

// Seat returns the seat.
func (m *Memory) Seat() lead.Seat {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seat
}

// PutBack makes the database count commits as one does that was restored from an earlier copy.
func (m *Memory) PutBack(commits uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seat.Commits = commits
}

// Client returns what one controller has of the database.
func (m *Memory) Client() *Client { return &Client{m: m} }

// Call names a method of a lead.Database.
type Call string

// The calls that a Client can be asked about.
const (
	Look   Call = "Look"
	Settle Call = "Settle"
	Take   Call = "Take"
	Raise  Call = "Raise"
	Beat   Call = "Beat"
	Leave  Call = "Leave"
	Commit Call = "Commit"
	Get    Call = "Get"
	Scan   Call = "Scan"
	Await  Call = "Await"
)

// ErrCut is what calls return that were cut.
var ErrCut = errors.New("connection was cut")

// Client is a lead.Database. Set its fields before it is used.
type Client struct {
	// Before is called with each call before it has any effect, and After once it has, before its
	// caller is told; with what these return, if not nil, it fails. Nil: nothing happens.
	Before, After func(ctx context.Context, call Call) error

	m *Memory
}

var (
	_ lead.Database = (*Client)(nil)
	_ lead.Raiser   = (*Client)(nil)
)

// do makes a call.
func (c *Client) do(ctx context.Context, call Call, effect func(m *Memory) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Before != nil {
		if err := c.Before(ctx, call); err != nil {
			return err
		}
	}
	err := func() error {
		c.m.mu.Lock()
		defer c.m.mu.Unlock()
		return effect(c.m)
	}()
	if c.After != nil {
		if err := c.After(ctx, call); err != nil {
			return err
		}
	}
	return err
}

// Look implements lead.Database.
func (c *Client) Look(ctx context.Context) (seat lead.Seat, err error) {
	err = c.do(ctx, Look, func(m *Memory) error { seat = m.seat; return nil })
	return seat, err
}

// Settle implements lead.Database.
func (c *Client) Settle(ctx context.Context) (seat lead.Seat, err error) {
	err = c.do(ctx, Settle, func(m *Memory) error { m.seat.Beats++; seat = m.seat; return nil })
	return seat, err
}

// Take implements lead.Database.
func (c *Client) Take(ctx context.Context, seen lead.Seat, h lead.Holder) error {
	return c.do(ctx, Take, func(m *Memory) error {
		if m.seat != seen {
			return lead.ErrReplaced
		}
		m.seat.Epoch, m.seat.Vacant, m.seat.Holder = seen.Epoch+1, false, h
		return nil
	})
}

// Raise implements lead.Raiser.
func (c *Client) Raise(ctx context.Context, seen lead.Seat, epoch uint64) error {
	return c.do(ctx, Raise, func(m *Memory) error {
		if m.seat != seen || m.seat.Epoch >= epoch {
			return lead.ErrReplaced
		}
		m.seat.Epoch = epoch
		return nil
	})
}

// Beat implements lead.Database.
func (c *Client) Beat(ctx context.Context, epoch uint64) error {
	return c.do(ctx, Beat, func(m *Memory) error {
		if m.seat.Epoch != epoch || m.seat.Vacant {
			return lead.ErrReplaced
		}
		m.seat.Beats++
		return nil
	})
}

// Leave implements lead.Database.
func (c *Client) Leave(ctx context.Context, epoch uint64) error {
	return c.do(ctx, Leave, func(m *Memory) error {
		if m.seat.Epoch != epoch {
			return lead.ErrReplaced
		}
		m.seat.Vacant = true
		close(m.left)
		m.left = make(chan struct{})
		return nil
	})
}

// Commit implements lead.Database.
func (c *Client) Commit(ctx context.Context, epoch, number uint64, b *store.Batch) error {
	for _, op := range b.Ops() {
		if op.Key.Kind == 0 {
			return fmt.Errorf("%w: key %d has kind 0, which is the database's own", lead.ErrRefused, op.Key.Num)
		}
	}
	return c.do(ctx, Commit, func(m *Memory) error {
		switch {
		case m.seat.Epoch != epoch || m.seat.Vacant:
			return lead.ErrReplaced
		case m.seat.Commits+1 != number:
			return lead.ErrNotNext
		}
		if err := m.records.Commit(b); err != nil {
			return err
		}
		m.seat.Commits = number
		return nil
	})
}

// Get implements lead.Database.
func (c *Client) Get(ctx context.Context, k store.Key) (value []byte, err error) {
	err = c.do(ctx, Get, func(m *Memory) (err error) { value, err = m.records.Get(k); return err })
	return value, err
}

// Scan implements lead.Database.
func (c *Client) Scan(ctx context.Context, kind store.RecordKind, from uint64, f func(uint64, []byte) error) error {
	err := c.do(ctx, Scan, func(*Memory) error { return nil })
	if err != nil {
		return err
	}
	return c.m.records.Scan(kind, from, f)
}

// Await implements lead.Database.
func (c *Client) Await(ctx context.Context) error {
	var left chan struct{}
	if err := c.do(ctx, Await, func(m *Memory) error { left = m.left; return nil }); err != nil {
		return err
	}
	select {
	case <-left:
	case <-ctx.Done():
	}
	return nil
}

// Durability implements lead.Database.
func (c *Client) Durability() store.Durability { return store.Sync }

// Close implements lead.Database.
func (c *Client) Close() error { return nil }

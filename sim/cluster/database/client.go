package database

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
)

// Client is what a controller has of the database.
type Client struct {
	// HTTP is what its host calls others with, and URL where the database is.
	HTTP connect.HTTPClient
	URL  string
	// Host is the name of its host.
	Host string

	mu      sync.Mutex
	flights map[passage]*flight // of this instant
}

var _ lead.Database = (*Client)(nil)

// flight is a call that is under way. Its fields are set once ended is closed.
type flight struct {
	begun  time.Time
	ended  chan struct{}
	res    response
	values []byte
	err    error
}

// call asks something. Those who read the same at one instant share a call: which of two that are
// alike is whose would be up to chance.
func (c *Client) call(ctx context.Context, procedure string, req request, values ...[]byte) *flight {
	f, first := &flight{ended: make(chan struct{})}, true
	if f.err = ctx.Err(); f.err != nil {
		return f
	}
	if reads[procedure] {
		f, first = c.board(procedure, req.Key)
	}
	if first {
		c.send(ctx, procedure, &req, values, f)
	} else {
		<-f.ended
	}
	return f
}

// board returns the call that others make at this instant to read the same, or a new one.
func (c *Client) board(procedure string, key store.Key) (f *flight, first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(c.flights, func(_ passage, f *flight) bool { return !f.begun.Equal(now) })
	to := passage{procedure, key}
	if known := c.flights[to]; known != nil {
		return known, false
	}
	f = &flight{begun: now, ended: make(chan struct{})}
	if c.flights == nil {
		c.flights = make(map[passage]*flight)
	}
	c.flights[to] = f
	return f, true
}

// passage is what calls have in common that can be shared.
type passage struct {
	procedure string
	key       store.Key
}

// send makes a call, and returns once it has ended. A host that has crashed ends the goroutines that
// call others, where they are: so each call has one of its own, and nobody waits in vain for what
// another would have done.
func (c *Client) send(ctx context.Context, procedure string, req *request, values [][]byte, f *flight) {
	go func() {
		defer close(f.ended)
		f.err = errCrashed
		f.values, f.err = c.ask(ctx, procedure, req, values, &f.res)
	}()
	<-f.ended
}

// ask makes a call.
func (c *Client) ask(ctx context.Context, procedure string, req *request, values [][]byte, res *response) ([]byte, error) {
	req.From = c.Host
	body, err := encode(req, values)
	if err != nil {
		return nil, err
	}
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+prefix+procedure, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	answer, err := c.HTTP.Do(call)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s: %s", errAway, answer.Status, bytes.TrimSpace(data))
	}
	rest, err := decode(data, res)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errAway, err)
	}
	if res.Error == "" {
		return rest, nil
	}
	if refused := refusals[res.Error]; refused != nil {
		return nil, refused
	}
	return nil, errAway
}

// Look implements lead.Database.
func (c *Client) Look(ctx context.Context) (lead.Seat, error) {
	f := c.call(ctx, look, request{})
	return f.res.Seat, f.err
}

// Settle implements lead.Database.
func (c *Client) Settle(ctx context.Context) (lead.Seat, error) {
	f := c.call(ctx, settle, request{})
	return f.res.Seat, f.err
}

// Take implements lead.Database.
func (c *Client) Take(ctx context.Context, seen lead.Seat, h lead.Holder) error {
	return c.call(ctx, take, request{Seen: seen, Holder: h}).err
}

// Beat implements lead.Database.
func (c *Client) Beat(ctx context.Context, epoch uint64) error {
	return c.call(ctx, beat, request{Epoch: epoch}).err
}

// Leave implements lead.Database.
func (c *Client) Leave(ctx context.Context, epoch uint64) error {
	return c.call(ctx, leave, request{Epoch: epoch}).err
}

// Commit implements lead.Database.
func (c *Client) Commit(ctx context.Context, epoch, number uint64, b *store.Batch) error {
	req := request{Epoch: epoch, Number: number, Lazy: b.Lazy}
	var values [][]byte
	for _, o := range b.Ops() {
		if o.Key.Kind == 0 {
			return fmt.Errorf("%w: key %d has kind 0, which is the database's own", lead.ErrRefused, o.Key.Num)
		}
		req.Ops = append(req.Ops, op{o.Key, o.Delete, len(o.Value)})
		values = append(values, o.Value)
	}
	return c.call(ctx, commit, req, values...).err
}

// Get implements lead.Database.
func (c *Client) Get(ctx context.Context, k store.Key) ([]byte, error) {
	f := c.call(ctx, get, request{Key: k})
	return f.values, f.err
}

// Scan implements lead.Database.
func (c *Client) Scan(ctx context.Context, kind store.RecordKind, from uint64, f func(num uint64, value []byte) error) error {
	call := c.call(ctx, scan, request{Key: store.Key{Kind: kind, Num: from}})
	if call.err != nil {
		return call.err
	}
	values := call.values
	for _, r := range call.res.Records {
		value, rest, err := next(values, r.Size)
		if err != nil {
			return fmt.Errorf("%w: %w", errAway, err)
		}
		values = rest
		if err := f(r.Num, value); err != nil {
			return err
		}
	}
	return nil
}

// Await implements lead.Database.
func (c *Client) Await(ctx context.Context) error {
	err := c.call(ctx, await, request{}).err
	if ctx.Err() != nil {
		return nil //nolint:nilerr // Nothing was left.
	}
	return err
}

// Durability implements lead.Database.
func (*Client) Durability() store.Durability { return store.Sync }

// Close implements lead.Database.
func (*Client) Close() error { return nil }

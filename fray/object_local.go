package fray

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/frayrpc/fray/fray/internal/object"
)

// localObjects keeps the objects of a job context that runs its tasks in this process. Equal values are
// kept once, until the job context is closed.
type localObjects struct {
	most int64

	mu   sync.Mutex
	byID map[string][][]byte // pieces
	held map[string]int      // by how many open tasks
	// released are those that go once nothing holds them.
	released map[string]bool
	bytes    int64
	closed   bool
}

func newLocalObjects(most int64) *localObjects {
	return &localObjects{most: most, byID: make(map[string][][]byte), held: make(map[string]int), released: make(map[string]bool)}
}

func (o *localObjects) put(ctx context.Context, _, encoding string, src *objectSource) (id string, size int64, err error) {
	var namer object.Namer
	var pieces [][]byte
	for last := false; !last; src.advance() {
		var piece []byte
		if piece, last, err = src.next(); err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return "", 0, err
		}
		namer.Add(piece)
		if namer.Size() > o.most {
			return "", 0, fmt.Errorf("it has more than %d bytes, which is all that this job context keeps: see fray.WithMaxObjectBytes", o.most)
		}
		pieces = append(pieces, bytes.Clone(piece))
	}
	id, size = namer.Name(encoding), namer.Size()
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return "", 0, ErrClosed
	case o.byID[id] != nil:
		delete(o.released, id)
	case o.bytes+size > o.most:
		return "", 0, fmt.Errorf("objects have %d bytes, and there is no room for %d more in %d: release some, or see fray.WithMaxObjectBytes", o.bytes, size, o.most)
	default:
		o.byID[id] = pieces
		o.bytes += size
	}
	return id, size, nil
}

func (o *localObjects) piece(ctx context.Context, _, id string, n uint32) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	pieces := o.byID[id]
	switch {
	case o.closed:
		return nil, ErrClosed
	case int64(n) >= int64(len(pieces)):
		return nil, ErrObjectLost
	}
	return pieces[n], nil
}

func (o *localObjects) release(_ context.Context, _, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held[id] > 0 {
		o.released[id] = true
	} else {
		o.remove(id)
	}
	return nil
}

// remove forgets an object, with o.mu held.
func (o *localObjects) remove(id string) {
	for _, p := range o.byID[id] {
		o.bytes -= int64(len(p))
	}
	delete(o.byID, id)
	delete(o.released, id)
}

// hold keeps objects until letGo, though they are released meanwhile. It returns one that is not there, if there
// is one: then it holds none of them.
func (o *localObjects) hold(ids []string) (missing string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		if (o.byID[id] == nil || o.released[id]) && !o.closed { // The backend says that it is closed.
			return id
		}
	}
	for _, id := range ids {
		o.held[id]++
	}
	return ""
}

// letGo ends what hold began.
func (o *localObjects) letGo(ids []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, id := range ids {
		if o.held[id]--; o.held[id] > 0 {
			continue
		}
		delete(o.held, id)
		if o.released[id] {
			o.remove(id)
		}
	}
}

func (o *localObjects) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.byID, o.bytes = true, nil, 0
}

package database

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/internal/chance"
	"github.com/frayrpc/fray/sim/scenario"
)

// Config is how a database is run. All fields are needed.
type Config struct {
	Disk *Disk
	// Seed is that of what is left to chance.
	Seed uint64
	// Full says whether there is no room for records, and Fails returns an error if what is to be done next
	// fails: one of the kinds of package scenario. A sync that fails has the standby take over.
	Full  func() bool
	Fails func(on string) error
	// Sync takes the time of a sync, after which the seat is the given one, and in which changes wait for
	// each other. It ends early if the host crashes.
	Sync func(lead.Seat)
	// Observe is told of each change of the seat once it is seen, in their order.
	Observe func(Change)
}

// Change is a change of the seat.
type Change struct {
	// Host is who made it.
	Host string
	Kind Kind
	// Seat is as it is now.
	Seat lead.Seat
	// Epoch is that which the commit named.
	Epoch uint64
}

// Kind is a kind of changes.
type Kind string

// The kinds of changes.
const (
	Took      Kind = take
	Committed Kind = commit
	Left      Kind = leave
	Beaten    Kind = beat
	// Found is what the host finds at its start, and the standby when it takes over.
	Found Kind = "Found"
)

// Server is the software of the database's host: a handler of what clients ask.
type Server struct {
	cfg Config

	mu  sync.Mutex
	now *primary
	// What was replaced, and is reached by some yet; nil: nothing.
	old *primary
	// Which callers reach it.
	stays func(caller string) bool
}

// primary is a database that takes changes, or did until another took its place.
type primary struct {
	number int
	turn   chan struct{} // has a token while the seat is being changed

	mu   sync.Mutex
	seen state
	left chan struct{} // closed, and made anew, when the seat is left

	// Closed when the callers that do not stay are cut off, and when all are.
	cut, gone chan struct{}
}

// NewServer returns a server of what is on the disk.
func NewServer(cfg Config) *Server {
	s := &Server{cfg: cfg}
	s.open()
	return s
}

// open has what is on the disk served.
func (s *Server) open() {
	number, found := s.cfg.Disk.open()
	s.now = &primary{
		number: number, seen: found, turn: make(chan struct{}, 1), left: make(chan struct{}),
		cut: make(chan struct{}), gone: make(chan struct{}),
	}
	s.cfg.Observe(Change{Kind: Found, Seat: found.seat, Epoch: found.seat.Epoch})
}

// Failover has the standby take over. Of what was not acknowledged it has what chance leaves. Callers
// of whom stays says so reach what was replaced until Rejoin.
func (s *Server) Failover(random *rand.Rand, stays func(caller string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejoin()
	s.cfg.Disk.lose(random)
	s.old, s.stays = s.now, stays
	s.open()
	close(s.old.cut)
}

// Rejoin has all callers reach the one database that there is.
func (s *Server) Rejoin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejoin()
}

func (s *Server) rejoin() {
	if s.old != nil {
		close(s.old.gone)
		s.old = nil
	}
}

// of returns the primary that a caller reaches, and what is closed when it does no longer.
func (s *Server) of(caller string) (p *primary, broken <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.old != nil && s.stays(caller) {
		return s.old, s.old.gone
	}
	return s.now, s.now.cut
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return // The request never came to its end.
	}
	var req request
	c := &change{}
	values, err := decode(data, &req)
	for i := 0; i < len(req.Ops) && err == nil; i++ {
		o := req.Ops[i]
		var value []byte
		value, values, err = next(values, o.Size)
		c.ops = append(c.ops, store.Op{Key: o.Key, Value: value, Delete: o.Delete})
	}
	var res response
	var answer [][]byte
	if err == nil {
		answer, err = s.serve(r.Context(), strings.TrimPrefix(r.URL.Path, prefix), &req, c, &res)
	}
	if err != nil {
		res.Error = refusal(err)
	}
	if err != nil && res.Error == "" {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if data, err = encode(&res, answer); err == nil {
		_, _ = w.Write(data)
	}
}

func (s *Server) serve(ctx context.Context, procedure string, req *request, c *change, res *response) (values [][]byte, err error) {
	p, broken := s.of(req.From)
	if reads[procedure] && s.cfg.Fails(scenario.DiskReads) != nil {
		return nil, errAway
	}
	switch procedure {
	case look:
		res.Seat = p.seat()
	case get:
		value, ok := p.get(req.Key)
		if !ok {
			return nil, store.ErrNotFound
		}
		values = [][]byte{value}
	case scan:
		res.Records, values = p.scan(req.Key)
	case await:
		err = p.await(ctx, broken)
	case settle:
		err = s.change(ctx, p, broken, Beaten, req, c, func(seat *lead.Seat) error { seat.Beats++; return nil })
		res.Seat = c.seat
	default:
		rule, ok := rules[procedure]
		if !ok {
			return nil, fmt.Errorf("there is no procedure %q", procedure)
		}
		err = s.change(ctx, p, broken, Kind(procedure), req, c, func(seat *lead.Seat) error { return rule(seat, req) })
	}
	return values, err
}

// reads are the procedures that only read.
var reads = map[string]bool{look: true, get: true, scan: true}

// rules are what changes do to the seat, and what they ask of it.
var rules = map[string]func(seat *lead.Seat, req *request) error{
	take: func(seat *lead.Seat, req *request) error {
		if *seat != req.Seen {
			return lead.ErrReplaced
		}
		seat.Epoch, seat.Vacant, seat.Holder = seat.Epoch+1, false, req.Holder
		return nil
	},
	beat: func(seat *lead.Seat, req *request) error {
		seat.Beats++
		return led(seat, req)
	},
	leave: func(seat *lead.Seat, req *request) error {
		if seat.Epoch != req.Epoch {
			return lead.ErrReplaced
		}
		seat.Vacant = true
		return nil
	},
	commit: func(seat *lead.Seat, req *request) error {
		if err := led(seat, req); err != nil {
			return err
		}
		if req.Number != seat.Commits+1 {
			return lead.ErrNotNext
		}
		seat.Commits++
		return nil
	},
}

// led says whether the epoch that a change names is that of the leader.
func led(seat *lead.Seat, req *request) error {
	if seat.Epoch != req.Epoch || seat.Vacant {
		return lead.ErrReplaced
	}
	return nil
}

// change changes the seat, and records with it, as c says once it has returned, and returns once that is
// durable, if it is not lazy. Once begun it takes its course, whether its caller is there to hear of it
// or not.
func (s *Server) change(ctx context.Context, p *primary, broken <-chan struct{}, kind Kind, req *request, c *change, rule func(*lead.Seat) error) error {
	select {
	case p.turn <- struct{}{}:
	case <-broken:
		return errAway
	}
	defer func() { <-p.turn }()
	c.seat = p.seat()
	if err := rule(&c.seat); err != nil {
		return err
	}
	if len(c.ops) > 0 && s.cfg.Full() {
		return store.ErrFull
	}
	if s.cfg.Fails(scenario.DiskWrites) != nil {
		return errAway
	}
	counts := s.cfg.Disk.write(p.number, c)
	if !req.Lazy {
		s.cfg.Sync(c.seat)
		if counts && s.cfg.Fails(scenario.DiskSyncs) != nil {
			s.Failover(chance.New(s.cfg.Seed, "sync", c.seat.Commits), func(string) bool { return false })
		}
		if !s.cfg.Disk.sync(p.number) { // Its standby has taken over, and it waits for a word that never comes.
			select {
			case <-broken:
			case <-ctx.Done():
			}
			return errAway
		}
	}
	p.show(c, kind == Left)
	if counts {
		s.cfg.Observe(Change{req.From, kind, c.seat, req.Epoch})
	}
	return nil
}

func (p *primary) seat() lead.Seat {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.seat
}

// show has a change be seen.
func (p *primary) show(c *change, left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen.apply(c)
	if left {
		close(p.left)
		p.left = make(chan struct{})
	}
}

func (p *primary) get(k store.Key) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.seen.records[k]
	return v, ok
}

// scan returns the records of a kind, from a number on, and their values.
func (p *primary) scan(from store.Key) (all []record, values [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, v := range p.seen.records { // order-free: they are sorted
		if k.Kind == from.Kind && k.Num >= from.Num {
			all = append(all, record{k.Num, len(v)})
		}
	}
	slices.SortFunc(all, func(a, b record) int { return cmp.Compare(a.Num, b.Num) })
	for _, r := range all {
		values = append(values, p.seen.records[store.Key{Kind: from.Kind, Num: r.Num}])
	}
	return all, values
}

// await returns once the seat is left.
func (p *primary) await(ctx context.Context, broken <-chan struct{}) error {
	p.mu.Lock()
	left := p.left
	p.mu.Unlock()
	select {
	case <-left:
		return nil
	case <-broken:
		return errAway
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

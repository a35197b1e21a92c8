package core_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/frayrpc/fray/fray/core"
)

// TestObjectsModel puts, holds, reads and releases objects at random, on a store that may lose what was lazy.
// Whatever happens, a job reads what it holds, byte for byte, and nothing is left of what nobody holds.
func TestObjectsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &objectModel{t: rt, now: epoch, held: make(map[string]map[core.ObjectID]bool), puts: make(map[string]*objectPut)}
		m.restart(0)
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			m.act()
			if err := m.s.Check(); err != nil {
				rt.Fatal(err)
			}
		}
		m.end()
	})
}

func objectConfig() core.Config {
	return core.Config{
		Incarnation: 1, Durable: true, MaxObjectBytes: 60, ObjectOverhead: 4, ObjectGrace: time.Minute, UploadGrace: 10 * time.Second,
		WatchGrace: time.Second, Retention: time.Second,
	}
}

type objectModel struct {
	t     *rapid.T
	s     *core.Scheduler
	now   core.Time
	calls core.CallID
	// What was written, in its order; of a prefix it is known to be durable.
	log     []core.Record
	durable int
	// What jobs certainly hold, because they said so within the grace; and uploads.
	held    map[string]map[core.ObjectID]bool
	puts    map[string]*objectPut
	uploads int
}

type objectValue struct {
	id     core.ObjectID
	pieces [][]byte
}

type objectPut struct {
	job    string
	upload string
	value  objectValue
	next   uint32
	at     core.Time // of the last piece that came
	back   bool      // it was forgotten, and a restart may have brought it back
}

func (m *objectModel) int(name string, n int) int { return rapid.IntRange(0, n-1).Draw(m.t, name) }

func (m *objectModel) job() string { return []string{"j1", "j2", "j3"}[m.int("job", 3)] }

// value draws one of few values, in pieces of four bytes at most.
func (m *objectModel) value() objectValue {
	n := m.int("value", 6)
	var v objectValue
	var chain core.Chain
	size := int64(0)
	for i := range 1 + n%3 {
		p := []byte(fmt.Sprintf("%d/%d", n, i))
		v.pieces = append(v.pieces, p)
		chain = chain.Add(sha256.Sum256(p))
		size += int64(len(p))
	}
	v.id = core.NameObject("raw", size, chain)
	return v
}

func (m *objectModel) step(e core.Event) core.Reply {
	var out core.Effects
	if e == nil {
		m.s.Step(m.now, &out)
	} else {
		m.s.Step(m.now, &out, e)
	}
	for _, r := range out.Records {
		c := r
		if r.Object != nil {
			o := *r.Object
			c.Object = &o
		}
		m.log = append(m.log, c)
		if !r.Lazy {
			m.durable = len(m.log)
		}
	}
	for _, r := range out.Replies {
		return r
	}
	if e != nil {
		m.t.Fatalf("%T has no reply", e)
	}
	return core.Reply{}
}

func (m *objectModel) call() core.CallID {
	m.calls++
	return m.calls
}

func (m *objectModel) hold(job string, id core.ObjectID) {
	if m.held[job] == nil {
		m.held[job] = make(map[core.ObjectID]bool)
	}
	m.held[job][id] = true
}

func (m *objectModel) act() {
	switch m.int("act", 10) {
	case 0, 1, 2:
		m.begin()
	case 3, 4:
		m.goOn()
	case 5:
		m.askToHold()
	case 6:
		m.release()
	case 7:
		m.read(m.job(), m.value())
	case 8:
		m.pass([]time.Duration{time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute}[m.int("pass", 4)])
	case 9:
		if m.int("crash", 3) == 0 {
			m.restart(m.int("lost", 1+len(m.log)-m.durable))
		}
	}
}

func (m *objectModel) begin() {
	m.uploads++
	p := &objectPut{job: m.job(), upload: fmt.Sprint("u", m.uploads), value: m.value()}
	m.puts[p.upload] = p
	m.piece(p, 0)
}

func (m *objectModel) goOn() {
	if len(m.puts) == 0 {
		return
	}
	var all []string
	for id := range m.puts {
		all = append(all, id)
	}
	slices.Sort(all)
	p := m.puts[all[m.int("put", len(all))]]
	at := p.next
	if m.int("again", 4) == 0 { // The answer to the one before was lost.
		at -= min(at, 1)
	}
	m.piece(p, at)
}

func (m *objectModel) piece(p *objectPut, n uint32) {
	data := p.value.pieces[n]
	last := int(n) == len(p.value.pieces)-1
	e := &core.PutPiece{
		Call: m.call(), Job: p.job, Upload: p.upload, Piece: n, Data: data, Sum: sha256.Sum256(data), Last: last, Encoding: "raw", ID: p.value.id,
	}
	wrong := last && m.int("wrong", 8) == 0
	if wrong {
		e.ID[0]++
	}
	r := m.step(e)
	b, _ := r.Body.(core.PieceReply)
	switch {
	case errors.Is(r.Err, core.ErrObjectsFull):
		return
	case wrong && errors.Is(r.Err, core.ErrOtherObject):
		delete(m.puts, p.upload)
	case r.Err != nil:
		m.t.Fatalf("piece %d: %v", n, r.Err)
	case b.Done:
		if !last || b.Object.ID != p.value.id || wrong {
			m.t.Fatalf("piece %d of %d is the end of %+v", n, len(p.value.pieces), b.Object)
		}
		m.hold(p.job, p.value.id)
		delete(m.puts, p.upload)
	default:
		if b.Pieces != p.next && b.Pieces != n+1 && m.now.Sub(p.at) < 10*time.Second && !p.back {
			m.t.Fatalf("%d pieces have come, and then %d", p.next, b.Pieces)
		}
		p.back = false
		if p.next, p.at = b.Pieces, m.now; int(p.next) >= len(p.value.pieces) {
			m.t.Fatalf("%d pieces have come of %d, and it is not there", b.Pieces, len(p.value.pieces))
		}
	}
}

func (m *objectModel) askToHold() {
	job, v := m.job(), m.value()
	held := m.step(&core.HoldObjects{Call: m.call(), Job: job, IDs: []core.ObjectID{v.id}}).Body.(core.HoldReply).Held[0]
	known := false
	for _, of := range m.held {
		known = known || of[v.id]
	}
	if known && !held {
		m.t.Fatalf("job %s cannot hold what others do", job)
	}
	if held {
		m.hold(job, v.id)
	}
}

func (m *objectModel) release() {
	job, v := m.job(), m.value()
	m.step(&core.ReleaseObjects{Call: m.call(), Job: job, IDs: []core.ObjectID{v.id}})
	delete(m.held[job], v.id)
}

// lists reads the list of a job's objects in pages of one, in which everything is that the job certainly holds.
func (m *objectModel) lists(job string) {
	got := make(map[core.ObjectID]bool)
	for e := (&core.ListObjects{Job: job, Max: 1}); ; {
		e.Call = m.call()
		r := m.step(e).Body.(core.ObjectsReply)
		for _, o := range r.Objects {
			if got[o.ID] || e.Before > 0 && o.Num >= e.Before || !slices.Contains(o.Jobs, job) || o.Holders != len(o.Jobs) {
				m.t.Fatalf("job %s is listed %+v after %d", job, o, e.Before)
			}
			got[o.ID], e.Before = true, o.Num
		}
		if !r.More {
			break
		}
	}
	for id, held := range m.held[job] { // order-free: each for itself
		if held && !got[id] {
			m.t.Fatalf("the list of job %s lacks %x", job, id)
		}
	}
}

// read reads a value in the name of a job, which it can if the job certainly holds it.
func (m *objectModel) read(job string, v objectValue) {
	m.lists(job)
	call := m.call()
	r := m.step(&core.ReadObject{Call: call, Job: job, ID: v.id})
	if r.Err != nil {
		if !errors.Is(r.Err, core.ErrUnknownObject) || m.held[job][v.id] {
			m.t.Fatalf("job %s reads %x: %v", job, v.id, r.Err)
		}
		return
	}
	m.hold(job, v.id)
	o := r.Body.(core.ObjectView)
	if m.int("let go meanwhile", 4) == 0 {
		m.step(&core.ReleaseObjects{Call: m.call(), Job: job, IDs: []core.ObjectID{v.id}})
		delete(m.held[job], v.id)
		m.step(nil)
	}
	pieces, _ := stored(m.log)
	if int(o.Pieces) != len(v.pieces) || o.ID != v.id {
		m.t.Fatalf("job %s reads %+v, want %d pieces", job, o, len(v.pieces))
	}
	for i, p := range v.pieces {
		if got := pieces[pieceKey{o.Num, uint32(i)}]; !bytes.Equal(got, p) {
			m.t.Fatalf("piece %d of object %d is %q, want %q", i, o.Num, got, p)
		}
	}
	m.calls++
	var out core.Effects
	m.s.Step(m.now, &out, &core.Forsake{Call: call})
	m.log = append(m.log, out.Records...)
}

// pass lets time pass, in which nobody is heard of.
func (m *objectModel) pass(d time.Duration) {
	for end := m.now.Add(d); m.now < end; {
		m.now = min(max(m.s.Next(), m.now.Add(1)), end)
		m.step(nil)
	}
	if d >= 30*time.Second { // Twice of that is more than the grace: nothing is sure to be held any longer.
		clear(m.held)
	}
}

type pieceKey struct {
	num   core.ObjectNum
	piece uint32
}

// stored is what a store has after records were applied.
func stored(log []core.Record) (map[pieceKey][]byte, map[core.ObjectNum]*core.ObjectRecord) {
	pieces, objects := make(map[pieceKey][]byte), make(map[core.ObjectNum]*core.ObjectRecord)
	for _, r := range log {
		switch r.Kind {
		case core.RecordPiece:
			pieces[pieceKey{r.Object.Num, r.Object.From}] = r.Data
		case core.RecordForgetPieces:
			for i := r.Object.From; i < r.Object.To; i++ {
				delete(pieces, pieceKey{r.Object.Num, i})
			}
		case core.RecordObject:
			objects[r.Object.Num] = r.Object
		case core.RecordForgetObject:
			delete(objects, r.Object.Num)
		}
	}
	return pieces, objects
}

// restart loses the last of what was written and was lazy, and goes on with the rest.
func (m *objectModel) restart(lost int) {
	m.log = m.log[:len(m.log)-lost]
	m.durable = len(m.log)
	_, objects := stored(m.log)
	var records []*core.ObjectRecord
	for _, r := range objects {
		records = append(records, r)
	}
	slices.SortFunc(records, func(a, b *core.ObjectRecord) int { return cmp.Compare(a.Num, b.Num) })
	cfg := objectConfig()
	m.s = core.NewScheduler(cfg)
	if err := m.s.Restore(m.now, nil, func(func(*core.Restored, error) bool) {}); err != nil {
		m.t.Fatal(err)
	}
	if err := m.s.RestoreObjects(seqOf(records)); err != nil {
		m.t.Fatal(err)
	}
	for _, p := range m.puts { // order-free: each for itself
		p.back = p.next == 0
	}
	m.step(nil)
}

func seqOf(records []*core.ObjectRecord) iter.Seq2[*core.ObjectRecord, error] {
	return func(yield func(*core.ObjectRecord, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// end sees that nothing is left once nobody needs anything.
func (m *objectModel) end() {
	m.pass(5 * time.Minute)
	pieces, objects := stored(m.log)
	if len(pieces) > 0 || len(objects) > 0 {
		m.t.Fatalf("%d pieces and %d records of objects are left", len(pieces), len(objects))
	}
	if err := m.s.Check(); err != nil {
		m.t.Fatal(err)
	}
}

// objectBench is a scheduler whose events are made by hand.
type objectBench struct {
	*testing.T
	s    *core.Scheduler
	now  core.Time
	call core.CallID
	log  []core.Record
}

func (b *objectBench) step(e core.Event) core.Reply {
	b.Helper()
	var out core.Effects
	b.s.Step(b.now, &out, e)
	b.log = append(b.log, out.Records...)
	if b.call%100 == 0 {
		if err := b.s.Check(); err != nil {
			b.Fatal(err)
		}
	}
	if len(out.Replies) != 1 {
		b.Fatalf("%T has %d replies", e, len(out.Replies))
	}
	return out.Replies[0]
}

func (b *objectBench) put(job, upload, value string) core.PieceReply {
	b.Helper()
	b.call++
	r := b.step(&core.PutPiece{Call: b.call, Job: job, Upload: upload, Data: []byte(value), Sum: sha256.Sum256([]byte(value)), Last: true, Encoding: "raw"})
	return r.Body.(core.PieceReply)
}

// An object's record does not grow with the jobs that hold equal ones.
func TestObjectsOfManyJobsHaveSeveralCopies(t *testing.T) {
	t.Parallel()
	b := &objectBench{T: t, s: core.NewScheduler(core.Config{Incarnation: 1, Durable: true}), now: epoch}
	for n := range 200 {
		b.put(fmt.Sprint("j", n), "u", "the same")
	}
	pieces, objects := stored(b.log)
	if len(pieces) != 4 || len(objects) != 4 {
		t.Errorf("%d copies of what 200 jobs hold, with %d pieces; want 4", len(objects), len(pieces))
	}
	for _, o := range objects {
		if len(o.Jobs) > 64 {
			t.Errorf("%d jobs hold one copy", len(o.Jobs))
		}
	}
	for n := range 200 {
		b.call++
		job := fmt.Sprint("j", n)
		id := core.NameObject("raw", 8, core.Chain{}.Add(sha256.Sum256([]byte("the same"))))
		if r := b.step(&core.ReadObject{Call: b.call, Job: job, ID: id}); r.Err != nil {
			t.Errorf("job %s: %v", job, r.Err)
		}
	}
}

// However many objects and pieces go at once, they go in portions, and all of them.
func TestObjectsGoInPortions(t *testing.T) {
	t.Parallel()
	b := &objectBench{
		T: t, s: core.NewScheduler(core.Config{Incarnation: 1, Durable: true, ObjectGrace: time.Second, UploadGrace: time.Minute}), now: epoch,
	}
	for n := range 3000 {
		b.put("j", fmt.Sprint("u", n), fmt.Sprint("value ", n))
	}
	large := &core.PutPiece{Job: "k", Upload: "u"}
	for n := range uint32(2500) {
		b.call++
		large.Call, large.Piece, large.Data, large.Last = b.call, n, []byte(fmt.Sprint(n)), n == 2499
		large.Sum = sha256.Sum256(large.Data)
		b.step(large)
	}
	b.now = b.now.Add(time.Second)
	for steps := 0; ; steps++ {
		var out core.Effects
		b.s.Step(b.now, &out)
		if len(out.Records) > 5*1024 {
			t.Fatalf("%d records in one step", len(out.Records))
		}
		b.log = append(b.log, out.Records...)
		pieces, objects := stored(b.log)
		if len(pieces) == 0 && len(objects) == 0 {
			if steps < 4 {
				t.Errorf("%d steps", steps)
			}
			break
		}
		if b.now = max(b.s.Next(), b.now); b.now == core.Never {
			t.Fatalf("%d pieces and %d objects are left, and nothing is due", len(pieces), len(objects))
		}
	}
	if err := b.s.Check(); err != nil {
		t.Error(err)
	}
}

// Objects without bytes are bounded, too.
func TestObjectsWithoutBytesTakeRoom(t *testing.T) {
	t.Parallel()
	b := &objectBench{T: t, s: core.NewScheduler(core.Config{Incarnation: 1, MaxObjectBytes: 1 << 20}), now: epoch}
	for n := range 100 {
		b.call++
		value := fmt.Sprint(n)
		r := b.step(&core.PutPiece{Call: b.call, Job: "j", Upload: value, Data: []byte(value), Sum: sha256.Sum256([]byte(value)), Last: n%2 == 0})
		if full := errors.Is(r.Err, core.ErrObjectsFull); full != (n >= 63) {
			t.Fatalf("object %d of 16 KiB each in a MiB: %v", n, r.Err)
		}
	}
}

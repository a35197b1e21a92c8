package hostile

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// poolSize is how many values of one kind a Pool remembers at least; twice as many at most.
const poolSize = 256

// Pool remembers values by what they name: "task_id", "lease_token". A field draws from the kind that its own
// name ends with, so that finished_lease_tokens and lease_token share one. Its methods are safe for concurrent
// use; nil is an empty pool.
type Pool struct {
	// Skip says of a message that nothing of it is to be remembered, nor of what it contains.
	Skip func(protoreflect.Message) bool

	mu sync.Mutex
	of map[string][]protoreflect.Value
}

// Add has fields of a name draw these values, among others.
func (p *Pool) Add(name string, values ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range values {
		p.add(kindOf(name, protoreflect.StringKind), protoreflect.ValueOfString(v))
	}
}

// Learn remembers the ids, tokens and cursors of a message that a server has sent.
func (p *Pool) Learn(m protoreflect.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learn(m, true)
}

// LearnNames remembers the ids of a message that a server has accepted. Numbers in it may mean nothing to it.
func (p *Pool) LearnNames(m protoreflect.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learn(m, false)
}

func (p *Pool) learn(m protoreflect.Message, numbers bool) {
	if p.Skip != nil && p.Skip(m) {
		return
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		kind := ""
		if numbers || f.Kind() == protoreflect.StringKind {
			kind = kindOf(string(f.Name()), f.Kind())
		}
		switch {
		case f.IsMap():
		case f.IsList():
			for i := range min(v.List().Len(), poolSize) {
				if f.Message() != nil {
					p.learn(v.List().Get(i).Message(), numbers)
				} else if kind != "" {
					p.add(kind, v.List().Get(i))
				}
			}
		case f.Message() != nil:
			p.learn(v.Message(), numbers)
		case kind != "":
			p.add(kind, v)
		}
		return true
	})
}

func (p *Pool) add(kind string, v protoreflect.Value) {
	if p.of == nil {
		p.of = make(map[string][]protoreflect.Value)
	}
	if len(p.of[kind]) >= 2*poolSize {
		p.of[kind] = slices.Delete(p.of[kind], 0, poolSize)
	}
	p.of[kind] = append(p.of[kind], v)
}

// latest is how many values of a kind are drawn more often than others: sessions and leases end.
const latest = 8

// draw returns a value for a field; false: it has none.
func (p *Pool) draw(r *rand.Rand, f protoreflect.FieldDescriptor) (protoreflect.Value, bool) {
	if p == nil {
		return protoreflect.Value{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.of[kindOf(string(f.Name()), f.Kind())]
	if len(have) == 0 {
		return protoreflect.Value{}, false
	}
	if r.IntN(2) == 0 {
		have = have[max(0, len(have)-latest):]
	}
	return have[r.IntN(len(have))], true
}

// kindOf is what fields of a name hold; empty: nothing that is worth remembering. Numbers and texts are
// apart.
func kindOf(name string, kind protoreflect.Kind) string {
	words := strings.Split(strings.TrimSuffix(name, "s"), "_")
	last := words[len(words)-1]
	switch kind {
	case protoreflect.StringKind:
		return strings.Join(words[max(0, len(words)-2):], "_")
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		if last == "cursor" {
			return last + " number"
		}
		if last == "token" || last == "seq" {
			return strings.Join(words[max(0, len(words)-2):], "_") + " number"
		}
	}
	return ""
}

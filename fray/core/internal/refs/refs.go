// Package refs finds things by their keys that are kept elsewhere: it holds 8 bytes for each, a hash
// of its key and a reference to it, where a map of strings and pointers holds 24.
package refs

// Ref is the caller's name for a thing, below 1<<31.
type Ref uint32

// passed marks what took the number of another, which took a later one: only behind such a one need
// anything be looked for when it goes.
const passed = Ref(1 << 31)

// Table finds things by the hashes of their keys, which should be spread evenly over all numbers.
// What has the hash of another takes the next number that is free: a table is one of open
// addressing with linear probing (Knuth, volume 3, 6.4), of which the map holds what is taken. Not
// safe for concurrent use. The zero value is empty.
type Table struct {
	refs map[uint32]Ref
	// The most that it held since its memory was made.
	most int
}

// minShrunk is how much a table held at least before it is moved into less memory.
const minShrunk = 4096

// Len returns how many things there are.
func (t *Table) Len() int { return len(t.refs) }

// Find returns the thing with this hash of which is says that it has the key. Where there is none,
// it returns the number that it would get.
func (t *Table) Find(hash uint32, is func(Ref) bool) (r Ref, free uint32, ok bool) {
	for ; ; hash++ {
		r, ok := t.refs[hash]
		if r &^= passed; !ok || is(r) {
			return r, hash, ok
		}
	}
}

// Add takes in a thing that Find has not found by its hash, at the number that it has returned.
func (t *Table) Add(hash, free uint32, r Ref) {
	if t.refs == nil {
		t.refs = make(map[uint32]Ref)
	}
	for ; hash != free; hash++ {
		t.refs[hash] |= passed
	}
	t.refs[free] = r
	t.most = max(t.most, len(t.refs))
}

// Remove takes out a thing that is there. hashOf returns the hash of another.
func (t *Table) Remove(hash uint32, r Ref, hashOf func(Ref) uint32) {
	for t.refs[hash]&^passed != r {
		hash++
	}
	// What could not have its place because of others takes the one that gets free, if it lies
	// between its hash and where it is.
	for at := hash + 1; t.refs[hash]&passed != 0; at++ {
		other, ok := t.refs[at]
		if !ok {
			break
		}
		if at-hashOf(other&^passed) >= at-hash {
			t.refs[hash], hash = other|passed, at
		}
	}
	delete(t.refs, hash)
	if t.most >= minShrunk && len(t.refs) <= t.most/4 {
		t.shrink()
	}
}

// shrink moves what there is into less memory, for maps never shrink. That costs no more than to
// fill it did.
func (t *Table) shrink() {
	fresh := make(map[uint32]Ref, len(t.refs))
	for hash, r := range t.refs { // order-free: each keeps its number
		fresh[hash] = r
	}
	t.refs, t.most = fresh, len(fresh)
}

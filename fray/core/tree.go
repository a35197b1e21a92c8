package core

import "slices"

// ordered is what a tree can keep.
type ordered[T any] interface{ before(other T) bool }

var (
	_ ordered[*turn]     = (*turn)(nil)
	_ ordered[*jobQueue] = (*jobQueue)(nil)
	_ ordered[*session]  = (*session)(nil)
)

// tree keeps items in the order of their before, as a treap (Seidel and Aragon, Algorithmica 1996):
// what is done to one of n items costs a look at some 2 log n of them. Items may need amounts of
// something, and then find passes over all that need too much without a look at each. The zero
// value is empty.
type tree[T ordered[T]] struct {
	root, first *node[T]
	size        int
	// Of all nodes that it has had: a node's rank is a hash of its number.
	added uint64
}

// node is an item's place in a tree. The item holds it.
type node[T ordered[T]] struct {
	item            T
	left, right, up *node[T]
	rank            uint32
	in              bool
	need            *needs
}

// needs are what an item needs, and for each amount the least of all items of the subtree.
type needs struct{ own, least []int64 }

// setNeed tells what the item needs; nothing, if of is empty. All items of a tree need the same
// number of amounts.
func (n *node[T]) setNeed(of []int64) {
	switch {
	case len(of) == 0:
		n.need = nil
	case n.need == nil:
		n.need = &needs{own: slices.Clone(of), least: slices.Clone(of)}
	default:
		copy(n.need.own, of)
	}
}

// insert places the item of n, which must be in no tree.
func (t *tree[T]) insert(n *node[T], looks *uint64) {
	t.added++
	n.rank, n.in = uint32(mix(t.added, 0)), true //nolint:gosec // Any bits will do.
	t.size++
	if t.root == nil {
		t.root, t.first = n, n
		n.gather()
		return
	}
	at, leftmost := t.root, true
	for {
		*looks++
		next := &at.left
		if !n.item.before(at.item) {
			next, leftmost = &at.right, false
		}
		if *next == nil {
			*next, n.up = n, at
			break
		}
		at = *next
	}
	if leftmost {
		t.first = n
	}
	for n.up != nil && n.up.rank < n.rank {
		*looks++
		t.lift(n)
	}
	n.gatherUp(looks)
}

// remove takes the item of n out.
func (t *tree[T]) remove(n *node[T], looks *uint64) {
	for n.left != nil && n.right != nil {
		*looks++
		if n.left.rank > n.right.rank {
			t.lift(n.left)
		} else {
			t.lift(n.right)
		}
	}
	child := n.left
	if child == nil {
		child = n.right
	}
	if t.first == n { // It had nothing to its left.
		t.first = n.up
		for next := n.right; next != nil; next = next.left {
			*looks++
			t.first = next
		}
	}
	if child != nil {
		child.up = n.up
	}
	t.hang(n, child)
	n.up.gatherUp(looks)
	n.left, n.right, n.up, n.in = nil, nil, nil, false
	t.size--
}

// move has an item take its place anew, whose order or needs have changed.
func (t *tree[T]) move(n *node[T], looks *uint64) {
	if t.size == 1 {
		n.gather()
		return
	}
	t.remove(n, looks)
	t.insert(n, looks)
}

// hang puts a node, or nothing, in the place of n below what n hangs from.
func (t *tree[T]) hang(n, other *node[T]) {
	switch {
	case n.up == nil:
		t.root = other
	case n.up.left == n:
		n.up.left = other
	default:
		n.up.right = other
	}
}

// lift turns n and the node above it, so that n is above.
func (t *tree[T]) lift(n *node[T]) {
	p := n.up
	t.hang(p, n)
	n.up, p.up = p.up, n
	if p.left == n {
		if p.left = n.right; p.left != nil {
			p.left.up = p
		}
		n.right = p
	} else {
		if p.right = n.left; p.right != nil {
			p.right.up = p
		}
		n.left = p
	}
	p.gather()
	n.gather()
}

// gather takes together what the items of the subtree need.
func (n *node[T]) gather() {
	if n.need == nil {
		return
	}
	copy(n.need.least, n.need.own)
	for _, child := range []*node[T]{n.left, n.right} {
		if child == nil {
			continue
		}
		for i, least := range child.need.least {
			n.need.least[i] = min(n.need.least[i], least)
		}
	}
}

func (n *node[T]) gatherUp(looks *uint64) {
	for ; n != nil && n.need != nil; n = n.up {
		*looks++
		n.gather()
	}
}

// find returns the first item that needs no more than there is of anything and is ok. One amount
// for each item takes it straight there; with several it may have to look at some that would have
// fitted in each alone.
func (t *tree[T]) find(room []int64, ok func(T) bool, looks *uint64) *node[T] {
	return t.root.find(room, ok, looks)
}

func (n *node[T]) find(room []int64, ok func(T) bool, looks *uint64) *node[T] {
	if n == nil || n.need != nil && !within(n.need.least, room) {
		return nil
	}
	*looks++
	if found := n.left.find(room, ok, looks); found != nil {
		return found
	}
	if (n.need == nil || within(n.need.own, room)) && (ok == nil || ok(n.item)) {
		return n
	}
	return n.right.find(room, ok, looks)
}

// count returns how many items need no more than there is, and looks no further once there are
// limit.
func (n *node[T]) count(room []int64, limit int, looks *uint64) int {
	if n == nil || limit <= 0 || n.need != nil && !within(n.need.least, room) {
		return 0
	}
	*looks++
	c := n.left.count(room, limit, looks)
	if n.need == nil || within(n.need.own, room) {
		c++
	}
	return c + n.right.count(room, limit-c, looks)
}

// all yields the items in their order.
func (t *tree[T]) all(yield func(*node[T]) bool) { t.root.all(yield) }

func (n *node[T]) all(yield func(*node[T]) bool) bool {
	return n == nil || n.left.all(yield) && yield(n) && n.right.all(yield)
}

func within(need, room []int64) bool {
	for i, n := range need {
		if n > room[i] {
			return false
		}
	}
	return true
}

package core

import (
	"encoding/binary"
	"slices"
)

// kind is what workers have in common that can run the same classes: functions, resources, and
// those of their labels that a class asks for. Workers that drain are of none.
type kind struct {
	// From 1, in the order in which they came.
	num       uint64
	key       string
	functions map[string]bool
	labels    map[Label]bool
	resources []Resource
	// Its workers, and of these the ones that are backed off, and the ones that are set aside. A kind
	// without workers is kept for a while.
	workers, penalized, aside int
	// How many of its workers have how many slots.
	bySlots map[int]int
	// The groups of which it can run all classes, and how often that changed.
	groups  []*group
	changes int
	// Its workers that wait for work and may be granted some.
	asking sessionList
}

// maxIdleKinds is how many kinds without workers are kept, for those that come back.
const maxIdleKinds = 64

func (k *kind) canRun(cl *class) bool {
	if !k.functions[cl.function] {
		return false
	}
	for _, l := range cl.labels {
		if !k.labels[l] {
			return false
		}
	}
	return covers(k.resources, cl)
}

// covers says whether there is enough of each resource for a task of cl.
func covers(resources []Resource, cl *class) bool {
	for _, r := range cl.resources {
		i := slices.IndexFunc(resources, func(x Resource) bool { return x.Name == r.Name })
		if i < 0 || resources[i].Amount < r.Amount {
			return false
		}
	}
	return true
}

func (k *kind) has(g *group) {
	k.groups = append(k.groups, g)
	k.changes++
}

func (k *kind) lacks(g *group) {
	k.groups = slices.DeleteFunc(k.groups, func(x *group) bool { return x == g })
	k.changes++
}

// kindsFor returns those that can run a class, in order.
func (c *Scheduler) kindsFor(cl *class) []*kind {
	var kinds []*kind
	for _, k := range c.kindByKey { // order-free: sorted below
		c.looks++
		if k.canRun(cl) {
			kinds = append(kinds, k)
		}
	}
	slices.SortFunc(kinds, byNumber)
	return kinds
}

func byNumber(a, b *kind) int {
	if a.num < b.num {
		return -1
	}
	return 1
}

// joinKind counts a worker among its kind.
func (c *Scheduler) joinKind(s *session) {
	c.keyBuf = s.kindKey(c.keyBuf[:0], c.mentions)
	k := c.kindByKey[string(c.keyBuf)]
	switch {
	case k == nil:
		k = c.addKind(string(c.keyBuf), s)
	case k.workers == 0:
		c.idleKinds--
	}
	k.workers++
	for _, g := range k.groups {
		g.workers++
	}
	if s.penalty != nil {
		k.penalized++
	}
	k.bySlots[s.slots]++
	s.kind, s.places, s.placesAsOf = k, nil, -1
	c.fleetGrew(k)
	c.offer(s)
}

// leaveKind counts it off.
func (c *Scheduler) leaveKind(s *session) {
	k := s.kind
	if k == nil {
		return
	}
	c.withdraw(s)
	c.releaseAside(s)
	c.keepNoMore(s)
	s.kind = nil
	if k.bySlots[s.slots]--; k.bySlots[s.slots] == 0 {
		delete(k.bySlots, s.slots)
	}
	c.fleetShrank()
	if s.penalty != nil {
		k.penalized--
	}
	k.workers--
	for _, g := range k.groups {
		if g.workers--; g.workers == 0 {
			g.unmanned = c.now
		}
	}
	if k.workers == 0 {
		if c.idleKinds++; c.idleKinds > maxIdleKinds {
			c.dropIdleKinds()
		}
	}
}

// kindKey encodes what decides which classes a worker can run, as far as these ask for labels.
func (s *session) kindKey(b []byte, mentions map[Label]int) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.names)))
	for _, f := range s.names {
		b = appendString(b, f)
	}
	b = binary.AppendUvarint(b, uint64(len(s.resources)))
	for _, r := range s.resources {
		b = binary.AppendVarint(appendString(b, r.Name), r.Amount)
	}
	for _, l := range s.tags {
		if mentions[l] > 0 {
			b = appendString(appendString(b, l.Name), l.Value)
		}
	}
	return b
}

// addKind takes in the first worker of a kind. Each group whose classes it can run in part is
// parted.
func (c *Scheduler) addKind(key string, s *session) *kind {
	c.lastKind++
	k := &kind{num: c.lastKind, key: key, functions: s.functions, resources: s.resources, labels: make(map[Label]bool), bySlots: make(map[int]int)}
	for _, l := range s.tags {
		if c.mentions[l] > 0 {
			k.labels[l] = true
		}
	}
	var parted []*group
	for _, g := range c.groups { // order-free: each is parted for itself
		parted = append(parted, g)
	}
	for _, g := range parted {
		var can, cannot []*class
		canQueues, cannotQueues := 0, 0
		for _, cl := range g.classes {
			c.looks++
			if k.canRun(cl) {
				can, canQueues = append(can, cl), canQueues+len(cl.queues)
			} else {
				cannot, cannotQueues = append(cannot, cl), cannotQueues+len(cl.queues)
			}
		}
		more := append(slices.Clone(g.kinds), k)
		switch {
		case len(can) == 0:
		case len(cannot) == 0:
			c.rename(g, more)
			k.has(g)
		case canQueues <= cannotQueues:
			c.moveClasses(can, c.groupFor(more, g.names))
		default:
			fewer := g.kinds
			c.rename(g, more)
			k.has(g)
			c.moveClasses(cannot, c.groupFor(fewer, g.names))
		}
	}
	c.kindByKey[key] = k
	return k
}

func (c *Scheduler) moveClasses(classes []*class, g *group) {
	for _, cl := range classes {
		c.leaveGroup(cl)
		c.joinGroup(cl, g)
	}
}

// dropIdleKinds forgets all kinds without workers, and joins the groups that are the same without
// them.
func (c *Scheduler) dropIdleKinds() {
	c.idleKinds = 0
	for key, k := range c.kindByKey { // order-free: the groups that are left are the same
		if k.workers > 0 {
			continue
		}
		delete(c.kindByKey, key)
		for _, g := range slices.Clone(k.groups) {
			k.lacks(g)
			fewer := slices.DeleteFunc(slices.Clone(g.kinds), func(x *kind) bool { return x == k })
			if other := c.groups[groupKey(fewer, g.names)]; other != nil {
				g.kinds = fewer // So that it leaves no trace in k.
				c.moveClasses(slices.Clone(g.classes), other)
			} else {
				c.rename(g, fewer)
			}
		}
	}
}

// mention counts a class that asks for a label. With the first one, workers with the label become
// another kind than those without.
func (c *Scheduler) mention(l Label) {
	if c.mentions[l]++; c.mentions[l] == 1 {
		c.sortCarriers(l)
	}
}

func (c *Scheduler) forgetMention(l Label) {
	if c.mentions[l]--; c.mentions[l] == 0 {
		delete(c.mentions, l)
		c.sortCarriers(l)
	}
}

func (c *Scheduler) sortCarriers(l Label) {
	for s := range c.carriers[l] { // order-free: the kinds that come of it are the same
		c.looks++
		if s.kind != nil {
			c.leaveKind(s)
			c.joinKind(s)
		}
	}
}

// carries notes which workers have a label, so that they are found when a class asks for it.
func (c *Scheduler) carries(s *session) {
	for _, l := range s.tags {
		if c.carriers[l] == nil {
			c.carriers[l] = make(map[*session]struct{})
		}
		c.carriers[l][s] = struct{}{}
	}
}

func (c *Scheduler) carriesNoMore(s *session) {
	for _, l := range s.tags {
		delete(c.carriers[l], s)
		if len(c.carriers[l]) == 0 {
			delete(c.carriers, l)
		}
	}
}

package core

import "slices"

// objects: each is held by the jobs that say so, comes, or goes; and its bytes are counted.
func (k *checker) objects() {
	c := k.c
	var bytes int64
	of := make(map[*owner]int64)
	held, uploads := make(map[*job]int), make(map[*job]int)
	heldBytes := make(map[*job]int64)
	going := 0
	for num, o := range c.objects.byNum { // order-free: sums, and each for itself
		k.want(o.num == num && num <= c.objects.last, "object %d is known by its number", num)
		k.want(o.deleted <= o.pieces && (o.goes() || o.deleted == 0), "object %d has %d pieces, %d deleted", num, o.pieces, o.deleted)
		bytes += c.cost(o)
		of[o.owner] += c.cost(o)
		k.want((o.upload != nil) == (o.timer != nil), "upload %d has an alarm", num)
		switch {
		case o.goes():
			going++
			k.want(slices.Contains(c.objects.going, o), "object %d, which nobody has, goes", num)
		case o.upload != nil:
			uploads[o.upload]++
			heldBytes[o.upload] += c.cost(o)
			k.want(len(o.holders) == 0, "nobody holds object %d before it is there", num)
			k.want(c.objects.uploads[uploadKey{o.upload, o.uploadID}] == o, "upload %d is known by its id", num)
			k.want(o.upload.owner == o.owner, "upload %d is its job's owner's", num)
		default:
			k.want(len(o.holders) <= maxHolders, "object %d has %d holders", num, len(o.holders))
		}
		for _, j := range o.holders {
			held[j]++
			heldBytes[j] += c.cost(o)
			k.want(j.objects.of(o.id) == o, "job %s holds object %d", j.id, num)
			k.want(j.owner == o.owner, "job %s and object %d have one owner", j.id, num)
			k.want(!j.dropped, "job %s holds object %d, and is known", j.id, num)
		}
	}
	k.want(bytes == c.objects.bytes, "objects have %d bytes, counted %d", bytes, c.objects.bytes)
	k.want(going == len(c.objects.going), "%d objects go, %d listed", going, len(c.objects.going))
	k.want(len(c.objects.uploads) == sum(uploads), "%d uploads, %d known by their ids", sum(uploads), len(c.objects.uploads))
	for _, o := range c.owners { // order-free: each is checked for itself
		k.want(o.objectBytes == of[o], "objects of owner %q have %d bytes, counted %d", o.name, of[o], o.objectBytes)
	}
	for _, j := range c.jobs { // order-free: each is checked for itself
		k.want(j.objects.size() == held[j] && j.uploads == uploads[j], "job %s holds %d objects, and %d come; counted %d, %d", j.id, held[j], uploads[j], j.objects.size(), j.uploads)
		k.want(j.objectBytes == heldBytes[j], "job %s has %d bytes of objects, counted %d", j.id, heldBytes[j], j.objectBytes)
		k.want(j.objects.size() == 0 || j.knownOtherwise() || j.objectsTimer != nil, "what job %s holds has an end", j.id)
	}
	for key, o := range c.objects.byID { // order-free: each is checked for itself
		k.want(o.id == key.id && o.owner.name == key.owner && !o.goes() && o.upload == nil, "object %d is known by its name", o.num)
	}
}

func sum(of map[*job]int) int {
	n := 0
	for _, m := range of { // order-free: a sum
		n += m
	}
	return n
}

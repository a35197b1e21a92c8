package core

// uniques: who has a key is known, and knows it.
func (k *checker) uniques() {
	c := k.c
	for t, key := range c.uniqueKeys { // order-free: each is checked for itself
		k.want(c.find(c.id(t)) == t && key.owner == t.job.owner.name, "task %s, which has a key, is known", k.id(t))
		k.want(c.uniques[key].task == t, "nobody had key %q after task %s", key.name, k.id(t))
	}
	for key, u := range c.uniques { // order-free: each is checked for itself
		k.want(c.uniqueKeys[u.task] == key, "task %s knows its key %q", k.id(u.task), key.name)
	}
}

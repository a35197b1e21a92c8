package reuse

// Room returns how many elements a queue has room for.
func Room[T any](q *Queue[T]) int { return len(q.ring) }

package abroad

import (
	"runtime"
	"sync/atomic"
)

// telling is 1 while a function that Tell was given runs.
var telling uint32

// Tell calls a function that reads or changes what goroutines of several hosts share in a test, such as
// the list of what they were told. One such function of a process runs at a time, and the race detector
// knows it. The function must do no more than that: it must not wait, call Tell, or call what may lock.
//
// This is no mutex, because the seed may have another goroutine go on where one locks a mutex, so that the
// trace would depend on it, and a host could be killed while it has the lock. The methods of typed atomics
// are such places too; the functions of sync/atomic are none.
func Tell(record func()) {
	for !atomic.CompareAndSwapUint32(&telling, 0, 1) {
		runtime.Gosched()
	}
	defer atomic.StoreUint32(&telling, 0)
	record()
}

package nats

import (
	"math/rand"
	"sync"
	_ "unsafe" // for go:linkname

	"github.com/nats-io/nuid"
)

// globalNUID is what the client and the server name their inboxes by. Package nuid draws it when the
// process starts, before any seed counts, and seeds math/rand with it.
//
//go:linkname globalNUID github.com/nats-io/nuid.globalNUID
var globalNUID *struct {
	sync.Mutex
	*nuid.NUID
}

// fresh has a run begin with what a process of its own would have drawn.
func fresh(seed uint64) {
	rand.Seed(int64(seed)) //nolint:staticcheck,gosec // Package nuid has called it too.
	globalNUID.NUID = nuid.New()
}

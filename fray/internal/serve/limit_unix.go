//go:build unix

package serve

import (
	"math"
	"syscall"
)

// descriptorLimit is how many files this process may have open.
func descriptorLimit() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return reservedDescriptors + minConnections
	}
	return int64(min(limit.Cur, math.MaxInt64)) // Bounded; signed on some systems.
}

//go:build !unix

package serve

// descriptorLimit is how many files this process may have open.
func descriptorLimit() int64 { return maxConnections }

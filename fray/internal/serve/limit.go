package serve

// Bounds on connections, which take a file descriptor each.
const (
	// reservedDescriptors are left for all that is no connection, the tables and logs of a store
	// first of all.
	reservedDescriptors = 700
	minConnections      = 16
	maxConnections      = 100_000
)

// DefaultMaxConnections is how many connections a server in this process keeps open at once: as
// many as the process may open files, but for those in reserve, which are at most half. The Go
// runtime has raised the limit as far as it may.
func DefaultMaxConnections() int {
	limit := descriptorLimit()
	return int(min(max(limit-min(reservedDescriptors, limit/2), minConnections), maxConnections))
}

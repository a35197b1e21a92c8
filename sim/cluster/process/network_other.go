//go:build !linux

package process

// ownAddresses says whether each host can have an address of its own: only 127.0.0.1 is loopback.
const ownAddresses = false

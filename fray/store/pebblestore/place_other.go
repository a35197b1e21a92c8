//go:build !unix

package pebblestore

import "os"

// lockDir has the locked file alone to go by on this system.
func lockDir(*os.File) error { return nil }

// otherOwner cannot tell on this system.
func otherOwner(os.FileInfo) (uid uint32, other bool) { return 0, false }

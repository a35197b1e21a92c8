// Package pebblestore is the store that lasts: a store.Store in a directory, kept by Pebble.
//
//	s, err := pebblestore.Open(pebblestore.Config{Dir: "/var/lib/fray"})
//
// # The directory
//
//	FRAY     says that this is a Fray data directory, and its format; written last when it is created
//	SYNCED   the number of a commit up to which all commits are on disk
//	db/      Pebble's files; the process that has db/LOCK locked has the directory
//
// A record's key is one byte with its kind and eight with its number, big-endian; its value is
// stored as it is. Kind 0 is the store's own: under it each batch counts itself.
//
// # What is promised
//
//   - A commit is in the store as a whole or not at all, and after all commits that returned before it began. What a
//     crash leaves is the first so many commits.
//   - When a Sync commit has returned, it is on disk. A Relaxed one is by RelaxedInterval later, and by Close.
//   - A reader may see a commit that is not on disk yet.
//   - Damage is an error that names the file, and wraps store.ErrCorrupt; see below.
//   - Nothing ends the process. When a file cannot be written to, the store has failed: from that instant on it writes
//     nothing, as if the power had been cut, and every commit returns an error that wraps store.ErrFailed. What was
//     acknowledged is there when it is opened again. A full disk is waited for instead; see Room.
//
// # Damage
//
// Each batch counts itself, so that Open knows of any that is missing before the last; and the
// number in SYNCED, which is written after each fsync of the log, tells Open what the last must be
// at least. So a log that lost its end is told from one whose end was being written when the
// process died, which is no damage: Pebble's own checksums cannot tell. All of this is checked
// before anything is written.
//
// Not noticed by it is damage to the end of the log together with a power loss that took back the
// number in SYNCED: that is written each time but synced only once in a second, and when the store
// is closed. Deletion of both SYNCED's promise and the log's end, say by restoring half of an older
// copy, is not damage but another store.
//
// Tables are checked as they are read. Open does not read them all.
//
// # Bounds
//
// Recent records are in up to three tables in memory of MemTableBytes each, outside of the Go heap;
// stored ones are cached in CacheBytes. Payloads are nowhere else. There is one compaction at a
// time, and commits wait for it only if it is hundreds of tables behind.
//
// # Time
//
// Time is that of package time, no goroutine outlives Close, and none waits for anything but the
// disk, so that a store on an in-memory filesystem runs in a testing/synctest bubble.
package pebblestore

// Package storecopy copies all records of a store to another one, of whatever engine, so that a cluster
// moves from one to the other while no controller runs on either.
//
//	from, err := storecopy.From("/var/lib/fray", source)
//	report, err := from.To(ctx, target, nil)
//
// # What is promised
//
//   - A copy that has come to its end has each record of the source, byte for byte, and no other.
//   - One that has not says so: no controller starts on it, and it cannot be copied. To copy to it again
//     clears it and begins anew.
//   - A store that has records of its own is not written to.
//   - The controllers of the copy give tokens that those of the source have not given.
//
// # How
//
// A controller's own record is the first that it writes, and the first that one reads which starts. So
// that one comes last: the first commit files a mark in its place, which says that the copy is
// unfinished and of what, and the last one replaces the mark. Before that all other records are read
// back and compared with what was read of the source. A target without any record is no unfinished
// copy, but one that was not begun.
//
// # Tokens
//
// Tokens begin with the number of their controller's start, the incarnation. On a data directory it
// counts on from the controller's record, which the copy has; of a database it is the epoch of the
// leader. So the epoch in which a copy is written to a database has to come after all incarnations of
// the source, see Source.Incarnation, and its controllers lead in later ones.
//
// Should the source be used again after the copy was made, both count on from the same number, as two do
// that are restored from one backup: what one of them has given, the other may give.
//
// # Bounds
//
// In memory are a batch of 4 MiB and the record that is read, of whatever size that is, beside what the
// stores need for themselves.
package storecopy

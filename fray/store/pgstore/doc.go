// Package pgstore keeps records in PostgreSQL, for several controllers: it is a lead.Database.
//
//	db, err := pgstore.Open(ctx, pgstore.Config{URL: "postgres://fray@db.example.com/fray?sslmode=verify-full"})
//	term, err := lead.Stand(ctx, lead.Config{Database: db, Holder: holder})
//
// # Tables
//
// They are in the first schema of the connection's search_path, so that one database has room for
// several clusters: give each a search_path of its own.
//
//	fray_format   the version of all this
//	fray_seat     one row: who leads, in which epoch, and how many commits there were
//	fray_spec, fray_result, fray_state, ...   the records of each kind
//
// A value of more than 1 MiB is in several rows, so that neither the server nor the connection has
// more of it than one at a time.
//
// # Commits
//
// A commit is one transaction that goes out in one piece: what it deletes and what it sets, by kind,
// each kind in one statement; and last the fence, which locks the seat, compares the epoch and the
// number of the commit, and counts it. Should the connection break before it is whole, the seat is
// not locked by what nobody will end.
//
// Where a synchronous standby is to have a commit before it counts, PostgreSQL may be told to wait no
// longer, and then reports success with a warning: such a commit is one of unknown outcome here, and
// waited for by a later one.
//
// # Isolation
//
// All transactions are READ COMMITTED, and need no more: what is written is the leader's alone, and
// the seat is locked before it is compared. Scans are REPEATABLE READ.
package pgstore

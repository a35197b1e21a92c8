// Package lead has several controllers use one database, one of them at a time: the leader.
//
//	term, err := lead.Stand(ctx, lead.Config{Database: db, Holder: lead.Holder{ID: id, Address: url}})
//	// It leads: term is a store.Store, until term.Failed() is closed.
//
// # Epochs
//
// The database has one seat. Who takes it, by compare and swap, leads in a new epoch, and every
// change that a leader makes names its epoch: the database compares it in the same transaction. So
// whatever a leader that was replaced still believes, and however long it was asleep, it changes
// nothing, and no decision rests on two clocks agreeing.
//
// # What became of a commit
//
// A connection may be lost before, within and after a commit. Commits are numbered, and the database
// takes none but the next, so that what became of one is read from the seat, see Database.Settle, and
// never guessed: it is made again unless its number is there. If another leads by then it stays
// unknown, which is what its callers are told.
//
// # Who notices
//
// A leader changes its seat at least each Config.Beat: by commits, or by saying that it is there. Who
// stands by looks as often, and takes the seat once it has looked Config.Patience times and found
// nothing changed. It counts its looks, not the time, so that what passed while it slept itself, or
// while the database was away, counts for nothing. A leader that leaves says so, and is followed at
// once. One that was asked to leaves the seat to others for a while, see Config.SteppedDown.
//
// # What is read
//
// What a leader knows may be out of date as soon as another leads. So it answers nothing before
// Term.Prove, or a commit, has shown that it led at some instant since it was asked.
package lead

import (
	"context"
	"errors"

	"github.com/frayrpc/fray/fray/store"
)

// Errors of a Database, which say for certain that nothing was changed. After any other error of a
// change, its outcome is unknown.
var (
	// ErrReplaced: another epoch has begun.
	ErrReplaced = errors.New("another controller leads")
	// ErrNotNext: the number of the commit is not that of the next one.
	ErrNotNext = errors.New("the number of the commit is not the next")
	// ErrRefused: the batch can never be applied.
	ErrRefused = errors.New("batch is refused")
)

// Database is what several controllers share. Its methods may be called concurrently, but for Close,
// which must be the last call.
type Database interface {
	// Look returns the seat as it is.
	Look(ctx context.Context) (Seat, error)
	// Settle returns the seat, after counting a beat of whoever has it, and what it returns, unlike what Look does, is as durable as a commit that
	// is not lazy, and so are the commits that it counts. One whose outcome is unknown, and that it does
	// not count, may come still, until another has come with its number.
	Settle(ctx context.Context) (Seat, error)
	// Take gives the seat to h, in the next epoch, if it still is as it was seen, or returns ErrReplaced.
	Take(ctx context.Context, seen Seat, h Holder) error
	// Beat says that the leader of an epoch is there, or returns ErrReplaced. It is as durable as a
	// commit that is not lazy.
	Beat(ctx context.Context, epoch uint64) error
	// Leave says that the leader of an epoch leads no more, or returns ErrReplaced.
	Leave(ctx context.Context, epoch uint64) error
	// Commit applies a batch, all of it or nothing, with the next number, and returns once it is as
	// durable as this database makes things; a lazy one may return before. It returns ErrReplaced,
	// ErrNotNext, an error that wraps store.ErrFull if there is no room, or one that wraps ErrRefused
	// if the batch can never be applied. A batch may be empty.
	Commit(ctx context.Context, epoch, number uint64, b *store.Batch) error
	// Get and Scan are those of store.Store.
	Get(ctx context.Context, k store.Key) ([]byte, error)
	Scan(ctx context.Context, kind store.RecordKind, from uint64, f func(num uint64, value []byte) error) error
	// Await returns once the seat may have been left, or ctx is done, or an error if it cannot tell.
	Await(ctx context.Context) error
	// Durability is that of store.Store.
	Durability() store.Durability
	// Close lets go of all connections.
	Close() error
}

// Seat is what a database has of its leader.
type Seat struct {
	// Epoch is that of the last who took it. It begins anywhere, so that the epochs of a database that
	// was lost do not come again.
	Epoch uint64
	// Commits is the number of the last commit, of whatever epoch.
	Commits uint64
	// Beats is how often a leader has said that it is there.
	Beats uint64
	// Vacant says that the last leader has left, or that there was none yet.
	Vacant bool
	// Holder is the last leader.
	Holder Holder
}

// Holder is who has the seat, or would.
type Holder struct {
	// ID is its own, and no other's: of another try to lead by the same controller neither.
	ID string
	// Address is where clients reach it.
	Address string
}

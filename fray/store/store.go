// Package store keeps the controller's records: small values filed under a kind and a number,
// written in atomic batches.
//
//	var b store.Batch
//	b.Set(store.Key{Kind: store.Spec, Num: 1}, spec)
//	err := s.Commit(&b) // Returns once all of b is durable, or none.
//
// What the values mean is the controller's business. Every implementation passes the suite in
// package storetest. Memory is here; package pebblestore has the one that lasts.
package store

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"sync/atomic"
)

// Errors of a Store in good order.
var (
	// ErrNotFound: no value is filed under the key.
	ErrNotFound = errors.New("record not found")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrFull: there is no room for more. Commits wait for room rather than fail; see Roomer.
	ErrFull = errors.New("store is full")
)

// Errors after which a Store is of no more use: its process should end, and say why.
var (
	// ErrCorrupt: what is stored is not what was committed.
	ErrCorrupt = errors.New("store is corrupt")
	// ErrFailed: writing failed. What the last commits did is unknown; all that were acknowledged
	// are kept.
	ErrFailed = errors.New("store has failed")
	// ErrUnfinished: it is a copy that has not come to its end; see package storecopy.
	ErrUnfinished = errors.New("store is an unfinished copy")
)

// RecordKind is what a record is about. It is part of the stored format: never reuse a number. Zero
// is the store's own.
type RecordKind uint8

// The kinds of records.
const (
	// Spec is a task's specification and job.
	Spec RecordKind = 1
	// Result is an ended task's value or error.
	Result RecordKind = 2
	// State is what has happened to a task.
	State RecordKind = 3
	// Job is what is known of a job besides its tasks.
	Job RecordKind = 4
	// Controller is the controller's own.
	Controller RecordKind = 5
	// Object is what is known of an object besides its pieces.
	Object RecordKind = 6
	// Piece is a part of an object's value.
	Piece RecordKind = 7
	// Checkpoint is what the next incarnation of an actor is made from; its number is that of the actor's life.
	Checkpoint RecordKind = 8
)

// kindNames are the kinds that there are.
var kindNames = [...]string{
	Spec: "spec", Result: "result", State: "state", Job: "job", Controller: "controller", Object: "object", Piece: "piece",
	Checkpoint: "checkpoint",
}

// Kinds yields all kinds of records, in the order of their numbers.
func Kinds() iter.Seq[RecordKind] {
	return func(yield func(RecordKind) bool) {
		for k, name := range kindNames {
			if name != "" && !yield(RecordKind(k)) { // within: an index of names
				return
			}
		}
	}
}

// String returns the name in lower case.
func (k RecordKind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Key is where a record is filed.
type Key struct {
	Kind RecordKind
	Num  uint64
}

// ControllerKey is where the controller files its own record. A store without one has never had a controller.
var ControllerKey = Key{Kind: Controller, Num: 1}

// Store holds records. Its methods may be called concurrently, but for Close, which must be the
// last call; calls after it return ErrClosed. A commit can be read before it is durable, that is
// before Commit returns.
type Store interface {
	// Commit applies the batch, all of it or nothing, and returns once it is as durable as this
	// store makes things; if it is lazy, at once. The store keeps the batch's values: the caller
	// must not change them afterwards. The batch itself may be reused.
	Commit(b *Batch) error
	// Get returns the value under a key, which the caller must not change, or ErrNotFound.
	Get(k Key) ([]byte, error)
	// Scan calls f with the records of a kind whose number is at least from, in the order of their
	// numbers, until f returns an error, which it returns. It sees the store as it was when it was
	// called. A value is valid until f returns. f must not commit.
	Scan(kind RecordKind, from uint64, f func(num uint64, value []byte) error) error
	// Durability says what a commit that has returned survives.
	Durability() Durability
	// Close lets go of what the store holds open.
	Close() error
}

// Durability is what a commit that is not lazy survives once it has returned.
type Durability uint8

// From nothing to everything.
const (
	// None: records end with the process.
	None Durability = iota
	// Relaxed: records outlive the process and the machine, but for those of the last moments.
	Relaxed
	// Sync: records outlive both.
	Sync
)

var durabilityNames = []string{"none", "relaxed", "sync"}

// String returns the name in lower case.
func (d Durability) String() string {
	if int(d) < len(durabilityNames) {
		return durabilityNames[d]
	}
	return "unknown"
}

// Backuper is a Store that can be copied while it is in use.
type Backuper interface {
	// Backup makes a copy as of now, in a directory that must not exist and whose parent must: of
	// several at once for one directory, one is made, and the others return an error that wraps
	// fs.ErrExist. The copy is whole, or not there. Opened, it is a store like any other. It stops
	// when ctx is done.
	Backup(ctx context.Context, dir string, b Backup) error
	// BackupNote returns the note of the copy in a directory, or an error that wraps
	// fs.ErrNotExist.
	BackupNote(dir string) (string, error)
}

// Backup is what is asked of a copy besides the records.
type Backup struct {
	// Note is kept with it.
	Note string
	// Copied, if not nil, counts the bytes that were copied rather than shared.
	Copied *atomic.Int64
}

// Abandoner is a Store whose commits may wait for room.
type Abandoner interface {
	// Abandon ends the waiting, now and from now on: commits that wait for room fail, and so do all
	// after them. Reads go on. It may be called at any time, also more than once.
	Abandon()
}

// Failer is a Store that may fail while nobody commits.
type Failer interface {
	// Failed is closed once the store is of no more use, for the reason that Failure then returns.
	Failed() <-chan struct{}
	Failure() error
}

// Roomer is a Store whose room is limited.
type Roomer interface {
	// Room returns nil while there is room for more records, or an error that wraps ErrFull and
	// says how much is left. It is cheap enough to be asked before each submission. Commits that
	// free room are welcome either way.
	Room() error
}

// Led is a Store that several controllers have, of which one leads. Its commits fail once another
// does.
type Led interface {
	// Epoch numbers the times for which a controller led, upwards; no two have the same.
	Epoch() uint64
	// Prove returns nil if this controller led at some instant since Prove was called. What it knew at
	// that instant was so.
	Prove() error
}

// Batch is a list of changes, applied in their order. The zero value is empty.
type Batch struct {
	// Lazy says that nobody waits for these changes to be durable: they are once a batch that is
	// not lazy was committed after them, or a moment has passed.
	Lazy bool

	ops []Op
}

// Op is one change: it files Value under Key, or deletes what is there.
type Op struct {
	Key    Key
	Value  []byte
	Delete bool
}

// Set files a value under a key, in place of what is there.
func (b *Batch) Set(k Key, value []byte) { b.ops = append(b.ops, Op{Key: k, Value: value}) }

// Delete removes what is filed under a key, if anything is.
func (b *Batch) Delete(k Key) { b.ops = append(b.ops, Op{Key: k, Delete: true}) }

// Ops returns the changes. The slice is valid until the batch is changed.
func (b *Batch) Ops() []Op { return b.ops }

// maxKeptOps is how many changes an empty batch keeps room for. What one large batch needed is let
// go.
const maxKeptOps = 4096

// Reset empties the batch and keeps its memory, but for that of a very large one.
func (b *Batch) Reset() {
	clear(b.ops)
	b.ops = b.ops[:0]
	if cap(b.ops) > maxKeptOps {
		b.ops = nil
	}
	b.Lazy = false
}

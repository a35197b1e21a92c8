package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// commits is what the store knows of the batches in it. Each batch adds itself, under one key, by
// merging {count: 1, last: its number}; so if any is missing, wherever it was, count falls short of
// last.
type commits struct {
	count uint64 // batches
	last  uint64 // the highest number of a batch; the first has 1
}

const commitsBytes = 16

// commitsKey is the one key that is no record's: kind 0 is the store's own.
var commitsKey = make([]byte, keyBytes)

func (c commits) append(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, c.count), c.last)
}

func parseCommits(b []byte) (commits, error) {
	if len(b) != commitsBytes {
		return commits{}, fmt.Errorf("number of commits has %d bytes, want %d", len(b), commitsBytes)
	}
	return commits{count: binary.BigEndian.Uint64(b), last: binary.BigEndian.Uint64(b[8:])}, nil
}

// readCommits returns what all batches in db add up to.
func readCommits(db *pebble.DB) (commits, error) {
	value, closer, err := db.Get(commitsKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return commits{}, nil
	}
	if err != nil {
		return commits{}, err
	}
	defer closer.Close()
	return parseCommits(value)
}

// commitsMerger has Pebble add commits up. Its name is part of the stored format.
var commitsMerger = &pebble.Merger{
	Name: "fray.commits",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		c, err := parseCommits(value)
		return &commitsSum{c}, err
	},
}

type commitsSum struct{ commits }

func (s *commitsSum) add(value []byte) error {
	c, err := parseCommits(value)
	if err != nil {
		return err
	}
	s.count += c.count
	s.last = max(s.last, c.last)
	return nil
}

// MergeNewer implements pebble.ValueMerger.
func (s *commitsSum) MergeNewer(value []byte) error { return s.add(value) }

// MergeOlder implements pebble.ValueMerger.
func (s *commitsSum) MergeOlder(value []byte) error { return s.add(value) }

// Finish implements pebble.ValueMerger.
func (s *commitsSum) Finish(bool) ([]byte, io.Closer, error) { return s.append(nil), nil, nil }

package pebblestore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"testing"

	"github.com/frayrpc/fray/fray/store"
)

// Keys are in the order of their kinds and numbers, and have their numbers back.
func FuzzKeys(f *testing.F) {
	f.Add(uint8(1), uint64(0), uint8(1), uint64(1<<63))
	f.Add(uint8(0), ^uint64(0), uint8(255), uint64(0))
	f.Fuzz(func(t *testing.T, kindA uint8, a uint64, kindB uint8, b uint64) {
		one, other := appendKey(nil, store.Key{Kind: store.RecordKind(kindA), Num: a}), appendKey(nil, store.Key{Kind: store.RecordKind(kindB), Num: b})
		if got, want := bytes.Compare(one, other), cmp.Or(cmp.Compare(kindA, kindB), cmp.Compare(a, b)); got != want {
			t.Errorf("%x and %x: %d, want %d", one, other, got, want)
		}
		if len(one) != keyBytes || binary.BigEndian.Uint64(one[1:]) != a {
			t.Errorf("%x is the key of %d", one, a)
		}
	})
}

// What the store knows of its batches is read or refused, and comes to the same in whatever order it is merged.
func FuzzCommits(f *testing.F) {
	f.Add(commits{1, 1}.append(nil), commits{2, 7}.append(nil), []byte(nil))
	f.Add(commits{^uint64(0), 1}.append(nil), commits{1, 0}.append(nil), []byte("short"))
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		merge := func(first []byte, rest ...[]byte) string {
			m, err := commitsMerger.Merge(nil, first)
			for i, value := range rest {
				if err == nil && i%2 == 0 {
					err = m.MergeNewer(value)
				} else if err == nil {
					err = m.MergeOlder(value)
				}
			}
			if err != nil {
				return "refused"
			}
			sum, _, err := m.Finish(true)
			if err != nil {
				t.Fatal(err)
			}
			if read, err := parseCommits(sum); err != nil || !bytes.Equal(read.append(nil), sum) {
				t.Errorf("%x reads back as %v, %v", sum, read, err)
			}
			return string(sum)
		}
		if one, other := merge(a, b, c), merge(c, a, b); one != other {
			t.Errorf("%x and %x", one, other)
		}
	})
}

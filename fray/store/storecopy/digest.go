package storecopy

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/frayrpc/fray/fray/store"
)

// ErrDiffers says that what was read back is not what was copied.
var ErrDiffers = errors.New("the copy differs from what it was made of")

// Count is how many records there are of a kind, and how many bytes their values have.
type Count struct {
	Kind           store.RecordKind
	Records, Bytes uint64
}

// digest tells the records of a kind from all others.
type digest struct {
	Count

	sum hash.Hash // of numbers, lengths and values, in the order of numbers
}

func newDigest(kind store.RecordKind) *digest {
	return &digest{Count: Count{Kind: kind}, sum: sha256.New()}
}

func (d *digest) add(num uint64, value []byte) {
	d.Records++
	d.Bytes += uint64(len(value))
	var head [16]byte
	binary.BigEndian.PutUint64(head[:8], num)
	binary.BigEndian.PutUint64(head[8:], uint64(len(value)))
	_, _ = d.sum.Write(head[:]) // never fails
	_, _ = d.sum.Write(value)
}

// mustBe returns an error that wraps ErrDiffers unless both are of the same records.
func (d *digest) mustBe(want *digest) error {
	if d.Count != want.Count {
		return fmt.Errorf("%w: it has %d records of %v with %d bytes, and %d with %d bytes were read",
			ErrDiffers, d.Records, d.Kind, d.Bytes, want.Records, want.Bytes)
	}
	if got, want := d.sum.Sum(nil), want.sum.Sum(nil); !bytes.Equal(got, want) {
		return fmt.Errorf("%w: its records of %v have the digest %x, and those that were read %x", ErrDiffers, d.Kind, got, want)
	}
	return nil
}

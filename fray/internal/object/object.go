// Package object names objects: what is put once, in pieces, and read by many.
package object

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
)

// PieceBytes is how many bytes each piece has, but for the last, which has fewer or as many.
const PieceBytes = 512 << 10

// Namer takes the pieces of an object one after the other, and names it. Its zero value has taken none.
type Namer struct {
	chain  [sha256.Size]byte
	size   int64
	pieces uint32
}

// Add takes the next piece.
func (n *Namer) Add(piece []byte) {
	sum := sha256.Sum256(piece)
	n.chain = sha256.Sum256(slices.Concat(n.chain[:], sum[:]))
	n.size += int64(len(piece))
	n.pieces++
}

// Size returns how many bytes it has taken.
func (n *Namer) Size() int64 { return n.size }

// Pieces returns how many pieces it has taken.
func (n *Namer) Pieces() uint32 { return n.pieces }

// Name returns the name of an object that consists of what was taken, as the wire has it.
func (n *Namer) Name(encoding string) string {
	b := append([]byte("fray object\x00"), encoding...)
	b = binary.BigEndian.AppendUint64(append(b, 0), uint64(n.size)) //nolint:gosec // Not negative.
	sum := sha256.Sum256(append(b, n.chain[:]...))
	return hex.EncodeToString(sum[:])
}

// NameOf names a value that stands in memory.
func NameOf(encoding string, data []byte) string {
	var n Namer
	for piece := range Pieces(data) {
		n.Add(piece)
	}
	return n.Name(encoding)
}

// Pieces yields the pieces of a value. Of nothing there is one, without bytes.
func Pieces(data []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for {
			n := min(len(data), PieceBytes)
			if !yield(data[:n:n]) || n == len(data) {
				return
			}
			data = data[n:]
		}
	}
}

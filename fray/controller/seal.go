package controller

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/frayrpc/fray/fray/core"
)

const (
	sealKeySize = 32
	// With six rounds a balanced Feistel network over random functions is not told from a random
	// permutation in fewer questions than half of a block has values, 2^32: J. Patarin, Security of
	// Random Feistel Schemes with 5 or More Rounds, CRYPTO 2004.
	sealRounds = 6
)

// seal stands between the tokens of the scheduler, which count, and those that callers see, which
// nobody can guess who was not given them: each is the other's image under a permutation of 64 bits
// that a secret key picks. So no token is given twice as long as the key is kept, and a token that
// somebody made up is, but for a chance of how many are in use in 2^64, one that nobody was given.
//
// The permutation is a Feistel network whose round function is AES. It is safe for concurrent use.
type seal struct{ block cipher.Block }

// newSealKey draws a key.
func newSealKey(random io.Reader) ([]byte, error) {
	key := make([]byte, sealKeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("draw a key for tokens: %w", err)
	}
	return key, nil
}

func newSeal(key []byte) (seal, error) {
	if len(key) != sealKeySize {
		return seal{}, fmt.Errorf("the key for tokens has %d bytes, not %d", len(key), sealKeySize)
	}
	block, err := aes.NewCipher(key)
	return seal{block}, err
}

// scratch is what one goroutine works with, so that a list of tokens costs one allocation.
type scratch [aes.BlockSize]byte

func (s seal) round(b *scratch, round byte, half uint32) uint32 {
	*b = scratch{round}
	binary.LittleEndian.PutUint32(b[4:], half)
	s.block.Encrypt(b[:], b[:])
	return binary.LittleEndian.Uint32(b[:])
}

func (s seal) permute(b *scratch, x uint64) uint64 {
	left, right := uint32(x>>32), uint32(x&math.MaxUint32) // within: the halves
	for r := range byte(sealRounds) {
		left, right = right, left^s.round(b, r, right)
	}
	return uint64(left)<<32 | uint64(right)
}

func (s seal) invert(b *scratch, x uint64) uint64 {
	left, right := uint32(x>>32), uint32(x&math.MaxUint32) // within: the halves
	for r := range byte(sealRounds) {
		left, right = right^s.round(b, sealRounds-1-r, left), left
	}
	return uint64(left)<<32 | uint64(right)
}

// out returns what callers see of a token. Zero, which stands for none, stays what it is, and so
// does what would become it.
func (s seal) out(t core.Token) uint64 { return s.show(new(scratch), t) }

func (s seal) show(b *scratch, t core.Token) uint64 {
	x := uint64(t)
	if x == 0 {
		return 0
	}
	if x = s.permute(b, x); x == 0 { // Zero's own image takes its place.
		x = s.permute(b, 0)
	}
	return x
}

// in is the inverse of out.
func (s seal) in(token uint64) core.Token { return s.read(new(scratch), token) }

func (s seal) read(b *scratch, token uint64) core.Token {
	if token == 0 {
		return 0
	}
	if token = s.invert(b, token); token == 0 {
		token = s.invert(b, 0)
	}
	return core.Token(token)
}

// outAll and inAll are out and in for lists. An empty one is nil.
func (s seal) outAll(ts []core.Token) []uint64 {
	if len(ts) == 0 {
		return nil
	}
	var b scratch
	shown := make([]uint64, len(ts))
	for i, t := range ts {
		shown[i] = s.show(&b, t)
	}
	return shown
}

func (s seal) inAll(ts []uint64) []core.Token {
	if len(ts) == 0 {
		return nil
	}
	var b scratch
	read := make([]core.Token, len(ts))
	for i, t := range ts {
		read[i] = s.read(&b, t)
	}
	return read
}

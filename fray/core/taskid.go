package core

// ulidBytes is how long a ULID is, written out: 130 bits, of which the first two are 0, in 26
// letters of 5 bits (github.com/ulid/spec).
const ulidBytes = 26

const ulidLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ulidValues has one more than the value of each letter; 0: it is none.
var ulidValues = func() (values [256]byte) {
	for i := range ulidLetters {
		values[ulidLetters[i]] = byte(i + 1) // within: there are 32
	}
	return values
}()

// packedID is a ULID in 128 bits. Clients name most tasks by one.
type packedID [16]byte

// packID packs an id, and says whether unpacking gives just that again.
func packID(id string) (p packedID, ok bool) {
	if len(id) != ulidBytes || id[0] > '7' {
		return p, false
	}
	bits, have, at := uint64(0), 0, 0
	for i := range ulidBytes {
		v := ulidValues[id[i]]
		if v == 0 {
			return p, false
		}
		bits, have = bits<<5|uint64(v-1), have+5
		if i == 0 {
			have = 3
		}
		for ; have >= 8; at++ {
			have -= 8
			p[at] = byte(bits >> have) //nolint:gosec // within: the lowest eight are meant
		}
	}
	return p, true
}

// unpack appends the id to b.
func (p *packedID) unpack(b []byte) []byte {
	bits, have := uint64(0), 2 // Those that are always 0.
	for _, eight := range p {
		bits, have = bits<<8|uint64(eight), have+8
		for have >= 5 {
			have -= 5
			b = append(b, ulidLetters[bits>>have&31])
		}
	}
	return b
}

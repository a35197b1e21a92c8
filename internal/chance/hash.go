package chance

// HashBasis is what a hash starts from.
const HashBasis uint64 = 14695981039346656037

// Hash goes on from a hash, at first HashBasis, over a text: FNV-1a in 64 bits. That of package
// hash/fnv gives the same, and needs a state and texts turned to bytes.
func Hash[T string | []byte](h uint64, text T) uint64 {
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h
}

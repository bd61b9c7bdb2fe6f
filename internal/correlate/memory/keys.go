package memory

import (
	"hash/maphash"
	"math/bits"
)

// Keys makes hashes that nobody who chooses the values can foresee. They differ from
// one process to the next.
type Keys struct {
	seed maphash.Seed
	// Salt is the beginning of a hash of numbers.
	Salt uint64
}

// NewKeys returns keys of their own.
func NewKeys() Keys {
	seed := maphash.MakeSeed()
	return Keys{seed: seed, Salt: maphash.String(seed, "salt")}
}

// Mix folds a number into a hash by a widening multiplication.
func (k *Keys) Mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^0x9e3779b97f4a7c15, v^k.Salt)
	return hi ^ lo
}

// Text returns the hash of a text.
func (k *Keys) Text(text string) uint64 { return maphash.String(k.seed, text) }

package memory

import "iter"

// ringBlock is the number of values of a ring that are allocated together.
const ringBlock = 1024

// ring is a queue of values without pointers. A value has a place, which counts up
// and is valid from push until pop; places of four thousand million pushes before
// look the same. Memory is given back in blocks, but for one that is used again.
type ring[T any] struct {
	blocks []*[ringBlock]T
	spare  *[ringBlock]T
	// first is the place of the oldest value, and next that of the next one.
	first, next uint32
}

func (r *ring[T]) len() int { return int(r.next - r.first) }

// has reports whether the value of a place is there.
func (r *ring[T]) has(place uint32) bool { return place-r.first < r.next-r.first }

// at returns the value of a place. The pointer is valid until the value is popped.
func (r *ring[T]) at(place uint32) *T {
	return &r.blocks[(place/ringBlock-r.first/ringBlock)%(1<<32/ringBlock)][place%ringBlock]
}

// push adds a value, which has any content, and returns it with its place.
func (r *ring[T]) push() (*T, uint32) {
	place := r.next
	if place%ringBlock == 0 || len(r.blocks) == 0 {
		block := r.spare
		if r.spare = nil; block == nil {
			block = new([ringBlock]T)
		}
		r.blocks = append(r.blocks, block)
	}
	r.next++
	return r.at(place), place
}

// all returns the values that are there when the first is asked for, the oldest first.
// Values may be added and popped meanwhile: those that are gone when their turn comes
// are left out.
func (r *ring[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		first, end := r.first, r.next
		for i := range end - first {
			if place := first + i; r.has(place) && !yield(r.at(place)) {
				return
			}
		}
	}
}

// pop removes the oldest value.
func (r *ring[T]) pop() {
	r.first++
	if r.first%ringBlock == 0 {
		r.spare = r.blocks[0]
		last := copy(r.blocks, r.blocks[1:])
		r.blocks[last] = nil
		r.blocks = r.blocks[:last]
	}
}

// back returns how far the value of an earlier place is before that of a place, 0 if
// it is gone.
func (r *ring[T]) back(place, earlier uint32) uint32 {
	if n := place - earlier; n <= place-r.first {
		return n
	}
	return 0
}

// chains finds the values of a ring by a hash: those in one bucket are linked from
// the newest to the oldest. Nothing is ever taken out: a link to a place that is
// free again leads to a value of another bucket, which is not the one looked for.
type chains struct {
	// heads are the places of the newest value of each bucket. Their number is a
	// power of two.
	heads []uint32
}

// fewestHeads is the number of buckets to begin with.
const fewestHeads = 256

// roomFor reports whether there are enough buckets for n values, and not too many.
// If not, start must be called and all of them linked again.
func (c *chains) roomFor(n int) bool {
	return n <= len(c.heads) && (len(c.heads) <= 8*max(n, fewestHeads))
}

// start makes empty buckets for n values and as many again.
func (c *chains) start(n int) {
	size := fewestHeads
	for size < 2*n {
		size *= 2
	}
	c.heads = make([]uint32, size)
}

func (c *chains) head(hash uint64) *uint32 { return &c.heads[hash&uint64(len(c.heads)-1)] }

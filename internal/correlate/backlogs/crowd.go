package backlogs

// Crowd finds the backlog that is to give way where there are too many: among those
// without an alarm line, the oldest of the group that has the most of them; of groups
// with equally many, of that whose oldest one opened first (D32.4). It is a heap of
// groups, and costs nothing until somebody makes one.
type Crowd struct {
	store *Store
	// before reports whether a backlog opened before another one.
	before func(a, b *Backlog) bool
	heap   []crowded
	// at has the place of each group in the heap.
	at map[uint64]int
}

// crowded is a group with backlogs that have no alarm line.
type crowded struct {
	key    uint64
	n      int // of those without an alarm line
	oldest Handle
}

// Crowd returns a crowd of the live backlogs that belong to it.
func (s *Store) Crowd(belongs func(*Backlog) bool, before func(a, b *Backlog) bool) *Crowd {
	c := &Crowd{store: s, before: before, at: map[uint64]int{}}
	for key, g := range s.groups.of {
		if belongs(s.At(g.first)) {
			c.gather(key, g.first)
		}
	}
	for i := len(c.heap)/2 - 1; i >= 0; i-- {
		c.down(i)
	}
	return c
}

// gather appends a group, whose first backlog is given, to the heap, unless all of it
// have alarm lines. The heap is out of order then.
func (c *Crowd) gather(key uint64, first Handle) {
	g := crowded{key: key}
	for h := first; ; {
		b := c.store.At(h)
		if b.Created == 0 {
			if g.n++; g.oldest == 0 {
				g.oldest = h
			}
		}
		if h = b.Member.Next; h == first {
			break
		}
	}
	if g.n > 0 {
		c.at[key] = len(c.heap)
		c.heap = append(c.heap, g)
	}
}

// First returns the backlog that is to give way, nil if all have alarm lines.
func (c *Crowd) First() *Backlog {
	if len(c.heap) == 0 {
		return nil
	}
	return c.store.At(c.heap[0].oldest)
}

// Join adds a backlog without an alarm line that has just joined its group.
func (c *Crowd) Join(b *Backlog, key uint64) {
	i, ok := c.at[key]
	if !ok {
		i = len(c.heap)
		c.at[key] = i
		c.heap = append(c.heap, crowded{key: key, oldest: b.Self})
	}
	c.heap[i].n++
	c.up(i)
}

// Leave takes out a backlog that has an alarm line now or is about to leave its group.
func (c *Crowd) Leave(b *Backlog, key uint64) {
	i := c.at[key]
	g := &c.heap[i]
	if g.n--; g.n == 0 {
		c.remove(i)
		return
	}
	if g.oldest == b.Self {
		next := c.store.At(b.Member.Next)
		for next.Created != 0 {
			next = c.store.At(next.Member.Next)
		}
		g.oldest = next.Self
	}
	c.down(i)
}

// remove takes out the group at a place.
func (c *Crowd) remove(i int) {
	last := len(c.heap) - 1
	delete(c.at, c.heap[i].key)
	moved := c.heap[last]
	if c.heap = c.heap[:last]; i == last {
		return
	}
	c.put(i, moved)
	c.up(i)
	c.down(c.at[moved.key])
}

// first reports whether group a gives way before group b.
func (c *Crowd) first(a, b *crowded) bool {
	if a.n != b.n {
		return a.n > b.n
	}
	return c.before(c.store.At(a.oldest), c.store.At(b.oldest))
}

func (c *Crowd) put(i int, g crowded) {
	c.heap[i] = g
	c.at[g.key] = i
}

// up moves the group at a place up to where it belongs.
func (c *Crowd) up(i int) {
	for i > 0 && c.first(&c.heap[i], &c.heap[(i-1)/2]) {
		c.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

// down moves the group at a place down to where it belongs.
func (c *Crowd) down(i int) {
	for {
		child := 2*i + 1
		if child+1 < len(c.heap) && c.first(&c.heap[child+1], &c.heap[child]) {
			child++
		}
		if child >= len(c.heap) || !c.first(&c.heap[child], &c.heap[i]) {
			return
		}
		c.swap(i, child)
		i = child
	}
}

func (c *Crowd) swap(i, j int) {
	a, b := c.heap[i], c.heap[j]
	c.put(i, b)
	c.put(j, a)
}

package correlate

// timers is a heap of live backlogs, ordered by deadline and then by opening.
// Every backlog knows its place, so that moving and removing cost O(log n).
type timers []*backlog

// gone is the place of a backlog that is not live.
const gone = -1

func (t timers) less(i, j int) bool {
	a, b := t[i], t[j]
	if a.deadline != b.deadline {
		return a.deadline < b.deadline
	}
	return a.opened.compare(b.opened) < 0
}

func (t timers) swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].timer = int32(i)
	t[j].timer = int32(j)
}

func (t *timers) push(b *backlog) {
	b.timer = int32(len(*t))
	*t = append(*t, b)
	t.up(len(*t) - 1)
}

// fix restores the order after b's deadline changed.
func (t timers) fix(b *backlog) {
	i := int(b.timer)
	t.up(i)
	t.down(int(b.timer))
}

func (t *timers) remove(b *backlog) {
	i, last := int(b.timer), len(*t)-1
	t.swap(i, last)
	(*t)[last] = nil
	*t = (*t)[:last]
	if last == 0 {
		*t = nil
	}
	b.timer = gone
	if i < last {
		t.fix((*t)[i])
	}
}

func (t timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !t.less(i, parent) {
			return
		}
		t.swap(i, parent)
		i = parent
	}
}

func (t timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(t) {
			return
		}
		if right := child + 1; right < len(t) && t.less(right, child) {
			child = right
		}
		if !t.less(child, i) {
			return
		}
		t.swap(i, child)
		i = child
	}
}

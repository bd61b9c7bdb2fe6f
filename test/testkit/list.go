package testkit

import (
	"slices"
	"sync"
	"time"
)

// List keeps what comes, one after the other, and wakes up those who wait for
// it. Its zero value is empty. All of it may be used by several goroutines.
type List[T any] struct {
	mu      sync.Mutex
	items   []T
	ended   bool
	changed chan struct{} // closed at the next change; nil if nobody waits
}

// Add adds items.
func (l *List[T]) Add(items ...T) { l.change(func() { l.items = append(l.items, items...) }) }

// End says that nothing comes any more, so that nobody waits in vain.
func (l *List[T]) End() { l.change(func() { l.ended = true }) }

// Take returns the items so far, and forgets them.
func (l *List[T]) Take() (items []T) {
	l.change(func() { items, l.items = l.items, nil })
	return items
}

func (l *List[T]) change(do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// All returns the items so far.
func (l *List[T]) All() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.items)
}

// Until waits until the items so far are what is wanted. It returns false if they
// are not at the end, or when Patience is over.
func (l *List[T]) Until(wanted func(items []T) bool) bool {
	timeout := time.NewTimer(Patience)
	defer timeout.Stop()
	for {
		l.mu.Lock()
		items, ended := slices.Clip(l.items), l.ended
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		switch {
		case wanted(items):
			return true
		case ended:
			return false
		}
		select {
		case <-changed:
		case <-timeout.C:
			return false
		}
	}
}

package correlate

import "dsiem/internal/correlate/backlogs"

// full reports whether the engine has as many live backlogs as it may.
func (e *Engine) full() bool {
	return e.timers.Len() >= e.bounds.live || e.store.Bytes() >= e.bounds.bytes
}

// bytesOf returns the estimate of what the live backlogs of a directive take.
func (e *Engine) bytesOf(t *tracked) int {
	n := t.live*backlogs.BacklogBytes + e.store.BytesOf(t.current.slot)
	for _, v := range t.others {
		n += e.store.BytesOf(v.slot)
	}
	return n
}

// directiveFull reports whether a directive has as many live backlogs as it may.
func (e *Engine) directiveFull(t *tracked) bool {
	return t.live >= e.bounds.directive || e.crowded() && e.bytesOf(t) >= e.bounds.directiveBytes
}

// crowded reports whether a directive could take more than its share: all together take
// as much.
func (e *Engine) crowded() bool { return e.store.Bytes() >= e.bounds.directiveBytes }

// giveRoom lets backlogs give way until there is room for one of a directive, and
// reports whether there is (D32.4).
func (e *Engine) giveRoom(owner *tracked) bool {
	for e.directiveFull(owner) {
		if !e.giveWay(e.allOf(owner)) {
			return false
		}
	}
	for e.full() {
		if !e.giveWay(e.everybody()) {
			return false
		}
	}
	return true
}

// mayGrow reports whether a backlog may take what makes it larger. Where those that live
// take more than they may, though all that could have given way, the larger half of them
// takes nothing, and beyond a quarter more nobody does (docs/spec/interfaces.md §5.8).
func (e *Engine) mayGrow(b *backlogs.Backlog) bool {
	if !e.crowded() {
		return true
	}
	owner := e.variantOf(b).owner
	whole, inAll := e.bytesOf(owner), e.store.Bytes()
	if whole <= e.bounds.directiveBytes && inAll <= e.bounds.bytes {
		return true
	}
	cost := e.store.Cost(b)
	return fits(cost, whole, owner.live, e.bounds.directiveBytes) && fits(cost, inAll, e.timers.Len(), e.bounds.bytes)
}

// fits reports whether one of n backlogs that take so many bytes together, with a bound,
// may grow if it takes cost bytes itself.
func fits(cost, whole, n, bound int) bool {
	over := whole - bound
	return over <= 0 || over < bound/4 && cost <= whole/n
}

// shrink lets backlogs give way until those that live take no more than they may, or all
// have alarm lines: backlogs grow, too.
func (e *Engine) shrink() {
	for e.store.Bytes() > e.bounds.bytes && e.giveWay(e.everybody()) {
		continue // the condition does it
	}
}

// shrinkDirective does so for those of one directive.
func (e *Engine) shrinkDirective(t *tracked) {
	for e.bytesOf(t) > e.bounds.directiveBytes && e.giveWay(e.allOf(t)) {
		continue
	}
}

// allOf returns the crowd of a directive.
func (e *Engine) allOf(t *tracked) *backlogs.Crowd {
	if t.crowd == nil {
		t.crowd = e.store.Crowd(func(b *backlogs.Backlog) bool { return e.variantOf(b).owner == t }, e.openedBefore)
	}
	return t.crowd
}

// everybody returns the crowd of all directives.
func (e *Engine) everybody() *backlogs.Crowd {
	if e.crowd == nil {
		e.crowd = e.store.Crowd(func(*backlogs.Backlog) bool { return true }, e.openedBefore)
	}
	return e.crowd
}

func (e *Engine) openedBefore(a, b *backlogs.Backlog) bool {
	return e.opening(a).compare(e.opening(b)) < 0
}

// giveWay ends the first backlog of a crowd, and reports whether there is one.
func (e *Engine) giveWay(crowd *backlogs.Crowd) bool {
	b := crowd.First()
	if b == nil {
		return false
	}
	e.stats.Evicted++
	e.timeOut(b, true)
	return true
}

// joinCrowds adds a backlog that has joined its group to the crowds it belongs to.
func (e *Engine) joinCrowds(b *backlogs.Backlog, group uint64) {
	if b.Created != 0 {
		return
	}
	if e.crowd != nil {
		e.crowd.Join(b, group)
	}
	if owner := e.variantOf(b).owner; owner.crowd != nil {
		owner.crowd.Join(b, group)
	}
}

// leaveCrowds takes a backlog that is about to leave its group out of the crowds, and
// forgets a crowd when there is much room again.
func (e *Engine) leaveCrowds(b *backlogs.Backlog, group uint64) {
	owner := e.variantOf(b).owner
	if b.Created == 0 {
		e.leaveCrowd(b, group)
	}
	if e.crowd != nil && e.timers.Len() < plenty(e.bounds.live) && e.store.Bytes() < plenty(e.bounds.bytes) {
		e.crowd = nil
	}
	if owner.crowd != nil && owner.live < plenty(e.bounds.directive) && e.bytesOf(owner) < plenty(e.bounds.directiveBytes) {
		owner.crowd = nil
	}
}

// plenty is so far below a bound that it takes a while to reach it.
func plenty(bound int) int { return bound / 2 }

// hasLine notes that a backlog has its first alarm line, so that it gives way no more.
func (e *Engine) hasLine(b *backlogs.Backlog) {
	if e.crowd != nil || e.variantOf(b).owner.crowd != nil {
		e.leaveCrowd(b, e.groupKey(b))
	}
}

func (e *Engine) leaveCrowd(b *backlogs.Backlog, group uint64) {
	if e.crowd != nil {
		e.crowd.Leave(b, group)
	}
	if owner := e.variantOf(b).owner; owner.crowd != nil {
		owner.crowd.Leave(b, group)
	}
}

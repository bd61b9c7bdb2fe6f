package correlate

import (
	"hash/maphash"
	"math/bits"
	"slices"

	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// pluginKey and taxonomyKey are what rules identify events by.
type (
	pluginKey   struct{ id, sid uint64 }
	taxonomyKey struct{ product, category string }
)

// index finds the stages that could want an event.
type index struct {
	plugin   map[pluginKey]posting
	taxonomy map[taxonomyKey]posting
	// stages are all those that can be found, each in a place of its own, and
	// lists those of the keys that several stages have. Places that have become
	// empty stay so: only reloaded backlogs bring stages that go.
	stages []*stage
	lists  [][]*stage
	// known is asked before plugin: most events are of no rule's plugin, and
	// it is small enough to stay in the processor's cache.
	known filter
	// seed makes join keys unpredictable to whoever chooses the addresses.
	seed maphash.Seed
	salt uint64
}

// posting says which stages have a key: the one in that place of the index's
// stages or, if it is negative, those in the list whose place is its complement.
// Nearly all keys are of one stage, and maps of numbers cost the garbage
// collector nothing.
type posting int32

// newIndex returns an index for about the given number of plugin keys.
func newIndex(pluginKeys int) index {
	seed := maphash.MakeSeed()
	return index{
		plugin:   make(map[pluginKey]posting, pluginKeys),
		taxonomy: map[taxonomyKey]posting{},
		known:    newFilter(pluginKeys),
		seed:     seed,
		salt:     maphash.String(seed, "salt"),
	}
}

// find returns the stages that want the event by its plugin and by its
// taxonomy, each in load order.
func (x *index) find(ev *event.Event) (plugin, taxonomy []*stage) {
	if ev.HasPlugin() && x.known.has(x.mix(ev.PluginID, ev.PluginSID)) {
		if p, ok := x.plugin[pluginKey{ev.PluginID, ev.PluginSID}]; ok {
			plugin = x.posted(p)
		}
	}
	if ev.HasTaxonomy() {
		if p, ok := x.taxonomy[taxonomyKey{ev.Product, ev.Category}]; ok {
			taxonomy = x.posted(p)
		}
	}
	return plugin, taxonomy
}

// wants sets wanted of those identities for whose events find would find any
// stage.
func (x *index) wants(ids []event.Identity, wanted []bool) {
	for from := 0; from < len(ids); from += askedTogether {
		to := min(from+askedTogether, len(ids))
		x.wantsSome(ids[from:to], wanted[from:to])
	}
}

// askedTogether is the number of identities for which the filter is asked in a row:
// its memory is seldom in the processor's cache, and so the waits overlap.
const askedTogether = 16

func (x *index) wantsSome(ids []event.Identity, wanted []bool) {
	var known [askedTogether]bool
	for i := range ids {
		known[i] = x.known.has(x.mix(ids[i].PluginID, ids[i].PluginSID))
	}
	for i := range ids {
		id := &ids[i]
		if known[i] && id.PluginID != 0 {
			if _, ok := x.plugin[pluginKey{id.PluginID, id.PluginSID}]; ok {
				wanted[i] = true
				continue
			}
		}
		if len(id.Product) > 0 && len(x.taxonomy) > 0 {
			if _, ok := x.taxonomy[taxonomyKey{string(id.Product), string(id.Category)}]; ok {
				wanted[i] = true
			}
		}
	}
}

// posted returns the stages of a posting, in load order. A step may walk the
// list, which must not be changed, while it closes backlogs.
func (x *index) posted(p posting) []*stage {
	if p < 0 {
		return x.lists[^p]
	}
	return x.stages[p : p+1 : p+1]
}

// add makes the stages of a variant findable, remove takes them out again.
func (x *index) add(v *variant) {
	for i := range v.stages {
		s := &v.stages[i]
		s.place = int32(len(x.stages))
		x.stages = append(x.stages, s)
		x.change(s, x.post)
	}
}

func (x *index) remove(v *variant) {
	for i := range v.stages {
		s := &v.stages[i]
		x.change(s, x.withdraw)
		x.stages[s.place] = nil // a step that found it alone has gone past it
	}
}

// change lets fn make the new postings of a stage's keys from the old ones.
func (x *index) change(s *stage, fn func(old posting, found bool, s *stage) (posting, bool)) {
	rule := s.variant.plan.Rule(int(s.number))
	if rule.Type == directive.PluginRule {
		for _, sid := range distinct(rule.PluginSID) {
			key := pluginKey{rule.PluginID, sid}
			x.known.add(x.mix(key.id, key.sid))
			changePosting(x.plugin, key, s, fn)
		}
		return
	}
	for _, product := range distinct(rule.Product) {
		changePosting(x.taxonomy, taxonomyKey{product, rule.Category}, s, fn)
	}
}

func changePosting[K comparable](m map[K]posting, key K, s *stage, fn func(posting, bool, *stage) (posting, bool)) {
	old, found := m[key]
	if p, some := fn(old, found, s); some {
		m[key] = p
	} else {
		delete(m, key)
	}
}

// post returns the posting of a key that a stage has besides those before.
func (x *index) post(old posting, found bool, s *stage) (posting, bool) {
	switch {
	case !found:
		return posting(s.place), true
	case old >= 0:
		list := []*stage{x.stages[old], s}
		slices.SortFunc(list, compareStages)
		x.lists = append(x.lists, list)
		return ^posting(len(x.lists) - 1), true
	}
	list := x.lists[^old]
	at, _ := slices.BinarySearchFunc(list, s, compareStages)
	x.lists[^old] = slices.Insert(list, at, s)
	return old, true
}

// withdraw returns the posting of a key without a stage, false if no other has
// the key.
func (x *index) withdraw(old posting, _ bool, s *stage) (posting, bool) {
	if old >= 0 {
		return 0, false
	}
	// A step may be walking the list.
	list := slices.DeleteFunc(slices.Clone(x.lists[^old]), func(o *stage) bool { return o == s })
	if len(list) > 1 {
		x.lists[^old] = list
		return old, true
	}
	x.lists[^old] = nil
	return posting(list[0].place), true
}

// filter is a Bloom filter over hashes: it never denies what was added. The bits of
// a key lie in one word, so that asking costs one access to memory.
type filter struct {
	words []uint64
	mask  uint64 // of word numbers
}

// filterBits is the number of bits for each key, at least; about one in a hundred
// other hashes passes.
const filterBits = 16

func newFilter(keys int) filter {
	const wordBits = 64
	size := uint64(1) << max(4, bits.Len(uint(keys*filterBits/wordBits)))
	return filter{words: make([]uint64, size), mask: size - 1}
}

// keyBits returns the bits of a hash in its word, whose number is in other bits.
func keyBits(hash uint64) uint64 {
	return 1<<(hash>>46&63) | 1<<(hash>>52&63) | 1<<(hash>>58)
}

func (f *filter) add(hash uint64) { f.words[hash&f.mask] |= keyBits(hash) }

func (f *filter) has(hash uint64) bool {
	k := keyBits(hash)
	return f.words[hash&f.mask]&k == k
}

// distinct returns the elements without repetitions.
func distinct[T comparable](elems []T) []T {
	if len(elems) < 2 {
		return elems
	}
	seen := make(map[T]bool, len(elems))
	out := make([]T, 0, len(elems))
	for _, e := range elems {
		if !seen[e] {
			seen[e] = true
			out = append(out, e)
		}
	}
	return out
}

// compareStages orders stages by load order of their directives, then the
// current configuration before reloaded backlogs with other rules, then by
// stage.
func compareStages(a, b *stage) int {
	switch {
	case a.variant.owner.order != b.variant.owner.order:
		return int(a.variant.owner.order - b.variant.owner.order)
	case a.variant.number != b.variant.number:
		return a.variant.number - b.variant.number
	}
	return int(a.number - b.number)
}

// variant is one set of rules of a directive: those of the configuration, or
// those that reloaded backlogs brought with them.
type variant struct {
	owner  *tracked
	number int   // 0 is the configuration's
	slot   int32 // its place in the engine
	plan   *directive.Plan
	stages []stage
	live   int // live backlogs
	// groupFields are those in which the opening events of a group are equal (D32).
	groupFields directive.Fields
	// signature identifies the rules of a variant that is not the
	// configuration's.
	signature string
}

func (e *Engine) newVariant(owner *tracked, number int, plan *directive.Plan) *variant {
	v := &variant{}
	v.init(owner, number, plan, make([]stage, len(plan.Stages)))
	e.number(v)
	return v
}

// number gives a variant the number by which backlogs name it.
func (e *Engine) number(v *variant) {
	v.slot = int32(len(e.variants))
	e.variants = append(e.variants, v)
}

// init makes the variant, with its stages in the given place.
func (v *variant) init(owner *tracked, number int, plan *directive.Plan, stages []stage) {
	*v = variant{owner: owner, number: number, plan: plan, stages: stages, groupFields: groupFields(plan)}
	for i := range stages {
		stages[i] = stage{variant: v, number: int32(i), plan: &plan.Stages[i]}
	}
}

// stage is one stage of a variant and the live backlogs it could give an event
// to.
type stage struct {
	variant *variant
	plan    *directive.Stage
	// tables hold the backlogs by the values of their join fields. There is
	// more than one table only if the stage refers to custom data, because a
	// backlog without that custom data does not join on it (D18).
	tables []table
	// live is the number of backlogs in the tables, most the highest it was
	// since the tables were made.
	live, most int32
	// latest is the largest time, in nanoseconds, of the events that were remembered for
	// it (D33).
	latest int64
	number int32 // place in the plan
	place  int32 // in the index's stages
}

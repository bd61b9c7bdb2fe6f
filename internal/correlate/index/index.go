// Package index finds the stages of rules that could want an event, by what every rule
// names: a plugin's signatures, or products and a category. It knows nothing else of
// stages.
package index

import (
	"math"
	"math/bits"
	"slices"

	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// pluginKey and taxonomyKey are what rules identify events by.
type (
	pluginKey   struct{ id, sid uint64 }
	taxonomyKey struct{ product, category string }
)

// Index finds stages of type S.
type Index[S comparable] struct {
	plugin   map[pluginKey]posting
	taxonomy map[taxonomyKey]posting
	// stages are all those that can be found, each in a place of its own, and
	// lists those of the keys that several stages have. Places that have become
	// empty stay so, and so do lists: only reloaded backlogs bring stages that go.
	stages []S
	lists  [][]S
	order  func(a, b S) int
	// known is asked before plugin: most events are of no rule's plugin, and
	// it is small enough to stay in the processor's cache.
	known filter
	keys  memory.Keys
}

// posting says which stages have a key: the one in that place of the index's
// stages or, if it is negative, those in the list whose place is its complement.
// Nearly all keys are of one stage, and maps of numbers cost the garbage
// collector nothing.
type posting int32

// nowhere is the posting of a key that no stage has.
const nowhere posting = math.MinInt32

// New returns an index for about the given number of plugin keys. It finds stages in
// the order that a function gives: negative if a comes before b, never 0 for two.
func New[S comparable](pluginKeys int, keys memory.Keys, order func(a, b S) int) Index[S] {
	return Index[S]{
		plugin:   make(map[pluginKey]posting, pluginKeys),
		taxonomy: map[taxonomyKey]posting{},
		known:    newFilter(pluginKeys),
		keys:     keys,
		order:    order,
	}
}

// Find returns the stages that want the event by its plugin and by its taxonomy, each
// in order.
func (x *Index[S]) Find(ev *event.Event) (plugin, taxonomy []S) {
	if ev.HasPlugin() && x.known.has(x.keys.Mix(ev.PluginID, ev.PluginSID)) {
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

// Wants sets wanted of those identities for whose events Find would find any
// stage.
func (x *Index[S]) Wants(ids []event.Identity, wanted []bool) {
	for from := 0; from < len(ids); from += askedTogether {
		to := min(from+askedTogether, len(ids))
		x.wantsSome(ids[from:to], wanted[from:to])
	}
}

// askedTogether is the number of identities for which the filter is asked in a row:
// its memory is seldom in the processor's cache, and so the waits overlap.
const askedTogether = 16

func (x *Index[S]) wantsSome(ids []event.Identity, wanted []bool) {
	var known [askedTogether]bool
	for i := range ids {
		known[i] = x.known.has(x.keys.Mix(ids[i].PluginID, ids[i].PluginSID))
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

// posted returns the stages of a posting, in order. A caller may walk the
// list, which must not be changed, while it closes backlogs.
func (x *Index[S]) posted(p posting) []S {
	if p < 0 {
		return x.lists[^p]
	}
	return x.stages[p : p+1 : p+1]
}

// At returns the stage in a place, the zero value if it was removed.
func (x *Index[S]) At(place int32) S { return x.stages[place] }

// Add makes a stage findable by its rule, and returns its place.
func (x *Index[S]) Add(rule *directive.Rule, s S) (place int32) {
	place = int32(len(x.stages))
	x.stages = append(x.stages, s)
	x.change(rule, place, x.post)
	return place
}

// Remove takes the stage in a place, which was added with a rule, out again.
func (x *Index[S]) Remove(rule *directive.Rule, place int32) {
	x.change(rule, place, x.withdraw)
	var none S
	x.stages[place] = none // a step that found it alone has gone past it
}

// change lets fn make the new postings of a rule's keys from the old ones.
func (x *Index[S]) change(rule *directive.Rule, place int32, fn changer) {
	if rule.Type == directive.PluginRule {
		for _, sid := range distinct(rule.PluginSID) {
			key := pluginKey{rule.PluginID, sid}
			x.known.add(x.keys.Mix(key.id, key.sid))
			changePosting(x.plugin, key, place, fn)
		}
		return
	}
	for _, product := range distinct(rule.Product) {
		changePosting(x.taxonomy, taxonomyKey{product, rule.Category}, place, fn)
	}
}

// changer returns the posting that a key has with or without a stage, nowhere if none.
type changer func(old posting, place int32) posting

func changePosting[K comparable](m map[K]posting, key K, place int32, fn changer) {
	old, found := m[key]
	if !found {
		old = nowhere
	}
	if p := fn(old, place); p != nowhere {
		m[key] = p
	} else {
		delete(m, key)
	}
}

// post returns the posting of a key that a stage has besides those before.
func (x *Index[S]) post(old posting, place int32) posting {
	switch {
	case old == nowhere:
		return posting(place)
	case old >= 0:
		list := []S{x.stages[old], x.stages[place]}
		slices.SortFunc(list, x.order)
		x.lists = append(x.lists, list)
		return ^posting(len(x.lists) - 1)
	}
	list := x.lists[^old]
	at, _ := slices.BinarySearchFunc(list, x.stages[place], x.order)
	x.lists[^old] = slices.Insert(list, at, x.stages[place])
	return old
}

// withdraw returns the posting of a key without a stage.
func (x *Index[S]) withdraw(old posting, place int32) posting {
	if old >= 0 {
		return nowhere
	}
	// A step may be walking the list.
	list := slices.DeleteFunc(slices.Clone(x.lists[^old]), func(o S) bool { return o == x.stages[place] })
	if x.lists[^old] = list; len(list) == 0 {
		return nowhere
	}
	return old
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

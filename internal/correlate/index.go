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
	plugin   map[pluginKey][]*stage
	taxonomy map[taxonomyKey][]*stage
	// known is asked before plugin: most events are of no rule's plugin, and
	// it is small enough to stay in the processor's cache.
	known filter
	// seed makes join keys unpredictable to whoever chooses the addresses.
	seed maphash.Seed
	salt uint64
}

// newIndex returns an index for about the given number of plugin keys.
func newIndex(pluginKeys int) index {
	seed := maphash.MakeSeed()
	return index{
		plugin:   make(map[pluginKey][]*stage, pluginKeys),
		taxonomy: map[taxonomyKey][]*stage{},
		known:    newFilter(pluginKeys),
		seed:     seed,
		salt:     maphash.String(seed, "salt"),
	}
}

// find returns the stages that want the event by its plugin and by its
// taxonomy, each in load order.
func (x *index) find(ev *event.Event) (plugin, taxonomy []*stage) {
	if ev.HasPlugin() && x.known.has(x.mix(ev.PluginID, ev.PluginSID)) {
		plugin = x.plugin[pluginKey{ev.PluginID, ev.PluginSID}]
	}
	if ev.HasTaxonomy() {
		taxonomy = x.taxonomy[taxonomyKey{ev.Product, ev.Category}]
	}
	return plugin, taxonomy
}

// wants reports whether find would find any stage for an event of an identity.
func (x *index) wants(id event.Identity) bool {
	if id.PluginID != 0 && x.known.has(x.mix(id.PluginID, id.PluginSID)) {
		if _, ok := x.plugin[pluginKey{id.PluginID, id.PluginSID}]; ok {
			return true
		}
	}
	if len(id.Product) == 0 || len(x.taxonomy) == 0 {
		return false
	}
	_, ok := x.taxonomy[taxonomyKey{string(id.Product), string(id.Category)}]
	return ok
}

// add makes the stages of a variant findable, remove takes them out again.
func (x *index) add(v *variant) {
	for i := range v.stages {
		x.change(&v.stages[i], func(list []*stage, s *stage) []*stage {
			at, _ := slices.BinarySearchFunc(list, s, compareStages)
			return slices.Insert(list, at, s)
		})
	}
}

func (x *index) remove(v *variant) {
	for i := range v.stages {
		x.change(&v.stages[i], func(list []*stage, s *stage) []*stage {
			// A step may be walking the list.
			return slices.DeleteFunc(slices.Clone(list), func(o *stage) bool { return o == s })
		})
	}
}

func (x *index) change(s *stage, fn func([]*stage, *stage) []*stage) {
	rule := s.plan.Rule
	if rule.Type == directive.PluginRule {
		for _, sid := range distinct(rule.PluginSID) {
			key := pluginKey{rule.PluginID, sid}
			x.known.add(x.mix(key.id, key.sid))
			setOrDelete(x.plugin, key, fn(x.plugin[key], s))
		}
		return
	}
	for _, product := range distinct(rule.Product) {
		key := taxonomyKey{product, rule.Category}
		setOrDelete(x.taxonomy, key, fn(x.taxonomy[key], s))
	}
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

func setOrDelete[K comparable](m map[K][]*stage, key K, list []*stage) {
	if len(list) == 0 {
		delete(m, key)
		return
	}
	m[key] = list
}

// distinct returns the elements without repetitions.
func distinct[T comparable](elems []T) []T {
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
	return a.number - b.number
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
	// signature identifies the rules of a variant that is not the
	// configuration's.
	signature string
}

func (e *Engine) newVariant(owner *tracked, number int, plan *directive.Plan) *variant {
	v := &variant{
		owner: owner, number: number, plan: plan, stages: make([]stage, len(plan.Stages)),
		slot: int32(len(e.variants)),
	}
	e.variants = append(e.variants, v)
	for i := range v.stages {
		v.stages[i] = stage{variant: v, number: i, plan: &plan.Stages[i]}
	}
	return v
}

// stage is one stage of a variant and the live backlogs it could give an event
// to.
type stage struct {
	variant *variant
	number  int // place in the plan
	plan    *directive.Stage
	// tables hold the backlogs by the values of their join fields. There is
	// more than one table only if the stage refers to custom data, because a
	// backlog without that custom data does not join on it (D18).
	tables []table
	// live is the number of backlogs in the tables, most the highest it was
	// since the tables were made.
	live, most int
}

// worthFreeing is the number of entries from which a map that has become empty
// is made anew: a map never gets smaller.
const worthFreeing = 1024

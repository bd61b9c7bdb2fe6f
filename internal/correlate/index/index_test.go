package index_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/correlate/index"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// stage is a stage with its place in the order of stages.
type stage struct {
	rule  directive.Rule
	order int
	place int32
}

// TestIndexFindsWhatAListFinds adds and removes stages in any order, and compares what
// events of all kinds find with a look at every stage.
func TestIndexFindsWhatAListFinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := index.New(4, memory.NewKeys(), func(a, b *stage) int { return cmp.Compare(a.order, b.order) })
		var stages []*stage
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				s := &stage{rule: aRule(t), order: rapid.Int().Draw(t, "order")}
				if slices.ContainsFunc(stages, func(o *stage) bool { return o.order == s.order }) {
					t.Skip("no two stages are equal")
				}
				s.place = x.Add(&s.rule, s)
				if x.At(s.place) != s {
					t.Fatal("the stage is not in its place")
				}
				stages = append(stages, s)
			},
			"remove": func(t *rapid.T) {
				if len(stages) == 0 {
					t.Skip("nothing to remove")
				}
				i := rapid.IntRange(0, len(stages)-1).Draw(t, "which")
				s := stages[i]
				x.Remove(&s.rule, s.place)
				if x.At(s.place) != nil {
					t.Fatal("the stage still is in its place")
				}
				stages = slices.Delete(stages, i, i+1)
			},
			"": func(t *rapid.T) { check(t, &x, stages) },
		})
	})
}

func aRule(t *rapid.T) directive.Rule {
	few := rapid.SliceOfN(rapid.Uint64Range(1, 3), 1, 3)
	if rapid.Bool().Draw(t, "plugin") {
		return directive.Rule{PluginID: rapid.Uint64Range(1, 2).Draw(t, "id"), PluginSID: few.Draw(t, "sids")}
	}
	r := directive.Rule{Type: directive.TaxonomyRule, Category: fmt.Sprint("c", rapid.IntRange(1, 2).Draw(t, "category"))}
	for _, n := range few.Draw(t, "products") {
		r.Product = append(r.Product, fmt.Sprint("p", n))
	}
	return r
}

// check compares for an event of each plugin and taxonomy, and of both.
func check(t *rapid.T, x *index.Index[*stage], stages []*stage) {
	for n := range uint64(4 * 4) {
		ev := event.Event{PluginID: n / 4, PluginSID: n % 4, Product: fmt.Sprint("p", n/4), Category: fmt.Sprint("c", n%4)}
		byPlugin := func(r *directive.Rule) bool {
			return r.Type == directive.PluginRule && r.PluginID == ev.PluginID && slices.Contains(r.PluginSID, ev.PluginSID)
		}
		byTaxonomy := func(r *directive.Rule) bool {
			return r.Type == directive.TaxonomyRule && r.Category == ev.Category && slices.Contains(r.Product, ev.Product)
		}
		plugin, taxonomy := x.Find(&ev)
		for _, one := range []struct {
			name string
			got  []*stage
			want func(*directive.Rule) bool
		}{{"plugin", plugin, byPlugin}, {"taxonomy", taxonomy, byTaxonomy}} {
			if diff := gocmp.Diff(orders(stages, one.want), orders(one.got, nil)); diff != "" {
				t.Fatalf("%s of %+v: list - index +:\n%s", one.name, ev, diff)
			}
		}
		wanted := make([]bool, 1)
		x.Wants([]event.Identity{{PluginID: ev.PluginID, PluginSID: ev.PluginSID, Product: []byte(ev.Product), Category: []byte(ev.Category)}}, wanted)
		if wanted[0] != (len(plugin)+len(taxonomy) > 0) {
			t.Fatalf("an event that finds %d stages: wanted is %v", len(plugin)+len(taxonomy), wanted[0])
		}
	}
}

// orders returns the orders of the stages whose rule is wanted: sorted if they are to
// be chosen, as they stand if all are.
func orders(stages []*stage, wanted func(*directive.Rule) bool) []int {
	list := []int{}
	for _, s := range stages {
		if wanted == nil || wanted(&s.rule) {
			list = append(list, s.order)
		}
	}
	if wanted != nil {
		slices.Sort(list)
	}
	return list
}

package directive_test

import (
	"math"
	"testing"
	"unsafe"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// aResolvedRule draws a rule that no reference can change, with any texts where
// any are possible.
func aResolvedRule(stage int) *rapid.Generator[directive.Rule] {
	text := rapid.OneOf(rapid.String(), rapid.StringN(100, 300, -1), rapid.SampledFrom([]string{"", "ANY", ":1", "\x00\xff"}))
	texts := rapid.OneOf(rapid.Just([]string(nil)), rapid.SliceOfN(text, 0, 3))
	list := rapid.SampledFrom([]string{"ANY", "HOME_NET", "!HOME_NET", "10.0.0.0/8,!::1", "192.0.2.1"})
	port := rapid.SampledFrom([]string{"ANY", "", "0", "80,!443"})
	return rapid.Custom(func(t *rapid.T) directive.Rule {
		r := directive.Rule{
			Name:  text.Draw(t, "name"),
			Type:  rapid.SampledFrom([]directive.Type{directive.PluginRule, directive.TaxonomyRule}).Draw(t, "type"),
			Stage: stage, Occurrence: rapid.Uint64Min(1).Draw(t, "occurrence"),
			From: list.Draw(t, "from"), To: list.Draw(t, "to"), PortFrom: port.Draw(t, "port_from"), PortTo: port.Draw(t, "port_to"),
			Protocol:    text.Draw(t, "protocol"),
			Reliability: rapid.IntRange(0, 10).Draw(t, "reliability"),
			Timeout:     rapid.Int64Range(0, math.MaxUint32).Draw(t, "timeout"),
			PluginID:    rapid.Uint64().Draw(t, "plugin_id"),
			PluginSID:   rapid.OneOf(rapid.Just([]uint64(nil)), rapid.SliceOfN(rapid.Uint64(), 0, 200)).Draw(t, "plugin_sid"),
			Product:     texts.Draw(t, "product"), Category: text.Draw(t, "category"), Subcategory: texts.Draw(t, "subcategory"),
			StickyDifferent: directive.Sticky(rapid.IntRange(0, int(directive.StickyCustomData3)).Draw(t, "sticky")),
		}
		for i := range event.CustomFields {
			r.CustomData[i], r.CustomLabel[i] = text.Draw(t, "data"), text.Draw(t, "label")
		}
		return r
	})
}

// What a plan shows of a rule is what the directive has, with nil lists nil and
// empty ones empty, whatever else was compiled with it.
func TestPlansShowTheRulesOfTheirDirectives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stages := rapid.SliceOfNDistinct(rapid.IntRange(1, math.MaxUint8), 0, 4, rapid.ID[int]).Draw(t, "stages")
		d := &directive.Directive{
			ID: rapid.Uint64().Draw(t, "id"), Name: rapid.String().Draw(t, "name"), Kingdom: rapid.String().Draw(t, "kingdom"),
			Category: rapid.String().Draw(t, "category"), Priority: rapid.IntRange(1, 5).Draw(t, "priority"),
			AllRulesAlwaysActive: rapid.Bool().Draw(t, "always"),
		}
		for _, stage := range stages {
			d.Rules = append(d.Rules, aResolvedRule(stage).Draw(t, "rule"))
		}
		p := directive.CompileResolved(d)
		got := &directive.Directive{
			ID: p.ID, Name: p.Name, Kingdom: p.Kingdom, Category: p.Category, Priority: p.Priority,
			AllRulesAlwaysActive: p.AllRulesAlwaysActive,
		}
		for i := range p.Stages {
			got.Rules = append(got.Rules, p.Rule(i))
		}
		if diff := gocmp.Diff(d, got); diff != "" {
			t.Errorf("-directive +plan:\n%s", diff)
		}
	})
}

// CompileAll gives each directive the plan that it gives it alone, however
// many texts they share.
func TestCompileAllEqualsOneByOne(t *testing.T) {
	names, contents := generated(2000)
	loaded, report := loadFile(names[0], contents[0])
	for i := range names[1:] {
		more, next := loadFile(names[i+1], contents[i+1])
		loaded, report.Problems = append(loaded, more...), append(report.Problems, next.Problems...)
	}
	if len(loaded) != 2000 || len(report.Problems) > 0 {
		t.Fatal(len(loaded), report.Problems)
	}
	plans := directive.CompileAll(loaded)
	for i, d := range loaded {
		alone, p := compileAlone(d), &plans[i]
		if p.ID != d.ID || p.Name != d.Name || p.Kingdom != d.Kingdom || p.Category != d.Category ||
			p.Priority != d.Priority || p.AllRulesAlwaysActive != d.AllRulesAlwaysActive {
			t.Fatalf("directive %d: %+v", d.ID, p)
		}
		for j := range alone.Stages {
			if diff := gocmp.Diff(alone.Rule(j), p.Rule(j)); diff != "" {
				t.Fatalf("directive %d, stage %d: -alone +together:\n%s", d.ID, j, diff)
			}
		}
		if diff := gocmp.Diff(describe(alone), describe(p)); diff != "" {
			t.Fatalf("directive %d: -alone +together:\n%s", d.ID, diff)
		}
	}
	if got := directive.CompileAll(nil); len(got) != 0 {
		t.Errorf("no directives have the plans %v", got)
	}
}

// A plan is independent of the directive that it was made of.
func TestPlansDoNotChangeWithTheirDirectives(t *testing.T) {
	d := &directive.Directive{Rules: []directive.Rule{{
		Stage: 1, Type: directive.TaxonomyRule, PluginSID: []uint64{1, 2}, Product: []string{"a"}, Subcategory: []string{"x"},
	}}}
	p := compileAlone(d)
	before := p.Rule(0)
	r := &d.Rules[0]
	r.PluginSID[0], r.Product[0], r.Subcategory[0] = 7, "b", "y"
	if diff := gocmp.Diff(before, p.Rule(0)); diff != "" {
		t.Error(diff)
	}
	if ev := (event.Event{Subcategory: "x"}); !p.Stages[0].Match(&ev, nil) {
		t.Error("the stage compares with the changed subcategory")
	}
}

// Every event of a rule's plugin goes through a stage, and there are many.
func TestStagesStaySmall(t *testing.T) {
	const cacheLine = 64
	if size := unsafe.Sizeof(directive.Stage{}); size > cacheLine {
		t.Errorf("a stage takes %d bytes, want at most %d", size, cacheLine)
	}
}

// Documents are made for each change of an alarm.
func TestUnpackingPluginRulesAllocatesNothing(t *testing.T) {
	p := compileAlone(&directive.Directive{Name: "n", Rules: []directive.Rule{
		{Name: "r", Stage: 1, From: "ANY", To: "HOME_NET", PluginID: 1, PluginSID: []uint64{1, 2, 3}, CustomData: custom("a", "b", "c")},
	}})
	var r directive.Rule
	if n := testing.AllocsPerRun(100, func() { r = p.Rule(0) }); n != 0 || r.Name != "r" {
		t.Errorf("%v allocations for %+v", n, r)
	}
}

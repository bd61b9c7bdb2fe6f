package directive_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"dsiem/internal/asset"
	"dsiem/internal/directive"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
)

// compile compiles a directive of rules that hold only what a test is about.
func compile(alwaysActive bool, rules ...directive.Rule) *directive.Plan {
	for i := range rules {
		r := &rules[i]
		r.Stage = cmp.Or(r.Stage, i+1)
		r.Occurrence = max(r.Occurrence, 1)
		for _, text := range []*string{&r.From, &r.To, &r.PortFrom, &r.PortTo} {
			*text = cmp.Or(*text, "ANY")
		}
		if r.Type == directive.PluginRule {
			r.PluginID, r.PluginSID = 1001, []uint64{1}
		} else {
			r.Product, r.Category = []string{"FW"}, "Deny"
		}
	}
	return compileAlone(&directive.Directive{ID: 1, AllRulesAlwaysActive: alwaysActive, Rules: rules})
}

// describe returns what each stage tests, what it joins on, which fields have
// the creating event's value, and the shown texts of the others, a line each.
func describe(p *directive.Plan) []string {
	var lines []string
	for i := range p.Stages {
		s := &p.Stages[i]
		line := fmt.Sprintf("%d: tests %s; joins %s", s.Number, orDash(p.Tests(i)), orDash(s.Join.Names()))
		if s.Origin != s.Join {
			line += "; origin " + orDash(s.Origin.Names())
		}
		lines = append(lines, line+shownTexts(p, i))
	}
	return lines
}

func orDash(texts []string) string { return cmp.Or(strings.Join(texts, ", "), "-") }

func shownTexts(p *directive.Plan, i int) string {
	r := p.Rule(i)
	var b strings.Builder
	for _, f := range []struct {
		field     directive.Fields
		key, text string
	}{
		{directive.SrcIP, "from", r.From},
		{directive.DstIP, "to", r.To},
		{directive.SrcPort, "port_from", r.PortFrom},
		{directive.DstPort, "port_to", r.PortTo},
		{directive.CustomData1, "custom_data1", r.CustomData[0]},
		{directive.CustomData2, "custom_data2", r.CustomData[1]},
		{directive.CustomData3, "custom_data3", r.CustomData[2]},
	} {
		if !p.Stages[i].Origin.Has(f.field) && f.text != "ANY" && f.text != "" {
			fmt.Fprintf(&b, "; %s=%s", f.key, f.text)
		}
	}
	return b.String()
}

func custom(texts ...string) (out [event.CustomFields]string) {
	copy(out[:], texts)
	return out
}

// compileAlone compiles a directive by itself.
func compileAlone(d *directive.Directive) *directive.Plan {
	return &directive.CompileAll([]*directive.Directive{d})[0]
}

func TestCompile(t *testing.T) {
	type rule = directive.Rule
	for _, c := range []struct {
		name   string
		always bool
		rules  []rule
		want   []string
	}{
		{
			"no references", false,
			[]rule{{}, {From: "HOME_NET", To: "!HOME_NET", PortFrom: "80", PortTo: "!443,80", CustomData: custom("x", "!y", "a,b")}},
			[]string{
				"1: tests -; joins -",
				"2: tests from HOME_NET, to !HOME_NET, port_from 80, port_to !443,80, custom_data1 x, custom_data2 !y, custom_data3 a,b; joins -; from=HOME_NET; to=!HOME_NET; port_from=80; port_to=!443,80; custom_data1=x; custom_data2=!y; custom_data3=a,b",
			},
		},
		{
			"references to what any event satisfies are the creating event's values", false,
			[]rule{
				{CustomData: custom("ANY", "ANY", "ANY")},
				{From: ":1", To: ":1", PortFrom: ":1", PortTo: ":1", CustomData: custom(":1", ":1", ":1")},
			},
			[]string{"1: tests -; joins -", "2: tests -; joins src_ip, dst_ip, src_port, dst_port, custom_data1, custom_data2, custom_data3"},
		},
		{
			"references to HOME_NET and !HOME_NET, too", false,
			[]rule{{From: "HOME_NET", To: "!HOME_NET"}, {From: ":1", To: ":1"}},
			[]string{"1: tests from HOME_NET, to !HOME_NET; joins -; from=HOME_NET; to=!HOME_NET", "2: tests -; joins src_ip, dst_ip"},
		},
		{
			"references to anything else copy the text", false,
			[]rule{
				{From: "10.0.0.0/8", To: "10.0.0.1, !::1", PortFrom: "80", PortTo: "80,! 443", CustomData: custom("x", "!a, b", ":7")},
				{From: ":1", To: ":1", PortFrom: ":1", PortTo: ":1", CustomData: custom(":1", ":1", ":1")},
			},
			[]string{
				"1: tests from 10.0.0.0/8, to 10.0.0.1, !::1, port_from 80, port_to 80,! 443, custom_data1 x, custom_data2 !a, b, custom_data3 :7; joins -; from=10.0.0.0/8; to=10.0.0.1, !::1; port_from=80; port_to=80,! 443; custom_data1=x; custom_data2=!a, b; custom_data3=:7",
				"2: tests from 10.0.0.0/8, to 10.0.0.1, !::1, port_from 80, port_to 80,! 443, custom_data1 x, custom_data2 !a, b, custom_data3 :7; joins -; from=10.0.0.0/8; to=10.0.0.1, !::1; port_from=80; port_to=80,! 443; custom_data1=x; custom_data2=!a, b; custom_data3=:7",
			},
		},
		{
			"a reference to custom data that is not given is no condition", false,
			[]rule{{}, {CustomData: custom(":1")}},
			[]string{"1: tests -; joins -", "2: tests -; joins -"},
		},
		{
			"chains end where the first reference does (B04)", false,
			[]rule{
				{From: "HOME_NET", To: "10.0.0.1", PortTo: "80", CustomData: custom("ANY", "x")},
				{From: ":1", To: ":1", PortFrom: ":1", PortTo: ":1", CustomData: custom(":1", ":1")},
				{From: ":2", To: ":2", PortFrom: ":2", PortTo: ":2", CustomData: custom(":2", ":2")},
				{From: ":3", To: ":3", PortFrom: ":3", PortTo: ":3", CustomData: custom(":3", ":3")},
			},
			[]string{
				"1: tests from HOME_NET, to 10.0.0.1, port_to 80, custom_data2 x; joins -; from=HOME_NET; to=10.0.0.1; port_to=80; custom_data2=x",
				"2: tests to 10.0.0.1, port_to 80, custom_data2 x; joins src_ip, src_port, custom_data1; to=10.0.0.1; port_to=80; custom_data2=x",
				"3: tests to 10.0.0.1, port_to 80, custom_data2 x; joins src_ip, src_port, custom_data1; to=10.0.0.1; port_to=80; custom_data2=x",
				"4: tests to 10.0.0.1, port_to 80, custom_data2 x; joins src_ip, src_port, custom_data1; to=10.0.0.1; port_to=80; custom_data2=x",
			},
		},
		{
			"a reference to ANY of a later stage is the creating event's value, too (scenario 9)", false,
			[]rule{{From: "10.0.0.0/8"}, {}, {From: ":2", To: ":2"}},
			[]string{"1: tests from 10.0.0.0/8; joins -; from=10.0.0.0/8", "2: tests -; joins -", "3: tests -; joins src_ip, dst_ip"},
		},
		{
			"each field refers to the same field of the other stage", false,
			[]rule{{From: "10.0.0.1", To: "ANY"}, {From: "ANY", To: ":1"}, {From: ":2", To: ":1"}},
			[]string{"1: tests from 10.0.0.1; joins -; from=10.0.0.1", "2: tests -; joins dst_ip", "3: tests -; joins src_ip, dst_ip"},
		},
		{
			"references name stages, not places, so gaps do not matter", false,
			[]rule{{}, {Stage: 3, From: "10.0.0.1"}, {Stage: 7, From: ":3", To: ":1"}},
			[]string{"1: tests -; joins -", "3: tests from 10.0.0.1; joins -; from=10.0.0.1", "7: tests from 10.0.0.1; joins dst_ip; from=10.0.0.1"},
		},
		{
			"custom data that names no lower stage is text (B05)", false,
			[]rule{{CustomData: custom(":1", ":0", "::1")}, {Stage: 3, CustomData: custom(":2", ":3", ":80")}},
			[]string{
				"1: tests custom_data1 :1, custom_data2 :0, custom_data3 ::1; joins -; custom_data1=:1; custom_data2=:0; custom_data3=::1",
				"3: tests custom_data1 :2, custom_data2 :3, custom_data3 :80; joins -; custom_data1=:2; custom_data2=:3; custom_data3=:80",
			},
		},
		{
			"taxonomy rules show custom data and do not compare it (D11)", false,
			[]rule{
				{CustomData: custom("ANY", "x")},
				{Type: directive.TaxonomyRule, From: ":1", CustomData: custom(":1", ":1", "y")},
				{CustomData: custom(":2", ":2", ":2")},
			},
			[]string{
				"1: tests custom_data2 x; joins -; custom_data2=x",
				"2: tests -; joins src_ip; origin src_ip, custom_data1; custom_data2=x; custom_data3=y",
				"3: tests custom_data2 x, custom_data3 y; joins custom_data1; custom_data2=x; custom_data3=y",
			},
		},
		{
			"subcategories are compared unless ANY is one", false,
			[]rule{
				{Type: directive.TaxonomyRule},
				{Type: directive.TaxonomyRule, Subcategory: []string{"a", "b"}},
				{Type: directive.TaxonomyRule, Subcategory: []string{"a", "ANY"}},
				{Type: directive.PluginRule, Subcategory: []string{"a"}},
			},
			[]string{"1: tests -; joins -", "2: tests subcategory a,b; joins -", "3: tests -; joins -", "4: tests -; joins -"},
		},
		{
			"an always-active directive ties its first stage to the creating event's addresses (§5.3)", true,
			[]rule{{PortFrom: "80"}, {From: ":1", PortFrom: ":1"}},
			[]string{"1: tests port_from 80; joins src_ip, dst_ip; port_from=80", "2: tests port_from 80; joins src_ip; port_from=80"},
		},
		{
			"HOME_NET and !HOME_NET are tied, too", true,
			[]rule{{From: "HOME_NET", To: "!HOME_NET"}, {}},
			[]string{"1: tests from HOME_NET, to !HOME_NET; joins src_ip, dst_ip", "2: tests -; joins -"},
		},
		{
			"lists are not, and references see the directive's own values", true,
			[]rule{{From: "10.0.0.0/8"}, {From: ":1", To: ":1"}},
			[]string{"1: tests from 10.0.0.0/8; joins dst_ip; from=10.0.0.0/8", "2: tests from 10.0.0.0/8; joins dst_ip; from=10.0.0.0/8"},
		},
		{"no rules", true, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := gocmp.Diff(c.want, describe(compile(c.always, c.rules...))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestCompileLeavesTheDirectiveAsItIs(t *testing.T) {
	rules := []directive.Rule{
		{Stage: 1, From: "10.0.0.1", To: "ANY", PortFrom: "ANY", PortTo: "ANY"},
		{Stage: 2, From: ":1", To: ":1", PortFrom: "ANY", PortTo: "ANY", CustomData: custom(":1")},
	}
	d := &directive.Directive{Rules: rules, AllRulesAlwaysActive: true}
	before := fmt.Sprintf("%+v", *d)
	compileAlone(d)
	if after := fmt.Sprintf("%+v", *d); after != before {
		t.Errorf("was %s\nis  %s", before, after)
	}
}

// The rules of a saved backlog are compiled as they are: no text is a
// reference, nothing is narrowed.
func TestCompileResolved(t *testing.T) {
	rules := []directive.Rule{
		{Stage: 1, From: "10.0.0.1", To: "ANY", PortFrom: "ANY", PortTo: "ANY"},
		{Stage: 2, From: "10.0.0.1", To: "ANY", PortFrom: "ANY", PortTo: "80", CustomData: custom(":1")},
	}
	p := directive.CompileResolved(&directive.Directive{Rules: rules, AllRulesAlwaysActive: true})
	want := []string{
		"1: tests from 10.0.0.1; joins -; from=10.0.0.1",
		"2: tests from 10.0.0.1, port_to 80, custom_data1 :1; joins -; from=10.0.0.1; port_to=80; custom_data1=:1",
	}
	if diff := gocmp.Diff(want, describe(p)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestStageMatchTestsEveryCondition(t *testing.T) {
	assets := asset.NewTable([]asset.Asset{{Name: "site", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 1}})
	p := compile(
		false,
		directive.Rule{From: "HOME_NET", To: "!HOME_NET", PortFrom: "!22", PortTo: "443,80", CustomData: custom("deny", "!root", "a,b")},
		directive.Rule{Type: directive.TaxonomyRule, From: "10.0.0.0/16", To: "!10.0.0.0/16", Subcategory: []string{"x", "y"}, CustomData: custom("deny")},
	)
	plugin := event.Event{
		SrcIP: netip.MustParseAddr("10.0.0.1"), DstIP: netip.MustParseAddr("8.8.8.8"), SrcPort: 1000, DstPort: 443,
		CustomData: custom("DENY", "bob", "b"),
	}
	taxonomy := event.Event{SrcIP: netip.MustParseAddr("10.0.0.1"), DstIP: netip.MustParseAddr("10.1.0.1"), Subcategory: "y"}
	for _, c := range []struct {
		name   string
		stage  int
		change func(*event.Event)
		want   bool
	}{
		{"plugin rule", 0, func(*event.Event) {}, true},
		{"source not in HOME_NET", 0, func(ev *event.Event) { ev.SrcIP = ev.DstIP }, false},
		{"destination in HOME_NET", 0, func(ev *event.Event) { ev.DstIP = ev.SrcIP }, false},
		{"source port", 0, func(ev *event.Event) { ev.SrcPort = 22 }, false},
		{"destination port", 0, func(ev *event.Event) { ev.DstPort = 8080 }, false},
		{"no destination port", 0, func(ev *event.Event) { ev.DstPort = 0 }, false},
		{"custom data 1", 0, func(ev *event.Event) { ev.CustomData[0] = "allow" }, false},
		{"custom data 2", 0, func(ev *event.Event) { ev.CustomData[1] = "Root" }, false},
		{"custom data 3", 0, func(ev *event.Event) { ev.CustomData[2] = "B" }, false},
		{"subcategory of a plugin rule", 0, func(ev *event.Event) { ev.Subcategory = "z" }, true},
		{"taxonomy rule", 1, func(*event.Event) {}, true},
		{"source", 1, func(ev *event.Event) { ev.SrcIP = ev.DstIP }, false},
		{"destination", 1, func(ev *event.Event) { ev.DstIP = ev.SrcIP }, false},
		{"subcategory", 1, func(ev *event.Event) { ev.Subcategory = "X" }, false},
		{"no subcategory", 1, func(ev *event.Event) { ev.Subcategory = "" }, false},
		{"custom data of a taxonomy rule", 1, func(ev *event.Event) { ev.CustomData[0] = "allow" }, true},
	} {
		ev := plugin
		if c.stage == 1 {
			ev = taxonomy
		}
		c.change(&ev)
		if got := p.Stages[c.stage].Match(&ev, assets); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestIndexKeys(t *testing.T) {
	p := directive.CompileResolved(&directive.Directive{Rules: []directive.Rule{
		{Stage: 1, PluginID: 1001, PluginSID: []uint64{5, 7}},
		{Stage: 2, Type: directive.TaxonomyRule, Product: []string{"FW", "IDS"}, Category: "Deny", PluginID: 1, PluginSID: []uint64{2}},
	}})
	got := [][]string{p.IndexKeys(0), p.IndexKeys(1)}
	if diff := gocmp.Diff([][]string{{"1001:5", "1001:7"}, {"FW/Deny", "IDS/Deny"}}, got); diff != "" {
		t.Error(diff)
	}
}

// Rules are compiled in the order of their stages, whatever the file's (B09).
func TestLoadSortsRulesByStage(t *testing.T) {
	text := `{"directives": [{"id": 1, "name": "D", "priority": 1, "kingdom": "K", "category": "C", "rules": [
		{"stage": 3, "type": "PluginRule", "plugin_id": 1, "plugin_sid": [3], "occurrence": 1, "reliability": 1, "from": ":2", "to": ":1", "timeout": 60},
		{"stage": 2, "type": "PluginRule", "plugin_id": 1, "plugin_sid": [2], "occurrence": 1, "reliability": 1, "from": ":1", "to": "10.0.0.1", "timeout": 60},
		{"stage": 1, "type": "PluginRule", "plugin_id": 1, "plugin_sid": [1], "occurrence": 1, "reliability": 1, "from": "HOME_NET", "to": "ANY"}]}]}`
	var report jsonfile.Report
	loaded := directive.Load([]*jsonfile.File{jsonfile.NewFile("d.json", []byte(text))}, &report)
	if len(loaded) != 1 || len(report.Problems) != 0 {
		t.Fatal(report.Problems)
	}
	want := []string{
		"1: tests from HOME_NET; joins -; from=HOME_NET", "2: tests to 10.0.0.1; joins src_ip; to=10.0.0.1", "3: tests -; joins src_ip, dst_ip",
	}
	if diff := gocmp.Diff(want, describe(compileAlone(loaded[0]))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if at := loaded[0].PriorityAt; loaded[0].File != "d.json" || !strings.HasPrefix(text[at:], `1, "kingdom"`) {
		t.Errorf("its priority stands in %s at %d", loaded[0].File, at)
	}
}

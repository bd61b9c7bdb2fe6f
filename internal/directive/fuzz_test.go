package directive_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/asset"
	"dsiem/internal/directive"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
)

// FuzzLoadDirectives checks that no file makes loading panic, that its problems
// can be shown, that what loads keeps the rules of §2, compiles and matches,
// and that loading it again gives the same.
func FuzzLoadDirectives(f *testing.F) {
	// Small seeds, because the go command takes long to make large inputs smaller.
	const first = `{"stage":1,"type":"PluginRule","plugin_id":1,"plugin_sid":[1],"occurrence":1,"reliability":1,"from":"ANY","to":"ANY"}`
	directiveOf := func(rules ...string) []byte {
		return []byte(`{"directives":[{"id":12,"name":"D","priority":3,"kingdom":"K","category":"C","rules":[` + strings.Join(rules, ",") + `]}]}`)
	}
	for _, rest := range []string{
		`"from":":1","to":"!10.0.0.5,10.0.0.0/24,::1","port_from":"! 22","port_to":"80a"`,
		`"from":":2","to":"10/8,HOME_NET","port_from":":1","port_to":"80-90","timeout":-1`,
		`"from":"::ffff:10.0.0.1","to":"fe80::1%eth0","custom_data1":":1","custom_data2":":80","custom_data3":"a,!b,"`,
		`"from":"","to":null,"from":"x","sticky_different":"SRC_IP","Plugin_SID":[0],"protocol":5`,
	} {
		f.Add(directiveOf(first, `{"stage":2,"type":"PluginRule","plugin_id":1,"plugin_sid":[1,2],"occurrence":5,"reliability":5,`+rest+`}`))
		f.Add(directiveOf(`{"stage":3,"type":"TaxonomyRule","product":["FW"],"category":"Deny","subcategory":["ANY"],"occurrence":0,"reliability":11,`+rest+`}`, first))
	}
	for _, seed := range []string{``, `[]`, `{"directives":[{},5,{"id":-1,"disabled":true,"rules":[{}]}],"x":1}`, "\uFEFF{}", `{"directives":[{"id":1,]}`} {
		f.Add([]byte(seed))
	}
	var assets asset.Table
	f.Fuzz(func(t *testing.T, data []byte) {
		loaded, report := loadFile("f", data)
		again, sameReport := loadFile("f", data)
		if diff := cmp.Diff(loaded, again); diff != "" {
			t.Errorf("loading again gives other directives:\n%s", diff)
		}
		if diff := cmp.Diff(report.Problems, sameReport.Problems); diff != "" {
			t.Errorf("loading again gives other problems:\n%s", diff)
		}
		if len(loaded) == 0 && report.Count(jsonfile.Error) == 0 {
			t.Error("no directive and no error")
		}
		for i := range report.Problems {
			var b strings.Builder
			if err := report.Problems[i].Write(&b); err != nil || !utf8.ValidString(b.String()) {
				t.Errorf("%q: %v", b.String(), err)
			}
		}
		for _, d := range loaded {
			checkDirective(t, d)
			plan := compileAlone(d)
			for j := range plan.Stages {
				plan.Stages[j].Match(&event.Event{}, &assets)
			}
		}
	})
}

// checkDirective checks what the engine relies on.
func checkDirective(t *testing.T, d *directive.Directive) {
	t.Helper()
	if d.Disabled || d.Name == "" || d.Kingdom == "" || d.Category == "" || d.Priority < 1 || d.Priority > 5 || len(d.Rules) < 2 {
		t.Errorf("%+v", d)
	}
	var stages []int
	for i := range d.Rules {
		r := &d.Rules[i]
		stages = append(stages, r.Stage)
		if i > 0 && r.Stage <= d.Rules[i-1].Stage || i == 0 && (r.Stage != 1 || r.Occurrence != 1) || r.Stage > 255 {
			t.Errorf("rule %d has stage %d, occurrence %d", i, r.Stage, r.Occurrence)
		}
		if r.Occurrence < 1 || r.Reliability < 0 || r.Reliability > 10 || r.Timeout < 0 {
			t.Errorf("%+v", r)
		}
		if plugin := r.Type == directive.PluginRule; plugin && (r.PluginID == 0 || len(r.PluginSID) == 0 || slices.Contains(r.PluginSID, 0)) ||
			!plugin && (len(r.Product) == 0 || r.Category == "") {
			t.Errorf("%+v", r)
		}
		for _, text := range []string{r.From, r.To} {
			term, err := directive.ParseAddress(text)
			if err != nil || term.Kind == directive.AddressReference && !directive.RefersTo(text, r.Stage, stages) {
				t.Errorf("stage %d of %v: %q, %v", r.Stage, stages, text, err)
			}
		}
		for _, text := range []string{r.PortFrom, r.PortTo} {
			term, err := directive.ParsePort(text)
			if err != nil || term.Kind == directive.PortReference && !directive.RefersTo(text, r.Stage, stages) {
				t.Errorf("stage %d of %v: %q, %v", r.Stage, stages, text, err)
			}
		}
	}
}

package directive

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
)

// Load reads the directives of the given files, in their order. It returns
// the enabled directives that have no error, in load order, and adds every
// problem of every file to the report: a caller that loads strictly refuses
// to start when the report holds an error, one that skips invalid directives
// takes what is returned (§2.4–§2.6).
func Load(files []*jsonfile.File, report *jsonfile.Report) []*Directive {
	l := &loader{
		report: report, ids: map[uint64]place{}, texts: map[string]string{},
		directiveKeys: directiveKeys(), ruleKeys: ruleKeys(),
	}
	enabled, errorsBefore := 0, report.Count(jsonfile.Error)
	for _, file := range files {
		l.file = file
		file.Each(report, "directives", func(i int, v *jsonfile.Value) {
			before := len(report.Problems)
			d := l.directive(i, v)
			report.Drop(before, d.LintOff)
			if d.Disabled {
				return
			}
			enabled++
			if !l.failed {
				l.loaded = append(l.loaded, d)
			}
		})
		l.reportIdle()
	}
	if enabled == 0 && report.Count(jsonfile.Error) == errorsBefore {
		report.Add(nothingLoaded(files))
	}
	return l.loaded
}

// nothingLoaded is the problem of files without any enabled directive (V19).
func nothingLoaded(files []*jsonfile.File) jsonfile.Problem {
	p := jsonfile.Problem{
		File: "directives_*.json",
		Msg:  "no directive is enabled; add one, or set \"disabled\" to false",
	}
	switch len(files) {
	case 0:
		p.Msg = "there is no directive file; add at least one directives_*.json"
	case 1:
		p.File = files[0].Name
	}
	return p
}

type loader struct {
	report *jsonfile.Report
	file   *jsonfile.File
	// ids tells where each id of an enabled directive was seen first.
	ids    map[uint64]place
	loaded []*Directive
	// texts holds one copy of each text that directives share.
	texts map[string]string
	// failed is true when the directive being read has an error.
	failed bool
	// off are the warnings that the directive being read switches off.
	off []jsonfile.Lint
	// idles are the settings of the file that do nothing.
	idles []idle

	directiveKeys, ruleKeys []string
}

// place is a line of a file.
type place struct {
	file string
	line int
}

func directiveKeys() []string {
	return []string{
		"id", "name", "priority", "kingdom", "category", "disabled",
		"all_rules_always_active", "rules", "sticky_different", jsonfile.LintOff,
	}
}

// keep returns the loader's own copy of a text, which does not hold on to the
// file's.
func (l *loader) keep(text string) string {
	if kept, ok := l.texts[text]; ok {
		return kept
	}
	text = strings.Clone(text)
	l.texts[text] = text
	return text
}

func (l *loader) keepAll(texts []string) []string {
	for i := range texts {
		texts[i] = l.keep(texts[i])
	}
	return texts
}

// directive reads directive number i of the file and sets l.failed.
func (l *loader) directive(i int, v *jsonfile.Value) *Directive {
	l.off = nil
	d := &Directive{File: l.file.Name}
	s := &jsonfile.Scope{File: l.file, Report: l.report, Where: directiveWhere(i, v), Object: v}
	if v.Kind != jsonfile.Object {
		s.Errorf(v.Offset, "", "every element of \"directives\" must be an object, not %s", v.Kind)
		l.failed = true
		return d
	}
	d.Disabled = s.Bool("disabled")
	s.Lax = d.Disabled
	s.Keys(l.directiveKeys)
	d.LintOff = s.Lints(jsonfile.LintOff)
	l.off = d.LintOff
	d.ID = s.Uint("id", jsonfile.Range{Max: math.MaxUint64, Required: true})
	d.Name = l.keep(s.NonEmpty("name"))
	d.Kingdom = l.keep(s.NonEmpty("kingdom"))
	d.Category = l.keep(s.NonEmpty("category"))
	d.Priority = int(s.Uint("priority", jsonfile.Range{Min: 1, Max: 5, Required: true}))
	if at := v.Get("priority"); at != nil {
		d.PriorityAt = at.Offset
	}
	d.AllRulesAlwaysActive = s.Bool("all_rules_always_active")
	if sticky := v.Get("sticky_different"); sticky != nil && sticky.Kind != jsonfile.Object {
		s.Errorf(sticky.Offset, "sticky_different", "this key belongs into a rule, not into the directive; move it")
	}
	objects, list := s.Objects("rules", true)
	rules := l.rules(s, objects)
	if list != nil && len(list.Elems) < 2 && !d.Disabled {
		s.Errorf(list.Offset, "rules", "a directive needs at least 2 rules, this one has %d; add one for what happens next", len(list.Elems))
	}
	if !d.Disabled {
		l.checkID(s, d.ID)
		l.checkStages(s, rules, list != nil && len(objects) == len(list.Elems))
	}
	d.Rules = make([]Rule, 0, len(rules))
	l.failed = s.Failed()
	for _, r := range rules {
		d.Rules = append(d.Rules, r.rule)
		l.failed = l.failed || r.Failed()
	}
	if !d.Disabled {
		l.doubt(s, d, rules)
	}
	return d
}

// maxDigits is the length of the longest number that names a directive or a
// stage in a problem; longer ones are wrong and named by their place.
const maxDigits = 20

func directiveWhere(i int, v *jsonfile.Value) string {
	if id := v.Get("id"); id != nil && id.Kind == jsonfile.Number && len(id.Text) <= maxDigits {
		return "directive " + id.Text
	}
	return fmt.Sprintf("directive number %d of the file", i+1)
}

func (l *loader) checkID(s *jsonfile.Scope, id uint64) {
	if !wasRead(s, "id", id) {
		return
	}
	at := s.Object.Get("id").Offset
	if first, ok := l.ids[id]; ok {
		s.Errorf(at, "id", "this id is already used by the directive at %s:%d; give each directive its own", first.file, first.line)
		return
	}
	line, _ := l.file.Position(at)
	l.ids[id] = place{l.file.Name, line}
}

// wasRead reports whether n stands in the file, and is not the 0 of a number
// that is missing or wrong.
func wasRead(s *jsonfile.Scope, key string, n uint64) bool {
	v := s.Object.Get(key)
	return v != nil && v.Kind == jsonfile.Number && v.Text == strconv.FormatUint(n, 10)
}

// ruleScope is a rule and the place it was read from.
type ruleScope struct {
	*jsonfile.Scope
	rule Rule
	// stages are those of the directive, all of them if complete.
	stages   []int
	complete bool
}

func (l *loader) rules(parent *jsonfile.Scope, objects []*jsonfile.Value) []*ruleScope {
	scopes := make([]*ruleScope, 0, len(objects))
	for i, v := range objects {
		where := fmt.Sprintf("%s, rule number %d", parent.Where, i+1)
		if stage := v.Get("stage"); stage != nil && stage.Kind == jsonfile.Number && len(stage.Text) <= maxDigits {
			where = parent.Where + ", stage " + stage.Text
		}
		r := &ruleScope{Scope: &jsonfile.Scope{
			File: l.file, Report: l.report, Where: where, Object: v, Lax: parent.Lax,
		}}
		l.rule(r)
		scopes = append(scopes, r)
	}
	slices.SortStableFunc(scopes, func(a, b *ruleScope) int { return a.rule.Stage - b.rule.Stage })
	return scopes
}

func ruleKeys() []string {
	return []string{
		"name", "type", "stage", "occurrence", "from", "to", "port_from", "port_to", "protocol",
		"reliability", "timeout", "plugin_id", "plugin_sid", "product", "category", "subcategory",
		"sticky_different", "custom_data1", "custom_data2", "custom_data3",
		"custom_label1", "custom_label2", "custom_label3",
		// Run-time state, accepted and not used (§2.3).
		"start_time", "end_time", "rcvd_time", "status", "saved_sticky_diffdata", "saved_event_ids",
	}
}

// rule reads one rule; terms are checked here, what depends on other rules in
// checkStages.
func (l *loader) rule(s *ruleScope) {
	s.Keys(l.ruleKeys)
	r := &s.rule
	r.Name = l.keep(s.String("name", false, ""))
	r.Stage = int(s.Uint("stage", jsonfile.Range{Min: 1, Max: math.MaxUint8, Required: true}))
	r.Occurrence = s.Uint("occurrence", jsonfile.Range{Min: 1, Max: math.MaxInt64, Required: true})
	r.From = l.keep(s.String("from", true, anyTerm))
	r.To = l.keep(s.String("to", true, anyTerm))
	r.PortFrom = l.orAny(s, "port_from")
	r.PortTo = l.orAny(s, "port_to")
	r.Protocol = l.orAny(s, "protocol")
	r.Reliability = int(s.Uint("reliability", jsonfile.Range{Max: 10, Required: true}))
	r.Timeout = int64(s.Uint("timeout", jsonfile.Range{Max: math.MaxUint32}))
	l.identity(s)
	l.sticky(s)
	for i := range event.CustomFields {
		n := strconv.Itoa(i + 1)
		r.CustomData[i] = l.keep(s.String("custom_data"+n, false, ""))
		r.CustomLabel[i] = l.keep(s.String("custom_label"+n, false, ""))
	}
}

// orAny reads an optional text; missing or empty is ANY (B30).
func (l *loader) orAny(s *ruleScope, key string) string {
	if text := s.String(key, false, ""); text != "" {
		return l.keep(text)
	}
	return anyTerm
}

// identity reads what decides which events the rule is about (V10–V15).
func (l *loader) identity(s *ruleScope) {
	r := &s.rule
	kind := s.String("type", true, "")
	at := s.Object.Get("type")
	known := kind == PluginRule.String() || kind == TaxonomyRule.String()
	if kind == TaxonomyRule.String() {
		r.Type = TaxonomyRule
	}
	if !known && at != nil && at.Kind == jsonfile.String {
		s.Errorf(at.Offset, "type", "%s is not a rule type; use \"PluginRule\" or \"TaxonomyRule\"", jsonfile.Quote(kind))
	}
	plugin, taxonomy := known && r.Type == PluginRule && !s.Lax, known && r.Type == TaxonomyRule && !s.Lax
	r.PluginID = s.Uint("plugin_id", jsonfile.Range{Min: minimum(plugin), Max: math.MaxUint64, Required: plugin})
	if !s.refusesAny("plugin_sid") {
		r.PluginSID = s.Uints("plugin_sid", jsonfile.Range{Min: minimum(plugin), Max: math.MaxUint64, Required: plugin})
		s.needsElement("plugin_sid", plugin)
	}
	r.Product = l.keepAll(s.Strings("product", taxonomy))
	s.needsElement("product", taxonomy)
	r.Category = l.keep(s.String("category", taxonomy, ""))
	if at := s.Object.Get("category"); taxonomy && at != nil && at.Kind == jsonfile.String && r.Category == "" {
		s.Errorf(at.Offset, "category", "must not be empty in a TaxonomyRule")
	}
	r.Subcategory = l.keepAll(s.Strings("subcategory", false))
}

func minimum(required bool) uint64 {
	if required {
		return 1
	}
	return 0
}

// refusesAny reports ANY, or a list with just that, where every number must be
// named.
func (s *ruleScope) refusesAny(key string) bool {
	v := s.Object.Get(key)
	if v != nil && v.Kind == jsonfile.Array && len(v.Elems) == 1 {
		v = &v.Elems[0]
	}
	if v == nil || v.Kind != jsonfile.String || !strings.EqualFold(v.Text, anyTerm) {
		return false
	}
	s.Errorf(v.Offset, key, "%s is not possible here; list every number that counts, like [1, 2]", jsonfile.Quote(v.Text))
	return true
}

func (s *ruleScope) needsElement(key string, needed bool) {
	if list := s.Object.Get(key); needed && list != nil && list.Kind == jsonfile.Array && len(list.Elems) == 0 {
		s.Errorf(list.Offset, key, "the list is empty, so the rule could never match; add at least one element")
	}
}

func (l *loader) sticky(s *ruleScope) {
	name := s.String("sticky_different", false, "")
	sticky, ok := ParseSticky(name)
	if !ok && !s.Lax {
		msg := "is not a field; use one of " + strings.Join(stickyNames()[1:], ", ")
		if _, ok := ParseSticky(strings.ToUpper(name)); ok {
			msg = fmt.Sprintf("must be written %q", strings.ToUpper(name))
		}
		s.Errorf(s.Object.Get("sticky_different").Offset, "sticky_different", "%s %s", jsonfile.Quote(name), msg)
	}
	s.rule.StickyDifferent = sticky
}

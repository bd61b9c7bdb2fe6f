package directive

import (
	"fmt"
	"slices"
	"strings"

	"dsiem/internal/jsonfile"
	"dsiem/internal/text"
)

// doubt warns of what works but is hardly what the author meant (§2.6.10 to
// §2.6.16). rules are those of the directive, in ascending order of stage.
func (l *loader) doubt(s *jsonfile.Scope, d *Directive, rules []*ruleScope) {
	doubtName(s)
	for _, r := range rules {
		l.doubtProtocol(r)
		if r.rule.Stage == 1 {
			l.doubtFirstStage(r)
		} else if r.rule.Stage > 1 {
			l.doubtTimeout(r)
		}
		if r.rule.Type == TaxonomyRule {
			doubtTaxonomy(r)
		}
	}
	if !l.failed {
		doubtHosts(rules)
		doubtSticky(d, rules)
	}
}

// idle is a setting that does nothing. Files that a program wrote have the same
// one in every directive, so a file gets one warning of each kind, at the first
// place, with the number of the others.
type idle struct {
	problem jsonfile.Problem
	others  int
}

// idle notes a setting of a rule that does nothing.
func (l *loader) idle(r *ruleScope, name jsonfile.Lint, key, msg string) {
	if slices.Contains(l.off, name) {
		l.report.SwitchedOff++
		return
	}
	if i := slices.IndexFunc(l.idles, func(known idle) bool { return known.problem.Lint == name }); i >= 0 {
		l.idles[i].others++
		return
	}
	p := l.file.Warning(name, r.Object.Get(key).Offset, r.Where+", "+key, msg)
	l.idles = append(l.idles, idle{problem: p})
}

// reportIdle reports the settings of a file that do nothing.
func (l *loader) reportIdle() {
	for _, i := range l.idles {
		if i.others > 0 {
			i.problem.Msg += fmt.Sprintf(" (likewise in %s of this file)", text.Count(i.others, "more rule"))
		}
		l.report.Add(i.problem)
	}
	l.idles = l.idles[:0]
}

// doubtProtocol warns of a protocol that looks like a condition (D11). "TCP/IP"
// is what files for the original say where they mean any.
func (l *loader) doubtProtocol(r *ruleScope) {
	if p := r.rule.Protocol; !strings.EqualFold(p, anyTerm) && !strings.EqualFold(p, "TCP/IP") {
		l.idle(r, jsonfile.ProtocolNotCompared, "protocol", jsonfile.Quote(p)+" is shown in alarms and not compared: events of any protocol match; "+
			"where that matters, tell them apart by plugin_sid, subcategory or port")
	}
}

// doubtFirstStage warns of settings that mean nothing in stage 1, which is
// complete at once.
func (l *loader) doubtFirstStage(r *ruleScope) {
	if r.rule.Timeout > 0 {
		l.idle(r, jsonfile.TimeoutInStage1, "timeout", "stage 1 is complete with its first event, so it waits for nothing; "+
			"write the seconds into the stage that has to wait")
	}
	if r.rule.StickyDifferent != NoSticky {
		l.idle(r, jsonfile.StickyInStage1, "sticky_different", "stage 1 is complete with its first event, which has none to differ from; "+
			"write this into the stage that counts")
	}
}

// doubtTimeout warns of a later stage that has no time (D32). A misspelt timeout
// has been reported as an unknown key.
func (l *loader) doubtTimeout(r *ruleScope) {
	const effect = " the stage is over with the second in which it begins; write how many seconds it may take, like "
	v := r.Object.Get("timeout")
	misspelt := func(m jsonfile.Member) bool { return text.Suggest(m.Name, l.ruleKeys) == "timeout" }
	switch {
	case v == nil && slices.ContainsFunc(r.Object.Members, misspelt):
	case v == nil:
		r.Warnf(jsonfile.TimeoutMissing, r.Object.Offset, "timeout", "without a timeout%s\"timeout\": 600", effect)
	case wasRead(r.Scope, "timeout", 0):
		r.Warnf(jsonfile.TimeoutMissing, v.Offset, "timeout", "with a timeout of 0%s600", effect)
	}
}

// doubtTaxonomy warns of ANY where it is a text like any other (§3.2.2).
func doubtTaxonomy(r *ruleScope) {
	for _, key := range []string{"product", "category", "subcategory"} {
		v := r.Object.Get(key)
		if v == nil {
			continue
		}
		elems := v.Elems
		if v.Kind != jsonfile.Array {
			elems = []jsonfile.Value{*v}
		}
		for i := range elems {
			doubtAny(r, key, &elems[i])
		}
	}
}

func doubtAny(r *ruleScope, key string, v *jsonfile.Value) {
	switch {
	case v.Kind != jsonfile.String || !strings.EqualFold(v.Text, anyTerm):
	case key != "subcategory":
		r.Warnf(jsonfile.AnyAsText, v.Offset, key, "%s is taken as plain text: it matches no other %s; write those that count", jsonfile.Quote(v.Text), key)
	case v.Text != anyTerm:
		r.Warnf(jsonfile.AnyAsText, v.Offset, key, "%s is taken as plain text; write %q to take any value", jsonfile.Quote(v.Text), anyTerm)
	}
}

// doubtHosts warns of a directive whose later stages take the events of all
// hosts, so that what happens to one completes the attack on another. A stage
// that wants different hosts is meant that way.
func doubtHosts(rules []*ruleScope) {
	for _, r := range rules[1:] {
		if r.rule.held() || r.rule.StickyDifferent == StickySrcIP || r.rule.StickyDifferent == StickyDstIP {
			return
		}
	}
	r := rules[1]
	r.Warnf(jsonfile.HostsNotTied, r.Object.Get("from").Offset, "from", "no later stage is tied to the hosts of stage 1, so events of all hosts count together; "+
		"write \":1\" in \"from\" or \"to\" to keep to those of the attack")
}

// held reports whether a rule takes the events of some hosts or users only: by
// a reference, or by a list of what it takes.
func (r *Rule) held() bool {
	for _, address := range [...]string{r.From, r.To} {
		term, _ := ParseAddress(address)
		if term.Kind == AddressReference || term.Kind == AddressInList && !term.List.anyNegated {
			return true
		}
	}
	for _, port := range [...]string{r.PortFrom, r.PortTo} {
		if term, _ := ParsePort(port); term.Kind == PortReference {
			return true
		}
	}
	for _, data := range r.CustomData {
		if term := ParseText(data); r.Type == PluginRule && term.size() != unlimited {
			return true
		}
	}
	return false
}

// doubtSticky warns of stages that count more different values than their own
// conditions let through.
func doubtSticky(d *Directive, rules []*ruleScope) {
	var plan *Plan
	for i, r := range rules {
		if r.rule.StickyDifferent == NoSticky || r.rule.Occurrence < 2 {
			continue
		}
		if plan == nil {
			plan = &CompileAll([]*Directive{d})[0]
		}
		key, n := plan.different(i)
		if n >= r.rule.Occurrence {
			continue
		}
		never := "never"
		if n == 1 && strings.HasPrefix(key, "custom_data") {
			never = "hardly ever" // they may differ in the case of letters
		}
		name := fmt.Sprintf("%q", key)
		if v := r.Object.Get(key); v.Kind == jsonfile.String {
			name += ": " + jsonfile.Quote(v.Text)
		}
		r.Warnf(jsonfile.TooFewValues, r.Object.Get("sticky_different").Offset, "sticky_different",
			"%s lets only %s of %s through, so %d different ones %s come; let another field differ, or widen %q",
			name, text.Count(int(n), "value"), r.rule.StickyDifferent, r.rule.Occurrence, never, key)
	}
}

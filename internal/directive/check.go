package directive

import (
	"fmt"
	"slices"
	"strings"

	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
)

// checkStages checks what depends on the other rules of a directive: stage
// numbers, references, reliability. rules are in ascending order of stage;
// complete is false when there are rules that could not be read at all, so that
// nothing can be said of what is missing.
func (l *loader) checkStages(s *jsonfile.Scope, rules []*ruleScope, complete bool) {
	var stages []int
	for i, r := range rules {
		if r.rule.Stage == 0 { // reported before
			complete = false
		} else if l.checkStage(rules, i) {
			stages = append(stages, r.rule.Stage)
		}
	}
	if complete && len(rules) > 0 && !slices.Contains(stages, 1) {
		s.Errorf(s.Object.Get("rules").Offset, "rules", "no rule has stage 1, so nothing could open a backlog; number the stages from 1")
	}
	for _, r := range rules {
		r.stages, r.complete = stages, complete
		r.checkTerms()
	}
	if !complete {
		return
	}
	checkGaps(rules)
	checkReliability(rules)
}

// checkStage checks the occurrence and stage number of rule i and reports
// whether the number is its own.
func (l *loader) checkStage(rules []*ruleScope, i int) bool {
	r := rules[i]
	if r.rule.Stage == 1 && r.rule.Occurrence > 1 {
		r.Errorf(r.Object.Get("occurrence").Offset, "occurrence",
			"stage 1 opens a backlog with its first event, so its occurrence must be 1, not %d; count in stage 2", r.rule.Occurrence)
	}
	if i == 0 || rules[i-1].rule.Stage != r.rule.Stage {
		return true
	}
	first, _ := l.file.Position(rules[i-1].Object.Offset)
	r.Errorf(r.Object.Get("stage").Offset, "stage",
		"stage %d is already taken by the rule on line %d; give each rule its own stage", r.rule.Stage, first)
	return false
}

// checkGaps warns of missing stage numbers (D7).
func checkGaps(rules []*ruleScope) {
	for i := 1; i < len(rules); i++ {
		if before, r := rules[i-1].rule.Stage, rules[i]; r.rule.Stage > before+1 {
			r.Warnf(jsonfile.StageGap, r.Object.Get("stage").Offset, "stage", "there is a gap after stage %d; stage %d follows it", before, r.rule.Stage)
		}
	}
}

// checkTerms checks the addresses, ports and custom data of a rule.
func (s *ruleScope) checkTerms() {
	address := func(key, text string) {
		term, err := ParseAddress(text)
		if s.termProblem(key, text, err) && term.Kind == AddressReference {
			s.reference(key, term.Stage)
		}
	}
	port := func(key, text string) {
		term, err := ParsePort(text)
		if s.termProblem(key, text, err) && term.Kind == PortReference {
			s.reference(key, term.Stage)
		}
	}
	address("from", s.rule.From)
	address("to", s.rule.To)
	port("port_from", s.rule.PortFrom)
	port("port_to", s.rule.PortTo)
	for i := range event.CustomFields {
		s.customData(i)
	}
}

// termProblem reports the errors of a term, if any, and returns whether the
// term is good. Errors stand at the elements of a list that are wrong, or at a
// single value. Values that are no strings have been reported before.
func (s *ruleScope) termProblem(key, text string, err *TermError) bool {
	if err == nil {
		return true
	}
	v := s.Object.Get(key)
	if v == nil || v.Kind != jsonfile.String {
		return false
	}
	if !strings.Contains(text, ",") {
		s.Errorf(v.Offset, key, "%s", err.Msg)
		return false
	}
	for _, e := range append([]TermError{*err}, err.more...) {
		s.Errorf(v.At(e.At), key, "%s", e.Msg)
	}
	return false
}

func (s *ruleScope) reference(key string, stage int) {
	at := s.Object.Get(key).Offset
	switch {
	case s.rule.Stage == 1:
		s.Errorf(at, key, "stage 1 cannot refer to another stage; only later stages can")
	case s.rule.Stage > 0 && stage >= s.rule.Stage:
		s.Errorf(at, key, "\":%d\" must name a stage before this one (%d)", stage, s.rule.Stage)
	case s.complete && !slices.Contains(s.stages, stage):
		s.Errorf(at, key, "\":%d\" names a stage that does not exist; the stages are %s", stage, listStages(s.stages))
	}
}

func listStages(stages []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(stages), " ", ", "), "[]")
}

// customData warns of custom data that will not do what it seems to (§2.6.4,
// D11).
func (s *ruleScope) customData(i int) {
	text := s.rule.CustomData[i]
	if text == "" {
		return
	}
	key := fmt.Sprintf("custom_data%d", i+1)
	v := s.Object.Get(key)
	switch {
	case s.rule.Type == TaxonomyRule && text != anyTerm:
		s.Warnf(jsonfile.CustomDataNotCompared, v.Offset, key, "custom data is not compared in a TaxonomyRule, so any value matches; compare it in a PluginRule, or use subcategory")
	case s.complete && looksLikeReference(text) && !RefersTo(text, s.rule.Stage, s.stages):
		s.Warnf(jsonfile.ReferenceAsText, v.Offset, key, "%s names no earlier stage and is taken as plain text", jsonfile.Quote(text))
	case text != anyTerm && strings.EqualFold(strings.TrimSpace(text), anyTerm):
		s.Warnf(jsonfile.AnyAsText, v.Offset, key, "%s is taken as plain text; write %q to take any value", jsonfile.Quote(text), anyTerm)
	case strings.Contains(text, ","):
		for _, e := range splitList(text) {
			if e.text == "" {
				s.Warnf(jsonfile.EmptyElement, v.At(e.at), key, "the list has an empty element, which stands for an event without this field")
			}
		}
	}
}

func looksLikeReference(text string) bool {
	return len(text) > 1 && text[0] == ':' && strings.Trim(text[1:], "0123456789") == ""
}

// checkReliability warns of risk that falls from one stage to a later one: the
// log pipeline discards such updates (§7.4).
func checkReliability(rules []*ruleScope) {
	highest := 0
	for i, r := range rules {
		switch {
		case !wasRead(r.Scope, "reliability", uint64(r.rule.Reliability)):
			continue // reported before
		case r.rule.Reliability < rules[highest].rule.Reliability:
			before := &rules[highest].rule
			r.Warnf(jsonfile.ReliabilityFalls, r.Object.Get("reliability").Offset, "reliability",
				"%d is lower than the %d of stage %d; Elasticsearch keeps the higher risk", r.rule.Reliability, before.Reliability, before.Stage)
		default:
			highest = i
		}
	}
}

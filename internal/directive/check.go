package directive

import (
	"fmt"
	"slices"
	"strings"

	"dsiem/internal/config"
	"dsiem/internal/event"
)

// checkStages checks what depends on the other rules of a directive: stage
// numbers, references, reliability. rules are in ascending order of stage.
func (l *loader) checkStages(s *config.Scope, rules []*ruleScope) {
	var stages []int
	for i, r := range rules {
		if !l.checkStage(rules, i) {
			continue
		}
		stages = append(stages, r.rule.Stage)
	}
	if len(rules) > 0 && !slices.Contains(stages, 1) {
		s.Errorf(s.Object.Get("rules").Offset, "rules", "no rule has stage 1, so nothing could open a backlog; number the stages from 1")
	}
	for _, r := range rules {
		checkTerms(r, stages)
	}
	checkReliability(rules)
}

// checkStage checks the stage number and occurrence of rule i and reports
// whether the number is good.
func (l *loader) checkStage(rules []*ruleScope, i int) bool {
	r := rules[i]
	at := r.Object.Get("stage")
	if r.rule.Stage == 0 {
		return false // already reported
	}
	if i > 0 && rules[i-1].rule.Stage == r.rule.Stage {
		first, _ := l.file.Position(rules[i-1].Object.Offset)
		r.Errorf(at.Offset, "stage", "stage %d is already taken by the rule on line %d; give each rule its own stage", r.rule.Stage, first)
		return false
	}
	if i > 0 && rules[i-1].rule.Stage > 0 && rules[i-1].rule.Stage != r.rule.Stage-1 {
		r.Warnf(at.Offset, "stage", "there is a gap after stage %d; stage %d follows it", rules[i-1].rule.Stage, r.rule.Stage)
	}
	if r.rule.Stage == 1 && r.rule.Occurrence > 1 {
		r.Errorf(r.Object.Get("occurrence").Offset, "occurrence",
			"stage 1 opens a backlog with its first event, so its occurrence must be 1, not %d; count in stage 2", r.rule.Occurrence)
	}
	return true
}

// checkTerms checks the addresses, ports and custom data of a rule.
func checkTerms(r *ruleScope, stages []int) {
	address := func(key, text string) {
		term, err := ParseAddress(text)
		if r.termProblem(key, err) && term.Kind == AddressReference {
			r.reference(key, term.Stage, stages)
		}
	}
	port := func(key, text string) {
		term, err := ParsePort(text)
		if r.termProblem(key, err) && term.Kind == PortReference {
			r.reference(key, term.Stage, stages)
		}
	}
	address("from", r.rule.From)
	address("to", r.rule.To)
	port("port_from", r.rule.PortFrom)
	port("port_to", r.rule.PortTo)
	for i := range event.CustomFields {
		r.customData(i, stages)
	}
}

// termProblem reports the error of a term, if any, and returns whether the
// term is good. A term that was not given has been reported or is a default.
func (s *ruleScope) termProblem(key string, err *TermError) bool {
	if err == nil {
		return true
	}
	v := s.Object.Get(key)
	if v == nil || v.Kind != config.String {
		return false
	}
	msg := err.Msg
	s.Errorf(v.At(err.At), key, "%s", msg)
	return false
}

func (s *ruleScope) reference(key string, stage int, stages []int) {
	at := s.Object.Get(key).Offset
	switch {
	case s.rule.Stage == 1:
		s.Errorf(at, key, "stage 1 cannot refer to another stage; only later stages can")
	case stage >= s.rule.Stage:
		s.Errorf(at, key, "\":%d\" must name a stage before this one (%d)", stage, s.rule.Stage)
	case !slices.Contains(stages, stage):
		s.Errorf(at, key, "\":%d\" names a stage that does not exist; the stages are %s", stage, listStages(stages))
	}
}

func listStages(stages []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(stages), " ", ", "), "[]")
}

// customData warns of custom data that will not do what it seems to (§2.6.4,
// D11).
func (s *ruleScope) customData(i int, stages []int) {
	text := s.rule.CustomData[i]
	if text == "" {
		return
	}
	key := fmt.Sprintf("custom_data%d", i+1)
	at := s.Object.Get(key).Offset
	switch {
	case s.rule.Type == TaxonomyRule && text != anyTerm:
		s.Warnf(at, key, "custom data is not compared in a TaxonomyRule")
	case !RefersTo(text, s.rule.Stage, stages) && strings.HasPrefix(text, ":") && strings.Trim(text[1:], "0123456789") == "" && len(text) > 1:
		s.Warnf(at, key, "%q names no earlier stage and is taken as plain text", text)
	}
}

// checkReliability warns of risk that falls from one stage to the next: the
// log pipeline discards such updates (§7.4).
func checkReliability(rules []*ruleScope) {
	for i := 1; i < len(rules); i++ {
		before, r := &rules[i-1].rule, &rules[i].rule
		if at := rules[i].Object.Get("reliability"); at != nil && r.Reliability < before.Reliability {
			rules[i].Warnf(at.Offset, "reliability",
				"%d is lower than the %d of stage %d; Elasticsearch keeps the higher risk", r.Reliability, before.Reliability, before.Stage)
		}
	}
}

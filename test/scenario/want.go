package scenario

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// want is everything a run must bring about.
type want struct {
	exitCode     int      // 0, or that of an error at the start
	messages     []phrase // of that error, too
	gone         []string // files
	rejected     map[string]int
	rejectedLine int
	backlogs     []*wantBacklog
	// alarmsOnly says that nothing is stated of backlogs but their alarms.
	alarmsOnly bool
	alarms     []wantAlarm // nil if they are not stated as JSON
	alarmsLine int
}

// The exit codes of errors at the start.
const (
	exitConfiguration = 1
	exitOptions       = 2
)

// phrase is texts that stand in one line of the program's messages, in order.
type phrase []string

// wantBacklog is what one backlog must bring about. The lines are 0 where
// nothing of the kind is stated.
type wantBacklog struct {
	name       string
	line       int
	events     []taken
	eventsLine int
	alarms     []shape
	alarmsLine int
	live       *live
	liveLine   int
	alarmFacts []alarmFact
	savedFacts []fact
}

// taken is one alarm-event line: the stage that took the event.
type taken struct {
	stage int
	event string // its name in the scenario
}

// shape is an alarm line in short: 2/FF- Low.
type shape struct {
	risk  int
	rules string
	class string
}

// String returns the notation of the shape.
func (s shape) String() string { return fmt.Sprintf("%d/%s %s", s.risk, s.rules, s.class) }

// live is the state of a backlog that is alive: 2 3/5.
type live struct {
	stage, count, occurrence int
}

// String returns the notation of the state.
func (l live) String() string { return fmt.Sprintf("live %d %d/%d", l.stage, l.count, l.occurrence) }

// alarmFact is a detail of one alarm line of a backlog.
type alarmFact struct {
	nth int // from 1
	fact
}

// backlog returns the wants for a backlog, made where necessary.
func (w *want) backlog(name string, line int) *wantBacklog {
	i := slices.IndexFunc(w.backlogs, func(b *wantBacklog) bool { return b.name == name })
	if i < 0 {
		i = len(w.backlogs)
		w.backlogs = append(w.backlogs, &wantBacklog{name: name, line: line})
	}
	return w.backlogs[i]
}

// parseWant reads the want section; known are the event ids of the scenario.
func (s *source) parseWant(sec *section, known map[string][]byte) want {
	var w want
	lines := s.entries(sec)
	if len(lines) == 0 {
		s.failf(sec.line, "section %q is empty; write \"nothing\" if nothing may happen", sec.name)
	}
	for _, e := range lines {
		if e.text == "nothing" {
			if len(lines) > 1 {
				s.failf(e.line, "\"nothing\" must stand alone")
			}
			continue
		}
		if err := w.parseLine(e, known); err != nil {
			s.failf(e.line, "%v", err)
		}
	}
	if w.exitCode != 0 && (len(w.backlogs) > 0 || len(w.rejected) > 0) {
		s.failf(sec.line, "after a start-up error no backlog and no rejected event can be wanted")
	}
	return w
}

// parseWants reads what a run must bring about: one or both of the sections want
// and want.json.
func (s *source) parseWants(number int, parts *runParts, known map[string][]byte) (w want) {
	lines, alarms := parts.byName["want"], parts.byName[alarmsName]
	if lines == nil && alarms == nil {
		s.failf(parts.line, "section \"want\" of run %d is missing", number)
	}
	if lines != nil {
		w = s.parseWant(lines, known)
	}
	if alarms != nil {
		w.alarms, w.alarmsLine, w.alarmsOnly = s.parseAlarms(alarms, known), alarms.line, lines == nil
		if w.exitCode != 0 {
			s.failf(alarms.line, "after a start-up error no alarm can be wanted")
		}
	}
	return w
}

func (w *want) parseLine(e entry, known map[string][]byte) error {
	head, body, ok := strings.Cut(e.text, ":")
	if !ok {
		return errors.New("a line is written NAME: what is wanted")
	}
	words, body := strings.Fields(head), strings.TrimSpace(body)
	switch {
	case head == "start-up error":
		return w.parseRefusal(body, exitConfiguration)
	case head == "option error":
		return w.parseRefusal(body, exitOptions)
	case head == "message":
		return w.parsePhrase(body)
	case head == "rejected":
		return w.parseRejected(e.line, body)
	case len(words) == 2 && words[0] == "saved" && body == "gone":
		w.gone = append(w.gone, words[1])
		return nil
	case len(words) == 2 && words[0] == "saved":
		f, err := parseFact(e.line, body)
		return cmp.Or(err, w.each(words[1], e.line, known, func(b *wantBacklog) error {
			b.savedFacts = append(b.savedFacts, f)
			return nil
		}))
	case len(words) == 3 && words[1] == "alarm":
		nth, err := strconv.Atoi(words[2])
		if err != nil || nth < 1 {
			return fmt.Errorf("%q is not the number of an alarm line", words[2])
		}
		f, err := parseFact(e.line, body)
		return cmp.Or(err, w.each(words[0], e.line, known, func(b *wantBacklog) error {
			b.alarmFacts = append(b.alarmFacts, alarmFact{nth: nth, fact: f})
			return nil
		}))
	case len(words) == 1:
		return w.each(words[0], e.line, known, func(b *wantBacklog) error { return b.parse(e.line, body, known) })
	}
	return fmt.Errorf("%q is not understood before the colon", head)
}

// parseRefusal reads the texts of an error at the start.
func (w *want) parseRefusal(body string, exitCode int) error {
	if w.exitCode != 0 && w.exitCode != exitCode {
		return errors.New("a run ends with a start-up error or an option error, not with both")
	}
	w.exitCode = exitCode
	return w.parsePhrase(body)
}

// parsePhrase reads one or more JSON strings with blanks between them.
func (w *want) parsePhrase(body string) error {
	var texts phrase
	dec := json.NewDecoder(strings.NewReader(body))
	for len(texts) == 0 || dec.More() {
		var text string
		if err := dec.Decode(&text); err != nil || text == "" {
			return errors.New(`write the text in double quotes`)
		}
		texts = append(texts, text)
	}
	w.messages = append(w.messages, texts)
	return nil
}

// parseRejected reads bad_type 2, bad_timestamp 11.
func (w *want) parseRejected(line int, body string) error {
	if w.rejected != nil {
		return fmt.Errorf("the rejected events are already in line %d", w.rejectedLine)
	}
	w.rejected, w.rejectedLine = map[string]int{}, line
	for item := range strings.SplitSeq(body, ",") {
		reason, count, _ := strings.Cut(strings.TrimSpace(item), " ")
		n, err := strconv.Atoi(count)
		if _, twice := w.rejected[reason]; twice || err != nil || n < 1 || !isID(reason) {
			return fmt.Errorf("%q: write REASON COUNT, each reason once, such as bad_type 2, bad_address 1", body)
		}
		w.rejected[reason] = n
	}
	return nil
}

// each calls f for every backlog that a name stands for: one, or a range.
func (w *want) each(name string, line int, known map[string][]byte, f func(*wantBacklog) error) error {
	names := []string{name}
	if strings.Contains(name, "..") {
		var err error
		if names, err = expand(name); err != nil {
			return err
		}
	}
	for _, n := range names {
		b, err := w.named(n, line, known)
		if err != nil {
			return err
		}
		if err := f(b); err != nil {
			return err
		}
	}
	return nil
}

// named returns the wants for a backlog after checking its name.
func (w *want) named(name string, line int, known map[string][]byte) (*wantBacklog, error) {
	event, number, twin := strings.Cut(name, "~")
	if _, ok := known[event]; !ok {
		return nil, fmt.Errorf("a backlog is named by its first event, but there is no event %q", event)
	}
	if n, err := strconv.Atoi(number); twin && (err != nil || n < 2) {
		return nil, fmt.Errorf("%q: the second backlog of an event is named %s~2", name, event)
	}
	return w.backlog(name, line), nil
}

// parse reads what stands after the name: alarm events, alarms or the end state.
func (b *wantBacklog) parse(line int, body string, known map[string][]byte) error {
	if rest, ok := strings.CutPrefix(body, "live "); ok {
		l, err := parseLive(rest)
		if b.live != nil {
			return fmt.Errorf("the end of %s is already in line %d", b.name, b.liveLine)
		}
		b.live, b.liveLine = &l, line
		return err
	}
	if strings.Contains(body, "[") {
		opener, _, _ := strings.Cut(b.name, "~")
		events, err := parseTaken(body, opener, known)
		b.events = append(b.events, events...)
		b.eventsLine = cmp.Or(b.eventsLine, line)
		return err
	}
	alarms, err := parseShapes(body)
	b.alarms = append(b.alarms, alarms...)
	b.alarmsLine = cmp.Or(b.alarmsLine, line)
	return err
}

// parseTaken reads 1[e1] 2[e2 e4..e7]; * is the opener.
func parseTaken(body, opener string, known map[string][]byte) ([]taken, error) {
	var out []taken
	for body != "" {
		head, rest, open := strings.Cut(body, "[")
		inner, tail, closed := strings.Cut(rest, "]")
		stage, err := strconv.Atoi(head)
		if err != nil || !open || !closed {
			return nil, fmt.Errorf("%q: write stage[events], such as 2[e2 e4..e7]", body)
		}
		words := strings.Fields(inner)
		if len(words) == 0 {
			return nil, fmt.Errorf("%d[]: no events", stage)
		}
		for _, w := range words {
			ids, err := eventNames(w, opener)
			if err != nil {
				return nil, err
			}
			for _, id := range ids {
				if _, ok := known[id]; !ok {
					return nil, fmt.Errorf("there is no event %q", id)
				}
				out = append(out, taken{stage: stage, event: id})
			}
		}
		body = strings.TrimSpace(tail)
	}
	return out, nil
}

// eventNames returns the names of the events that a word between brackets
// stands for.
func eventNames(word, opener string) ([]string, error) {
	switch word {
	case "*":
		return []string{opener}, nil
	case noID:
		return []string{noID}, nil
	}
	return expand(word)
}

// maxRepeat bounds the *N of alarm lines, against slips of the pen.
const maxRepeat = 10_000

// parseShapes reads 2/FF- Low; 4/FFF Medium *2.
func parseShapes(body string) ([]shape, error) {
	var out []shape
	for item := range strings.SplitSeq(body, ";") {
		words := strings.Fields(item)
		repeat := 1
		if len(words) == 3 {
			n, ok := numbered(words[2], "*")
			repeat, _ = strconv.Atoi(n)
			if !ok || repeat < 1 || repeat > maxRepeat {
				return nil, fmt.Errorf("%q is not a count such as *4", words[2])
			}
			words = words[:2]
		}
		sh, ok := parseShape(words)
		if !ok {
			return nil, fmt.Errorf("%q: write risk/rules class, such as 4/FF- Medium", strings.TrimSpace(item))
		}
		out = append(out, slices.Repeat([]shape{sh}, repeat)...)
	}
	return out, nil
}

func parseShape(words []string) (shape, bool) {
	if len(words) != 2 || !slices.Contains([]string{"Low", "Medium", "High"}, words[1]) {
		return shape{}, false
	}
	risk, rules, _ := strings.Cut(words[0], "/")
	n, err := strconv.Atoi(risk)
	ok := err == nil && rules != "" && strings.Trim(rules, "FT-") == ""
	return shape{risk: n, rules: rules, class: words[1]}, ok
}

// parseLive reads 2 3/5.
func parseLive(body string) (live, error) {
	var l live
	stage, progress, _ := strings.Cut(strings.TrimSpace(body), " ")
	count, occurrence, _ := strings.Cut(progress, "/")
	err := errors.Join(atoi(stage, &l.stage), atoi(count, &l.count), atoi(occurrence, &l.occurrence))
	if err != nil {
		return l, errors.New("write live STAGE COUNT/OCCURRENCE, such as live 2 3/5")
	}
	return l, nil
}

// renderTaken writes alarm events in the notation of scenarios.
func renderTaken(list []taken) string {
	if len(list) == 0 {
		return "none"
	}
	var groups []string
	for len(list) > 0 {
		stage := list[0].stage
		n := slices.IndexFunc(list, func(t taken) bool { return t.stage != stage })
		if n < 0 {
			n = len(list)
		}
		ids := make([]string, n)
		for i, t := range list[:n] {
			ids[i] = t.event
		}
		groups = append(groups, fmt.Sprintf("%d[%s]", stage, strings.Join(shorten(ids), " ")))
		list = list[n:]
	}
	return strings.Join(groups, " ")
}

// shorten writes three and more ids that count up as e1..e3.
func shorten(ids []string) []string {
	var out []string
	for i := 0; i < len(ids); {
		prefix, from, ok := counted(ids[i])
		j := i + 1
		for ok && j < len(ids) && ids[j] == prefix+strconv.Itoa(from+j-i) {
			j++
		}
		if j-i >= 3 {
			out = append(out, ids[i]+".."+ids[j-1])
		} else {
			out = append(out, ids[i:j]...)
		}
		i = j
	}
	return out
}

// renderShapes writes alarm lines in the notation of scenarios.
func renderShapes(list []shape) string {
	if len(list) == 0 {
		return "none"
	}
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = s.String()
	}
	return strings.Join(texts, "; ")
}

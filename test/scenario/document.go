package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// alarmsName is the section of alarms as JSON.
const alarmsName = "want.json"

// wantAlarm is what is stated of an alarm as it is in the end: a part of its
// document.
type wantAlarm struct {
	name string // of its backlog
	line int
	part map[string]any // as decoded by decodeAny, without the name
}

// parseAlarms reads a section of JSON documents; known are the event ids of the
// scenario.
func (s *source) parseAlarms(sec *section, known map[string][]byte) (all []wantAlarm) {
	text := sec.text()
	dec := json.NewDecoder(bytes.NewReader(text))
	for dec.More() {
		line := sec.at(bytes.Count(text[:dec.InputOffset()], []byte("\n")))
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("the JSON document does not end")
			}
			s.failf(line, "%v", err)
			return all
		}
		a, err := parsePart(raw, known)
		if err == nil && slices.ContainsFunc(all, func(b wantAlarm) bool { return b.name == a.name }) {
			err = fmt.Errorf("backlog %s has an alarm above", a.name)
		}
		if err != nil {
			s.failf(line, "%v", err)
		}
		a.line = line
		all = append(all, a)
	}
	if len(all) == 0 {
		s.failf(sec.line, "section %q is empty", sec.name)
	}
	return all
}

// parsePart reads a part of an alarm.
func parsePart(raw json.RawMessage, known map[string][]byte) (a wantAlarm, err error) {
	if !jsontext.Value(raw).IsValid() { // as for a key that is there twice
		return a, errors.New("a key is there twice, or a text is not UTF-8")
	}
	doc, err := decodeAny(raw)
	if err != nil {
		return a, err
	}
	part, _ := doc.(map[string]any)
	if a.name, _ = part["alarm_id"].(string); a.name == "" {
		return a, errors.New(`an alarm is written {"alarm_id": "e1", …} with the name of its backlog`)
	}
	if _, err := new(want).named(a.name, 0, known); err != nil {
		return a, err
	}
	delete(part, "alarm_id")
	a.part = part
	if err := checkKeys(part, alarmFields(), "alarm"); err != nil {
		return a, err
	}
	rules, _ := part["rules"].([]any)
	for _, rule := range rules {
		keys, _ := rule.(map[string]any)
		if err := checkKeys(keys, ruleFields(), "rule of an alarm"); err != nil {
			return a, err
		}
	}
	return a, nil
}

// checkKeys refuses keys that no document has, so that a slip of the pen is not
// taken for a key that is absent.
func checkKeys(object map[string]any, format []field, what string) error {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if !slices.ContainsFunc(format, func(f field) bool { return f.name == key }) {
			return fmt.Errorf("no %s has a key %q", what, key)
		}
	}
	return nil
}

// compareAlarms compares the last line of every alarm with what is wanted of it.
func (d *differ) compareAlarms() {
	w := &d.run.want
	if w.alarms == nil {
		return
	}
	for _, a := range w.alarms {
		got := d.backlogs[a.name]
		if got == nil || len(got.alarms) == 0 {
			d.failf(a.line, "backlog %s has no alarm", a.name)
			continue
		}
		for _, difference := range differences("", a.part, got.alarms[len(got.alarms)-1]) {
			d.failf(a.line, "backlog %s, last alarm line: %s", a.name, difference)
		}
	}
	for _, name := range d.order {
		lines := d.backlogs[name].shapes
		if len(lines) > 0 && !slices.ContainsFunc(w.alarms, func(a wantAlarm) bool { return a.name == name }) {
			d.failf(w.alarmsLine, "backlog %s has an alarm that is not in %s: %s", name, alarmsName, lines[len(lines)-1])
		}
	}
}

// differences compares a document with a wanted part of it, both as decoded by
// decodeAny, and returns a line for each place where they differ.
func differences(path string, want, got any) []string {
	switch part := want.(type) {
	case map[string]any:
		if object, ok := got.(map[string]any); ok {
			return objectDifferences(path, part, object)
		}
	case []any:
		if list, ok := got.([]any); ok {
			return listDifferences(path, part, list)
		}
	case string:
		if _, isNumber := got.(json.Number); isNumber && strings.HasPrefix(part, "+") {
			if at, err := parseValue(part); err == nil {
				want = at
			}
		}
	}
	if !reflect.DeepEqual(want, got) {
		return []string{fmt.Sprintf("%s: want %s, got %s", path, show(want), show(got))}
	}
	return nil
}

func objectDifferences(path string, want, got map[string]any) (all []string) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		place := strings.TrimPrefix(path+"."+key, ".")
		value, there := got[key]
		switch wanted := want[key]; {
		case wanted == nil && there:
			all = append(all, fmt.Sprintf("%s: want it absent, got %s", place, show(value)))
		case wanted != nil && !there:
			all = append(all, fmt.Sprintf("%s: want %s, it is absent", place, show(wanted)))
		case wanted != nil:
			all = append(all, differences(place, wanted, value)...)
		}
	}
	return all
}

func listDifferences(path string, want, got []any) (all []string) {
	if len(got) != len(want) {
		return []string{fmt.Sprintf("%s: want %d elements, got %d: %s", path, len(want), len(got), show(got))}
	}
	for i := range want {
		all = append(all, differences(fmt.Sprintf("%s[%d]", path, i), want[i], got[i])...)
	}
	return all
}

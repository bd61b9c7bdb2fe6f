package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// fact is a statement about one place in a JSON document.
type fact struct {
	line int
	path jsonPath
	op   factOp
	val  any // equals: the value as decoded by decodeAny; count: an int
}

type factOp uint8

const (
	equals factOp = iota
	absent
	count
)

// parseFact reads PATH = VALUE, PATH absent, PATH count N.
func parseFact(line int, text string) (fact, error) {
	f := fact{line: line}
	path, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	var err error
	if f.path, err = parsePath(path); err != nil {
		return f, err
	}
	if rest == "absent" {
		f.op = absent
		return f, nil
	}
	if n, ok := strings.CutPrefix(rest, "count "); ok {
		var size int
		f.op = count
		err = atoi(strings.TrimSpace(n), &size)
		f.val = size
		return f, err
	}
	value, ok := strings.CutPrefix(rest, "=")
	if !ok {
		return f, fmt.Errorf("%q: write PATH = VALUE, PATH absent or PATH count N", text)
	}
	f.val, err = parseValue(strings.TrimSpace(value))
	return f, err
}

// parseValue reads JSON, or a time as +N.
func parseValue(text string) (any, error) {
	if n, ok := strings.CutPrefix(text, "+"); ok {
		var seconds int
		if err := atoi(n, &seconds); err != nil {
			return nil, err
		}
		return json.Number(strconv.Itoa(BaseUnix + seconds)), nil
	}
	v, err := decodeAny([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%q is neither JSON nor +SECONDS", text)
	}
	return v, nil
}

// check compares the fact with a document as decoded by decodeAny.
func (f *fact) check(doc any) error {
	got, ok := f.path.find(doc)
	switch {
	case f.op == absent && ok:
		return fmt.Errorf("%s: want it absent, got %s", f.path, show(got))
	case f.op == absent:
		return nil
	case !ok:
		return fmt.Errorf("%s: absent", f.path)
	case f.op == count:
		list, _ := got.([]any)
		if len(list) != f.val {
			return fmt.Errorf("%s: want %v elements, got %d: %s", f.path, f.val, len(list), show(got))
		}
	case !reflect.DeepEqual(got, f.val):
		return fmt.Errorf("%s: want %s, got %s", f.path, show(f.val), show(got))
	}
	return nil
}

// show writes a decoded value as JSON; times near the base time also as +N.
func show(v any) string {
	text := strings.TrimSpace(string(document(v)))
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(text)) == nil {
		text = compact.String()
	}
	const week = 7 * 24 * 3600
	if n, err := strconv.Atoi(text); err == nil && n >= BaseUnix && n < BaseUnix+week {
		return fmt.Sprintf("%s (+%d)", text, n-BaseUnix)
	}
	return text
}

// decodeAny decodes one JSON value and keeps numbers as they are written.
func decodeAny(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// jsonPath leads to a place in a document.
type jsonPath []step

// step is one part of a path: a key, an index, or the rule of a stage.
type step struct {
	key   string
	index int
	kind  stepKind
}

type stepKind uint8

const (
	byKey stepKind = iota
	byIndex
	byStage
)

// parsePath reads r3.from, src_ips[0], rules[1].name.
func parsePath(text string) (jsonPath, error) {
	var p jsonPath
	for part := range strings.SplitSeq(text, ".") {
		key, rest, indexed := strings.Cut(part, "[")
		if !isID(key) {
			return nil, fmt.Errorf("%q is not a path such as r2.status or src_ips[0]", text)
		}
		if n, ok := numbered(key, "r"); ok && len(p) == 0 {
			stage, err := strconv.Atoi(n)
			if err != nil {
				return nil, fmt.Errorf("%q is not a rule such as r2", key)
			}
			p = append(p, step{kind: byKey, key: "rules"}, step{kind: byStage, index: stage})
		} else {
			p = append(p, step{kind: byKey, key: key})
		}
		if !indexed {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(rest, "]"))
		if err != nil || n < 0 || !strings.HasSuffix(rest, "]") {
			return nil, fmt.Errorf("%q is not an index such as src_ips[0]", part)
		}
		p = append(p, step{kind: byIndex, index: n})
	}
	return p, nil
}

// String returns the notation of the path, with rules by stage as r2.
func (p jsonPath) String() string {
	var b strings.Builder
	for i, s := range p {
		switch s.kind {
		case byIndex:
			fmt.Fprintf(&b, "[%d]", s.index)
		case byStage:
			b.Reset()
			fmt.Fprintf(&b, "r%d", s.index)
		case byKey:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.key)
		}
	}
	return b.String()
}

// find returns the value at the path.
func (p jsonPath) find(doc any) (v any, ok bool) {
	v = doc
	for _, s := range p {
		if v, ok = s.in(v); !ok {
			return nil, false
		}
	}
	return v, true
}

// in returns the part of v that the step leads to.
func (s step) in(v any) (any, bool) {
	switch s.kind {
	case byIndex:
		list, _ := v.([]any)
		if s.index >= len(list) {
			return nil, false
		}
		return list[s.index], true
	case byStage:
		list, _ := v.([]any)
		for _, r := range list {
			rule, _ := r.(map[string]any)
			if rule["stage"] == json.Number(strconv.Itoa(s.index)) {
				return r, true
			}
		}
		return nil, false
	case byKey:
		object, _ := v.(map[string]any)
		part, ok := object[s.key]
		return part, ok
	}
	return nil, false
}

// set puts value at the path of doc; all but the last step must exist.
func (p jsonPath) set(doc, value any) error {
	last := p[len(p)-1]
	parent, ok := p[:len(p)-1].find(doc)
	if !ok {
		return fmt.Errorf("%s: there is no such place", p)
	}
	switch parent := parent.(type) {
	case map[string]any:
		if last.kind == byKey {
			parent[last.key] = value
			return nil
		}
	case []any:
		if last.kind == byIndex && last.index < len(parent) {
			parent[last.index] = value
			return nil
		}
	}
	return fmt.Errorf("%s: there is no such place", p)
}

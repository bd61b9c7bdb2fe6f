//go:build unix

package deploy

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// document is an event of Logstash. Fields below @metadata are not written.
type document map[string]any

// relay plays documents through the filters of a pipeline, as Logstash would,
// without Elasticsearch and without time.
type relay struct {
	t *testing.T
	// stored are the indices of alarms by id.
	stored map[string]string
	// cloned are documents that the plugin at hand has made.
	cloned []document
	ids    int
}

// fieldNames splits [a][b] or a.
func fieldNames(field string) []string {
	if !strings.HasPrefix(field, "[") {
		return []string{field}
	}
	return strings.Split(strings.Trim(field, "[]"), "][")
}

func (d document) get(field string) any {
	var at any = map[string]any(d)
	for _, name := range fieldNames(field) {
		m, isMap := at.(map[string]any)
		if !isMap {
			return nil
		}
		at = m[name]
	}
	return at
}

func (d document) set(field string, value any) {
	names := fieldNames(field)
	at := map[string]any(d)
	for _, name := range names[:len(names)-1] {
		next, isMap := at[name].(map[string]any)
		if !isMap {
			next = map[string]any{}
			at[name] = next
		}
		at = next
	}
	at[names[len(names)-1]] = value
}

func (d document) remove(field string) {
	names := fieldNames(field)
	if len(names) == 1 {
		delete(d, names[0])
	} else if parent, isMap := d.get("[" + strings.Join(names[:len(names)-1], "][") + "]").(map[string]any); isMap {
		delete(parent, names[len(names)-1])
	}
}

func clone(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, inner := range v {
			out[key] = clone(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = clone(v[i])
		}
		return out
	}
	return value
}

var (
	fieldOf = regexp.MustCompile(`%\{([^+}][^}]*)\}`)
	dateOf  = regexp.MustCompile(`%\{\+YYYY\.MM\.dd\}`)
)

// text replaces %{field} and %{+YYYY.MM.dd}.
func (d document) text(format string) string {
	format = dateOf.ReplaceAllStringFunc(format, func(string) string { return d["@timestamp"].(time.Time).UTC().Format("2006.01.02") })
	return fieldOf.ReplaceAllStringFunc(format, func(ref string) string {
		if value := d.get(fieldOf.FindStringSubmatch(ref)[1]); value != nil {
			return fmt.Sprint(value)
		}
		return ref
	})
}

func (e *expression) holds(d document) bool {
	switch e.op {
	case "and":
		return e.left.holds(d) && e.right.holds(d)
	case "or":
		return e.left.holds(d) || e.right.holds(d)
	case "==":
		return reflect.DeepEqual(d.get(e.field), e.value)
	case "!=":
		return !reflect.DeepEqual(d.get(e.field), e.value)
	}
	return d.get(e.field) != nil
}

// filter plays a document through the filters of a pipeline, and returns what
// comes out.
func (r *relay) filter(sections []section, d document) []document {
	documents := []document{d}
	for _, s := range sections {
		if s.kind == "filter" {
			documents = r.play(s.body, documents)
		}
	}
	return documents
}

// play plays documents through plugins. Those that a plugin makes go through
// the ones behind it.
func (r *relay) play(body []*statement, documents []document) []document {
	for _, s := range body {
		var out []document
		for _, d := range documents {
			out = append(out, r.statement(s, d)...)
		}
		documents = out
	}
	return documents
}

func (r *relay) statement(s *statement, d document) []document {
	if s.branches == nil {
		r.cloned = nil
		kept := r.plugin(s, d)
		out := r.cloned
		if kept {
			out = append([]document{d}, out...)
		}
		return out
	}
	for _, b := range s.branches {
		if b.test == nil || b.test.holds(d) {
			return r.play(b.body, []document{d})
		}
	}
	return []document{d}
}

// plugin does what a filter does, and tells if the document goes on.
func (r *relay) plugin(s *statement, d document) (kept bool) {
	switch s.name {
	case "mutate":
		mutate(s, d)
	case "date":
		r.date(s, d)
	case "prune":
		prune(s, d)
	case "clone":
		for _, name := range s.options["clones"].([]any) {
			c := document(clone(map[string]any(d)).(map[string]any))
			c["type"] = name
			r.cloned = append(r.cloned, c)
		}
	case "uuid", "fingerprint":
		r.ids++
		d.set(s.options["target"].(string), fmt.Sprintf("00000000-0000-4000-8000-%012d", r.ids))
	case "elasticsearch":
		m := regexp.MustCompile(`^_id:"(.*)"$`).FindStringSubmatch(d.text(s.options["query"].(string)))
		if m == nil || s.options["index"] != "siem_alarms_id_lookup*" {
			r.t.Fatalf("%s: asked for %v", s.at, s.options)
		}
		if index := r.stored[m[1]]; index != "" {
			for _, to := range s.options["fields"].(map[string]any) {
				d.set(to.(string), index)
			}
		}
	case "drop":
		return false
	default:
		r.t.Fatalf("%s: the filter %s is not known here", s.at, s.name)
	}
	return true
}

// mutate does the operations of mutate in its order.
func mutate(s *statement, d document) {
	hash := func(name string) map[string]any {
		h, _ := s.options[name].(map[string]any)
		return h
	}
	for from, to := range hash("rename") {
		if value := d.get(from); value != nil {
			d.remove(from)
			d.set(to.(string), value)
		}
	}
	for field, format := range hash("replace") {
		d.set(field, d.text(format.(string)))
	}
	for field, kind := range hash("convert") {
		if text, isText := d.get(field).(string); isText && kind == "integer" {
			var n float64
			if _, err := fmt.Sscan(text, &n); err == nil {
				d.set(field, n)
			}
		}
	}
	for from, to := range hash("copy") {
		if value := d.get(from); value != nil {
			d.set(to.(string), clone(value))
		}
	}
	for field, format := range hash("add_field") {
		d.set(field, d.text(format.(string)))
	}
	fields, _ := s.options["remove_field"].([]any)
	for _, field := range fields {
		d.remove(field.(string))
	}
}

// date reads UNIX seconds or ISO 8601.
func (r *relay) date(s *statement, d document) {
	match := s.options["match"].([]any)
	value := d.get(match[0].(string))
	var at time.Time
	var err error
	switch match[1] {
	case "UNIX":
		seconds, isNumber := value.(float64)
		if !isNumber {
			r.t.Fatalf("%s: %v is no time", s.at, value)
		}
		at = time.Unix(int64(seconds), 0).UTC()
	case "ISO8601":
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700"} {
			if at, err = time.Parse(layout, value.(string)); err == nil {
				break
			}
		}
	default:
		r.t.Fatalf("%s: the form %v is not known here", s.at, match[1])
	}
	if err != nil {
		r.t.Fatalf("%s: %v", s.at, err)
	}
	d.set(s.options["target"].(string), at)
}

// prune keeps the fields that a pattern matches; it does not see @metadata.
func prune(s *statement, d document) {
	for name := range d {
		kept := name == "@metadata"
		for _, pattern := range s.options["whitelist_names"].([]any) {
			kept = kept || regexp.MustCompile(pattern.(string)).MatchString(name)
		}
		if !kept {
			delete(d, name)
		}
	}
}

// outputs returns the outputs that a document goes to.
func outputs(sections []section, d document) (reached []*statement) {
	var walk func(body []*statement)
	walk = func(body []*statement) {
		for _, s := range body {
			if s.branches == nil {
				reached = append(reached, s)
			}
			for _, b := range s.branches {
				if b.test == nil || b.test.holds(d) {
					walk(b.body)
					break
				}
			}
		}
	}
	for _, s := range sections {
		if s.kind == "output" {
			walk(s.body)
		}
	}
	return reached
}

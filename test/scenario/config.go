package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The kinds of configuration files, and the sections that describe them in
// short.
const (
	assetKind     = "assets"
	directiveKind = "directives"
)

// compactFile is the name of the file that a section assets or directives
// stands for.
func compactFile(kind string) string { return kind + "_scenario.json" }

// isConfig reports whether a section is a whole configuration file of a kind,
// assets or directives.
func isConfig(section, kind string) bool {
	name, ok := strings.CutPrefix(section, kind+"_")
	name, isJSON := strings.CutSuffix(name, ".json")
	return ok && isJSON && isID(name)
}

// parseConfig returns the configuration files of a run by name. Without a
// section of a kind the files of that kind are those of the run before.
func (s *source) parseConfig(prev *Run, parts *runParts) map[string][]byte {
	files := map[string][]byte{}
	for _, kind := range []string{assetKind, directiveKind} {
		switch {
		case s.addConfig(files, kind, parts):
		case prev != nil:
			inherit(files, prev, kind)
		case kind == assetKind:
			files[compactFile(kind)] = defaultAssets()
		default:
			s.failf(parts.line, "section %q is missing", kind)
		}
	}
	return files
}

// addConfig adds the files of a kind that a run has sections of, and reports
// whether it has any.
func (s *source) addConfig(files map[string][]byte, kind string, parts *runParts) (found bool) {
	for name, sec := range parts.byName {
		if isConfig(name, kind) {
			files[name] = sec.text()
			found = true
		}
	}
	sec := parts.byName[kind]
	if sec == nil {
		return found
	}
	if isNone(sec) {
		return true
	}
	name := compactFile(kind)
	if _, taken := files[name]; taken {
		s.failf(sec.line, "section %q is the file %s, which has a section of its own", kind, name)
	}
	if kind == assetKind {
		files[name] = s.parseAssets(sec)
	} else {
		files[name] = s.parseDirectives(sec)
	}
	return true
}

// isNone reports whether a section says that there is no file of its kind.
func isNone(sec *section) bool {
	return strings.TrimSpace(strings.Join(sec.body, "")) == "none"
}

// inherit adds the files of a kind that a run has.
func inherit(files map[string][]byte, from *Run, kind string) {
	for name, content := range from.Config {
		if isConfig(name, kind) {
			files[name] = content
		}
	}
}

// assetEntry is one entry of an assets file.
type assetEntry struct {
	Name        string `json:"name"`
	CIDR        string `json:"cidr"`
	Value       int    `json:"value"`
	Whitelisted bool   `json:"whitelisted,omitempty"`
}

type assetFile struct {
	Assets []assetEntry `json:"assets"`
}

// defaultAssets is A0 of docs/spec/correlation.md §13.0.
func defaultAssets() []byte {
	return document(assetFile{Assets: []assetEntry{{Name: "10-Net", CIDR: "10.0.0.0/8", Value: 4}}})
}

// parseAssets turns the assets section into an assets file.
func (s *source) parseAssets(sec *section) []byte {
	file := assetFile{Assets: []assetEntry{}}
	for _, e := range s.entries(sec) {
		a := assetEntry{Name: e.raw[0], CIDR: e.raw[0]}
		for _, w := range e.raw[1:] {
			if err := a.apply(w); err != nil {
				s.failf(e.line, "asset %s: %v", a.CIDR, err)
			}
		}
		file.Assets = append(file.Assets, a)
	}
	return document(file)
}

func (a *assetEntry) apply(word string) error {
	if word == "whitelisted" {
		a.Whitelisted = true
		return nil
	}
	if name, ok := strings.CutPrefix(word, "name="); ok {
		a.Name = name
		return nil
	}
	if n, ok := numbered(word, "value"); ok {
		return atoi(n, &a.Value)
	}
	return fmt.Errorf("word %q is not understood", word)
}

// directiveEntry is one entry of a directives file.
type directiveEntry struct {
	ID           uint64       `json:"id"`
	Name         string       `json:"name"`
	Priority     int          `json:"priority"`
	Disabled     bool         `json:"disabled,omitempty"`
	AlwaysActive bool         `json:"all_rules_always_active,omitempty"`
	Kingdom      string       `json:"kingdom"`
	Category     string       `json:"category"`
	Rules        []*ruleEntry `json:"rules"`

	all []string // words for every rule
}

type directiveFile struct {
	Directives []*directiveEntry `json:"directives"`
}

// ruleEntry is one rule of a directive.
type ruleEntry struct {
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Stage       int      `json:"stage"`
	PluginID    uint64   `json:"plugin_id,omitempty"`
	PluginSID   []uint64 `json:"plugin_sid,omitempty"`
	Product     []string `json:"product,omitempty"`
	Category    string   `json:"category,omitempty"`
	Subcategory []string `json:"subcategory,omitempty"`
	Occurrence  int      `json:"occurrence"`
	From        string   `json:"from"`
	To          string   `json:"to"`
	PortFrom    string   `json:"port_from"`
	PortTo      string   `json:"port_to"`
	Protocol    string   `json:"protocol"`
	Reliability int      `json:"reliability"`
	Timeout     int      `json:"timeout"`
	Sticky      string   `json:"sticky_different,omitempty"`
	customFields
}

// customFields are the custom data and labels of a rule or an event.
type customFields struct {
	Data1  string `json:"custom_data1,omitempty"`
	Label1 string `json:"custom_label1,omitempty"`
	Data2  string `json:"custom_data2,omitempty"`
	Label2 string `json:"custom_label2,omitempty"`
	Data3  string `json:"custom_data3,omitempty"`
	Label3 string `json:"custom_label3,omitempty"`
}

// field returns where the value of a word such as cd1=… goes, nil if key is no
// custom field.
func (c *customFields) field(key string) *string {
	switch key {
	case "cd1":
		return &c.Data1
	case "cd2":
		return &c.Data2
	case "cd3":
		return &c.Data3
	case "label1":
		return &c.Label1
	case "label2":
		return &c.Label2
	case "label3":
		return &c.Label3
	}
	return nil
}

// parseDirectives turns the directives section into a directives file.
func (s *source) parseDirectives(sec *section) []byte {
	var file directiveFile
	for _, e := range s.entries(sec) {
		head, words := e.raw[0], e.raw[1:]
		if head == "directive" || len(file.Directives) == 0 {
			d := newDirective()
			file.Directives = append(file.Directives, d)
			if head == "directive" {
				if err := d.apply(words); err != nil {
					s.failf(e.line, "directive: %v", err)
				}
				continue
			}
		}
		d := file.Directives[len(file.Directives)-1]
		if head == "all" {
			d.all = words
			continue
		}
		r, err := newRule(head, d.all, words)
		if err != nil {
			s.failf(e.line, "rule %s: %v", head, err)
			continue
		}
		d.Rules = append(d.Rules, r)
	}
	if len(file.Directives) == 0 {
		s.failf(sec.line, "section %q is empty", sec.name)
	}
	return document(file)
}

// newDirective is directive D of docs/spec/correlation.md §13.0.
func newDirective() *directiveEntry {
	return &directiveEntry{ID: 1, Priority: 3, Kingdom: "K", Category: "C", Name: "D1", Rules: []*ruleEntry{}}
}

func (d *directiveEntry) apply(words []string) error {
	named := false
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		var err error
		switch key {
		case "always-active":
			d.AlwaysActive = true
		case "disabled":
			d.Disabled = true
		case "id":
			d.ID, err = strconv.ParseUint(value, 10, 64)
		case "priority":
			err = atoi(value, &d.Priority)
		case "name":
			d.Name, named = value, true
		case "kingdom":
			d.Kingdom = value
		case "category":
			d.Category = value
		default:
			return fmt.Errorf("word %q is not understood", w)
		}
		if err != nil {
			return fmt.Errorf("%q: %w", w, err)
		}
	}
	if !named {
		d.Name = "D" + strconv.FormatUint(d.ID, 10)
	}
	return nil
}

// newRule reads a rule line; head is its first word, r and the stage.
func newRule(head string, all, words []string) (*ruleEntry, error) {
	n, ok := numbered(head, "r")
	if !ok {
		return nil, errors.New("a line starts with directive, all, or r and the stage")
	}
	r := &ruleEntry{
		Name: head, Type: "PluginRule", Occurrence: 1, Reliability: 1,
		From: "ANY", To: "ANY", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY",
	}
	if err := atoi(n, &r.Stage); err != nil {
		return nil, err
	}
	if r.Stage > 1 {
		r.Timeout = 600
	}
	for _, w := range slices.Concat(all, words) {
		if err := r.apply(w); err != nil {
			return nil, err
		}
	}
	return r, r.identify()
}

// identify completes what events the rule is about.
func (r *ruleEntry) identify() error {
	if r.Type == "TaxonomyRule" {
		if r.PluginID != 0 || len(r.PluginSID) > 0 {
			return errors.New("tax= and pid or sid exclude each other")
		}
		return nil
	}
	if r.PluginID == 0 {
		r.PluginID = defaultPluginID
	}
	if len(r.PluginSID) == 0 {
		r.PluginSID = []uint64{1}
	}
	return nil
}

func (r *ruleEntry) apply(word string) error {
	if key, value, ok := strings.Cut(word, "="); ok {
		return r.applyValue(key, value)
	}
	if n, ok := numbered(word, "rel"); ok {
		return atoi(n, &r.Reliability)
	}
	if n, ok := numbered(word, "occ"); ok {
		return atoi(n, &r.Occurrence)
	}
	if n, ok := numbered(word, "pid"); ok {
		return atou(n, &r.PluginID)
	}
	if list, ok := numbered(word, "sid"); ok {
		r.PluginSID = nil
		for n := range strings.SplitSeq(list, ",") {
			var sid uint64
			if err := atou(n, &sid); err != nil {
				return err
			}
			r.PluginSID = append(r.PluginSID, sid)
		}
		return nil
	}
	return fmt.Errorf("word %q is not understood", word)
}

func (r *ruleEntry) applyValue(key, value string) error {
	switch key {
	case "from":
		r.From = value
	case "to":
		r.To = value
	case "port_from":
		r.PortFrom = value
	case "port_to":
		r.PortTo = value
	case "protocol":
		r.Protocol = value
	case "sticky":
		r.Sticky = value
	case "name":
		r.Name = value
	case "timeout":
		return atoi(value, &r.Timeout)
	case "tax":
		product, category, sub, err := taxonomy(value)
		if err != nil {
			return err
		}
		r.Type, r.Category = "TaxonomyRule", category
		r.Product = strings.Split(product, ",")
		if sub != "" {
			r.Subcategory = strings.Split(sub, ",")
		}
	default:
		field := r.field(key)
		if field == nil {
			return fmt.Errorf("word \"%s=\" is not understood", key)
		}
		*field = value
	}
	return nil
}

// taxonomy takes product/category[/subcategory] apart.
func taxonomy(value string) (product, category, sub string, err error) {
	product, rest, ok := strings.Cut(value, "/")
	category, sub, _ = strings.Cut(rest, "/")
	if !ok || product == "" || category == "" {
		return "", "", "", fmt.Errorf("tax=%s: write product/category or product/category/subcategory", value)
	}
	return product, category, sub, nil
}

// numbered cuts prefix off a word such as occ5; what follows must start with a
// digit.
func numbered(word, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(word, prefix)
	return rest, ok && rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

func atoi(text string, into *int) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%q is not a number", text)
	}
	*into = n
	return nil
}

func atou(text string, into *uint64) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number", text)
	}
	*into = n
	return nil
}

// document returns v as the JSON text a user would write. The types of this
// package always have one.
func document(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("scenario: encode %T: %v", v, err))
	}
	return buf.Bytes()
}

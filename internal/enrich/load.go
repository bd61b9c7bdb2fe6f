package enrich

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"dsiem/internal/jsonfile"

	"github.com/go-json-experiment/json/jsontext"
)

// plugin makes sources of one type.
type plugin struct {
	name string
	kind Kind
	// keys are the keys of its configuration.
	keys []string
	// open reads the configuration, an object with these keys.
	open func(s *jsonfile.Scope, client *http.Client) Source
}

// plugins returns all plugins.
func plugins() []plugin {
	return []plugin{
		{name: wiseName, kind: Intel, keys: []string{"url"}, open: openWise},
		{name: nesdName, kind: Vuln, keys: []string{"url", "allow_low_severity"}, open: openNesd},
	}
}

// LoadIntel reads the threat-intel services of intel_*.json files, adds every
// problem to the report, and returns those that are enabled and have no error
// (§9.1). They send their requests with the client; see NewClient.
//
// A plugin that is not known gives a warning, not an error: the references
// ignore it, and a site must still start. What is wrong with a service that is
// switched off is a warning too (B27).
func LoadIntel(files []*jsonfile.File, client *http.Client, report *jsonfile.Report) []Service {
	return (&loader{kind: Intel, client: client, report: report}).load(files)
}

// LoadVuln is LoadIntel for the vulnerability services of vuln_*.json files.
func LoadVuln(files []*jsonfile.File, client *http.Client, report *jsonfile.Report) []Service {
	return (&loader{kind: Vuln, client: client, report: report}).load(files)
}

type loader struct {
	kind   Kind
	client *http.Client
	report *jsonfile.Report
}

func (l *loader) load(files []*jsonfile.File) []Service {
	var services []Service
	key := l.kind.String() + "_sources"
	for _, file := range files {
		file.Each(l.report, key, func(i int, v *jsonfile.Value) {
			found := jsonfile.Report{} // of this service
			s := &jsonfile.Scope{File: file, Report: &found, Where: fmt.Sprintf("source number %d", i+1), Object: v}
			if v.Kind != jsonfile.Object {
				s.Errorf(v.Offset, "", "every element of %q must be an object, not %s", key, v.Kind)
			} else if service, on := l.service(s); on && service.Source != nil && !s.Failed() {
				services = append(services, service)
			}
			l.report.Add(found.Problems...)
		})
	}
	return services
}

// service reads one service and reports whether it is switched on. Its Source
// is nil if there is none for it.
func (l *loader) service(s *jsonfile.Scope) (service Service, on bool) {
	if name := s.Object.Get("name"); name != nil && name.Kind == jsonfile.String && name.Text != "" {
		s.Where = "source " + jsonfile.Quote(name.Text)
	}
	on = s.Bool("enabled")
	off := !on && !s.Failed() // and not misspelt
	s.Keys([]string{"name", "type", "enabled", "plugin", "config"})
	service = Service{Name: strings.Clone(s.String("name", false, "")), Kind: l.kind}
	s.String("type", false, "")
	if s.Object.Get("enabled") == nil {
		s.Warnf(jsonfile.SourceNotEnabled, s.Object.Offset, "enabled", `the key is missing, so the source is not used; add "enabled": true`)
	}
	if p := l.plugin(s); p != nil {
		service.Name = cmp.Or(service.Name, p.name)
		service.Source = l.open(s, p)
	}
	if off {
		for i := range s.Report.Problems {
			if p := &s.Report.Problems[i]; p.Severity == jsonfile.Error {
				p.Severity, p.Lint = jsonfile.Warning, jsonfile.SourceOff
			}
		}
	}
	return service, on
}

// plugin returns the plugin that the service names, or nil after a problem.
func (l *loader) plugin(s *jsonfile.Scope) *plugin {
	name := s.NonEmpty("plugin")
	if name == "" {
		return nil
	}
	all := plugins()
	offset := s.Object.Get("plugin").Offset
	if i := slices.IndexFunc(all, func(p plugin) bool { return p.name == name }); i >= 0 {
		if all[i].kind == l.kind {
			return &all[i]
		}
		s.Warnf(jsonfile.PluginMisplaced, offset, "plugin", "%s belongs in %s_*.json files, so the source is not used", name, all[i].kind)
		return nil
	}
	var known []string
	for _, p := range all {
		if p.kind == l.kind {
			known = append(known, fmt.Sprintf("%q", p.name))
		}
	}
	s.Warnf(jsonfile.PluginUnknown, offset, "plugin", "there is no plugin %s, so the source is not used; known is %s", jsonfile.Quote(name), strings.Join(known, ", "))
	return nil
}

// open reads the plugin's own configuration, a JSON text in a string. Problems
// in it are reported where the string stands: escapes hide their exact place.
func (l *loader) open(s *jsonfile.Scope, p *plugin) Source {
	text := s.NonEmpty("config")
	if text == "" {
		return nil
	}
	offset := s.Object.Get("config").Offset
	found := jsonfile.Report{}
	var source Source
	if jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true)) {
		// The text as the only element of a list is a form that File reads.
		list := jsonfile.NewFile("config", []byte("["+text+"]"))
		list.EachElement(&found, func(_ int, v *jsonfile.Value) {
			inner := &jsonfile.Scope{File: list, Report: &found, Object: v}
			if v.Kind != jsonfile.Object {
				inner.Errorf(v.Offset, "", `the text must hold an object like {"url":"http://…"}, not %s`, v.Kind)
				return
			}
			inner.Keys(p.keys)
			source = p.open(inner, l.client)
		})
	} else {
		found.Add(syntaxProblem(text))
	}
	for i := range found.Problems {
		bad := &found.Problems[i]
		field := "config"
		if bad.Where != "" {
			field += ", " + bad.Where
		}
		if bad.Severity == jsonfile.Error {
			s.Errorf(offset, field, "%s", bad.Msg)
		} else {
			s.Warnf(bad.Lint, offset, field, "%s", bad.Msg)
		}
	}
	return source
}

// quoted is what problems quote of a text.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// syntaxProblem says what is wrong with a text that is not valid JSON.
func syntaxProblem(text string) jsonfile.Problem {
	if _, err := jsontext.NewDecoder(strings.NewReader(text), jsontext.AllowDuplicateNames(true)).ReadValue(); err == nil {
		return jsonfile.Problem{Msg: "something follows the JSON value in the text; remove it"}
	}
	found := jsonfile.Report{}
	jsonfile.NewFile("config", []byte(text)).EachElement(&found, func(int, *jsonfile.Value) {})
	if len(found.Problems) == 0 {
		return jsonfile.Problem{Msg: "not valid JSON"}
	}
	bad := found.Problems[0]
	bad.Msg = quoted.ReplaceAllString(bad.Msg, "the text") // it may hold a key, and problems are logged
	bad.Msg += fmt.Sprintf(" (line %d, column %d of the text)", bad.Line, bad.Column)
	return bad
}

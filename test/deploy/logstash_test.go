//go:build unix

package deploy

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

const (
	logstashDir = repository + "/deploy/elk/logstash"
	// imageDir is where the files are in the image of Logstash.
	imageDir = "/usr/share/logstash/pipeline/"
)

// pipeline is an element of pipelines.yml.
type pipeline struct {
	ID      string `yaml:"pipeline.id"`
	Config  string `yaml:"path.config"`
	Workers int    `yaml:"pipeline.workers"`
	Ordered bool   `yaml:"pipeline.ordered"`
}

// pipelines returns all pipelines by their ids, and their parsed files.
func pipelines(t *testing.T) (list map[string]pipeline, parsed map[string][]section) {
	t.Helper()
	var all []pipeline
	testkit.Check(t, yaml.UnmarshalWithOptions([]byte(readFile(t, logstashDir+"/config/pipelines.yml")), &all, yaml.DisallowUnknownField()))
	list, parsed = map[string]pipeline{}, map[string][]section{}
	for _, p := range all {
		name, inImage := strings.CutPrefix(p.Config, imageDir)
		if !inImage || parsed[p.ID] != nil {
			t.Errorf("pipeline %s: its files are %s, or it stands there twice", p.ID, p.Config)
		}
		list[p.ID] = p
		parsed[p.ID] = readPipeline(t, filepath.Join(logstashDir, "pipeline", name))
	}
	return list, parsed
}

// knownOptions are the options of the plugins of Logstash 8 and 9 that we use;
// those that all plugins have are below "".
var knownOptions = map[string][]string{
	"":                     {"id", "add_field", "remove_field"},
	"input beats":          {"port"},
	"input pipeline":       {"address"},
	"filter clone":         {"clones"},
	"filter date":          {"match", "target"},
	"filter drop":          {},
	"filter elasticsearch": {"hosts", "user", "password", "index", "query", "enable_sort", "fields"},
	"filter fingerprint":   {"source", "concatenate_sources", "method", "target"},
	"filter mutate":        {"copy", "rename", "replace", "convert"},
	"filter prune":         {"whitelist_names"},
	"filter uuid":          {"target", "overwrite"},
	"output elasticsearch": {
		"hosts", "user", "password", "index", "document_id", "action", "doc_as_upsert", "script", "script_type", "script_lang",
		"script_var_name", "retry_on_conflict", "data_stream", "ilm_enabled", "manage_template",
	},
	"output http":     {"url", "http_method", "format", "headers", "retryable_codes"},
	"output pipeline": {"send_to"},
}

func TestPluginsOfLogstashAndTheirOptions(t *testing.T) {
	t.Parallel()
	_, parsed := pipelines(t)
	for id, sections := range parsed {
		ids := map[any]bool{}
		each(sections, func(kind string, s *statement) {
			known, exists := knownOptions[kind+" "+s.name]
			if !exists {
				t.Errorf("%s: there is no %s %s", s.at, kind, s.name)
			}
			for name := range s.options {
				if !slices.Contains(known, name) && !slices.Contains(knownOptions[""], name) {
					t.Errorf("%s: %s %s has no option %s", s.at, kind, s.name, name)
				}
			}
			// Logstash does not start a pipeline in which an id stands twice.
			if plugin := s.options["id"]; plugin == nil || ids[plugin] {
				t.Errorf("%s: pipeline %s: the id %v is missing or not the only one", s.at, id, plugin)
			}
			ids[s.options["id"]] = true
		})
	}
}

// What one pipeline sends to, another one must take, and the other way round.
func TestPipelinesAreConnected(t *testing.T) {
	t.Parallel()
	_, parsed := pipelines(t)
	sent, taken := map[string]bool{}, map[string]bool{}
	for _, sections := range parsed {
		each(sections, func(kind string, s *statement) {
			switch {
			case s.name != "pipeline":
			case kind == "input":
				taken[s.options["address"].(string)] = true
			default:
				for _, to := range s.options["send_to"].([]any) {
					sent[to.(string)] = true
				}
			}
		})
	}
	if diff := cmp.Diff(sent, taken); diff != "" {
		t.Errorf("sent - taken +:\n%s", diff)
	}
}

// Updates of an alarm must be written in their order.
func TestAlarmsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	list, _ := pipelines(t)
	if p := list["alarms"]; p.Workers != 1 || !p.Ordered {
		t.Errorf("%+v", p)
	}
}

// The settings that keep what was received, and the names of fields.
func TestSettingsOfLogstash(t *testing.T) {
	t.Parallel()
	var settings map[string]any
	testkit.Check(t, yaml.Unmarshal([]byte(readFile(t, logstashDir+"/config/logstash.yml")), &settings))
	for name, want := range map[string]any{
		"pipeline.ecs_compatibility": "disabled", "queue.type": "persisted", "dead_letter_queue.enable": true,
	} {
		if settings[name] != want {
			t.Errorf("%s is %v, want %v", name, settings[name], want)
		}
	}
}

var (
	logstashVariable = regexp.MustCompile(`\$\{(\w+)(:[^}]*)?\}`)
	// touched are the fields that the script of alarms sets.
	touched = regexp.MustCompile(`for \(name in \[([^\]]*)\]\)`)
	quoted  = regexp.MustCompile(`"([^"]*)"`)
)

// service is what these tests want to know of a service of a compose file.
type service struct {
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
}

// composeService returns a service of cluster-elk.yml.
func composeService(t *testing.T, name string) service {
	t.Helper()
	var file struct {
		Services map[string]service `yaml:"services"`
	}
	// What overrides a merged key is no duplicate, but this library takes it for one.
	text := []byte(readFile(t, repository+"/deploy/compose/cluster-elk.yml"))
	testkit.Check(t, yaml.UnmarshalWithOptions(text, &file, yaml.AllowDuplicateMapKey()))
	return file.Services[name]
}

// Every variable has a default, so that the pipelines can be tried alone; the
// compose file sets no others.
func TestVariablesOfLogstash(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, pattern := range []string{"/pipeline/*.conf", "/pipeline/intake/*.conf"} {
		names, err := filepath.Glob(logstashDir + pattern)
		testkit.Check(t, err)
		for _, name := range names {
			for _, m := range logstashVariable.FindAllStringSubmatch(readFile(t, name), -1) {
				used[m[1]] = true
				if len(m[2]) < 2 {
					t.Errorf("%s: %s has no default", name, m[1])
				}
			}
		}
	}
	service := composeService(t, "logstash")
	delete(service.Environment, "LS_JAVA_OPTS") // of Logstash itself
	if diff := cmp.Diff(slices.Sorted(maps.Keys(used)), slices.Sorted(maps.Keys(service.Environment))); diff != "" {
		t.Errorf("used - set +:\n%s", diff)
	}
	for _, target := range []string{"/usr/share/logstash/config/pipelines.yml:ro", "/usr/share/logstash/config/logstash.yml:ro", "/usr/share/logstash/pipeline:ro"} {
		if !slices.ContainsFunc(service.Volumes, func(v string) bool { return strings.HasSuffix(v, ":"+target) }) {
			t.Errorf("%s is not mounted", target)
		}
	}
}

// Where two programs meet, both must know the place.
func TestFilebeatFindsLogstashAndLogstashFindsTheFrontend(t *testing.T) {
	t.Parallel()
	_, parsed := pipelines(t)
	each(parsed["intake"], func(_ string, s *statement) {
		if s.name == "beats" && s.options["port"] != 5001 {
			t.Errorf("Logstash listens on port %v", s.options["port"])
		}
	})
	if got := composeService(t, "filebeat").Environment["LOGSTASH_ADDRESS"]; got != "logstash:5001" {
		t.Errorf("Filebeat sends to %s", got)
	}
	if got := composeService(t, "logstash").Environment["DSIEM_EVENTS_URL"]; got != "http://dsiem-frontend:8080/events" {
		t.Errorf("Logstash sends events to %s", got)
	}
}

// findPlugin returns the plugin with an id.
func findPlugin(t *testing.T, sections []section, id string) (found *statement) {
	t.Helper()
	each(sections, func(_ string, s *statement) {
		if s.options["id"] == id {
			found = s
		}
	})
	if found == nil {
		t.Fatalf("there is no plugin %q", id)
	}
	return found
}

// What people may have edited, and what names an alarm, is never written again
// (docs/spec/interfaces.md §7.5). Optional lists only if they are there.
func TestTheScriptLeavesEditedFieldsAlone(t *testing.T) {
	t.Parallel()
	_, parsed := pipelines(t)
	out := findPlugin(t, parsed["alarms"], "siem_alarms")
	if out.options["action"] != "update" || out.options["doc_as_upsert"] != true || out.options["retry_on_conflict"] != 5 {
		t.Errorf("%v", out.options)
	}
	var got [][]string
	for _, m := range touched.FindAllStringSubmatch(out.options["script"].(string), -1) {
		var names []string
		for _, name := range quoted.FindAllStringSubmatch(m[1], -1) {
			names = append(names, name[1])
		}
		got = append(got, names)
	}
	want := [][]string{
		{"timestamp", "updated_time", "risk", "risk_class", "src_ips", "dst_ips", "rules", "networks"},
		{"intel_hits", "vulnerabilities", "custom_data"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	if script := out.options["script"].(string); strings.ContainsAny(script, "%$") {
		t.Error("Logstash would replace something in the script")
	}
}

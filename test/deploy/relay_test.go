//go:build unix

package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/event"
	"dsiem/test/testkit"
	"dsiem/test/testkit/programs"
)

// fromFilebeat returns a line as Filebeat sends it, with its own fields.
func fromFilebeat(t *testing.T, line string, fields map[string]string) document {
	t.Helper()
	d := document{}
	testkit.Check(t, json.Unmarshal([]byte(line), &d))
	for name, value := range fields {
		d[name] = value
	}
	d["@timestamp"], d["@version"] = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), "1"
	for _, name := range []string{"agent", "ecs", "host", "input", "log"} {
		d[name] = map[string]any{"hostname": "sensor1"}
	}
	d["tags"] = []any{"beats_input_codec_plain_applied"}
	return d
}

// intake plays a document through the first pipeline and returns what each of
// the next ones gets, without the fields that are not written.
func intake(t *testing.T, d document) map[string][]document {
	t.Helper()
	_, parsed := pipelines(t)
	r := &relay{t: t}
	next := map[string][]document{}
	for _, out := range r.filter(parsed["intake"], d) {
		for _, s := range outputs(parsed["intake"], out) {
			for _, to := range s.options["send_to"].([]any) {
				next[to.(string)] = append(next[to.(string)], out)
			}
		}
	}
	return next
}

// written returns a document as Elasticsearch or the frontend gets it.
func written(t *testing.T, d document) (text []byte, fields map[string]any) {
	t.Helper()
	d = clone(map[string]any(d)).(map[string]any)
	delete(d, "@metadata")
	for name, value := range d {
		if at, isTime := value.(time.Time); isTime {
			d[name] = at.UTC().Format("2006-01-02T15:04:05.000Z")
		}
	}
	text, err := json.Marshal(d)
	testkit.Check(t, err)
	fields = map[string]any{}
	testkit.Check(t, json.Unmarshal(text, &fields))
	return text, fields
}

// demoFiles are the alarm files of the demo, as the engine has written them.
func demoFiles(t *testing.T) (alarms, events []string) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command(programs.Path(t, "dsiem"), "demo", "--fast", "--out", dir, "--start", "2026-01-01T23:30:00Z").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := func(name string) []string {
		return strings.Split(strings.TrimSpace(readFile(t, filepath.Join(dir, name))), "\n")
	}
	return lines("siem_alarms.json"), lines("siem_alarm_events.json")
}

// target returns where a document is written: index, id.
func target(t *testing.T, parsed []section, d document) (index, id string) {
	t.Helper()
	reached := outputs(parsed, d)
	if len(reached) != 1 {
		t.Fatalf("%d outputs", len(reached))
	}
	return d.text(reached[0].options["index"].(string)), d.text(reached[0].options["document_id"].(string))
}

// alarmFields are those of an alarm in Elasticsearch (docs/spec/interfaces.md §7.5);
// the last ones are optional.
var alarmFields = []string{
	"@timestamp", "timestamp", "updated_time", "perm_index", "title", "status", "tag", "kingdom", "category", "risk", "risk_class",
	"src_ips", "dst_ips", "networks", "rules", "intel_hits", "vulnerabilities", "custom_data",
}

// T54: what the engine writes reaches Elasticsearch, in the form that the web UI
// and the index template expect.
func TestT54_AlarmsOfTheEngineReachElasticsearch(t *testing.T) {
	t.Parallel()
	_, parsed := pipelines(t)
	tmpl := templateNamed(t, "siem_alarms")
	r := &relay{t: t, stored: map[string]string{}}
	lines, _ := demoFiles(t)
	for _, line := range lines {
		got := intake(t, fromFilebeat(t, line, map[string]string{"application": "siem", "siem_data_type": "alarms"}))
		if len(got) != 1 || len(got["alarms"]) != 1 {
			t.Fatalf("sent to %v", slices.Collect(maps.Keys(got)))
		}
		out := r.filter(parsed["alarms"], got["alarms"][0])
		if len(out) != 1 {
			t.Fatalf("%d documents", len(out))
		}
		index, id := target(t, parsed["alarms"], out[0])
		var alarm struct {
			ID      string `json:"alarm_id"`
			Created int64  `json:"created_time"`
			Updated int64  `json:"update_time"`
			Risk    int
			Title   string
		}
		testkit.Check(t, json.Unmarshal([]byte(line), &alarm))
		_, doc := written(t, out[0])
		created := time.Unix(alarm.Created, 0).UTC()
		if want := "siem_alarms-" + created.Format("2006.01.02"); index != want || id != alarm.ID || doc["perm_index"] != want {
			t.Errorf("alarm %s of %v: index %s, id %s, perm_index %v", alarm.ID, created, index, id, doc["perm_index"])
		}
		for name, want := range map[string]any{
			"timestamp": created.Format("2006-01-02T15:04:05.000Z"), "@timestamp": created.Format("2006-01-02T15:04:05.000Z"),
			"updated_time": time.Unix(alarm.Updated, 0).UTC().Format("2006-01-02T15:04:05.000Z"),
			"title":        alarm.Title, "risk": float64(alarm.Risk),
		} {
			if doc[name] != want {
				t.Errorf("%s is %v, want %v", name, doc[name], want)
			}
		}
		for name := range doc {
			if !slices.Contains(alarmFields, name) {
				t.Errorf("the document has %s", name)
			}
		}
		for _, name := range alarmFields[:len(alarmFields)-3] {
			if doc[name] == nil {
				t.Errorf("the document has no %s", name)
			}
		}
		tmpl.accept(t, doc)
	}
}

// An alarm stays in the index in which it is, whatever the day.
func TestAnAlarmStaysInItsIndex(t *testing.T) {
	t.Parallel()
	_, parsed := pipelines(t)
	const line = `{"alarm_id":"a1","title":"t","created_time":1767258000,"update_time":1767258020,"risk":4}`
	for stored, want := range map[string]string{"": "siem_alarms-2026.01.01", "siem_alarms-2025.12.31": "siem_alarms-2025.12.31"} {
		r := &relay{t: t, stored: map[string]string{"a1": stored}}
		d := r.filter(parsed["alarms"], fromFilebeat(t, line, map[string]string{"application": "siem", "siem_data_type": "alarms"}))[0]
		index, _ := target(t, parsed["alarms"], d)
		if index != want || d["perm_index"] != want {
			t.Errorf("stored in %q: index %s, perm_index %v", stored, index, d["perm_index"])
		}
	}
}

func TestAlarmEventsReachElasticsearch(t *testing.T) {
	t.Parallel()
	_, parsed := pipelines(t)
	tmpl := templateNamed(t, "siem_alarm_events")
	r := &relay{t: t}
	_, lines := demoFiles(t)
	for _, line := range lines {
		got := intake(t, fromFilebeat(t, line, map[string]string{"application": "siem", "siem_data_type": "alarm_events"}))
		out := r.filter(parsed["alarms"], got["alarms"][0])
		index, id := target(t, parsed["alarms"], out[0])
		if index != "siem_alarm_events-2026.03.04" || strings.Contains(id, "%") {
			t.Errorf("index %s, id %s", index, id)
		}
		_, doc := written(t, out[0])
		if diff := cmp.Diff([]string{"@timestamp", "alarm_id", "event_id", "stage"}, slices.Sorted(maps.Keys(doc))); diff != "" {
			t.Errorf("want - got +:\n%s", diff)
		}
		tmpl.accept(t, doc)
	}
	id := findPlugin(t, parsed["alarms"], "alarm event id")
	if diff := cmp.Diff([]any{"alarm_id", "stage", "event_id"}, id.options["source"]); diff != "" || id.options["concatenate_sources"] != true {
		t.Errorf("the id is made of: want - got +:\n%s", diff)
	}
}

// A line that is broken, and so has no alarm_id, is no alarm.
func TestWhatIsNoAlarmIsDropped(t *testing.T) {
	t.Parallel()
	_, parsed := pipelines(t)
	r := &relay{t: t}
	for _, fields := range []map[string]string{{"siem_data_type": "alarms"}, {}, {"siem_data_type": "x"}} {
		if out := r.filter(parsed["alarms"], fromFilebeat(t, `{"message":"{"}`, fields)); len(out) != 0 {
			t.Errorf("%v: %v", fields, out)
		}
	}
}

const uuidForm = "00000000-0000-4000-8000-000000000001" // of the simulation

// wantEvent wants the same document for Dsiem and for the index of events, which
// Dsiem accepts and the template too.
func wantEvent(t *testing.T, next map[string][]document) event.Event {
	t.Helper()
	if len(next["dsiem"]) != 1 || len(next["events"]) != 1 {
		t.Fatalf("sent %d to Dsiem and %d to the index", len(next["dsiem"]), len(next["events"]))
	}
	_, parsed := pipelines(t)
	r := &relay{t: t}
	text, _ := written(t, r.filter(parsed["dsiem"], next["dsiem"][0])[0])
	var ev event.Event
	if rejection := event.Decode(text, &ev); rejection != nil {
		t.Fatalf("Dsiem rejects %s: %v", text, rejection)
	}
	d := r.filter(parsed["events"], next["events"][0])[0]
	if index, id := target(t, parsed["events"], d); index != "siem_events-2026.03.04" || id != uuidForm || ev.ID != uuidForm {
		t.Errorf("index %s, id %s, event_id %s", index, id, ev.ID)
	}
	_, doc := written(t, d)
	templateNamed(t, "siem_events").accept(t, doc)
	return ev
}

func TestAlertsOfSuricataBecomeEvents(t *testing.T) {
	t.Parallel()
	const alert = `{"timestamp":"2026-03-04T05:06:06.123456+0100","flow_id":1,"in_iface":"eth0","event_type":"alert","src_ip":"192.0.2.7","src_port":40112,
		"dest_ip":"10.0.0.22","dest_port":443,"proto":"TCP","alert":{"action":"allowed","gid":1,"signature_id":2019232,"rev":4,
		"signature":"ET WEB_SERVER Possible CVE-2014-6271","category":"Attempted Administrator Privilege Gain","severity":1}}`
	next := intake(t, fromFilebeat(t, alert, map[string]string{"application": "suricata"}))
	got := wantEvent(t, next)
	want := event.Event{
		ID: uuidForm, Seconds: time.Date(2026, 3, 4, 4, 6, 6, 0, time.UTC).Unix(), Nanos: 123_000_000, Sensor: "sensor1", Title: "ET WEB_SERVER Possible CVE-2014-6271", Protocol: "TCP",
		PluginID: 1001, PluginSID: 2019232, Product: "Intrusion Detection System", Category: "Attempted Administrator Privilege Gain",
		SrcIP: netip.MustParseAddr("192.0.2.7"), SrcPort: 40112, DstIP: netip.MustParseAddr("10.0.0.22"), DstPort: 443,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	// The record itself is kept, and found by what the event says.
	if len(next["records"]) != 1 || next["records"][0].get("[alert][signature_id]") != 2019232.0 {
		t.Fatalf("the record: %v", next["records"])
	}
	_, parsed := pipelines(t)
	out := outputs(parsed["records"], next["records"][0])[0]
	index := next["records"][0].text(out.options["index"].(string))
	if matched, err := path.Match(next["events"][0]["src_index_pattern"].(string), index); err != nil || !matched {
		t.Errorf("the record is in %s", index)
	}
	_, doc := written(t, next["records"][0])
	templateNamed(t, "suricata").accept(t, doc)
}

func TestOtherRecordsOfSuricataAreNoEvents(t *testing.T) {
	t.Parallel()
	next := intake(t, fromFilebeat(t, `{"event_type":"dns","timestamp":"2026-03-04T05:06:06.123456+0000"}`, map[string]string{"application": "suricata"}))
	if len(next) != 1 || len(next["records"]) != 1 {
		t.Errorf("sent to %v", slices.Collect(maps.Keys(next)))
	}
}

func TestEventsOfTestsNeedNoNormalizing(t *testing.T) {
	t.Parallel()
	const line = `{"event_id":"mine","timestamp":"2026-03-04T05:06:06Z","sensor":"s","title":"t","plugin_id":4003,"plugin_sid":1,"src_ip":"192.0.2.7","src_port":1,"dst_ip":"10.0.0.22","dst_port":22,"protocol":"TCP"}`
	next := intake(t, fromFilebeat(t, line, map[string]string{"application": "dtester"}))
	if got := wantEvent(t, next); got.PluginID != 4003 || got.Sensor != "s" {
		t.Errorf("%+v", got)
	}
	for _, field := range []string{"application", "agent", "log", "tags"} {
		if next["events"][0][field] != nil {
			t.Errorf("the event has %s", field)
		}
	}
}

func TestUnknownRecordsGoNowhere(t *testing.T) {
	t.Parallel()
	if next := intake(t, fromFilebeat(t, `{"message":"x"}`, nil)); len(next) != 0 {
		t.Errorf("sent to %v", next)
	}
}

// template is a composable index template.
type template struct {
	Patterns []string `json:"index_patterns"`
	Priority int      `json:"priority"`
	Version  int      `json:"version"`
	Meta     any      `json:"_meta"`
	Template struct {
		Settings struct {
			Index struct {
				Shards   int            `json:"number_of_shards"`
				Replicas int            `json:"number_of_replicas"`
				Refresh  string         `json:"refresh_interval"`
				Mapping  map[string]any `json:"mapping"`
			} `json:"index"`
		} `json:"settings"`
		Mappings struct {
			Dates      bool               `json:"date_detection"`
			Numbers    bool               `json:"numeric_detection"`
			Dynamic    []map[string]any   `json:"dynamic_templates"`
			Properties map[string]mapping `json:"properties"`
		} `json:"mappings"`
		Aliases map[string]any `json:"aliases"`
	} `json:"template"`
}

// mapping is that of a field.
type mapping struct {
	Type       string             `json:"type"`
	Properties map[string]mapping `json:"properties"`
}

const templatesDir = repository + "/deploy/elk/elasticsearch/templates"

func templateNamed(t *testing.T, name string) *template {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(readFile(t, filepath.Join(templatesDir, name+".json"))))
	decoder.DisallowUnknownFields()
	tmpl := &template{}
	testkit.Check(t, decoder.Decode(tmpl))
	return tmpl
}

// accept fails if Elasticsearch would not index a document as the template says.
func (tmpl *template) accept(t *testing.T, doc map[string]any) {
	t.Helper()
	for _, problem := range refusals("", doc, tmpl.Template.Mappings.Properties) {
		t.Error(problem)
	}
}

// refusals returns what is wrong in an object. Fields without a mapping are
// texts, numbers, truth values, or objects of them.
func refusals(prefix string, object map[string]any, properties map[string]mapping) (problems []string) {
	for name, value := range object {
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		m, mapped := properties[name]
		for _, element := range list {
			inner, isObject := element.(map[string]any)
			switch {
			case isObject && m.Type == "":
				problems = append(problems, refusals(prefix+name+".", inner, m.Properties)...)
			case isObject || mapped && !fits(m.Type, element):
				problems = append(problems, fmt.Sprintf("%s%s: %v is no %s", prefix, name, element, m.Type))
			}
		}
	}
	return problems
}

// fits tells if a value is one of a type of Elasticsearch.
func fits(kind string, value any) bool {
	text, isText := value.(string)
	number, isNumber := value.(float64)
	switch kind {
	case "date":
		_, err := time.Parse(time.RFC3339Nano, text)
		// Suricata writes its offset without a colon, which is kept but not indexed.
		_, suricata := time.Parse("2006-01-02T15:04:05.999999999Z0700", text)
		return isText && (err == nil || suricata == nil)
	case "ip":
		_, err := netip.ParseAddr(text)
		return isText && err == nil
	case "integer":
		return isNumber && number == math.Trunc(number) && math.Abs(number) <= math.MaxInt32
	case "long":
		return isNumber && number == math.Trunc(number)
	}
	return false
}

// What the templates of the original have (docs/spec/interfaces.md §7.6). Texts are
// never taken for dates, so that no value decides what the next one may be.
func TestIndexTemplates(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		refresh   string
		aliases   []string
		addresses []string
	}{
		"siem_alarms":       {"1s", []string{"siem_alarms", "siem_alarms_id_lookup"}, []string{"dst_ips", "src_ips"}},
		"siem_alarm_events": {"1s", nil, nil},
		"siem_events":       {"1s", nil, []string{"dst_ip", "src_ip"}},
		"suricata":          {"5s", nil, []string{"dest_ip", "src_ip"}},
	} {
		tmpl := templateNamed(t, name)
		index, mappings := tmpl.Template.Settings.Index, tmpl.Template.Mappings
		var addresses []string
		for field, m := range mappings.Properties {
			if m.Type == "ip" {
				addresses = append(addresses, field)
			}
		}
		slices.Sort(addresses)
		if !slices.Equal(tmpl.Patterns, []string{name + "-*"}) || tmpl.Version != 1 || tmpl.Priority < 101 ||
			index.Shards != 1 || index.Replicas != 0 || index.Refresh != want.refresh || index.Mapping["ignore_malformed"] != true ||
			mappings.Dates || mappings.Numbers || !slices.Equal(addresses, want.addresses) ||
			!slices.Equal(slices.Sorted(maps.Keys(tmpl.Template.Aliases)), want.aliases) {
			t.Errorf("%s: %+v", name, tmpl)
		}
		texts := map[string]any{"strings": map[string]any{
			"match_mapping_type": "string",
			"mapping": map[string]any{
				"type": "text", "norms": false,
				"fields": map[string]any{"keyword": map[string]any{"type": "keyword", "ignore_above": 256.0}},
			},
		}}
		if diff := cmp.Diff([]map[string]any{texts}, mappings.Dynamic); diff != "" {
			t.Errorf("%s: texts: want - got +:\n%s", name, diff)
		}
	}
}

// Every index that is written has a template, and every template an index.
func TestEveryIndexHasATemplate(t *testing.T) {
	t.Parallel()
	_, parsed := pipelines(t)
	written := map[string]bool{}
	for _, sections := range parsed {
		each(sections, func(kind string, s *statement) {
			name, isText := s.options["index"].(string)
			switch {
			case kind != "output" || !isText:
			case name == "%{[@metadata][index]}":
				written["siem_alarms"] = true
			default:
				written[strings.Replace(strings.TrimSuffix(name, "-%{+YYYY.MM.dd}"), "%{application}", "suricata", 1)] = true
			}
		})
	}
	names, err := filepath.Glob(templatesDir + "/*.json")
	testkit.Check(t, err)
	templates := map[string]bool{}
	for _, name := range names {
		templates[strings.TrimSuffix(filepath.Base(name), ".json")] = true
	}
	if diff := cmp.Diff(written, templates); diff != "" {
		t.Errorf("indices - templates +:\n%s", diff)
	}
}

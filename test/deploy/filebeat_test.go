//go:build unix

package deploy

import (
	"path"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// fileInput is an input of Filebeat.
type fileInput struct {
	Type        string            `yaml:"type"`
	ID          string            `yaml:"id"`
	Paths       []string          `yaml:"paths"`
	Excluded    []string          `yaml:"exclude_files"`
	Identity    any               `yaml:"file_identity.native"`
	Fingerprint *bool             `yaml:"prospector.scanner.fingerprint.enabled"`
	Parsers     []map[string]any  `yaml:"parsers"`
	Fields      map[string]string `yaml:"fields"`
	UnderRoot   bool              `yaml:"fields_under_root"`
}

// Filebeat reads the files that nodes write, whole and from the beginning, and
// marks them as Logstash expects (docs/spec/interfaces.md §7.4).
func TestFilebeatReadsAlarmFiles(t *testing.T) {
	t.Parallel()
	var settings struct {
		Inputs []fileInput `yaml:"filebeat.inputs"`
		Output struct {
			Hosts []string `yaml:"hosts"`
		} `yaml:"output.logstash"`
	}
	text := readFile(t, repository+"/deploy/elk/filebeat/filebeat.yml")
	testkit.Check(t, yaml.Unmarshal([]byte(text), &settings))
	read := map[string]map[string]string{}
	for _, in := range settings.Inputs {
		if in.Type != "filestream" || in.ID == "" || in.Fingerprint == nil || *in.Fingerprint || !in.UnderRoot || !strings.Contains(text, "id: "+in.ID+"\n") {
			t.Errorf("%+v", in)
		}
		want := []map[string]any{{"ndjson": map[string]any{"target": "", "overwrite_keys": true, "add_error_key": true}}}
		if diff := cmp.Diff(want, in.Parsers); diff != "" {
			t.Errorf("%s: parsers: want - got +:\n%s", in.ID, diff)
		}
		for _, name := range []string{
			"/var/log/dsiem/siem_alarms.json", "/var/log/dsiem/dsiem-backend-0/siem_alarms.json", "/var/log/dsiem/siem_alarms.json.1",
			"/var/log/dsiem/siem_alarm_events.json", "/var/log/dsiem/dsiem-backend-1/siem_alarm_events.json",
			"/var/log/dsiem/dtester.json", "/var/log/suricata/eve.json",
		} {
			for _, pattern := range in.Paths {
				if matched, err := path.Match(pattern, name); err != nil || matched {
					testkit.Check(t, err)
					if read[name] != nil {
						t.Errorf("%s is read twice", name)
					}
					read[name] = in.Fields
				}
			}
		}
	}
	alarms := map[string]string{"application": "siem", "siem_data_type": "alarms"}
	events := map[string]string{"application": "siem", "siem_data_type": "alarm_events"}
	want := map[string]map[string]string{
		"/var/log/dsiem/siem_alarms.json": alarms, "/var/log/dsiem/dsiem-backend-0/siem_alarms.json": alarms, "/var/log/dsiem/siem_alarms.json.1": alarms,
		"/var/log/dsiem/siem_alarm_events.json": events, "/var/log/dsiem/dsiem-backend-1/siem_alarm_events.json": events,
		"/var/log/dsiem/dtester.json": {"application": "dtester"}, "/var/log/suricata/eve.json": {"application": "suricata"},
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"${LOGSTASH_ADDRESS:logstash:5001}"}, settings.Output.Hosts); diff != "" {
		t.Errorf("output: want - got +:\n%s", diff)
	}
	if strings.Contains(text, "tail_files") || strings.Contains(text, "ignore_older") {
		t.Error("lines may be skipped")
	}
}

// The log volumes of all backends are mounted where Filebeat looks.
func TestFilebeatHasTheVolumesOfAllBackends(t *testing.T) {
	t.Parallel()
	mounted := composeService(t, "filebeat").Volumes
	for _, node := range []string{"dsiem-backend-0", "dsiem-backend-1"} {
		want := node + "-logs:/var/log/dsiem/" + node + ":ro"
		found := false
		for _, v := range mounted {
			found = found || v == want
		}
		if !found {
			t.Errorf("%s is not mounted: %q", want, mounted)
		}
	}
}

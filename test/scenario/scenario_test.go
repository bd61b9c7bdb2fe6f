package scenario

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAllScenariosParse(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for _, s := range all {
		row, _, _ := strings.Cut(s.Name, "-")
		rows[row]++
		for _, r := range s.Runs {
			for _, kind := range []string{assetKind, directiveKind} {
				if file, ok := r.Config[compactFile(kind)]; ok && !json.Valid(file) {
					t.Errorf("%s: run %d: %s are not JSON", s.Name, r.Number, kind)
				}
			}
			for line := range strings.Lines(string(r.Events)) {
				if !json.Valid([]byte(line)) {
					t.Errorf("%s: run %d: event is not JSON: %s", s.Name, r.Number, line)
				}
			}
		}
	}
	const correlation, parsing = 62, 12
	for n := 1; n <= correlation; n++ {
		if row := fmt.Sprintf("%02d", n); rows[row] != 1 {
			t.Errorf("row %s of §13.1 has %d scenarios", row, rows[row])
		}
	}
	for n := 1; n <= parsing; n++ {
		if row := fmt.Sprintf("c%02d", n); rows[row] == 0 {
			t.Errorf("row %s of §13.4 has no scenario", row)
		}
	}
}

// whole is the scenario of the package comment with every kind of word.
const whole = `
Words of every kind.
-- assets --
10.0.0.0/8 value4   # a network
10.0.0.2 value5 whitelisted name="web server"
-- directives --
directive id=7 priority=5 kingdom="Recon & Probing" always-active
all sticky=DST_PORT
r1 name=first rel10 from="10.0.0.0/24, !10.0.0.5"
r2 pid9 sid2,3 occ5 timeout=0 to=:1 port_to=:1 protocol=UDP
directive disabled
r1 tax=FW,IDS/Deny/x,y cd1="foo bar" label1=user
r4 tax=FW/Deny
-- options --
--min-alarm-lifetime 2 --status=New,Old
--expand-titles=false
--expire-all
-- events --
e1
e2..e3 .7>8.8.8.8 port:5>80
e1 again
all sid9 gap=0.5
e4 +13 zone=+07:00
e5 tax=FW/Deny/z cd3=x
-- want --
nothing
`

func parse(t *testing.T, text string) *Scenario {
	t.Helper()
	s, err := Parse("test.txtar", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseMakesUserFiles(t *testing.T) {
	t.Parallel()
	run := parse(t, whole).Runs[0]
	compact := func(data []byte) string {
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatal(err)
		}
		return show(v)
	}
	for _, tc := range []struct{ name, got, want string }{
		{
			"assets", compact(run.Config["assets_scenario.json"]),
			`{"assets":[{"cidr":"10.0.0.0/8","name":"10.0.0.0/8","value":4},` +
				`{"cidr":"10.0.0.2","name":"web server","value":5,"whitelisted":true}]}`,
		},
		{
			"directives", compact(run.Config["directives_scenario.json"]),
			`{"directives":[` +
				`{"all_rules_always_active":true,"category":"C","id":7,"kingdom":"Recon & Probing","name":"D7","priority":5,"rules":[` +
				`{"from":"10.0.0.0/24, !10.0.0.5","name":"first","occurrence":1,"plugin_id":1001,"plugin_sid":[1],` +
				`"port_from":"ANY","port_to":"ANY","protocol":"ANY","reliability":10,"stage":1,"sticky_different":"DST_PORT",` +
				`"timeout":0,"to":"ANY","type":"PluginRule"},` +
				`{"from":"ANY","name":"r2","occurrence":5,"plugin_id":9,"plugin_sid":[2,3],"port_from":"ANY","port_to":":1",` +
				`"protocol":"UDP","reliability":1,"stage":2,"sticky_different":"DST_PORT","timeout":0,"to":":1","type":"PluginRule"}]},` +
				`{"category":"C","disabled":true,"id":1,"kingdom":"K","name":"D1","priority":3,"rules":[` +
				`{"category":"Deny","custom_data1":"foo bar","custom_label1":"user","from":"ANY","name":"r1","occurrence":1,` +
				`"port_from":"ANY","port_to":"ANY","product":["FW","IDS"],"protocol":"ANY","reliability":1,"stage":1,` +
				`"subcategory":["x","y"],"timeout":0,"to":"ANY","type":"TaxonomyRule"},` +
				`{"category":"Deny","from":"ANY","name":"r4","occurrence":1,"port_from":"ANY","port_to":"ANY","product":["FW"],` +
				`"protocol":"ANY","reliability":1,"stage":4,"timeout":600,"to":"ANY","type":"TaxonomyRule"}]}]}`,
		},
		{"args", strings.Join(run.Args, " "), "--min-alarm-lifetime=2 --status=New,Old --expand-titles=false --expire-all=true"},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestParseMakesEvents(t *testing.T) {
	t.Parallel()
	got := string(parse(t, whole).Runs[0].Events)
	const (
		head = `{"event_id":"`
		mid  = `","title":"t","sensor":"s",`
		e1   = head + `e1","timestamp":"2023-11-14T22:13:20Z` + mid +
			`"src_ip":"10.0.0.1","src_port":0,"dst_ip":"10.0.0.2","dst_port":0,"protocol":"TCP","plugin_id":1001,"plugin_sid":1}` + "\n"
		remote = `"src_ip":"10.0.0.7","src_port":5,"dst_ip":"8.8.8.8","dst_port":80,"protocol":"TCP","plugin_id":1001,"plugin_sid":1}` + "\n"
		local  = `"src_ip":"10.0.0.1","src_port":0,"dst_ip":"10.0.0.2","dst_port":0,"protocol":"TCP",`
	)
	want := e1 +
		head + `e2","timestamp":"2023-11-14T22:13:21Z` + mid + remote +
		head + `e3","timestamp":"2023-11-14T22:13:22Z` + mid + remote +
		e1 +
		head + `e4","timestamp":"2023-11-15T05:13:33+07:00` + mid + local + `"plugin_id":1001,"plugin_sid":9}` + "\n" +
		head + `e5","timestamp":"2023-11-14T22:13:33.5Z` + mid + local +
		`"plugin_id":1001,"plugin_sid":9,"product":"FW","category":"Deny","subcategory":"z","custom_data3":"x"}` + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestRunsInheritConfiguration(t *testing.T) {
	t.Parallel()
	s := parse(t, `
Two runs.
-- directives --
r1
r2
-- options --
--save-backlogs SAVED
-- events --
e1
-- want --
e1: 1[e1]
e1: live 2 0/1
-- run2/options --
--load-backlogs SAVED
-- run2/assets --
10.0.0.0/8 value5
-- run2/events --
e2
-- run2/want --
e1: 2[e2]
`)
	first, second := s.Runs[0], s.Runs[1]
	if string(first.Config["directives_scenario.json"]) != string(second.Config["directives_scenario.json"]) {
		t.Error("run 2 has other directives than run 1")
	}
	if string(first.Config["assets_scenario.json"]) == string(second.Config["assets_scenario.json"]) {
		t.Error("run 2 has not its own assets")
	}
	if !first.Options.SaveBacklogs || first.Options.LoadBacklogs || !second.Options.LoadBacklogs || second.Options.SaveBacklogs {
		t.Errorf("options: %+v, %+v", first.Options, second.Options)
	}
	if !strings.Contains(string(second.Events), "22:13:21Z") {
		t.Errorf("run 2 does not go on after run 1: %s", second.Events)
	}
}

func TestParseTakesFilesAndEventsAsTheyAre(t *testing.T) {
	t.Parallel()
	s := parse(t, `
Whole files and raw events.
-- directives_b.json --
{"directives": [ #
-- directives --
r1
r2
-- assets --
none
-- events --
e1
{"event_id":"x1", "src_ip": "# \"" }
  {"event_id":null}
x1 again
e2
-- want --
rejected: bad_address 2, bad_json 1
x1..x1: 1[*]
-- run2/assets_a.json --
-- run2/events --
e3
-- run2/want --
nothing
-- run3/directives --
none
-- run3/want --
option error: "a" "b"
`)
	var names [][]string
	for _, r := range s.Runs {
		names = append(names, slices.Sorted(maps.Keys(r.Config)))
	}
	want := [][]string{
		{"directives_b.json", "directives_scenario.json"},
		{"assets_a.json", "directives_b.json", "directives_scenario.json"},
		{"assets_a.json"},
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("files by run (-want +got):\n%s", diff)
	}
	first := s.Runs[0]
	if got := string(first.Config["directives_b.json"]); got != "{\"directives\": [ #\n" {
		t.Errorf("directives_b.json is %q", got)
	}
	lines := strings.Split(string(first.Events), "\n")
	const raw = `{"event_id":"x1", "src_ip": "# \"" }`
	if lines[1] != raw || lines[2] != `{"event_id":null}` || lines[3] != raw || !strings.Contains(lines[4], `"e2","timestamp":"2023-11-14T22:13:21Z"`) {
		t.Errorf("events are\n%s", first.Events)
	}
	if !s.Runs[2].StartupError() {
		t.Error("run 3 is to start")
	}
}

func TestParseNamesMistakes(t *testing.T) {
	t.Parallel()
	// scenario returns a good scenario with one more line in a section.
	scenario := func(name, line string) string {
		text := "About.\n"
		for _, sec := range []string{"assets\n10.0.0.0/8 value4", "directives\nr1\nr2 sid2", "options", "events\ne1", "saved", "want\ne1: 1[e1]"} {
			head, body, _ := strings.Cut(sec, "\n")
			text += "-- " + head + " --\n" + body
			if body != "" {
				text += "\n"
			}
			if head == name {
				text += line + "\n"
			}
		}
		return text
	}
	for _, tc := range []struct{ section, line, want string }{
		{"assets", "10.0.0.0/8 4", `test.txtar:4: asset 10.0.0.0/8: word "4" is not understood`},
		{"directives", "r", `test.txtar:7: rule r: a line starts with`},
		{"directives", "r3 rel", `test.txtar:7: rule r3: word "rel" is not understood`},
		{"directives", "r3 color=red", `rule r3: word "color=" is not understood`},
		{"directives", "r3 tax=FW", `rule r3: tax=FW: write product/category`},
		{"directives", "r3 tax=FW/Deny sid2", `exclude each other`},
		{"directives", "r3 sid2,x", `"x" is not a number`},
		{"directives", "directive prio=2", `directive: word "prio=2" is not understood`},
		{"directives", `r3 name="x`, `test.txtar:7: a " is not closed`},
		{"options", "--min-lifetime 2", `test.txtar:8: unknown option "--min-lifetime"`},
		{"options", "--med-risk-min", `option --med-risk-min needs a value`},
		{"options", "--med-risk-min x", `option --med-risk-min: bad value "x"`},
		{"options", "--load-backlogs dir", `bad value "dir"`},
		{"events", "e1", `test.txtar:10: event e1: the id is taken; write "e1 again"`},
		{"events", "e2 again", `event e2: there is no such event yet`},
		{"events", "e5..e2", `"e5..e2" is not a range`},
		{"events", "e2 .x>", `"10.0.0.x" is not an address`},
		{"events", "e2 port:80", `write port:SRC>DST`},
		{"events", "e2 port:>70000", `"70000" is not a port`},
		{"events", "e2 +x", `"+x" is not a number of seconds`},
		{"events", "e2 zone=UTC", `zone=UTC: write it as +07:00`},
		{"events", "e2 sidx", `word "sidx" is not understood`},
		{"events", `e2 ""`, `word "" is not understood`},
		{"events", `{"event_id":"e1"}`, `test.txtar:10: the id is taken; write "e1 again"`},
		{"events", `{"event_id":"e 2"}`, `event_id "e 2": use letters`},
		{"saved", "1.json fix", `test.txtar:11: "1.json fix": write FILE[N]`},
		{"saved", "1.json[x] risk = 1", `"x" is not the index`},
		{"saved", "1.json junk 0", `is not a size`},
		{"want", "e1", `test.txtar:13: a line is written NAME:`},
		{"want", "nothing", `"nothing" must stand alone`},
		{"want", "e2: 1[e1]", `there is no event "e2"`},
		{"want", "e1~1: 1[e1]", `is named e1~2`},
		{"want", "e1: 1[e9]", `there is no event "e9"`},
		{"want", "e1: 1[]", `no events`},
		{"want", "e1: x[e1]", `write stage[events]`},
		{"want", `e1: 2[""]`, `there is no event "\"\""`},
		{"want", `"": 1[e1]`, `there is no event "\"\""`},
		{"want", "e1..e2: 1[*]", `there is no event "e2"`},
		{"want", "e2..e1 alarm 1: risk = 1", `"e2..e1" is not a range`},
		{"want", "rejected: bad_type", `test.txtar:13: "bad_type": write REASON COUNT`},
		{"want", "rejected: bad_type 0", `write REASON COUNT`},
		{"want", "rejected: bad_type 1, bad_type 2", `each reason once`},
		{"want", "rejected: bad_type 1\nrejected: bad_json 1", `test.txtar:14: the rejected events are already in line 13`},
		{"want", "e1: 4/FF", `write risk/rules class`},
		{"want", "e1: 4/FX Low", `write risk/rules class`},
		{"want", "e1: 4/FF Low *0", `is not a count such as *4`},
		{"want", "e1: live 2", `write live STAGE COUNT/OCCURRENCE`},
		{"want", "e1 alarm x: risk = 1", `"x" is not the number of an alarm line`},
		{"want", "e1 alarm 1: risk", `write PATH = VALUE`},
		{"want", "e1 alarm 1: risk = red", `"red" is neither JSON nor +SECONDS`},
		{"want", "e1 alarm 1: src_ips[x] = 1", `is not an index`},
		{"want", "e1 line 1: risk = 1", `"e1 line 1" is not understood before the colon`},
		{"want", "message: 1.json", `write the text in double quotes`},
		{"want", `message: "1.json" 2`, `write the text in double quotes`},
		{"want", `start-up error: "x"`, `after a start-up error no backlog and no rejected event can be wanted`},
		{"want", `option error: "x"`, `after a start-up error no backlog`},
		{"want", "start-up error: \"x\"\noption error: \"x\"", `not with both`},
	} {
		_, err := Parse("test.txtar", []byte(scenario(tc.section, tc.line)))
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "test.txtar:") {
			t.Errorf("%s: %s\n\tgot  %v\n\twant %s", tc.section, tc.line, err, tc.want)
		}
	}
}

func TestParseNamesMistakesInSections(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"", `say before the first section what`},
		{"x\n", `needs the sections`},
		{"x\n-- event --\n", `test.txtar:2: unknown section "event"`},
		{"x\n-- want --\n-- want --\n", `test.txtar:3: section "want" is already in line 2`},
		{"x\n-- want --\n-- run1/want --\n", `test.txtar:3: section "run1/want" is the same as the one in line 2`},
		{"x\n-- run2/want --\n", `before any section of run 1`},
		{"x\n-- want.json --\n", `test.txtar:2: section "want.json" is empty`},
		{"x\n-- want.json --\n\n{\"alarm_id\": \"e1\"\n", `test.txtar:4: the JSON document does not end`},
		{"x\n-- want.json --\n{\n}\n7", `test.txtar:5: an alarm is written {"alarm_id": "e1"`},
		{"x\n-- want.json --\n{}\nx", `test.txtar:4: invalid character 'x'`},
		{"x\n-- want.json --\n" + `{"alarm_id": "e1"}`, `test.txtar:3: a backlog is named by its first event, but there is no event "e1"`},
		{"x\n-- events --\ne1\n-- want.json --\n" + `{"alarm_id": "e1"} {"alarm_id": "e1"}`, `test.txtar:5: backlog e1 has an alarm above`},
		{"x\n-- events --\ne1\n-- want.json --\n" + `{"alarm_id": "e1", "alarm_id": "e1"}`, `a key is there twice`},
		{"x\n-- events --\ne1\n-- want.json --\n" + `{"alarm_id": "e1", "rsik": 1}`, `no alarm has a key "rsik"`},
		{"x\n-- events --\ne1\n-- want.json --\n" + `{"alarm_id": "e1", "rules": [{"state": 1}]}`, `no rule of an alarm has a key "state"`},
		{"x\n-- events --\ne1\n-- want --\nstart-up error: \"x\"\n-- want.json --\n" + `{"alarm_id": "e1"}`, `test.txtar:6: after a start-up error no alarm can be wanted`},
		{"x\n-- want --\n", `section "want" is empty`},
		{"x\n-- want --\nnothing\n", `section "directives" is missing`},
		{"x\n-- want --\nnothing\n", `section "events" of run 1 is missing`},
		{"x\n-- directives --\n", `section "directives" is empty`},
		{"x\n-- directives --\nr1\n", `section "want" of run 1 is missing`},
		{"x\n-- assets_a.json --\n{}\n", `section "directives" is missing`},
		{"x\n-- directives_.json --\n", `unknown section "directives_.json"`},
		{"x\n-- run2/directives_a/b.json --\n", `unknown section "run2/directives_a/b.json"`},
		{"x\n-- assets --\n-- assets_scenario.json --\n", `test.txtar:2: section "assets" is the file assets_scenario.json`},
		{"x\n-- saved/../1.json --\n", `unknown section "saved/../1.json"`},
	} {
		_, err := Parse("test.txtar", []byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q:\n\tgot  %v\n\twant %s", tc.text, err, tc.want)
		}
	}
}

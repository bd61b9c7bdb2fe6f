package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// timeout is a scenario with every kind of want.
const timeout = `
A stage that times out, and one event that opens two backlogs.
-- directives --
directive id=1
r1 rel10
r2 sid2 occ3 timeout=2
directive id=2
r1
r2 sid2 occ9
-- events --
e1
e2 sid2 +13
-- want --
e1: 1[e1]
e1: 4/F- Medium; 4/FT Medium
e1 alarm 2: r2.end_time absent
e1 alarm 2: update_time = +0
e1 alarm 2: src_ips count 1
e1~2: 1[e1] 2[e2]
e1~2: live 2 1/9
saved e1~2: r2.saved_event_ids[0] = "h:0123456789abcdef"
message: "done"
saved 1.json: gone
`

const (
	timeoutAlarmEvents = `{"alarm_id":"AAAAAAAAAAAAAAAA","stage":1,"event_id":"e1"}
{"alarm_id":"BBBBBBBBBBBBBBBB","stage":1,"event_id":"e1"}
{"alarm_id":"BBBBBBBBBBBBBBBB","stage":2,"event_id":"e2"}
`
	alarmHead = `{"alarm_id":"AAAAAAAAAAAAAAAA","title":"D1","status":"Open","tag":"Identified Threat","kingdom":"K",` +
		`"category":"C","created_time":1700000000,"update_time":1700000000,"risk":4,"risk_class":"Medium","rules":[` +
		`{"name":"r1","stage":1,"occurrence":1,"from":"ANY","to":"ANY","plugin_id":1001,"plugin_sid":[1],"type":"PluginRule",` +
		`"port_from":"ANY","port_to":"ANY","protocol":"ANY","reliability":10,"timeout":0,` +
		`"start_time":1700000000,"end_time":1700000000,"status":"finished"},` +
		`{"name":"r2","stage":2,"occurrence":3,"from":"ANY","to":"ANY","plugin_id":1001,"plugin_sid":[2],"type":"PluginRule",` +
		`"port_from":"ANY","port_to":"ANY","protocol":"ANY","reliability":1,"timeout":2,"start_time":1700000000`
	alarmTail     = `}],"src_ips":["10.0.0.1"],"dst_ips":["10.0.0.2"],"networks":["10.0.0.0/8"]}` + "\n"
	timeoutAlarms = alarmHead + alarmTail + alarmHead + `,"status":"timeout"` + alarmTail

	timeoutLive = `[
  {
    "alarm_id": "BBBBBBBBBBBBBBBB", "title": "D2", "status": "Open", "tag": "Identified Threat", "kingdom": "K",
    "category": "C", "created_time": 0, "update_time": 1700000013, "risk": 0, "risk_class": "", "rules": [
      {"name": "r1", "stage": 1, "occurrence": 1, "from": "ANY", "to": "ANY", "plugin_id": 1001, "plugin_sid": [1],
       "type": "PluginRule", "port_from": "ANY", "port_to": "ANY", "protocol": "ANY", "reliability": 1, "timeout": 0,
       "start_time": 1700000000, "end_time": 1700000000, "status": "finished", "saved_event_ids": ["h:0000000000000001"]},
      {"name": "r2", "stage": 2, "occurrence": 9, "from": "ANY", "to": "ANY", "plugin_id": 1001, "plugin_sid": [2],
       "type": "PluginRule", "port_from": "ANY", "port_to": "ANY", "protocol": "ANY", "reliability": 1, "timeout": 600,
       "start_time": 1700000000, "saved_event_ids": ["h:0123456789abcdef"]}
    ],
    "src_ips": ["10.0.0.1"], "dst_ips": ["10.0.0.2"], "networks": [], "saved_last_srcport": 5, "saved_expanded_title": "D2 on x"
  }
]
`
)

func timeoutResult() *Result {
	return &Result{
		Console:     []byte("done\n"),
		AlarmEvents: []byte(timeoutAlarmEvents),
		Alarms:      []byte(timeoutAlarms),
		Live:        map[string][]byte{"2.json": []byte(timeoutLive)},
		Saved:       map[string][]byte{},
	}
}

func TestCheckAcceptsWhatIsWanted(t *testing.T) {
	t.Parallel()
	s := parse(t, timeout)
	if err := s.NewChecker().Check(s.Runs[0], timeoutResult()); err != nil {
		t.Error(err)
	}
	if err := s.Check([]byte(timeoutAlarmEvents), []byte(timeoutAlarms)); err != nil {
		t.Error(err)
	}
}

func TestCheckReportsDifferences(t *testing.T) {
	t.Parallel()
	// Each case replaces the first old in one output by new.
	type output int
	const (
		events output = iota
		alarms
		live
		console
	)
	for _, tc := range []struct {
		in             output
		old, new, want string
	}{
		// alarm events
		{events, `{"alarm_id":"BBBBBBBBBBBBBBBB","stage":2,"event_id":"e2"}` + "\n", "", "test.txtar:19: run 1: backlog e1~2, alarm events:\n\twant 1[e1] 2[e2]\n\tgot  1[e1]"},
		{events, `"stage":2`, `"stage":1`, "got  1[e1 e2]"},
		{events, `B","stage":1`, `B","stage":2`, "starts with stage 2"},
		{events, `"AAAAAAAAAAAAAAAA"`, `"AAAAAAAAAAAAAAA-"`, "is not 16 characters"},
		{events, `"stage":1,"event_id":"e1"`, `"event_id":"e1","stage":1`, `key "stage" comes too late`},
		{events, `"event_id":"e1"`, `"event_id":"e1","x":1`, `key "x" does not belong here`},
		{events, `"stage":1,`, `"stage":1,"stage":1,`, `duplicate`},
		{events, `"stage":1`, `"stage":"1"`, `siem_alarm_events.json:1`},
		{events, "\"e2\"}\n", `"e2"}`, "the last line has no newline"},
		{events, "\n", "\n\n", "siem_alarm_events.json:2"},
		// alarms
		{alarms, alarmHead + alarmTail, "", "want 4/F- Medium; 4/FT Medium\n\tgot  4/FT Medium"},
		{alarms, `"risk":4`, `"risk":5`, "got  5/F- Medium; 4/FT Medium"},
		{alarms, `"risk":4`, `"risk":-1`, "risk is -1"},
		{alarms, `"Medium"`, `"High"`, "got  4/F- High"},
		{alarms, `A"`, `C"`, "alarm AAAAAAAAAAAAAAAC has no alarm-event line"},
		{alarms, `"status":"Open","tag":"Identified Threat"`, `"tag":"Identified Threat","status":"Open"`, `key "status" comes too late`},
		{alarms, `"Open"`, `"Closed"`, `want "Open"`},
		{alarms, `"networks":["10.0.0.0/8"]`, `"networks":null`, `key "networks" is null`},
		{alarms, `,"networks":["10.0.0.0/8"]`, ``, `key "networks" is missing`},
		{alarms, `,"networks":["10.0.0.0/8"]`, `,"networks":[],"custom_data":[]`, `key "custom_data" is []`},
		{alarms, `"plugin_sid":[1],`, ``, `rules[0]: key "plugin_sid" is missing`},
		{alarms, `"timeout":2,`, `"timeout":2,"end_time":0,`, `key "end_time" is 0`},
		{alarms, `"status":"finished"`, `"status":"finished","saved_event_ids":["h:0000000000000001"]`, `key "saved_event_ids" does not belong here`},
		{alarms, `"status":"finished"`, `"status":"done"`, `status is "done"`},
		{alarms, `"end_time":1700000000,`, ``, `end_time is 0 with status "finished"`},
		{alarms, `"stage":2`, `"stage":1`, `stage 1 after stage 1`},
		{alarms, `"K"`, `"A \u0026 B"`, `HTML-escaped`},
		{alarms, `"created_time":1700000000`, `"created_time":"2023"`, `siem_alarms.json:1`},
		{alarms, `"created_time":1700000000`, `"created_time":0`, `must be set`},
		// the saved state and the program
		{live, `"h:0123456789abcdef"`, `"e9"`, `rules[1]: saved event id "e9" is neither h: and 16 hex digits nor that of an event`},
		{live, `"h:0123456789abcdef"`, `"h:0123456789abcdee"`, `test.txtar:21: run 1: backlog e1~2, saved: r2.saved_event_ids[0]: want`},
		{live, `"occurrence": 9`, `"occurrence": 8`, "want live 2 1/9\n\tgot  live 2 1/8"},
		{live, `"start_time": 1700000000, "saved`, `"status": "timeout", "saved`, `got  live 0 0/0`},
		{live, timeoutLive, `[]`, "want live 2 1/9\n\tgot  gone"},
		{live, `[`, ``, "saved file 2.json"},
		{live, `"start_time": 1700000000, "end_time": 1700000000, "status"`, `"start_time": 1700000000, "status"`, `end_time is 0 with status "finished"`},
		{console, `done`, `failed`, `the messages lack a line with ["done"]`},
	} {
		s, res := parse(t, timeout), timeoutResult()
		text := map[output]string{events: timeoutAlarmEvents, alarms: timeoutAlarms, live: timeoutLive, console: "done"}[tc.in]
		if !strings.Contains(text, tc.old) {
			t.Fatalf("%q is not in the output", tc.old)
		}
		changed := []byte(strings.Replace(text, tc.old, tc.new, 1))
		switch tc.in {
		case events:
			res.AlarmEvents = changed
		case alarms:
			res.Alarms = changed
		case live:
			res.Live["2.json"] = changed
		case console:
			res.Console = changed
		}
		err := s.NewChecker().Check(s.Runs[0], res)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q instead of %q:\ngot  %v\nwant %s", tc.new, tc.old, err, tc.want)
		}
	}
}

func TestCheckReportsFacts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ fact, want string }{
		{`e1 alarm 2: update_time = +1`, `update_time: want 1700000001 (+1), got 1700000000 (+0)`},
		{`e1 alarm 2: r1.end_time absent`, `r1.end_time: want it absent, got 1700000000 (+0)`},
		{`e1 alarm 2: r2.end_time = +1`, `r2.end_time: absent`},
		{`e1 alarm 2: r3.name = "x"`, `r3.name: absent`},
		{`e1 alarm 2: src_ips = ["10.0.0.1","10.0.0.2"]`, `got ["10.0.0.1"]`},
		{`e1 alarm 2: src_ips[1] = "10.0.0.2"`, `src_ips[1]: absent`},
		{`e1 alarm 2: src_ips count 2`, `src_ips: want 2 elements, got 1`},
		{`e1 alarm 3: risk = 4`, `has no alarm line 3`},
		{`saved e1: risk = 4`, `backlog e1 is not saved`},
		{`saved 2.json: gone`, `saved file 2.json is still there`},
		{`start-up error: "bad"`, `exit code 0, want 1`},
	} {
		text := timeout + tc.fact + "\n"
		if strings.HasPrefix(tc.fact, "start-up") {
			text = timeout[:strings.Index(timeout, "e1: 1[")] + tc.fact + "\n"
		}
		s, res := parse(t, text), timeoutResult()
		res.Saved["2.json"] = nil
		err := s.NewChecker().Check(s.Runs[0], res)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.fact, err, tc.want)
		}
	}
}

// alarms are those of timeout, as JSON.
const alarms = `
Alarms as JSON, and nothing else.
-- directives --
directive id=1
r1 rel10
r2 sid2 occ3 timeout=2
-- events --
e1
-- want.json --
{"alarm_id": "e1", "title": "D1", "risk": 4, "created_time": "+0", "update_time": 1700000000,
 "src_ips": ["10.0.0.1"], "custom_data": null,
 "rules": [
  {"stage": 1, "plugin_sid": [1], "end_time": "+0"},
  {}]}
`

func TestCheckComparesAlarmsAsJSON(t *testing.T) {
	t.Parallel()
	const last = "test.txtar:10: run 1: backlog e1, last alarm line: "
	for _, tc := range []struct{ old, new, want string }{
		{`{}`, `{}`, ""},
		{`{}`, `{"status": "timeout", "occurrence": 3, "end_time": null}`, ""},
		{`"risk": 4, `, ``, ""},
		{`"risk": 4`, `"risk": 5`, last + `risk: want 5, got 4`},
		{`"risk": 4`, `"risk": "4"`, last + `risk: want "4", got 4`},
		{`"risk": 4`, `"risk": null`, last + `risk: want it absent, got 4`},
		{`"title": "D1"`, `"title": "+1"`, last + `title: want "+1", got "D1"`},
		{`"title": "D1"`, `"title": {}`, last + `title: want {}, got "D1"`},
		{`"created_time": "+0"`, `"created_time": "+1"`, last + `created_time: want 1700000001 (+1), got 1700000000 (+0)`},
		{`"custom_data": null`, `"custom_data": []`, last + `custom_data: want [], it is absent`},
		{`["10.0.0.1"]`, `["10.0.0.1", "10.0.0.2"]`, last + `src_ips: want 2 elements, got 1: ["10.0.0.1"]`},
		{`["10.0.0.1"]`, `"10.0.0.1"`, last + `src_ips: want "10.0.0.1", got ["10.0.0.1"]`},
		{`[1]`, `[2]`, last + `rules[0].plugin_sid[0]: want 2, got 1`},
		{`{}`, `{"status": "finished"}`, last + `rules[1].status: want "finished", got "timeout"`},
		{`{}`, `{"stage": 3, "status": null}`, last + `rules[1].stage: want 3, got 2` + "\n" + last + `rules[1].status: want it absent, got "timeout"`},
		{",\n  {}", "", last + `rules: want 1 elements, got 2: [{`},
		{`{"alarm_id": "e1"`, `{"alarm_id": "e1~2", "risk": 1}` + "\n" + `{"alarm_id": "e1"`, "test.txtar:10: run 1: backlog e1~2 has no alarm"},
		{`{"alarm_id": "e1"`, `{"alarm_id": "e1~2"`, "test.txtar:9: run 1: backlog e1 has an alarm that is not in want.json: 4/FT Medium"},
	} {
		if !strings.Contains(alarms, tc.old) {
			t.Fatalf("%q is not in the scenario", tc.old)
		}
		s := parse(t, strings.Replace(alarms, tc.old, tc.new, 1))
		err := s.NewChecker().Check(s.Runs[0], timeoutResult())
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s instead of %s:\ngot  %v\nwant %s", tc.new, tc.old, err, tc.want)
		}
	}
}

// Alone, want.json says nothing of alarm-event lines and live backlogs; beside it
// want is complete, and without an alarm line want.json is not met.
func TestCheckOfAlarmsAsJSONKeepsWhatWantSays(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ with, want string }{
		{"", ""},
		{"-- want --\nnothing\n", "backlog e1, alarm events:\n\twant none\n\tgot  1[e1]"},
		{"-- want --\ne1: 1[e1]\ne1: 4/F- Medium; 4/FT Medium\n", "backlog e1~2, at the end:\n\twant gone\n\tgot  live 2 1/9"},
	} {
		s := parse(t, alarms+tc.with)
		err := s.NewChecker().Check(s.Runs[0], timeoutResult())
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", tc.with, err, tc.want)
		}
	}
	s := parse(t, alarms)
	if err := s.Check(nil, nil); err == nil || !strings.Contains(err.Error(), "backlog e1 has no alarm") {
		t.Errorf("no output: %v", err)
	}
	bad := timeoutResult()
	bad.Alarms = []byte(strings.Replace(timeoutAlarms, `"risk":4`, `"risk":-1`, 1))
	if err := s.NewChecker().Check(s.Runs[0], bad); err == nil || !strings.Contains(err.Error(), "risk is -1") {
		t.Errorf("a bad line before the last: %v", err)
	}
}

func TestCheckComparesMessagesAndRejectedEvents(t *testing.T) {
	t.Parallel()
	s := parse(t, `
Messages and rejected events.
-- directives --
r1
r2
-- events --
{}
-- want --
message: "a.json" "bad"
rejected: bad_type 2, bad_json 1
`)
	for _, tc := range []struct {
		console  string
		rejected map[string]int
		want     string
	}{
		{"x\n1: a.json:3: bad\n", map[string]int{"bad_json": 1, "bad_type": 2}, ""},
		{"a.json bad", nil, ""},
		{"bad a.json", nil, `the messages lack a line with ["a.json" "bad"]`},
		{"a.json\nbad\n", nil, `the messages lack a line with ["a.json" "bad"]`},
		{"", nil, `the messages lack`},
		{"a.json bad", map[string]int{"bad_type": 3}, "test.txtar:10: run 1: rejected events:\n\twant bad_json 1, bad_type 2\n\tgot  bad_type 3"},
		{"a.json bad", map[string]int{}, "got  none"},
	} {
		err := s.NewChecker().Check(s.Runs[0], &Result{Console: []byte(tc.console), Rejected: tc.rejected})
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q, %v:\ngot  %v\nwant %s", tc.console, tc.rejected, err, tc.want)
		}
	}
}

func TestCheckWantsExitCode(t *testing.T) {
	t.Parallel()
	for code, line := range map[int]string{0: "nothing", 1: `start-up error: "no"`, 2: `option error: "no"`} {
		s := parse(t, "About.\n-- directives --\nr1\n-- events --\ne1\n-- want --\n"+line+"\n")
		for got := range 3 {
			err := s.NewChecker().Check(s.Runs[0], &Result{ExitCode: got, Console: []byte("no\n")})
			if (err == nil) != (got == code) {
				t.Errorf("%s: exit code %d: %v", line, got, err)
			}
		}
	}
}

func TestCheckNamesEventsWithoutID(t *testing.T) {
	t.Parallel()
	s := parse(t, `
Events without an id.
-- directives --
r1
r2 occ3
-- events --
{"event_id":""}
-- want --
"": 1[""] 2["" *]
`)
	line := func(stage int) string {
		return fmt.Sprintf(`{"alarm_id":"AAAAAAAAAAAAAAAA","stage":%d,"event_id":""}`+"\n", stage)
	}
	if err := s.Check([]byte(line(1)+line(2)+line(2)), nil); err != nil {
		t.Error(err)
	}
	err := s.Check([]byte(line(1)+line(2)), nil)
	if want := "backlog \"\", alarm events:\n\twant 1[\"\"] 2[\"\" \"\"]\n\tgot  1[\"\"] 2[\"\"]"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestCheckerKnowsBacklogsOfEarlierRuns(t *testing.T) {
	t.Parallel()
	s := parse(t, `
Two runs.
-- directives --
r1
r2
-- events --
e1
-- want --
e1: 1[e1]
-- run2/events --
e2
-- run2/want --
e1: 2[e2]
`)
	second := []byte(`{"alarm_id":"AAAAAAAAAAAAAAAA","stage":2,"event_id":"e2"}` + "\n")
	c := s.NewChecker()
	if err := c.Check(s.Runs[0], &Result{AlarmEvents: []byte(`{"alarm_id":"AAAAAAAAAAAAAAAA","stage":1,"event_id":"e1"}` + "\n")}); err != nil {
		t.Error(err)
	}
	if err := c.Check(s.Runs[1], &Result{AlarmEvents: second}); err != nil {
		t.Error(err)
	}
	if err := s.NewChecker().Check(s.Runs[1], &Result{AlarmEvents: second}); err == nil {
		t.Error("a checker that has not seen run 1 knows its backlog")
	}
}

func TestRenderTakenIsTheNotation(t *testing.T) {
	t.Parallel()
	known := map[string][]byte{}
	for _, id := range []string{"e1", "e2", "e3", "e4", "e9", "e10", "e11", "e01", "ok"} {
		known[id] = nil
	}
	for in, want := range map[string]string{
		"1[e1]":                        "1[e1]",
		"1[e1] 2[e2] 2[e3]":            "1[e1] 2[e2 e3]",
		"1[e1 e2 e3] 2[e4] 1[e9..e11]": "1[e1..e3] 2[e4] 1[e9..e11]",
		"3[ok e01 e1 e2]":              "3[ok e01 e1 e2]",
		"2[e2 e2 e2]":                  "2[e2 e2 e2]",
	} {
		list, err := parseTaken(in, "e1", known)
		if err != nil {
			t.Fatal(err)
		}
		if got := renderTaken(list); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func TestEditSaved(t *testing.T) {
	t.Parallel()
	s := parse(t, `
Changes to saved files.
-- directives --
r1
r2
-- saved/2.json --
[]xxxx
-- saved --
1.json[0] r2.status = "timeout"
1.json[0] src_ips[0] = "10.0.0.9"
1.json append 7
1.json prepend {"alarm_id":"x"}
3.json junk 5
-- events --
e1
-- want --
nothing
`)
	dir := t.TempDir()
	const before = `[{"rules":[{"stage":1},{"stage":2}],"src_ips":["10.0.0.1"]}]`
	if err := os.WriteFile(filepath.Join(dir, "1.json"), []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Runs[0].EditSaved(dir); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"1.json": `[{"alarm_id":"x"},{"rules":[{"stage":1},{"stage":2,"status":"timeout"}],"src_ips":["10.0.0.9"]},7]`,
		"2.json": "[]xxxx",
		"3.json": "xxxxx",
	} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.TrimSpace(string(data))
		if v, err := decodeAny(data); err == nil {
			got = show(v)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", file, got, want)
		}
	}
	if err := s.Runs[0].EditSaved(t.TempDir()); err == nil {
		t.Error("changing a file that is not there succeeds")
	}
}

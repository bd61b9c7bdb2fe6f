package state_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/state"
	"dsiem/test/testkit"
)

// element returns the backlog of the seed's fixture on one line, with another
// alarm id.
func element(t testing.TB, id string) string {
	t.Helper()
	return strings.Replace(strings.Trim(compact(t, fixture(t, "seed/1.json")), "[]"), "q_Z81LmN0", id, 1)
}

// P4, P5: what is good in a file is kept, what is bad is named with its place,
// and the file is to be deleted in any case.
func TestLoadKeepsWhatIsGood(t *testing.T) {
	t.Parallel()
	a, b := element(t, "a"), element(t, "b")
	column := func(line, text string) int { return 1 + strings.Index(line, text) }
	bad := strings.Replace(element(t, "bad"), `"risk":4`, `"risk":"high"`, 1)
	for _, tt := range []struct{ name, content, ids, want string }{
		{"nothing", "[]", "", ""},
		{"all good", "[\n" + a + ",\n" + b + "\n]\n", "a b", ""},
		{"P4", "[]xxxx", "", `1.json:1:3: not valid JSON: something follows the end of the JSON value; remove it`},
		{
			"P5", "[\n" + a + ",\n" + bad + ",\n" + b + "\n]\n", "a b",
			fmt.Sprintf(`1.json:3:%d: backlog number 2, risk: a number is required, not a string`, column(bad, `"high"`)),
		},
		{
			"same id twice", "[\n" + a + ",\n" + a + ",\n" + b + "]", "a b",
			`1.json:3:13: backlog number 2, alarm_id: backlog number 1 has the same id "a"; only the first is kept`,
		},
		{
			"first of the same id is bad", "[" + strings.Replace(a, `"risk":4`, `"risk":256`, 1) + ",\n" + a + "]", "a",
			fmt.Sprintf(`1.json:1:%d: backlog number 1, risk: 256 is not a whole number from 0 to 255`, column("["+a, `4,"risk_class"`)),
		},
		{"other elements", "[null, 7,\n" + a + ", []]", "a", strings.Join([]string{
			`1.json:1:2: backlog number 1: a backlog must be an object, not null`,
			`1.json:1:8: backlog number 2: a backlog must be an object, not a number`,
			fmt.Sprintf(`1.json:2:%d: backlog number 4: a backlog must be an object, not a list`, len(a)+3),
		}, "\n")},
		{
			"syntax error in the third", "[" + a + ",\n" + b + ",\n{\"alarm_id\":}]", "a b",
			`1.json:3:13: not valid JSON: a value is missing before the closing '}'`,
		},
		{
			"truncated", "[" + a + ",\n" + b[:column(b, `"risk"`)-1], "a",
			fmt.Sprintf(`1.json:2:%d: not valid JSON: the file ends, but the '{' of line 2 is not closed`, column(b, `"risk"`)),
		},
		{"empty", "", "", `1.json:1:1: the file is empty; the file must hold a list`},
		{"an object", a, "", `1.json:1:1: the file must hold a list, not an object`},
		{
			"not UTF-8", "[" + a + ",\n" + strings.Replace(b, "root", "r\xf6\xf6t", 1) + "]", "a",
			fmt.Sprintf(`1.json:2:%d: not valid JSON: the byte 0xf6 is not UTF-8; save the file as UTF-8`, 1+column(b, "root")),
		},
		{"zeros", "\x00\x00\x00\x00", "", `1.json:1:1: not valid JSON: the file is UTF-16; save it as UTF-8`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, "1.json", tt.content)
			all, loaded := collect(t, dir)
			var ids []string
			for i := range all {
				ids = append(ids, all[i].ID)
			}
			if got := strings.Join(ids, " "); got != tt.ids || loaded.Restored != len(ids) {
				t.Errorf("restored %d: %s", loaded.Restored, got)
			}
			if got := messages(loaded.Problems, dir); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			discarded := 0 // each is one line, as is what could not be read
			if tt.want != "" {
				discarded = 1 + strings.Count(tt.want, "\n")
			}
			if loaded.Discarded != discarded {
				t.Errorf("%d discarded, want %d", loaded.Discarded, discarded)
			}
			if diff := cmp.Diff([]string{filepath.Join(dir, "1.json")}, loaded.Files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// Every key that the seed writes for every backlog is required, and every value
// has its type and range.
func TestBadBacklogIsNamed(t *testing.T) {
	t.Parallel()
	good := element(t, "a")
	required := func(key, kind string) string { return key + ": the key is missing; " + kind + " is required" }
	for _, tt := range []struct{ old, new, want string }{
		{`"alarm_id":"a",`, ``, required("alarm_id", "a string")},
		{`"alarm_id":"a",`, `"alarm_id":"",`, `alarm_id: must not be empty`},
		{`"title":"Scan by SRC_IP",`, ``, required("title", "a string")},
		{`"title":"Scan by SRC_IP",`, `"title":null,`, `title: a string is required, not null`},
		{`"status":"Open",`, ``, required("status", "a string")},
		{`"tag":"Identified Threat",`, ``, required("tag", "a string")},
		{`"kingdom":"Recon & Probing",`, ``, required("kingdom", "a string")},
		{`"category":"Scan",`, ``, required("category", "a string")},
		{`"created_time":1795371300,`, ``, required("created_time", "a number")},
		{`"created_time":1795371300,`, `"created_time":1795371300000000000,`, `created_time: 1795371300000000000 is not a time in UNIX seconds`},
		{`"created_time":1795371300,`, `"created_time":1.5,`, `created_time: 1.5 is not a whole number`},
		{`"update_time":1795371364,`, ``, required("update_time", "a number")},
		{`"risk":4,`, ``, required("risk", "a number")},
		{`"risk":4,`, `"risk":-1,`, `risk: -1 is not a whole number from 0 to 255`},
		{`"risk_class":"Medium",`, ``, required("risk_class", "a string")},
		{`"Medium"`, `"medium"`, `risk_class: "medium" is not a risk class; use "Low", "Medium", "High", or "" for none`},
		{`"rules":[`, `"rule":[`, required("rules", "a list of objects")},
		{`"rules":[`, `"rules":[1,`, `rules: every element must be an object, not a number`},
		{`"src_ips":["10.0.0.1"],`, ``, required("src_ips", "a list of strings")},
		{`["10.0.0.1"]`, `["10.0.0.1",7]`, `src_ips: every element must be a string, not a number; write "7"`},
		{`["10.0.0.1"]`, `[7,"10.0.1"]`, `src_ips: every element must be a string, not a number; write "7"` + "\n" + `src_ips: "10.0.1" is not an IP address`},
		{`["10.0.0.2"]`, `["fe80::1%eth0"]`, `dst_ips: "fe80::1%eth0" has a zone, which no event carries; remove "%eth0"`},
		{`,"dst_ips":["10.0.0.2"]`, ``, required("dst_ips", "a list of strings")},
		{`"networks":["10.0.0.0/8"],`, ``, required("networks", "a list of strings")},
		{`"custom_data":[`, `"intel_hits":[{"provider":"P","term":"T"}],"custom_data":[`, required("intel_hits number 1, result", "a string")},
		{`"custom_data":[`, `"vulnerabilities":true,"custom_data":[`, `vulnerabilities: a list of objects is required, not true`},
		{`"label":"user",`, ``, required("custom_data number 1, label", "a string")},
		{`"saved_last_srcport":5`, `"saved_last_srcport":65536`, `saved_last_srcport: 65536 is not a whole number from 0 to 65535`},
		{`"saved_last_dstport":81`, `"saved_last_dstport":"81"`, `saved_last_dstport: a number is required, not a string; write 81`},
		{`"risk":4,`, `"risk":4,"risk":4,`, `the key "risk" is given twice, first on line 1; remove one`},

		{`"name":"hello",`, ``, required("rules number 1, name", "a string")},
		{`"stage":1,`, ``, required("rules number 1, stage", "a number")},
		{`"stage":1,`, `"stage":0,`, `rules number 1, stage: 0 is not a whole number from 1 to 255`},
		{`"stage":1,`, `"stage":256,`, `rules number 1, stage: 256 is not a whole number from 1 to 255`},
		{`"occurrence":1,"from":"ANY"`, `"from":"ANY"`, required("rules number 1, occurrence", "a number")},
		{`"from":"ANY",`, ``, required("rules number 1, from", "a string")},
		{`"to":"HOME_NET",`, ``, required("rules number 1, to", "a string")},
		{`"type":"TaxonomyRule",`, ``, required("rules number 3, type", "a string")},
		{`"port_from":"ANY",`, ``, required("rules number 1, port_from", "a string")},
		{`"port_to":"ANY",`, ``, required("rules number 1, port_to", "a string")},
		{`"protocol":"TCP",`, ``, required("rules number 1, protocol", "a string")},
		{`"reliability":6,`, ``, required("rules number 1, reliability", "a number")},
		{`"reliability":6,`, `"reliability":11,`, `rules number 1, reliability: 11 is not a whole number from 0 to 10`},
		{`"timeout":0,`, ``, required("rules number 1, timeout", "a number")},
		{`"timeout":0,`, `"timeout":4294967296,`, `rules number 1, timeout: 4294967296 is not a whole number from 0 to 4294967295`},
		{`"status":"finished"`, `"status":"done"`, `rules number 1, status: "done" is not the status of a rule; use "finished", "timeout", or "" for none yet`},
		{`"plugin_sid":[1]`, `"plugin_sid":1`, `rules number 1, plugin_sid: a list of numbers is required, not a number; write [1]`},
		{`"start_time":1795371363,`, `"start_time":"soon",`, `rules number 1, start_time: a number is required, not a string`},
		{`"saved_event_ids":["e1"]`, `"saved_event_ids":[1]`, `rules number 1, saved_event_ids: every element must be a string, not a number; write "1"`},
		{`"sdiff_int":[81]`, `"sdiff_int":[-1]`, `rules number 2, saved_sticky_diffdata, sdiff_int: -1 is not a whole number of at least 0`},
		{`{"sdiff_string":[],"sdiff_int":[81]}`, `[]`, `rules number 2, saved_sticky_diffdata: an object is required, not a list`},
		{`{"sdiff_string":[],`, `{"sdiff_int":[],`, `rules number 2, saved_sticky_diffdata: the key "sdiff_int" is given twice, first on line 1; remove one`},
	} {
		if !strings.Contains(good, tt.old) {
			t.Fatalf("%s is not in %s", tt.old, good)
		}
		dir := write(t, "1.json", "["+strings.Replace(good, tt.old, tt.new, 1)+"]")
		_, loaded := collect(t, dir)
		var got []string
		for i := range loaded.Problems {
			p := &loaded.Problems[i]
			if p.File != filepath.Join(dir, "1.json") || p.Line != 1 || p.Column < 2 {
				t.Errorf("%s: bad place %s", tt.new, p.Error())
			}
			_, msg, _ := strings.Cut(p.Error(), "backlog number 1")
			got = append(got, strings.TrimLeft(msg, ", :"))
		}
		if got := strings.Join(got, "\n"); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if loaded.Restored != 0 || loaded.Discarded != 1 {
			t.Errorf("%s: got %+v", tt.new, loaded)
		}
	}
}

// What other programs and versions leave out or add is no problem (§11.3).
func TestLoadFillsInWhatIsOptional(t *testing.T) {
	t.Parallel()
	good := element(t, "a")
	for _, tt := range []struct{ old, new string }{
		{`,"custom_data":[{"label":"user","content":"root"}]`, ``},
		{`"saved_last_srcport":5,`, ``},
		{`"plugin_id":1001,"plugin_sid":[1],`, ``},
		{`"start_time":1795371363,"end_time":1795371363,"status":"finished",`, `"status":"",`},
		{`"sdiff_string":[],`, ``},
		{`,"saved_event_ids":["e2"]`, ``},
		{`"risk":4,`, `"risk":4,"future":{"risk":[null]},"saved_src_socketaddr":["10.0.0.1:5","[2001:db8::1]:5"],`},
		{`["10.0.0.1"]`, `[]`},
		{`["10.0.0.1"]`, `["::ffff:10.0.0.1"]`},
	} {
		dir := write(t, "1.json", "["+strings.Replace(good, tt.old, tt.new, 1)+"]")
		if all, loaded := collect(t, dir); len(all) != 1 || len(loaded.Problems) > 0 {
			t.Errorf("%s: %s", tt.new, messages(loaded.Problems, dir))
		}
	}
}

func TestLoadUnmapsAddresses(t *testing.T) {
	t.Parallel()
	dir := write(t, "1.json", "["+strings.Replace(element(t, "a"), `["10.0.0.1"]`, `["::ffff:10.0.0.1"]`, 1)+"]")
	all, _ := collect(t, dir)
	if got := all[0].SrcIPs[0].String(); got != "10.0.0.1" {
		t.Errorf("got %s", got)
	}
}

func TestLoadTellsTheFirstProblemsOfAFile(t *testing.T) {
	t.Parallel()
	const first, elements = 100, 1001
	dir := write(t, "1.json", "["+strings.Repeat("{},\n", elements-1)+"{}")
	_, loaded := collect(t, dir)
	last := loaded.Problems[len(loaded.Problems)-2:]
	const keys = 14 // that each is missing
	want := fmt.Sprintf("1.json: %d more problems of this file are not shown\n", elements*keys-first) +
		"1.json:1001:3: not valid JSON: the file ends, but the '[' of line 1 is not closed"
	if got := messages(last, dir); got != want || len(loaded.Problems) != first+2 || loaded.Discarded != elements+1 {
		t.Errorf("%d problems, %d discarded, the last:\n%s\nwant\n%s", len(loaded.Problems), loaded.Discarded, got, want)
	}
}

func TestLoadWithoutFolder(t *testing.T) {
	t.Parallel()
	loaded, err := state.Load(filepath.Join(t.TempDir(), "none"), []uint64{1}, nil)
	if diff := cmp.Diff(&state.Loaded{}, loaded); err != nil || diff != "" {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
}

func TestLoadFromAFileFails(t *testing.T) {
	t.Parallel()
	dir := write(t, "backlogs", "")
	if _, err := state.Load(filepath.Join(dir, "backlogs"), []uint64{1}, nil); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v", err)
	}
}

// What is no file is neither read, which could wait for ever, nor deleted.
func TestLoadLeavesAloneWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := write(t, "4.json", "["+element(t, "a")+"]")
	if err := os.Mkdir(filepath.Join(dir, "1.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	testkit.Fifo(t, filepath.Join(dir, "2.json"))
	if err := os.Symlink("nowhere", filepath.Join(dir, "3.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("4.json", filepath.Join(dir, "5.json")); err != nil {
		t.Fatal(err)
	}
	loaded, err := state.Load(dir, []uint64{1, 2, 3, 5}, func(uint64, *alarm.Saved) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	const cannot = "the saved backlogs cannot be read and stay where they are: "
	want := strings.Join([]string{
		"1.json: " + cannot + "not a regular file",
		"2.json: " + cannot + "not a regular file",
		"3.json: " + cannot + "stat " + filepath.Join(dir, "3.json") + ": no such file or directory",
	}, "\n")
	if got := messages(loaded.Problems, dir); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "5.json")}, loaded.Files); diff != "" || loaded.Restored != 1 {
		t.Errorf("%d restored, files (-want +got):\n%s", loaded.Restored, diff)
	}
}

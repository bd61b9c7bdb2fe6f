package state_test

import (
	"bytes"
	"encoding/json"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/internal/state"
)

// exploit is an event for the last stage of scan_directives.json.
func exploit(id string, second int64) *event.Event {
	ev := anEvent(id, second, 0, 80)
	ev.PluginID, ev.Product, ev.Category = 0, "IDS", "Exploit"
	return ev
}

// steps gives events to an engine and compares what happened.
func steps(t *testing.T, e *correlate.Engine, want []string, events ...*event.Event) {
	t.Helper()
	for i, ev := range events {
		if got := step(e, ev); got != want[i] {
			t.Errorf("event %s: got %q, want %q", ev.ID, got, want[i])
		}
	}
}

func TestSavedFileHasTheSeedsKeysOrderAndIndentation(t *testing.T) {
	t.Parallel()
	e := newEngine(t, fixture(t, "scan_directives.json"))
	opener := anEvent("e1", 0, 1, 80)
	opener.CustomData[0], opener.CustomLabel[0] = "<root> & co", "user"
	step(e, opener)
	step(e, anEvent("e2", 1, 2, 81))
	other := anEvent("e3", 2, 1, 0)
	other.SrcIP = netip.MustParseAddr("2001:db8::1")
	step(e, other)

	dir := filepath.Join(t.TempDir(), "logs", "backlogs")
	if written := save(t, dir, e.Save()); written != (state.Written{Files: 1, Backlogs: 2}) {
		t.Errorf("got %+v", written)
	}
	if diff := cmp.Diff(map[string]string{"1.json": fixture(t, "golden/1.json")}, read(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFileOfTheSeedGoesOn(t *testing.T) {
	t.Parallel()
	e := newEngine(t, fixture(t, "scan_directives.json"))
	loadClean(t, filepath.Join("testdata", "seed"), e, 1)
	steps(
		t, e,
		[]string{"", "2[e4]", "2[e2]", "2[e5] 4/FF-"},
		anEvent("e3", 2, 2, 81), // a port that was seen before the restart
		anEvent("e4", 3, 3, 82),
		anEvent("e2", 4, 3, 83), // an id that was counted before the restart
		anEvent("e5", 5, 2, 84),
	)
	last := exploit("e6", 6)
	changes := e.Step(last.Seconds*1e9, last)
	if got := summary(changes); got != "3[e6] 8/FFF finished" {
		t.Fatalf("got %q", got)
	}
	line := published(t, changes).AppendJSON(nil)
	for _, want := range []string{
		`"alarm_id":"q_Z81LmN0"`, `"created_time":1795371300`, `"title":"Scan by 10.0.0.1"`,
		`"custom_data":[{"label":"user","content":"root"}]`,
	} {
		if !bytes.Contains(line, []byte(want)) {
			t.Errorf("%s is missing in %s", want, line)
		}
	}
	if bytes.Contains(line, []byte("saved_")) { // B24
		t.Errorf("the alarm shows saved state: %s", line)
	}
}

// §11.2: an older backend knows an event again only by the text of its id.
func TestIDsThatAreStillKnownAsTextAreSavedAsText(t *testing.T) {
	t.Parallel()
	directives := strings.Replace(fixture(t, "scan_directives.json"), `"occurrence": 3`, `"occurrence": 5`, 1)
	e := newEngine(t, directives)
	long := strings.Repeat("x", 5000)
	for _, ev := range []*event.Event{
		anEvent("opener", 0, 1, 80), // matches no later stage: nothing looks back to it
		anEvent("early", 1, 2, 81),
		anEvent(long, 12, 2, 82),
		anEvent(`late "1"`, 13, 2, 83),
	} {
		step(e, ev)
	}
	hash := func(id string) string { return event.HashID(id).String() }
	wantIDs := func(saved iter.Seq2[uint64, alarm.Saved], want ...string) {
		t.Helper()
		dir := t.TempDir()
		save(t, dir, saved)
		var file []struct {
			Rules []struct {
				IDs []string `json:"saved_event_ids"`
			} `json:"rules"`
		}
		if err := json.Unmarshal([]byte(read(t, dir)["1.json"]), &file); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, rule := range file[0].Rules {
			got = append(got, rule.IDs...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		again := newEngine(t, directives)
		loadClean(t, dir, again, 1)
		steps(
			t, again, []string{"2[early]", `2[late "1"]`, "2[new]", "2[newer] 4/FF-"}, // two more count
			anEvent("early", 14, 2, 84), anEvent(`late "1"`, 14, 2, 85), anEvent("new", 14, 2, 86), anEvent("newer", 14, 2, 87),
		)
	}
	wantIDs(e.Save(), hash("opener"), hash("early"), hash(long), `late "1"`)
	wantIDs(e.Snapshot().All(), hash("opener"), hash("early"), hash(long), hash(`late "1"`)) // as a checkpoint
}

func TestFileOfTheSeedIsSavedAsItWas(t *testing.T) {
	t.Parallel()
	e := newEngine(t, fixture(t, "scan_directives.json"))
	loadClean(t, filepath.Join("testdata", "seed"), e, 1)
	dir := t.TempDir()
	save(t, dir, e.Save())
	want := strings.NewReplacer(
		`"e1"`, `"`+event.HashID("e1").String()+`"`,
		`"e2"`, `"`+event.HashID("e2").String()+`"`,
		`"plugin_id": 0,`, `"plugin_id": 0,`+"\n        "+`"plugin_sid": [],`, // D5
		`"saved_last_dstport": 81`, `"saved_last_dstport": 81,`+"\n    "+`"saved_expanded_title": "Scan by 10.0.0.1"`,
	).Replace(fixture(t, "seed/1.json"))
	// The one key that the seed does not have.
	got := regexp.MustCompile(`,\n +"saved_origin": \[[^]]*\]`).ReplaceAllString(read(t, dir)["1.json"], "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// B21: the successor leaves references in its files.
func TestFileOfTheSuccessorGoesOnWhereItsReferencesAreClear(t *testing.T) {
	t.Parallel()
	e := newEngine(t, fixture(t, "scan_directives.json"))
	dir := filepath.Join("testdata", "successor")
	loaded := load(t, dir, e, 1)
	want := `1.json:109:3: backlog number 2: "nTwo_-123" cannot go on: ` +
		`stage 2 refers to ":1" in from, and the backlog has 2 addresses it could mean`
	if got := messages(loaded.Problems, dir); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if loaded.Restored != 1 || loaded.Discarded != 1 {
		t.Errorf("got %+v", loaded)
	}
	stranger := anEvent("e3", 2, 2, 82)
	stranger.SrcIP = netip.MustParseAddr("10.0.0.9")
	steps(
		t, e,
		[]string{"", "", "2[e4]", "2[e5] 4/FF-", "3[e6] 8/FFF finished"},
		stranger,
		anEvent("e3", 2, 2, 81), // a port that was seen before the restart
		anEvent("e4", 3, 3, 82),
		anEvent("e5", 5, 2, 84),
		exploit("e6", 6),
	)
}

// §11.5: the successor leaves references to custom data, too, and the labels of rules out.
func TestCustomDataThatAFileOfTheSuccessorRefersTo(t *testing.T) {
	t.Parallel()
	const name = `"name": "ports"`
	directives := strings.Replace(fixture(t, "scan_directives.json"), name, name+`, "custom_data1": ":1", "custom_label1": "user"`, 1)
	backlog := strings.ReplaceAll(fixture(t, "successor/1.json"), name, `"custom_data1": ":1", `+name)
	backlog = backlog[:strings.Index(backlog, "\n  },\n")] + "}]" // the first
	contents := regexp.MustCompile(`"custom_data": \[[^]]*\]`)
	const taken, not = "2[e4]", "" // an event of the user <root>, and one of another
	for _, tt := range []struct{ contents, problem, root, other string }{
		{contents: `{"label": "user", "content": "<Root>, !x"}`, root: taken, other: not},
		{contents: `{"label": "account", "content": "<root>, !x"}`, root: taken, other: not}, // the only one
		{
			contents: `{"label": "host", "content": "web"}, {"label": "user", "content": "<root>, !x"}, {"label": "user", "content": "<ROOT>, !x"}`,
			root:     taken, other: not,
		},
		{contents: ``, root: taken, other: taken}, // D18: no condition
		{
			contents: `{"label": "user", "content": "a"}, {"label": "user", "content": "b"}, {"label": "host", "content": "c"}`,
			problem:  `stage 2 refers to ":1" in custom_data1, and the backlog has 2 contents it could mean`,
		},
		{
			contents: `{"label": "account", "content": "a"}, {"label": "host", "content": "c"}`,
			problem:  `stage 2 refers to ":1" in custom_data1, and the backlog has 2 contents it could mean`,
		},
	} {
		for user, want := range map[string]string{"<root>, !x": tt.root, "root": tt.other} {
			dir := write(t, "1.json", contents.ReplaceAllString(backlog, `"custom_data": [`+tt.contents+`]`))
			e := newEngine(t, directives)
			loaded := load(t, dir, e, 1)
			if tt.problem != "" {
				if got := messages(loaded.Problems, dir); got != `1.json:2:3: backlog number 1: "nOne_-123" cannot go on: `+tt.problem {
					t.Errorf("%s: got %s", tt.contents, got)
				}
				continue
			}
			if loaded.Restored != 1 || loaded.Discarded != 0 {
				t.Fatalf("%s: got %+v", tt.contents, loaded)
			}
			ev := anEvent("e4", 2, 2, 82)
			ev.CustomData[0], ev.CustomLabel[0] = user, "user"
			if got := step(e, ev); got != want {
				t.Errorf("%s: an event of %q: got %q, want %q", tt.contents, user, got, want)
			}
		}
	}
}

// P11: created_time is set when the alarm is first published, here after the
// restart.
func TestBacklogWithoutRiskGoesOn(t *testing.T) {
	t.Parallel()
	directives := strings.Replace(fixture(t, "scan_directives.json"), `"reliability": 6`, `"reliability": 0`, 1)
	first := newEngine(t, directives)
	if got := step(first, anEvent("e1", 0, 1, 80)); got != "opened 1[e1]" {
		t.Fatalf("got %q", got)
	}
	dir := t.TempDir()
	save(t, dir, first.Save())
	content := read(t, dir)["1.json"]
	for _, want := range []string{"\n    \"created_time\": 0,\n", "\n    \"risk\": 0,\n    \"risk_class\": \"\",\n"} {
		if !strings.Contains(content, want) {
			t.Errorf("%s is missing in %s", want, content)
		}
	}
	second := newEngine(t, directives)
	loadClean(t, dir, second, 1)
	step(second, anEvent("e2", 7, 2, 81))
	step(second, anEvent("e3", 8, 2, 82))
	last := anEvent("e4", 9, 2, 83)
	changes := second.Step(last.Seconds*1e9, last)
	if got := summary(changes); got != "2[e4] 4/FF-" {
		t.Fatalf("got %q", got)
	}
	if created := published(t, changes).Created; created != last.Seconds {
		t.Errorf("created_time is %d", created)
	}
}

// P2, P7: what the engine refuses is discarded alone, with the engine's reason.
func TestRefusedBacklogIsNamed(t *testing.T) {
	t.Parallel()
	good := fixture(t, "seed/1.json")
	for _, tt := range []struct{ old, new, want string }{
		{`"Scan by SRC_IP"`, `"Scan of old"`, `the directive has another name now: "Scan by SRC_IP", not "Scan of old"`},
		{
			`"timeout": 600`, `"timeout": 600, "status": "timeout"`,
			"every rule has a status, so no stage is left to wait for",
		},
		{`"to": "10.0.0.2"`, `"to": "10.0.0"`, `stage 2: "10.0.0" is not an address to compare with`},
		{`"PluginRule"`, `"pluginrule"`, `stage 1: type: "pluginrule" is not a rule type`},
		{`"DST_PORT"`, `"DST"`, `stage 2: sticky_different: "DST" is not a field`},
		{`"10.0.0.1",`, `":3",`, `stage 2: ":3" is not an address to compare with`},
		{`"port_to": "ANY"`, `"port_to": ":1"`, `stage 2 refers to ":1" in port_to, whose value the file does not tell`},
	} {
		dir := write(t, "1.json", strings.ReplaceAll(good, tt.old, tt.new))
		e := newEngine(t, fixture(t, "scan_directives.json"))
		loaded := load(t, dir, e, 1)
		want := `1.json:2:3: backlog number 1: "q_Z81LmN0" cannot go on: ` + tt.want
		if got := messages(loaded.Problems, dir); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if loaded.Restored != 0 || loaded.Discarded != 1 || e.Stats().Live != 0 {
			t.Errorf("%s: got %+v, %d live", tt.new, loaded, e.Stats().Live)
		}
	}
}

// P9, B44: files stay until the caller says that the start succeeded.
func TestFilesStayUntilTheyAreDiscarded(t *testing.T) {
	t.Parallel()
	dir := write(t,
		"1.json", fixture(t, "seed/1.json"),
		"2.json", "[]xxxx",
		"3.json", "[]",
		"01.json", "[]",
		".1.json4711", "[",
		".3.json4711", "[",
		".1.json", "[",
		"notes.txt", "",
	)
	before := read(t, dir)
	loaded := load(t, dir, newEngine(t, fixture(t, "scan_directives.json")), 4, 2, 1)
	if diff := cmp.Diff(before, read(t, dir)); diff != "" {
		t.Errorf("Load changed files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"3.json"}, loaded.Ignored); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
	if err := state.Discard(loaded.Files); err != nil {
		t.Error(err)
	}
	want := map[string]string{"3.json": "[]", ".3.json4711": "[", ".1.json": "[", "01.json": "[]", "notes.txt": ""}
	if diff := cmp.Diff(want, read(t, dir)); diff != "" {
		t.Errorf("after Discard (-want +got):\n%s", diff)
	}
	if err := state.Discard(loaded.Files); err != nil {
		t.Errorf("files that are gone: %v", err)
	}
}

func TestDiscardNamesWhatItCannotDelete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full := filepath.Join(dir, "1.json")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "2.json")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := state.Discard([]string{full, other}); err == nil || !strings.Contains(err.Error(), full) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(other); err == nil {
		t.Error("the file behind one that cannot be deleted is still there")
	}
}

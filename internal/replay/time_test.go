package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"dsiem/internal/correlate"
	"dsiem/test/testkit"
)

// The scenarios of docs/spec/correlation.md §15 that a replay decides by itself: what
// time its events are taken for, and in which order they are played.

// loginConfig has a directive for failed logins and a success after them. One failure
// is no alarm.
func loginConfig() fstest.MapFS {
	return fstest.MapFS{
		"assets_lan.json": {Data: []byte(`{"assets": [{"name": "lan", "cidr": "10.0.0.0/8", "value": 3}]}`)},
		"directives_login.json": {Data: []byte(`{"directives": [{
			"id": 1, "name": "brute force of SRC_IP", "priority": 5, "kingdom": "k", "category": "c",
			"rules": [
				{"stage": 1, "name": "one", "type": "PluginRule", "plugin_id": 1, "plugin_sid": [1], "occurrence": 1,
				 "from": "ANY", "to": "ANY", "reliability": 1, "timeout": 0},
				{"stage": 2, "name": "many", "type": "PluginRule", "plugin_id": 1, "plugin_sid": [1], "occurrence": 30,
				 "from": ":1", "to": ":1", "reliability": 6, "timeout": 600},
				{"stage": 3, "name": "success", "type": "PluginRule", "plugin_id": 1, "plugin_sid": [2], "occurrence": 1,
				 "from": ":1", "to": ":1", "reliability": 10, "timeout": 600}
			]}]}`)},
	}
}

// login returns a failed login, or one that succeeds, as text.
func login(id, at string, sid int, source string) string {
	return fmt.Sprintf(`{"event_id":%q,"timestamp":%q,"plugin_id":1,"plugin_sid":%d,"src_ip":%q,"dst_ip":"10.0.0.1"}`+"\n", id, at, sid, source)
}

// morning is when the logins begin.
var morning = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)

func at(d time.Duration) string { return morning.Add(d).Format(time.RFC3339Nano) }

// bruteForce returns 40 failures and a success, a second apart.
func bruteForce(source string, start time.Duration) (lines []string) {
	for i := range 40 {
		lines = append(lines, login(fmt.Sprint(source, "-", i), at(start+time.Duration(i)*time.Second), 1, source))
	}
	return append(lines, login(source+"-in", at(start+40*time.Second), 2, source))
}

// given is an input by name.
type given struct{ name, text string }

// replayFiles replays files and returns the directory of the output, and the summary.
func replayFiles(t testing.TB, change func(*Options), files ...given) (out string, s *Summary) {
	t.Helper()
	dir := t.TempDir()
	o := &Options{Config: loginConfig(), Out: filepath.Join(dir, "out"), Diagnostics: io.Discard}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		testkit.Check(t, os.WriteFile(path, []byte(f.text), 0o600))
		o.Inputs = append(o.Inputs, path)
	}
	if change != nil {
		change(o)
	}
	s, err := Run(t.Context(), o)
	testkit.Check(t, err)
	return o.Out, s
}

// found returns the last lines of all alarms as a set: title, risk and the state of
// the rules, without what tells when.
func found(t testing.TB, out string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, "siem_alarms.json"))
	testkit.Check(t, err)
	last := map[string]string{}
	for line := range strings.Lines(string(text)) {
		var a struct {
			ID    string `json:"alarm_id"`
			Title string
			Risk  int
			Rules []struct {
				Stage  int
				Status string
			}
		}
		testkit.Check(t, json.Unmarshal([]byte(line), &a))
		last[a.ID] = fmt.Sprint(a.Title, " ", a.Risk, " ", a.Rules)
	}
	all := []string{}
	for _, one := range last {
		all = append(all, one)
	}
	slices.Sort(all)
	return all
}

const bruteForceFound = "brute force of 192.0.2.7 6 [{1 finished} {2 finished} {3 finished}]"

// An opener that is dated ten years ahead, also as the first record of all: the
// alarms are those of the events without it.
func TestForgedOpener(t *testing.T) {
	t.Parallel()
	attack := bruteForce("192.0.2.7", 0)
	without, _ := replayFiles(t, nil, given{"ev", strings.Join(attack, "")})
	want := found(t, without)
	testkit.Equal(t, want, []string{bruteForceFound})
	for _, forged := range []string{at(10 * 365 * 24 * time.Hour), at(7 * time.Hour), "2262-04-11T23:47:16.854775807Z"} {
		for _, place := range []int{0, 1, 20} {
			opener := login("forged", forged, 1, "192.0.2.7")
			out, s := replayFiles(t, nil, given{"ev", strings.Join(slices.Insert(slices.Clone(attack), place, opener), "")})
			testkit.Equal(t, found(t, out), want)
			if s.Events.Future != 1 || len(s.Future) != 1 || s.Future[0].Line != place+1 || !strings.HasSuffix(s.Future[0].File, "/ev") || s.Future[0].Ahead < 3600 {
				t.Errorf("%s at line %d: %d are counted, named %+v", forged, place+1, s.Events.Future, s.Future)
			}
		}
	}
}

// A sensor whose clock is ahead reports an attack among the events of others.
func TestSensorAhead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		by     time.Duration
		future int
	}{
		{3 * time.Second, 0}, {time.Minute, 0}, {7 * time.Hour, 41},
	} {
		ahead := bruteForce("192.0.2.7", test.by)
		var text strings.Builder
		for i := range 41 {
			for k := range 2 { // others
				text.WriteString(login(fmt.Sprint("o", i, k), at(time.Duration(i)*time.Second), 9, "192.0.2.8"))
			}
			text.WriteString(ahead[i])
		}
		text.WriteString(login("end", at(time.Minute), 9, "192.0.2.8"))
		out, s := replayFiles(t, nil, given{"ev", text.String()})
		testkit.Equal(t, found(t, out), []string{bruteForceFound})
		testkit.Equal(t, s.Events.Future, test.future)
	}
}

// One record with the time of another age, of another host and of no directive,
// changes nothing: not a byte of the files, wherever it stands but at the very end,
// where nothing tells that it is wrong.
func TestOneWrongTimeChangesNothing(t *testing.T) {
	t.Parallel()
	attacks := slices.Concat(bruteForce("192.0.2.7", 0), bruteForce("192.0.2.9", 50*time.Second)[:20])
	out, s := replayFiles(t, nil, given{"ev", strings.Join(attacks, "")})
	want := contents(t, out)
	testkit.Equal(t, s.Backlogs, BacklogCounts{Opened: 3, Finished: 1, Live: 2})
	rapid.Check(t, func(rt *rapid.T) {
		wrong := rapid.SampledFrom([]string{
			at(7 * time.Hour), at(3650 * 24 * time.Hour), at(-3650 * 24 * time.Hour), "1970-01-01T00:00:00Z", "2262-04-11T23:47:16Z",
			"9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", // which are refused
		}).Draw(rt, "time")
		place := rapid.IntRange(0, len(attacks)-1).Draw(rt, "place")
		text := strings.Join(slices.Insert(slices.Clone(attacks), place, login("wrong", wrong, 9, "203.0.113.5")), "")
		out, s := replayFiles(t, func(o *Options) { o.Sort = rapid.Bool().Draw(rt, "sort") }, given{"ev", text})
		if contents(t, out) != want || s.Backlogs.Expired > 0 {
			rt.Errorf("%s before line %d changes the files: %+v", wrong, place+1, s.Backlogs)
		}
	})
}

// A gap of three days is real: what was live before it has ended, also if some
// stragglers of before it come later.
func TestRealGap(t *testing.T) {
	t.Parallel()
	const days = 72 * time.Hour
	before, after := bruteForce("192.0.2.7", 0)[:20], bruteForce("192.0.2.9", days)
	straggler := login("straggler", at(30*time.Second), 9, "192.0.2.8")
	for name, text := range map[string][]string{
		"without stragglers": slices.Concat(before, after),
		"with stragglers":    slices.Concat(before, after[:5], []string{straggler, straggler}, after[5:20], []string{straggler}, after[20:]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, s := replayFiles(t, nil, given{"ev", strings.Join(text, "")})
			testkit.Equal(t, found(t, out), []string{strings.Replace(bruteForceFound, ".7", ".9", 1)})
			testkit.Equal(t, s.Events.Future, 0)
			testkit.Equal(t, s.Unfinished, []Unfinished{
				{Directive: 1, Stage: 2, Why: timedOut, Backlogs: 1, Least: 19, Most: 19, Wanted: 30},
				{Directive: 1, Stage: 2, Why: live, Backlogs: 1, Least: 8, Most: 8, Wanted: 30}, // failures that were more than enough
			})
		})
	}
}

// Two sensors write two files: in both orders, and named by a pattern, they give the
// files that all events in one sorted file give. Ties are in the order of names.
func TestTwoSensors(t *testing.T) {
	t.Parallel()
	attack := bruteForce("192.0.2.7", 0)
	var a, b []string
	for i, one := range attack { // neither has seen enough
		if i%2 == 0 {
			a = append(a, one)
		} else {
			b = append(b, one)
		}
	}
	tie := []string{login("a-tie", at(41*time.Second), 1, "192.0.2.9"), login("b-tie", at(41*time.Second), 1, "192.0.2.9")}
	a, b = append(a, tie[0]), append(b, tie[1])
	one, _ := replayFiles(t, nil, given{"all", strings.Join(slices.Concat(attack, tie), "")})
	want := contents(t, one)
	first, second := given{"a.log", strings.Join(a, "")}, given{"b.log", strings.Join(b, "")}
	for name, files := range map[string][]given{"in order": {first, second}, "the other way round": {second, first}} {
		out, s := replayFiles(t, nil, files...)
		testkit.Equal(t, contents(t, out), want)
		testkit.Equal(t, s.Events.Offered, len(attack)+2)
		_ = name
	}
	// Rotated files, of which a pattern names the newest first.
	rotated := []given{
		{"eve.json", strings.Join(attack[30:], "")}, {"eve.json.1", strings.Join(attack[10:30], "")}, {"eve.json.2", strings.Join(attack[:10], "")},
	}
	one, _ = replayFiles(t, nil, given{"all", strings.Join(attack, "")})
	out, _ := replayFiles(t, nil, rotated...)
	testkit.Equal(t, contents(t, out), contents(t, one))
}

// Any files in any order give the same bytes, as long as their names differ.
func TestOrderOfFilesDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var files []given
		for i := range rapid.IntRange(2, 5).Draw(rt, "files") {
			var text strings.Builder
			for k := range rapid.IntRange(0, 40).Draw(rt, "events") {
				seconds := time.Duration(rapid.IntRange(0, 8000).Draw(rt, "at")) * time.Second
				id := rapid.SampledFrom([]string{"", fmt.Sprint(i, "-", k), fmt.Sprint(k)}).Draw(rt, "id")
				text.WriteString(login(id, at(seconds), rapid.IntRange(1, 2).Draw(rt, "sid"), "192.0.2.7"))
			}
			files = append(files, given{fmt.Sprint("f", i), text.String()})
		}
		sort := rapid.Bool().Draw(rt, "sort")
		change := func(o *Options) { o.Sort = sort }
		one, _ := replayFiles(t, change, files...)
		other, _ := replayFiles(t, func(o *Options) {
			change(o)
			o.sortMemory, o.BatchSize, o.Shards, o.mostKept = 1000, 7, 3, 1
		}, rapid.Permutation(files).Draw(rt, "permutation")...)
		if contents(t, one) != contents(t, other) {
			rt.Error("the files differ")
		}
	})
}

// Forty failures without ids are forty. A file that is given twice is the same events
// again.
func TestEventsWithoutID(t *testing.T) {
	t.Parallel()
	attack := strings.Join(bruteForce("192.0.2.7", 0), "")
	var without strings.Builder
	for one := range strings.Lines(attack) {
		_, rest, _ := strings.Cut(one, ",")
		without.WriteString("{" + rest)
	}
	file := given{"ev", without.String()}
	once, s := replayFiles(t, nil, file)
	testkit.Equal(t, found(t, once), []string{bruteForceFound})
	testkit.Equal(t, s.Events.WithoutID, 41)
	again, _ := replayFiles(t, nil, file)
	testkit.Equal(t, contents(t, again), contents(t, once))

	few := given{"few", strings.Join(strings.SplitAfter(without.String(), "\n")[:20], "")}
	// Twenty, given twice, are not enough; under another name they are others.
	for second, stage := range map[string]int{"few": 2, "more": 3} {
		_, s := replayFiles(t, nil, few, given{second, few.text})
		testkit.Equal(t, s.Events.WithoutID, 40)
		if !slices.ContainsFunc(s.Unfinished, func(u Unfinished) bool { return u.Stage == stage }) || stage == 2 && len(s.Unfinished) != 1 {
			t.Errorf("few and %s: %+v, want stage %d", second, s.Unfinished, stage)
		}
	}
}

// Nothing comes of it, and the summary says why.
func TestNoAlarms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(fstest.MapFS)
		text   string
		want   []string
	}{
		"nothing to read": {nil, "", []string{}},
		"nobody wants it": {nil, login("e", at(0), 9, "192.0.2.7"), []string{"no event matched a directive"}},
		"no event":        {nil, "nonsense\n", []string{"no event was offered to a directive"}},
		"no asset": {
			func(c fstest.MapFS) {
				c["assets_lan.json"] = &fstest.MapFile{Data: []byte(`{"assets": [{"name": "x", "cidr": "172.16.0.0/12", "value": 3}]}`)}
			},
			strings.Join(bruteForce("192.0.2.7", 0), ""),
			[]string{"4 stages completed with risk 0: no asset with a value covers 192.0.2.7 or 10.0.0.1 (directive 1, stage 1)"},
		},
		"a risk below 1": {
			func(c fstest.MapFS) {
				text := strings.Replace(string(c["directives_login.json"].Data), `"priority": 5`, `"priority": 1`, 1)
				c["directives_login.json"] = &fstest.MapFile{Data: []byte(text)}
			},
			login("e", at(0), 1, "192.0.2.7"),
			[]string{"1 stage completed with risk 0: priority 1 × reliability 1 × asset value 3 / 25 is below 1 (directive 1, stage 1)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := loginConfig()
			if test.change != nil {
				test.change(config)
			}
			_, s := replayFiles(t, func(o *Options) { o.Config = config }, given{"ev", test.text})
			testkit.Equal(t, s.NoAlarms, test.want)
		})
	}
	// As it may be with saved backlogs.
	testkit.Equal(t, new(riskless).reasons(&EventCounts{Read: 1, Offered: 1, Matched: 1}, 0), []string{"no stage was completed"})
}

// A log with the newest first is no good without --sort, which the summary says. With
// it, and with jumps as long as the log, it gives what the oldest first gives.
func TestNewestFirst(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 24 {
		lines = append(lines, bruteForce(fmt.Sprint("192.0.2.", i), time.Duration(i)*2*time.Hour)...)
	}
	want, _ := replayFiles(t, nil, given{"ev", strings.Join(lines, "")})
	slices.Reverse(lines)
	file := given{"ev", strings.Join(lines, "")}
	_, s := replayFiles(t, nil, file)
	if len(s.Advice) != 1 || !strings.Contains(s.Advice[0], "newest first") {
		t.Errorf("the advice is %q", s.Advice)
	}
	out, s := replayFiles(t, func(o *Options) { o.Sort, o.MaxJump = true, 1000*time.Hour }, file)
	testkit.Equal(t, contents(t, out), contents(t, want))
	testkit.Equal(t, s.Advice, []string{})

	// Within the longest jump it is just out of order.
	short := bruteForce("192.0.2.7", 0)
	want, _ = replayFiles(t, nil, given{"ev", strings.Join(short, "")})
	for i := range 60 * 2 {
		short = append(short, login(fmt.Sprint("x", i), at(time.Duration(40+i)*time.Second), 9, "192.0.2.8"))
	}
	slices.Reverse(short)
	_, s = replayFiles(t, nil, given{"ev", strings.Join(short, "")})
	if len(s.Advice) != 1 || !strings.HasSuffix(s.Advice[0], "try --sort") {
		t.Errorf("the advice is %q", s.Advice)
	}
	out, _ = replayFiles(t, func(o *Options) { o.Sort = true }, given{"ev", strings.Join(short, "")})
	testkit.Equal(t, contents(t, out), contents(t, want))
}

// The advice to sort is about records that are older than the clock by more than the
// look-back of this replay (D30.3), whatever that is.
func TestAdviceFollowsTheLookBack(t *testing.T) {
	t.Parallel()
	const sort = "10 events are more than %d seconds older than one before them: try --sort"
	for _, test := range []struct {
		lookBack int64
		disorder time.Duration
		want     []string
	}{
		{0, 60 * time.Second, []string{}},
		{0, 61 * time.Second, []string{fmt.Sprintf(sort, 60)}},
		{300, 300 * time.Second, []string{}},
		{300, 301 * time.Second, []string{fmt.Sprintf(sort, 300)}},
		{10, 10 * time.Second, []string{}},
		{10, 30 * time.Second, []string{fmt.Sprintf(sort, 10)}},
		{1, 30 * time.Second, []string{"10 events are more than 1 second older than one before them: try --sort"}},
		{correlate.Off, 0, []string{}},
		{correlate.Off, time.Nanosecond, []string{"10 events are older than one before them: try --sort"}},
	} {
		t.Run(fmt.Sprint(test.lookBack, " ", test.disorder), func(t *testing.T) {
			t.Parallel()
			var lines strings.Builder
			for i := range 100 {
				when := time.Hour + time.Duration(i/10*10)*time.Second
				if i%10 == 9 {
					when -= test.disorder
				}
				lines.WriteString(login(fmt.Sprint("e", i), at(when), 1, "192.0.2.7"))
			}
			_, s := replayFiles(t, func(o *Options) { o.Engine.LookBack = test.lookBack }, given{"ev", lines.String()})
			testkit.Equal(t, s.Advice, test.want)
			if s.Events.Lagging != 10*len(test.want) {
				t.Errorf("%d events lag", s.Events.Lagging)
			}
		})
	}
}

// A temporary file that cannot be made ends the replay.
func TestNoRoomToSort(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "nowhere"))
	o := &Options{
		Config: loginConfig(), Out: t.TempDir(), Diagnostics: io.Discard, Sort: true, sortMemory: 1,
		Inputs: []string{"-"}, Stdin: strings.NewReader(strings.Join(bruteForce("192.0.2.7", 0), "")),
	}
	s, err := Run(t.Context(), o)
	if err == nil || !strings.HasPrefix(err.Error(), "a temporary file: ") || s.Events.Offered != 0 {
		t.Errorf("%v, %+v", err, s.Events)
	}
}

// What cannot be read ends the replay at its place in the order of time: what comes
// before it is written, of all files, and nothing after it.
func TestBrokenFileAmongOthers(t *testing.T) {
	t.Parallel()
	var cut bytes.Buffer // a gzip file without its end
	zip := gzip.NewWriter(&cut)
	_, err := zip.Write([]byte(login("b", at(10*time.Second), 1, "192.0.2.7")))
	testkit.Check(t, errors.Join(err, zip.Flush()))
	broken := cut.String()
	whole := login("a", at(0), 1, "192.0.2.8") + login("c", at(20*time.Second), 1, "192.0.2.9")
	for _, sort := range []bool{false, true} {
		dir := t.TempDir()
		o := &Options{
			Config: loginConfig(), Out: filepath.Join(dir, "out"), Diagnostics: io.Discard, Sort: sort,
			Inputs: []string{filepath.Join(dir, "broken"), "-", filepath.Join(dir, "nowhere"), "-"}, Stdin: strings.NewReader(whole),
		}
		testkit.WriteFile(t, o.Inputs[0], broken)
		s, err := Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "broken: ") {
			t.Errorf("the error is %v", err)
		}
		testkit.Equal(t, s.Events, EventCounts{Read: 2, Offered: 2, Matched: 2})
		if text := contents(t, o.Out); strings.Count(text, "\n") != 2 || strings.Contains(text, `"c"`) {
			t.Errorf("written is\n%s", text)
		}
	}
}

// Nothing is left of what was sorted on the disk.
func TestTemporaryFileIsRemoved(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	text := strings.Join(bruteForce("192.0.2.7", 0), "")
	inMemory, _ := replayFiles(t, func(o *Options) { o.Sort = true }, given{"ev", text})
	onDisk, _ := replayFiles(t, func(o *Options) { o.Sort, o.sortMemory = true, 1000 }, given{"ev", text})
	testkit.Equal(t, contents(t, onDisk), contents(t, inMemory))
	left, err := os.ReadDir(dir)
	testkit.Check(t, err)
	if slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "dsiem-replay-") }) {
		t.Errorf("left is %v", left)
	}
}

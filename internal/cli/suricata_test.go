package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dsiem/internal/cli"

	"github.com/google/go-cmp/cmp"
)

// The two files hold real alerts, one for each signature that fired, ordered by
// signature id and so not by time. The predictions below were made from the
// files alone, like this:
//
//	jq -r 'to_entries[] | [.key, .value.timestamp, .value.src_ip, .value.src_port,
//	  .value.dest_ip, .value.alert.signature_id, .value.alert.category] | @tsv' FILE
//
// Numbers like #24 are places in the file, counted from 0. A signature occurs once
// in a file, so that its id names the event. Stage time-outs are longer than the
// time between the first and the last alert, so that nothing expires although the
// clock jumps (D14): what does not happen, does not happen because of the order.
//
// A story is one backlog: the events of each stage in the order they were
// accepted, then its alarm lines, each with its risk and F for every finished
// stage.

// firstOrgStories predicts the alarms of testdata/suricata/first-org.
//
// The web server, 192.168.0.2, has value 5, the other hosts have 2.
func firstOrgStories() []string {
	return []string{
		// 105: r1 is #2 (02:18:37), r2 is #4 (02:14:59) of the same source. #4 comes
		// while the backlog waits for it, but it is older than the end of stage 1: it is
		// swallowed (D2). Risk of stage 1: 4×1×5/25 = 0, so there is no alarm at all.
		"1[2001743]",
		// 103: r1 is #4 from 54.235.163.229. r2 wants four source ports: #29 has 47661 (1),
		// #35 48691 (2), #53 and #54 belong to the connection of #29 (swallowed), #60 47472
		// (3), #63 47121 (4). #60 and #63 are older than #35, which does not matter: they
		// are not older than stage 1. r3 is #76, 02:25:49. Risks: 4×1×5/25 = 0, then
		// 4×5×5/25 = 4, then 4×10×5/25 = 8.
		"Sticky source port: 1[2002664] 2[2011768 2013001 2017436 2018056] 3[2019804] | 4/FF- 8/FFF",
		// 106: r1 is #4, r2 is #2. In time they are in this order, but in the file #2 comes
		// first, when there is no backlog. Risk 0, no alarm. See TestSuricataInOrder.
		"1[2002664]",
		// 102: r1 is #13 of 67.207.202.9. #14, #15 and #24 of the same source are not of
		// stage 2, and go to stage 1 although they are older; each gives an alarm line of
		// the same risk, 3×3×5/25 = 1. #31 (02:12:19, after #13 at 02:11:37) completes
		// stage 2: 3×8×5/25 = 4.
		"Always active: 1[2009362 2009714 2009715 2011141] 2[2012230] | 1/F- 1/F- 1/F- 1/F- 4/FF",
		// 101: r1 is #24 of 67.207.202.9. #25 and #26 are signatures of r2, but of another
		// source. #31 is of the same: 3×2×5/25 = 1, then 3×10×5/25 = 6.
		"Joined by source: 1[2011141] 2[2012230] | 1/F- 6/FF",
		// 102 again: #25 is of 95.199.31.163, whom the first backlog does not take (§5.3.1).
		// #26 is of the same source and goes to stage 1.
		"Always active: 1[2011142 2011143] | 1/F- 1/F-",
		// 104, host 192.168.0.54: opened by #27 (March 17). #44 (March 13) and #45 (March 16)
		// are swallowed, #48 (March 19) counts. 5×3×2/25 = 1. One is missing at the end.
		"Taxonomy by category: 1[2011227] 2[2016097] | 1/F-",
		// 104, host 192.168.0.53: opened by #62 (April 7, 21:27). #65, #79 and #84 (that
		// morning) are swallowed, #83 (April 8) and #88 (April 13) complete it: 5×8×2/25 = 3.
		// The trojans of #2, #16, #53-#58, #63, #76, #80-#82 and #89 have a source outside.
		"Taxonomy by category: 1[2017694] 2[2021251 2025019] | 1/F- 3/FF",
	}
}

// wrccdcStories predicts the alarms of testdata/suricata/wrccdc.
func wrccdcStories() []string {
	return []string{
		// 203: r1 is #62 (14:02:50), r2 #73 (14:02:34) of the same addresses: swallowed (D2).
		// 5×1×3/25 = 0.
		"1[2019232]",
		// 201: r1 is #108, 10.128.0.201 → 10.47.3.10 (value 5). #110, #111, #113 and #115 are
		// of the same addresses; #112 and #114 are of 10.128.0.236. 5×3×5/25 = 3, 5×10×5/25 = 10.
		"PowerShell after a scheduled job: 1[2025713] 2[2025719 2025720 2025722 2025724] | 3/F- 10/FF",
		// 202: all of #155-#206, by destination; 3×2×3/25 = 0, so there is no line for
		// stage 1, and 3×9×3/25 = 3. Events that complete a backlog end it, and the next one
		// opens another.
		//
		// 10.47.44.10: #155 18:00:51 opens; #157, the same second, counts: the first event is
		// not in the store of stage 2 (§4). #172 16:04:39 and #181 16:04:34 are swallowed. #175
		// 18:00:55, #189 18:00:55 complete it.
		"Four Tor relays: 1[2520098] 2[2522098 2522508 2522958] | 3/FF",
		// 10.47.24.170: #156, #158 the same second.
		"1[2520132] 2[2522132]",
		// 10.47.23.81: #159 18:30:30, #165 18:30:39, #167 18:31:44, #183 18:37:47; not #166
		// 18:30:28, #177 18:30:28.
		"Four Tor relays: 1[2522180] 2[2522296 2522358 2522576] | 3/FF",
		// 10.47.44.68: #160 15:36:45, #163 16:17:56, #170 16:17:56, #184 16:17:55; not #161 and
		// #162 15:36:42.
		"Four Tor relays: 1[2522228] 2[2522280 2522444 2522670] | 3/FF",
		// 10.47.43.10: #164 15:57:48, #174 17:10:30, #180 17:10:27, #185 17:00:49.
		"Four Tor relays: 1[2522284] 2[2522498 2522544 2522674] | 3/FF",
		// 10.47.24.25: #168 18:40:11; not #187 18:40:08.
		"1[2522392]",
		// 10.47.46.10: #169 18:02:21, #186 18:02:27.
		"1[2522442] 2[2522676]",
		// 10.47.24.80: #171 16:00:25, #179 16:00:25, #190 16:14:33, #205 16:00:28.
		"Four Tor relays: 1[2522450] 2[2522540 2522968 2523276] | 3/FF",
		// 10.47.21.81: #173 18:36:36, #193 18:36:43.
		"1[2522480] 2[2523000]",
		// 10.47.21.82: #176 18:32:16, #188 and #204 18:32:23.
		"1[2522514] 2[2522864 2523266]",
		// 10.47.24.82: #178. 10.47.2.155: #182.
		"1[2522536]",
		"1[2522568]",
		// 10.47.44.68 again: #191 16:17:55; not #197 15:36:45, nor #198 16:17:51.
		"1[2522984]",
		// 10.47.43.10 again: #192 17:00:49, #195 17:10:30, #199 17:10:31, #203 17:00:49; not
		// #200 15:57:44, nor #201 15:57:48.
		"Four Tor relays: 1[2522992] 2[2523016 2523220 2523264] | 3/FF",
		// 10.47.23.81 again: #194. 10.47.8.151: #196.
		"1[2523006]",
		"1[2523104]",
		// 10.47.44.10 again: #202 16:04:39, #206 16:09:18.
		"1[2523260] 2[2523330]",
	}
}

// predictedSummary is what a summary says of correlation.
type predictedSummary struct {
	Events struct {
		Read, Rejected, Skipped, Offered, Matched int
		Repeated                                  uint64
		OutOfOrder                                uint64 `json:"out_of_order"`
		Known                                     uint64
	}
	Backlogs struct{ Opened, Finished, Expired, Live int }
	Alarms   struct{ High, Medium, Low int }
	Lines    struct {
		Alarms      int
		AlarmEvents int `json:"alarm_events"`
	}
}

func TestSuricata(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file, config string
		stories      []string
		summary      string
	}{
		{
			file: "first-org-conf-2015.json", config: "first-org", stories: firstOrgStories(),
			// Repeated: #53, #54. Out of order: #4, #44, #45, #65, #79, #84.
			summary: `{"events":{"read":136,"offered":136,"matched":19,"repeated":2,"out_of_order":6},
				"backlogs":{"opened":8,"finished":4,"live":4},"alarms":{"High":1,"Medium":3,"Low":2},
				"lines":{"alarms":14,"alarm_events":22}}`,
		},
		{
			file: "wrccdc-2018.json", config: "wrccdc", stories: wrccdcStories(),
			// Out of order: #73 and the eleven named above.
			summary: `{"events":{"read":207,"offered":207,"matched":47,"out_of_order":12},
				"backlogs":{"opened":19,"finished":7,"live":12},"alarms":{"High":1,"Medium":6,"Low":0},
				"lines":{"alarms":8,"alarm_events":47}}`,
		},
	} {
		t.Run(test.config, func(t *testing.T) {
			t.Parallel()
			file := suricataFile(t, test.file)
			var want predictedSummary
			if err := json.Unmarshal([]byte(test.summary), &want); err != nil {
				t.Fatal(err)
			}
			var first played
			for shards := 1; shards <= 4; shards++ {
				got := playSuricata(t, test.config, file, shards)
				if shards == 1 {
					first = got
				}
				if diff := cmp.Diff(test.stories, got.stories(t)); diff != "" {
					t.Errorf("%d shards: backlogs differ (-predicted +played):\n%s", shards, diff)
				}
				if diff := cmp.Diff(want, got.summary); diff != "" {
					t.Errorf("%d shards: the summary differs (-predicted +played):\n%s", shards, diff)
				}
				if !bytes.Equal(got.alarms, first.alarms) || !bytes.Equal(got.events, first.events) {
					t.Errorf("%d shards give other files than one", shards)
				}
			}
		})
	}
}

// TestSuricataInOrder plays the first file in the order of time: what was against
// the order of the file happens, what was against the order of time does not.
func TestSuricataInOrder(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(suricataFile(t, "first-org-conf-2015.json"))
	if err != nil {
		t.Fatal(err)
	}
	var alerts []json.RawMessage
	if err := json.Unmarshal(content, &alerts); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(alerts, func(a, b json.RawMessage) int {
		return strings.Compare(timestamp(t, a), timestamp(t, b))
	})
	var sorted bytes.Buffer
	for _, a := range alerts {
		if err := json.Compact(&sorted, a); err != nil {
			t.Fatal(err)
		}
		sorted.WriteByte('\n')
	}
	file := filepath.Join(t.TempDir(), "sorted.ndjson")
	if err := os.WriteFile(file, sorted.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got := playSuricata(t, "first-org", file, 1)
	if n := got.summary.Events.OutOfOrder; n != 0 {
		t.Errorf("%d events are out of order", n)
	}
	stories := got.stories(t)
	want := "Against the order of the file: 1[2002664] 2[2001743] | 8/FF" // 4×10×5/25
	if !slices.Contains(stories, want) {
		t.Errorf("there is no\n%s\namong\n%s", want, strings.Join(stories, "\n"))
	}
	if slices.ContainsFunc(stories, func(s string) bool { return strings.HasPrefix(s, "Against the order of time") }) {
		t.Errorf("an alarm is against the order of time:\n%s", strings.Join(stories, "\n"))
	}
}

// timestamp returns the time of an alert. All have the same offset, so that the
// texts are in the order of time.
func timestamp(t *testing.T, alert json.RawMessage) string {
	t.Helper()
	var key struct{ Timestamp string }
	if err := json.Unmarshal(alert, &key); err != nil {
		t.Fatal(err)
	}
	return key.Timestamp
}

// suricataFile returns the path of a file that is not part of the project.
func suricataFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", "suricata", name)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not there", path)
	}
	return path
}

// played is what a replay wrote.
type played struct {
	summary        predictedSummary
	alarms, events []byte
}

func playSuricata(t *testing.T, config, file string, shards int) played {
	t.Helper()
	out := t.TempDir()
	var stdout, stderr bytes.Buffer
	args := []string{
		"replay", "--config", filepath.Join("testdata", "suricata", config), "--out", out, "--format", "suricata-eve",
		"--shards", strconv.Itoa(shards), "--json", file,
	}
	if code := cli.Main(t.Context(), args, cli.Streams{Out: &stdout, Err: &stderr}); code != 0 || stderr.Len() > 0 {
		t.Fatalf("dsiem %s: exit code %d\n%s", strings.Join(args, " "), code, &stderr)
	}
	var p played
	err := json.Unmarshal(stdout.Bytes(), &p.summary)
	if err == nil {
		p.alarms, err = os.ReadFile(filepath.Join(out, "siem_alarms.json"))
	}
	if err == nil {
		p.events, err = os.ReadFile(filepath.Join(out, "siem_alarm_events.json"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stories tells what became of each backlog, in the order in which they were
// opened.
func (p *played) stories(t *testing.T) []string {
	t.Helper()
	type story struct {
		title  string
		stages map[int][]string
		lines  []string
	}
	var order []string
	byID := map[string]*story{}
	for line := range bytes.Lines(p.events) {
		var e struct {
			AlarmID string `json:"alarm_id"`
			Stage   int
			EventID string `json:"event_id"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		s := byID[e.AlarmID]
		if s == nil {
			s = &story{stages: map[int][]string{}}
			byID[e.AlarmID] = s
			order = append(order, e.AlarmID)
		}
		signature := strings.Split(e.EventID, "-")[1] // flow-signature-time
		s.stages[e.Stage] = append(s.stages[e.Stage], signature)
	}
	for line := range bytes.Lines(p.alarms) {
		var a struct {
			AlarmID string `json:"alarm_id"`
			Title   string
			Risk    int
			Rules   []struct{ Status string }
		}
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatal(err)
		}
		states := ""
		for _, r := range a.Rules {
			states += map[string]string{"": "-", "finished": "F", "timeout": "T"}[r.Status]
		}
		s := byID[a.AlarmID]
		s.title = a.Title + ": "
		s.lines = append(s.lines, fmt.Sprintf("%d/%s", a.Risk, states))
	}
	var stories []string
	for _, id := range order {
		s := byID[id]
		var stages []string
		for stage := 1; stage <= len(s.stages); stage++ {
			stages = append(stages, fmt.Sprintf("%d[%s]", stage, strings.Join(s.stages[stage], " ")))
		}
		text := s.title + strings.Join(stages, " ")
		if len(s.lines) > 0 {
			text += " | " + strings.Join(s.lines, " ")
		}
		stories = append(stories, text)
	}
	return stories
}

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

// predictedSummary is what a summary says of correlation.
type predictedSummary struct {
	Events struct {
		Read, Rejected, Skipped, Offered, Matched int
		Future, Late, Lagging                     int
		Repeated                                  uint64
		OutOfOrder                                uint64 `json:"out_of_order"`
		Outside, Known                            uint64
		LookedBack                                uint64 `json:"looked_back"`
	}
	Backlogs struct{ Opened, Finished, Expired, Live int }
	Alarms   struct{ High, Medium, Low int }
	Lines    struct {
		Alarms      int
		AlarmEvents int `json:"alarm_events"`
	}
}

// TestSuricata plays the files as they are. The number of engines changes nothing.
func TestSuricata(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file, config string
		stories      []string
		summary      string
	}{
		{
			file: "first-org-conf-2015.json", config: "first-org", stories: firstOrgStories(),
			// Repeated: #53, #54. Looked back: #2 and #27. Nothing is out of order: what comes
			// too early for a stage is older than the opener, too, and so foreign. Outside: #4 for
			// 105, which is foreign and opens nothing.
			summary: `{"events":{"read":136,"offered":136,"matched":24,"future":54,"late":71,"lagging":71,
				"repeated":2,"outside":1,"looked_back":2},
				"backlogs":{"opened":12,"finished":9,"live":3},"alarms":{"High":2,"Medium":7,"Low":2},
				"lines":{"alarms":21,"alarm_events":31}}`,
		},
		{
			file: "wrccdc-2018.json", config: "wrccdc", stories: wrccdcStories(),
			// Matched: #62, five of 201, and all of #155-#206. Outside: #73, which is foreign to
			// 203 and opens nothing.
			summary: `{"events":{"read":207,"offered":207,"matched":58,"future":26,"late":167,"lagging":167,
				"outside":1,"looked_back":20},
				"backlogs":{"opened":27,"finished":14,"live":13},"alarms":{"High":1,"Medium":13,"Low":0},
				"lines":{"alarms":15,"alarm_events":79}}`,
		},
	} {
		t.Run(test.config, func(t *testing.T) {
			t.Parallel()
			file := suricataFile(t, test.file)
			var first played
			for shards := 1; shards <= 4; shards++ {
				got := playSuricata(t, test.config, file, "--shards", strconv.Itoa(shards))
				if shards == 1 {
					first = got
				}
				got.check(t, fmt.Sprintf("%d shards", shards), test.stories, test.summary)
				if !got.writtenLike(first) {
					t.Errorf("%d shards give other files than one", shards)
				}
			}
		})
	}
}

// TestSuricataInOrder plays the files in the order of time. A file that was sorted
// beforehand needs no option. With --sort the file as it is, and the file with the
// newest alert first, give the same bytes. They need a --max-jump of more than the
// 35 days of the longer file, because jumps are judged before a file is sorted (D30).
func TestSuricataInOrder(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file, config string
		stories      []string
		summary      string
	}{
		{
			file: "first-org-conf-2015.json", config: "first-org", stories: firstOrgStoriesInOrder(),
			summary: `{"events":{"read":136,"offered":136,"matched":24,"repeated":2},
				"backlogs":{"opened":10,"finished":7,"live":3},"alarms":{"High":2,"Medium":5,"Low":2},
				"lines":{"alarms":19,"alarm_events":28}}`,
		},
		{
			file: "wrccdc-2018.json", config: "wrccdc", stories: wrccdcStoriesInOrder(),
			summary: `{"events":{"read":207,"offered":207,"matched":58},
				"backlogs":{"opened":21,"finished":9,"live":12},"alarms":{"High":1,"Medium":8,"Low":0},
				"lines":{"alarms":10,"alarm_events":58}}`,
		},
	} {
		t.Run(test.config, func(t *testing.T) {
			t.Parallel()
			file := suricataFile(t, test.file)
			oldestFirst := orderedFile(t, file, strings.Compare)
			newestFirst := orderedFile(t, file, func(a, b string) int { return strings.Compare(b, a) })

			sorted := playSuricata(t, test.config, oldestFirst)
			sorted.check(t, "sorted beforehand", test.stories, test.summary)
			for name, unsorted := range map[string]string{"as it is": file, "newest first": newestFirst} {
				got := playSuricata(t, test.config, unsorted, "--sort", "--max-jump", "1000h")
				got.check(t, name, test.stories, test.summary)
				if !got.writtenLike(sorted) {
					t.Errorf("%s: --sort gives other files than sorting beforehand", name)
				}
			}
		})
	}
}

// orderedFile writes the alerts of a file in an order of their timestamps, and
// returns the path. Alerts of the same time stay in the order of the file.
func orderedFile(t *testing.T, file string, compare func(a, b string) int) string {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var alerts []json.RawMessage
	if err := json.Unmarshal(content, &alerts); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(alerts, func(a, b json.RawMessage) int {
		return compare(timestamp(t, a), timestamp(t, b))
	})
	var ordered bytes.Buffer
	for _, a := range alerts {
		if err := json.Compact(&ordered, a); err != nil {
			t.Fatal(err)
		}
		ordered.WriteByte('\n')
	}
	path := filepath.Join(t.TempDir(), "ordered.ndjson")
	if err := os.WriteFile(path, ordered.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
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

func playSuricata(t *testing.T, config, file string, options ...string) played {
	t.Helper()
	out := t.TempDir()
	var stdout, stderr bytes.Buffer
	args := []string{
		"replay", "--config", filepath.Join("testdata", "suricata", config), "--out", out, "--format", "suricata-eve",
		"--json", file,
	}
	args = append(args, options...)
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

// check compares a replay with what was predicted for it.
func (p *played) check(t *testing.T, name string, stories []string, summary string) {
	t.Helper()
	var want predictedSummary
	if err := json.Unmarshal([]byte(summary), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(stories, p.stories(t)); diff != "" {
		t.Errorf("%s: backlogs differ (-predicted +played):\n%s", name, diff)
	}
	if diff := cmp.Diff(want, p.summary); diff != "" {
		t.Errorf("%s: the summary differs (-predicted +played):\n%s", name, diff)
	}
}

// writtenLike reports whether the alarm files have the same bytes as those of another
// replay.
func (p *played) writtenLike(other played) bool {
	return bytes.Equal(p.alarms, other.alarms) && bytes.Equal(p.events, other.events)
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

package story

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
	"dsiem/internal/sample"
)

// wantAlarms lists the alarms of the story in the order in which they open:
// directive, title, the minutes in which the alarm reaches each class, its last
// risk and how its stages end (F finished, T timeout). It is worked out by hand
// from the configuration and the times in demo.go.
func wantAlarms() []string {
	return []string{
		"101 Port scan of web01 by 198.51.100.23: Low 2' Medium 7', risk 3, FFFF",
		"101 Port scan of jump01 by 198.51.100.23: Low 6', risk 2, FFFT",
		"103 Web attack on web01 by 198.51.100.23: Low 9' Medium 31' High 36', risk 8, FFFF",
		"102 SSH brute force on jump01 by 198.51.100.23: Low 11' Medium 17' High 18', risk 8, FFFF",
		"104 Lateral movement from jump01 with a stolen account: Low 22' Medium 24' High 27', risk 8, FFFF",
		"105 Data exfiltration from files01 to 198.51.100.23: Low 30' Medium 33' High 38', risk 8, FFFF",
	}
}

func TestStoryRaisesExactlyTheIntendedAlarms(t *testing.T) {
	t.Parallel()
	seeds := []uint64{math.MaxUint64, math.MaxUint64 / 3}
	for seed := range uint64(10) {
		seeds = append(seeds, seed)
	}
	for _, seed := range seeds {
		got := play(t, sampleConfig(t), morning(), seed)
		if diff := cmp.Diff(wantAlarms(), got.lines()); diff != "" {
			t.Errorf("seed %d: -want +got\n%s", seed, diff)
		}
		if got.afterEnd != 0 {
			t.Errorf("seed %d: %d alarm lines are due after the end", seed, got.afterEnd)
		}
	}
}

// TestStartDoesNotMatter plays the story at other times, whose fraction of a
// second moves events to other whole seconds.
func TestStartDoesNotMatter(t *testing.T) {
	t.Parallel()
	withoutMinutes := func(lines []string) []string {
		for i, line := range lines {
			lines[i] = strings.Join(slices.DeleteFunc(strings.Fields(line), func(word string) bool {
				return strings.HasSuffix(word, "'") || strings.HasSuffix(word, "',")
			}), " ")
		}
		return lines
	}
	want := withoutMinutes(wantAlarms())
	for _, start := range []time.Time{
		morning().Add(999_999_999),
		time.Date(1999, 12, 31, 23, 45, 0, 500_000_000, time.FixedZone("", -7*3600)),
	} {
		got := play(t, sampleConfig(t), start, 1)
		if diff := cmp.Diff(want, withoutMinutes(got.lines())); diff != "" {
			t.Errorf("start %v: -want +got\n%s", start, diff)
		}
	}
}

// TestSomethingAlwaysHappens bounds the pauses of a presentation in which a
// second stands for two minutes.
func TestSomethingAlwaysHappens(t *testing.T) {
	t.Parallel()
	const longest = 200 * time.Second
	got := play(t, sampleConfig(t), morning(), 1)
	moments := slices.Clone(got.updates)
	for _, a := range Acts() {
		moments = append(moments, a.At)
	}
	moments = append(moments, Length)
	slices.Sort(moments)
	for i := 1; i < len(moments); i++ {
		if pause := moments[i] - moments[i-1]; pause > longest {
			t.Errorf("nothing happens from %v to %v", moments[i-1], moments[i])
		}
	}
}

// TestActsAreTrue compares captions with what the engine sees at that time.
func TestActsAreTrue(t *testing.T) {
	t.Parallel()
	got := play(t, sampleConfig(t), morning(), 2)
	for _, want := range []struct {
		directive uint64
		at        time.Duration
		class     alarm.Class
	}{
		{102, guessedAt, alarm.Medium},
		{102, rootAt, alarm.High},
		{104, movesAt, alarm.Medium},
		{104, controlsAt, alarm.High},
		{103, webShellAt, alarm.Medium},
		{103, shellsAt, alarm.High},
	} {
		for _, r := range got.alarms {
			if r.directive != want.directive {
				continue
			}
			if at := r.reached[want.class]; at != want.at {
				t.Errorf("directive %d is %v at %v, want %v", want.directive, want.class, at, want.at)
			}
		}
	}
}

func TestAlarmNamesOnlyTheStolenAccount(t *testing.T) {
	t.Parallel()
	got := play(t, sampleConfig(t), morning(), 6)
	i := slices.IndexFunc(got.alarms, func(r *raised) bool { return r.directive == 104 })
	want := []alarm.CustomData{
		{Label: "user name", Content: "svc-backup"},
		{Label: "service", Content: "WinUpdtSvc"},
	}
	if diff := cmp.Diff(want, got.alarms[i].last.CustomData); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestMistypedPasswordIsWatchedButBelowThreshold makes sure that the decoy is
// one: the directive takes the three failures.
func TestMistypedPasswordIsWatchedButBelowThreshold(t *testing.T) {
	t.Parallel()
	got := play(t, sampleConfig(t), morning(), 1)
	taken := 0
	for _, ev := range got.events {
		if ev.SrcIP.String() == employee && got.taken[ev.ID] == 102 {
			taken++
		}
	}
	if taken != 3 {
		t.Errorf("directive 102 took %d failures of the employee, want 3", taken)
	}
}

// TestDecoysAreHarmlessOnlyByConfiguration takes away what makes a decoy
// harmless.
func TestDecoysAreHarmlessOnlyByConfiguration(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, old, changed, want string }{
		{
			"scanner not whitelisted", `, "whitelisted": true`, ``,
			"106 Internal scan by scanner01: Low 4' Medium 12', risk 4, FFF",
		},
		{
			"backup server not an asset", `"192.0.2.40"`, `"192.0.2.41"`,
			"105 Data exfiltration from files01 to 192.0.2.40: Low 14', risk 1, FFT-",
		},
		{
			// The intruder's root shell then counts for the employee's alarm, too.
			"passwords may fail twice", `"occurrence": 9,
          "from": ":1",
          "to": ":1",
          "port_from": "ANY",
          "port_to": ":1"`, `"occurrence": 2, "from": ":1", "to": ":1", "port_to": ":1"`,
			"102 SSH brute force on jump01 by 203.0.113.45: Low 6' Medium 7' High 18', risk 8, FFFF",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := load(t, func(text []byte) []byte {
				return bytes.ReplaceAll(text, []byte(test.old), []byte(test.changed))
			})
			if got := play(t, c, morning(), 1).lines(); !slices.Contains(got, test.want) {
				t.Errorf("no alarm %q in\n%s", test.want, strings.Join(got, "\n"))
			}
		})
	}
}

// loaded is a configuration ready for the engine.
type loaded struct {
	assets     *asset.Table
	directives []*directive.Directive
}

// sampleConfig loads the sample configuration as it is.
func sampleConfig(t *testing.T) loaded {
	t.Helper()
	return load(t, func(text []byte) []byte { return text })
}

// load loads the sample configuration after a change to the text of its files.
func load(t *testing.T, change func([]byte) []byte) loaded {
	t.Helper()
	read := func(name string) []*jsonfile.File {
		text, err := fs.ReadFile(sample.Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		return []*jsonfile.File{jsonfile.NewFile(name, change(text))}
	}
	var report jsonfile.Report
	c := loaded{
		assets:     asset.Load(read("assets_demo.json"), &report),
		directives: directive.Load(read("directives_demo.json"), &report),
	}
	for i := range report.Problems {
		t.Error(report.Problems[i].Error())
	}
	return c
}

// performance is what the engine made of a story.
type performance struct {
	start  time.Time
	events []event.Event
	alarms []*raised
	// updates are the moments of alarm lines.
	updates []time.Duration
	// taken tells which directive took an event.
	taken map[string]uint64
	// afterEnd is the number of alarm lines when everything expires.
	afterEnd int
}

// raised is an alarm as it was last, and when it reached its classes.
type raised struct {
	directive uint64
	last      *alarm.Alarm
	reached   map[alarm.Class]time.Duration
}

// play plays the story with the replay clock of decisions D14 and D16, every
// event by way of its JSON.
func play(t *testing.T, c loaded, start time.Time, seed uint64) *performance {
	t.Helper()
	p := &performance{start: start, taken: map[string]uint64{}, events: Tell(start, seed)}
	engine := correlate.New(correlate.Plans(c.directives), c.assets, correlate.Options{})
	now := int64(math.MinInt64)
	for i := range p.events {
		var ev event.Event
		if rej := event.Decode(event.AppendJSON(nil, &p.events[i]), &ev); rej != nil {
			t.Fatal(rej)
		}
		if c.assets.Whitelisted(ev.SrcIP) {
			continue
		}
		now = max(now, ev.Seconds*1e9+int64(ev.Nanos))
		at := timeOf(&ev).Sub(start)
		for _, change := range engine.Step(now, &ev) {
			p.see(at, change)
		}
	}
	for _, change := range engine.Expire(math.MaxInt64) {
		if change.Kind == correlate.Updated {
			p.afterEnd++
		}
	}
	return p
}

// see takes note of a change.
func (p *performance) see(at time.Duration, c correlate.Change) {
	switch c.Kind {
	case correlate.Accepted:
		p.taken[c.EventID] = c.Directive
	case correlate.Updated:
		i := slices.IndexFunc(p.alarms, func(r *raised) bool { return r.last.ID == c.AlarmID })
		if i < 0 {
			i = len(p.alarms)
			p.alarms = append(p.alarms, &raised{directive: c.Directive, reached: map[alarm.Class]time.Duration{}})
		}
		r := p.alarms[i]
		r.last = c.Alarm
		if _, ok := r.reached[c.Alarm.Class]; !ok {
			r.reached[c.Alarm.Class] = at
		}
		p.updates = append(p.updates, at)
	case correlate.Opened, correlate.Advanced, correlate.Finished, correlate.Expired:
	}
}

// lines returns the alarms in the form of wantAlarms.
func (p *performance) lines() []string {
	var out []string
	for _, r := range p.alarms {
		line := fmt.Sprintf("%d %s:", r.directive, r.last.Title)
		for class := alarm.Low; class <= alarm.High; class++ {
			if at, ok := r.reached[class]; ok {
				line += fmt.Sprintf(" %v %d'", class, int(at.Minutes()))
			}
		}
		line += fmt.Sprintf(", risk %d, ", r.last.Risk)
		for i := range r.last.Rules {
			line += map[alarm.Status]string{alarm.Pending: "-", alarm.Finished: "F", alarm.Timeout: "T"}[r.last.Rules[i].Status]
		}
		out = append(out, line)
	}
	return out
}

package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/event"
)

// played is what an engine writes about the events of a plan.
type played struct {
	plan           *plan
	sent           []uint64
	events, alarms [][]byte // lines
	// live are the backlogs at the end, left those of them that do not expire then.
	live, left int
}

type fataler interface {
	Helper()
	Fatal(...any)
}

// play plays the first events of each stream through an engine, in an order in
// which streams take turns.
func play(t fataler, p *plan, sent []uint64) *played {
	t.Helper()
	engine, err := p.engine(0)
	if err != nil {
		t.Fatal(err)
	}
	out := &played{plan: p, sent: sent}
	streams := make([]*stream, p.streams)
	for i := range streams {
		streams[i] = p.stream(i)
		streams[i].setTime(time.Unix(replayStart, 0))
	}
	for n := range slices.Max(sent) {
		for i, s := range streams {
			if n >= sent[i] {
				continue
			}
			var ev event.Event
			if rejection := event.Decode(s.append(nil, n), &ev); rejection != nil {
				t.Fatal(rejection)
			}
			out.add(engine.Step(ev.Seconds*1e9, &ev))
		}
	}
	out.live = engine.Stats().Live
	out.add(engine.Expire((replayStart + int64(p.Timeout/time.Second) + 1) * 1e9))
	out.left = engine.Stats().Live
	return out
}

func (p *played) add(changes []correlate.Change) {
	for i := range changes {
		switch c := &changes[i]; c.Kind {
		case correlate.Accepted:
			line := alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID}
			p.events = append(p.events, bytes.TrimSuffix(line.AppendJSON(nil), []byte{'\n'}))
		case correlate.Updated:
			p.alarms = append(p.alarms, bytes.TrimSuffix(c.Alarm.AppendJSON(nil), []byte{'\n'}))
		default:
		}
	}
}

func (p *played) check() *Findings {
	c := newChecker(p.plan, p.sent)
	for _, line := range p.events {
		c.event(line)
	}
	for _, line := range p.alarms {
		c.alarm(line)
	}
	return c.finish()
}

// The model of a workload is what the engine does with it, whatever the
// workload.
func TestModelIsWhatTheEngineDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		streams := rapid.IntRange(1, 3).Draw(t, "streams")
		p := drawPlan(t, streams)
		p.near = rapid.Uint64Range(0, million).Draw(t, "near")
		p.abandoned = rapid.Uint64Range(0, million-p.near).Draw(t, "abandoned")
		sent := make([]uint64, streams)
		for i := range sent {
			sent[i] = rapid.Uint64Range(1, 600).Draw(t, "sent")
		}
		out := play(t, p, sent)
		if f := out.check(); f.Total() > 0 {
			t.Fatalf("findings: %+v", f)
		}
		events, deserted := uint64(0), uint64(0)
		for _, n := range sent {
			events += p.matches(n)
			deserted += p.deserted(n)
		}
		if uint64(len(out.events)) != events+deserted {
			t.Fatalf("backlogs took %d events, not %d", len(out.events), events+deserted)
		}
		if uint64(out.live-out.left) != deserted {
			t.Fatalf("%d backlogs expire, not %d", out.live-out.left, deserted)
		}
		if full := int(p.live) * streams; slices.Min(sent) >= p.live && (out.left > full || out.left < full-streams) {
			t.Fatalf("%d backlogs are live, not %d", out.left, full)
		}
	})
}

// attacks16 is a played workload of 16 attacks at a time, all of which have a
// risk from stage 1 on.
func attacks16(t *testing.T) *played {
	t.Helper()
	p, err := newPlan(Workload{Directives: 4, Live: 16, Addresses: 40, Match: 0.5, Near: 0.25, Occurrence: 2}, 1)
	if err != nil {
		t.Fatal(err)
	}
	out := play(t, p, []uint64{p.throughMatch(400)})
	if len(out.events) < 100 || len(out.alarms) < 50 {
		t.Fatalf("only %d lines about events and %d about alarms", len(out.events), len(out.alarms))
	}
	return out
}

// find returns the first line that holds all texts.
func find(t *testing.T, lines [][]byte, texts ...string) int {
	t.Helper()
	i := slices.IndexFunc(lines, func(line []byte) bool {
		return !slices.ContainsFunc(texts, func(text string) bool { return !bytes.Contains(line, []byte(text)) })
	})
	if i < 0 {
		t.Fatalf("there is no line with %q", texts)
	}
	return i
}

// text returns the value of a key with a text.
func text(t *testing.T, line []byte, key string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(line), `"`+key+`":"`)
	value, _, closed := strings.Cut(rest, `"`)
	if !ok || !closed {
		t.Fatalf("there is no %q in %s", key, line)
	}
	return value
}

func replaced(line []byte, from, to string) []byte {
	return bytes.Replace(line, []byte(from), []byte(to), 1)
}

// Each kind of mistake is found, and counted as what it is.
func TestCheckerFindsEachMistake(t *testing.T) {
	t.Parallel()
	const finished, first = `"status":"finished"`, 0
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, p *played)
		want  Findings
	}{
		{"nothing", func(*testing.T, *played) {}, Findings{}},
		{"an event is missing", func(t *testing.T, p *played) {
			i := find(t, p.events, `"stage":2`)
			p.events = slices.Delete(p.events, i, i+1)
		}, Findings{Lost: 1, Examples: []string{"event 17 of connection 0 is missing: number 2 of an attack of directive 1"}}},
		{"the last event is missing", func(_ *testing.T, p *played) {
			p.events = p.events[:len(p.events)-1]
		}, Findings{Lost: 1}},
		{"an event is there twice", func(_ *testing.T, p *played) {
			p.events = append(p.events, p.events[first])
		}, Findings{Duplicate: 1}},
		{"an attack has two alarms", func(t *testing.T, p *played) {
			i := find(t, p.events, `"stage":2`)
			p.events[i] = replaced(p.events[i], text(t, p.events[i], "alarm_id"), "another000000000")
		}, Findings{Duplicate: 1}},
		{"an event is in the alarm of another attack", func(t *testing.T, p *played) {
			i := find(t, p.events, `"stage":2`)
			p.events[i] = replaced(p.events[i], text(t, p.events[i], "alarm_id"), text(t, p.events[i+1], "alarm_id"))
		}, Findings{Foreign: 1}},
		{"an event that matches nothing is in an alarm", func(t *testing.T, p *played) {
			n := uint64(16)
			for p.plan.part(n).kind != near {
				n++
			}
			p.events = append(p.events, replaced(p.events[first], "-000000000000", fmt.Sprintf("-%012x", n)))
		}, Findings{Foreign: 1}},
		{"an event was never sent", func(_ *testing.T, p *played) {
			p.events = append(p.events,
				replaced(p.events[first], "-000000000000", "-00000000ffff"),
				replaced(p.events[first], "0000-4000", "0000-4001"))
		}, Findings{Foreign: 2}},
		{"a line is cut", func(_ *testing.T, p *played) {
			p.events = append(p.events, p.events[first][:30])
			p.alarms = append(p.alarms, p.alarms[first][:200])
		}, Findings{Foreign: 2}},
		{"an event is in the wrong stage", func(t *testing.T, p *played) {
			i := find(t, p.events, `"stage":2`)
			p.events[i] = replaced(p.events[i], `"stage":2`, `"stage":3`)
		}, Findings{WrongStage: 1}},
		{"an alarm line is missing", func(_ *testing.T, p *played) {
			p.alarms = slices.Delete(p.alarms, first, first+1)
		}, Findings{Lost: 1}},
		{"an alarm line is there twice", func(_ *testing.T, p *played) {
			p.alarms = slices.Insert(p.alarms, first, p.alarms[first])
		}, Findings{Duplicate: 1}},
		{"an alarm belongs to nothing", func(t *testing.T, p *played) {
			p.alarms = append(p.alarms, replaced(p.alarms[first], text(t, p.alarms[first], "alarm_id"), "unknown000000000"))
		}, Findings{Foreign: 1}},
		{"an alarm has the source of another attack", func(_ *testing.T, p *played) {
			p.alarms[first] = replaced(p.alarms[first], `"src_ips":["203.`, `"src_ips":["204.`)
		}, Findings{Foreign: 1}},
		{"an alarm has an address too many", func(_ *testing.T, p *played) {
			p.alarms[first] = replaced(p.alarms[first], `"dst_ips":[`, `"dst_ips":["10.0.0.1",`)
		}, Findings{Foreign: 1}},
		{"an alarm is of another directive", func(_ *testing.T, p *played) {
			p.alarms[first] = replaced(p.alarms[first], `"plugin_id":10000`, `"plugin_id":20000`)
		}, Findings{Foreign: 1}},
		{"a stage is complete too soon", func(t *testing.T, p *played) {
			i := lastOf(p.alarms, finished, 2)
			p.alarms[i] = replaced(p.alarms[i], `"reliability":10,"timeout":604800`, `"reliability":10,"timeout":604800,`+finished)
		}, Findings{WrongStage: 1, Lost: 1}},
		{"a stage has expired", func(_ *testing.T, p *played) {
			i := lastOf(p.alarms, finished, 1)
			p.alarms[i] = replaced(p.alarms[i], finished, `"status":"timeout"`)
		}, Findings{WrongStage: 1, Lost: 1}},
		{"alarm lines are in the wrong order", func(t *testing.T, p *played) {
			i := lastOf(p.alarms, finished, 1)
			id := text(t, p.alarms[i], "alarm_id")
			j := i + 1 + find(t, p.alarms[i+1:], id)
			p.alarms[i], p.alarms[j] = p.alarms[j], p.alarms[i]
		}, Findings{WrongStage: 1, Lost: 1}},
		{"the risk is wrong", func(_ *testing.T, p *played) {
			p.alarms[first] = replaced(p.alarms[first], `"risk":`, `"risk":1`)
		}, Findings{WrongRisk: 1}},
		{"the risk class is wrong", func(_ *testing.T, p *played) {
			p.alarms[first] = replaced(p.alarms[first], `"risk_class":"`, `"risk_class":"Very `)
		}, Findings{WrongRisk: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := attacks16(t)
			test.spoil(t, p)
			got := *p.check()
			if uint64(len(got.Examples)) != got.Total() {
				t.Errorf("%d findings, but %d are told: %q", got.Total(), len(got.Examples), got.Examples)
			}
			if len(test.want.Examples) == 0 {
				t.Logf("%q", got.Examples)
				got.Examples = nil
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// So is each kind of mistake with attacks that are abandoned.
func TestCheckerFindsMistakesWithWhatIsAbandoned(t *testing.T) {
	t.Parallel()
	const expired = `"status":"timeout"`
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, p *played)
		want  Findings
	}{
		{"nothing", func(*testing.T, *played) {}, Findings{}},
		{"its event is missing", func(t *testing.T, p *played) {
			i := slices.IndexFunc(p.events, func(line []byte) bool {
				_, n, _ := p.plan.readID([]byte(text(t, line, "event_id")))
				m := p.plan.part(n)
				return m.kind == abandoned && p.plan.risk(p.plan.target(0, m), 1) == 0
			})
			p.events = slices.Delete(p.events, i, i+1)
		}, Findings{Lost: 1}},
		{"its line is missing", func(t *testing.T, p *played) {
			id := text(t, p.alarms[find(t, p.alarms, expired)], "alarm_id")
			i := find(t, p.alarms, id)
			p.alarms = slices.Delete(p.alarms, i, i+1)
		}, Findings{Lost: 1}},
		{"it has not expired", func(t *testing.T, p *played) {
			i := find(t, p.alarms, expired)
			p.alarms = slices.Delete(p.alarms, i, i+1)
		}, Findings{Lost: 1}},
		{"it has expired twice", func(t *testing.T, p *played) {
			p.alarms = append(p.alarms, p.alarms[find(t, p.alarms, expired)])
		}, Findings{Duplicate: 1}},
		{"it has expired before it began", func(t *testing.T, p *played) {
			i := find(t, p.alarms, expired)
			j := find(t, p.alarms, text(t, p.alarms[i], "alarm_id"))
			p.alarms[i], p.alarms[j] = p.alarms[j], p.alarms[i]
		}, Findings{WrongStage: 1, Lost: 1}},
		{"it has gone on", func(t *testing.T, p *played) {
			i := find(t, p.alarms, expired)
			p.alarms[i] = replaced(p.alarms[i], expired, `"status":"finished"`)
		}, Findings{WrongStage: 1, Lost: 1}},
		{"the stage behind has expired", func(t *testing.T, p *played) {
			i := find(t, p.alarms, expired)
			p.alarms[i] = replaced(p.alarms[i], expired, `"status":"timeout_"`)
		}, Findings{WrongStage: 1, Lost: 1}},
		{"its risk has changed", func(t *testing.T, p *played) {
			i := find(t, p.alarms, expired)
			p.alarms[i] = replaced(p.alarms[i], `"risk":`, `"risk":1`)
		}, Findings{WrongRisk: 1}},
		{"an attack that goes on has expired", func(t *testing.T, p *played) {
			i := slices.IndexFunc(p.alarms, func(line []byte) bool {
				return bytes.Count(line, []byte(`"status":"finished"`)) == 2
			})
			one := bytes.LastIndex(p.alarms[i], []byte(`"status":"finished"`))
			p.alarms = append(p.alarms, slices.Concat(p.alarms[i][:one], []byte(expired), p.alarms[i][one+len(`"status":"finished"`):]))
		}, Findings{WrongStage: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := deserted(t)
			test.spoil(t, p)
			got := *p.check()
			t.Logf("%q", got.Examples)
			if got.Examples = nil; !cmp.Equal(test.want, got) {
				t.Errorf("findings (-want +got):\n%s", cmp.Diff(test.want, got))
			}
		})
	}
}

// deserted is a played workload in which some attacks are abandoned.
func deserted(t *testing.T) *played {
	t.Helper()
	p, err := newPlan(Workload{Directives: 4, Live: 16, Addresses: leastAddresses, Match: 0.5, Abandoned: 0.3, Occurrence: 2}, 1)
	if err != nil {
		t.Fatal(err)
	}
	out := play(t, p, []uint64{p.throughMatch(400)})
	if ends := bytes.Count(bytes.Join(out.alarms, nil), []byte(`"status":"timeout"`)); ends < 10 || out.live-out.left < 2*ends {
		t.Fatalf("%d alarm lines about %d backlogs that expired", ends, out.live-out.left)
	}
	return out
}

// lastOf returns the last line that holds a text so many times and has a
// successor with the same alarm.
func lastOf(lines [][]byte, part string, times int) int {
	for i := len(lines) - 1; i > 0; i-- {
		if bytes.Count(lines[i], []byte(part)) != times {
			continue
		}
		id := lines[i][:len(`{"alarm_id":"0123456789abcdef"`)]
		if times > 1 || slices.ContainsFunc(lines[i+1:], func(line []byte) bool { return bytes.HasPrefix(line, id) }) {
			return i
		}
	}
	return 0
}

// Few of many findings are told in words.
func TestFindingsAreToldInFewWords(t *testing.T) {
	t.Parallel()
	p := attacks16(t)
	p.events = nil
	f := p.check()
	if len(f.Examples) != 2*examples || f.Lost == 0 || f.Foreign == 0 {
		t.Errorf("%d lost, %d foreign; %d are told: %q", f.Lost, f.Foreign, len(f.Examples), f.Examples)
	}
}

func TestCheckReadsFiles(t *testing.T) {
	t.Parallel()
	p := attacks16(t)
	dir := t.TempDir()
	events, alarms := filepath.Join(dir, "events"), filepath.Join(dir, "alarms")
	for name, lines := range map[string][][]byte{events: p.events, alarms: p.alarms} {
		if err := os.WriteFile(name, append(bytes.Join(lines, []byte{'\n'}), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := newChecker(p.plan, p.sent).check(events, alarms)
	if err != nil || f.Total() > 0 {
		t.Errorf("findings %+v, error %v", f, err)
	}
	if f, err = newChecker(p.plan, p.sent).check(filepath.Join(dir, "none"), alarms); err != nil || f.Lost == 0 || f.Foreign == 0 {
		t.Errorf("without a file: findings %+v, error %v", f, err)
	}
	if _, err = newChecker(p.plan, p.sent).check(dir, alarms); err == nil {
		t.Error("no error for a directory")
	}
}

func FuzzEventLine(f *testing.F) {
	f.Add([]byte(`{"alarm_id":"0123456789abcdef","stage":2,"event_id":"00000000-0000-4000-8000-000000000001"}`))
	f.Add([]byte(`{"alarm_id":"","stage":,"event_id":""}`))
	f.Add([]byte(`{"alarm_id":"a","stage":2`))
	p, err := newPlan(Workload{Match: 0.5}, 2)
	if err != nil {
		f.Fatal(err)
	}
	p.abandoned = million / 10
	f.Fuzz(func(t *testing.T, line []byte) {
		e, ok := parseEventLine(line)
		if again := fmt.Sprintf(`{"alarm_id":"%s","stage":%s,"event_id":"%s"}`, e.alarmID, e.stage, e.eventID); ok && again != string(line) {
			t.Errorf("%q was read as %q", line, again)
		}
		c := newChecker(p, []uint64{100, 100})
		c.event(line)
		c.alarm(line)
		newWatcher(p).line(time.Time{}, line)
	})
}

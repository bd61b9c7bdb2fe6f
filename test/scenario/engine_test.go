package scenario

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/directive"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
)

// TestScenariosThroughEngine plays every scenario through the pure engine, whole
// and split in three; the output must be what the scenario wants, and the same
// byte for byte.
func TestScenariosThroughEngine(t *testing.T) {
	t.Parallel()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			var first []*Result
			for _, shards := range []int{1, 3} {
				results := playEngine(t, s, shards)
				if first == nil {
					first = results
				}
				compareShards(t, first, results, shards)
			}
		})
	}
}

// TestExampleOfPackageComment plays the scenario that the package comment shows.
func TestExampleOfPackageComment(t *testing.T) {
	t.Parallel()
	doc := string(readFile(t, "doc.go"))
	_, doc, _ = strings.Cut(doc, "This is a whole one:\n//\n")
	doc, _, _ = strings.Cut(doc, "\n//\n// ")
	playEngine(t, parse(t, strings.ReplaceAll(doc, "//\t", "")), 1)
}

// playEngine plays all runs of a scenario with a number of engines and checks
// each.
func playEngine(t *testing.T, s *Scenario, shards int) []*Result {
	t.Helper()
	saved := t.TempDir()
	checker := s.NewChecker()
	results := make([]*Result, 0, len(s.Runs))
	for _, run := range s.Runs {
		if err := run.EditSaved(saved); err != nil {
			t.Fatal(err)
		}
		res := runEngine(t, run, saved, shards)
		if err := checker.Check(run, res); err != nil {
			t.Errorf("engines %d:\n%v", shards, err)
		}
		results = append(results, res)
	}
	return results
}

// player is what dsiem replay does, without files, queues and goroutines.
type player struct {
	assets  *asset.Table
	engines []*correlate.Engine
	now     int64
	res     *Result
}

// runEngine plays one run.
func runEngine(t *testing.T, run *Run, saved string, shards int) *Result {
	t.Helper()
	opts := run.engineOptions()
	if err := opts.Check(); err != nil {
		return &Result{ExitCode: exitOptions, Console: []byte(err.Error())}
	}
	p, err := newPlayer(run, opts, shards)
	if err != nil {
		return &Result{ExitCode: exitConfiguration, Console: []byte(err.Error())}
	}
	if run.Options.LoadBacklogs {
		p.load(t, saved)
	}
	number := 0
	for line := range strings.Lines(string(run.Events)) {
		number++
		var ev event.Event
		if rej := event.Decode([]byte(line), &ev); rej != nil {
			p.res.Rejected[rej.Reason.String()]++
			continue
		}
		if ev.ID == "" { // it gets what a replay of the file gives it (D34)
			ev.ID = event.RecordID(eventsFile, number, []byte(strings.TrimSpace(line)))
		}
		at := ev.Seconds*1e9 + int64(ev.Nanos)
		if run.Arrivals != nil && run.Arrivals[number-1] != NoArrival {
			at = Base().UnixNano() + run.Arrivals[number-1]
		}
		p.offer(at, &ev)
	}
	p.write((*correlate.Engine).Flush)
	if run.Options.ExpireAll {
		p.write(func(e *correlate.Engine) []correlate.Change { return e.Expire(math.MaxInt64) })
	}
	p.res.Live = p.save()
	if run.Options.SaveBacklogs {
		for name, data := range p.res.Live {
			if err := os.WriteFile(filepath.Join(saved, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.res.Saved = readDir(t, saved)
	return p.res
}

// engineOptions returns the run's settings as the engine takes them.
func (r *Run) engineOptions() correlate.Options {
	return correlate.Options{
		MinAlarmLifetime: int64(r.Options.MinAlarmLifetime.Seconds()),
		OrderTolerance:   orOff(r.Options.OrderTolerance),
		LookBack:         orOff(r.Options.LookBack),
		Remember:         orOff(r.Options.Remember),
		MaxAlarmValues:   r.Options.MaxAlarmValues,
		MedRiskMin:       r.Options.MedRiskMin,
		MedRiskMax:       r.Options.MedRiskMax,
		Status:           r.Options.Status[0],
		Tag:              r.Options.Tags[0],
		LiteralTitles:    !r.Options.ExpandTitles,
	}
}

// orOff returns a duration as the engine takes it.
func orOff(d time.Duration) int64 {
	if d == 0 {
		return correlate.Off
	}
	return int64(d / time.Second)
}

// configFiles returns the run's configuration files of a kind in lexical order.
func (r *Run) configFiles(kind string) []*jsonfile.File {
	var files []*jsonfile.File
	for _, name := range slices.Sorted(maps.Keys(r.Config)) {
		if isConfig(name, kind) {
			files = append(files, jsonfile.NewFile(name, r.Config[name]))
		}
	}
	return files
}

// newPlayer loads the configuration and makes the engines.
func newPlayer(run *Run, opts correlate.Options, shards int) (*player, error) {
	var report jsonfile.Report
	assets := asset.Load(run.configFiles(assetKind), &report)
	directives := directive.Load(run.configFiles(directiveKind), &report)
	if err := report.Err(); err != nil {
		return nil, err
	}
	p := &player{assets: assets, now: math.MinInt64, res: &Result{Console: []byte{}, Rejected: map[string]int{}}}
	plans := correlate.Plans(directives)
	for i := range shards {
		p.engines = append(p.engines, correlate.New(shard.Plans(plans, i, shards), assets, opts))
	}
	return p, nil
}

// offer lets one event arrive at all engines at a time, or at the time of the last one
// if that is later.
func (p *player) offer(at int64, ev *event.Event) {
	if p.assets.Whitelisted(ev.SrcIP) {
		return
	}
	p.now = max(p.now, at)
	p.write(func(e *correlate.Engine) []correlate.Change { return e.Step(p.now, ev) })
}

// write lets every engine take one step and writes what changed.
func (p *player) write(step func(*correlate.Engine) []correlate.Change) {
	var changes []correlate.Change
	for _, e := range p.engines {
		changes = append(changes, step(e)...)
	}
	slices.SortStableFunc(changes, func(a, b correlate.Change) int { return a.Order.Compare(b.Order) })
	for i := range changes {
		switch c := &changes[i]; c.Kind {
		case correlate.Accepted:
			line := alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID}
			p.res.AlarmEvents = line.AppendJSON(p.res.AlarmEvents)
		case correlate.Updated:
			p.res.Alarms = c.Alarm.AppendJSON(p.res.Alarms)
		case correlate.Opened, correlate.Advanced, correlate.Finished, correlate.Expired:
		}
	}
}

// save returns the files of saved backlogs.
func (p *player) save() map[string][]byte {
	lists := map[uint64][]alarm.Saved{}
	for _, e := range p.engines {
		for id, s := range e.Save() {
			lists[id] = append(lists[id], s)
		}
	}
	files := map[string][]byte{}
	for id, list := range lists {
		files[strconv.FormatUint(id, 10)+".json"] = alarm.AppendSaved(nil, list)
	}
	return files
}

// load restores the backlogs of all files and deletes the files; what cannot be
// restored is named in the messages.
func (p *player) load(t *testing.T, dir string) {
	t.Helper()
	complain := func(name string, err error) {
		p.res.Console = fmt.Appendf(p.res.Console, "%s: %v\n", name, err)
	}
	for name, data := range readDir(t, dir) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		id, err := strconv.ParseUint(strings.TrimSuffix(name, ".json"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		var list []json.RawMessage
		if err := json.Unmarshal(data, &list); err != nil {
			complain(name, err)
			continue
		}
		for _, raw := range list {
			var doc alarmDoc
			err := json.Unmarshal(raw, &doc)
			if err == nil {
				err = p.engines[shard.Number(id, len(p.engines))].Restore(id, doc.saved(t))
			}
			if err != nil {
				complain(name, err)
			}
		}
	}
}

// saved returns the document as the engine takes it.
func (a *alarmDoc) saved(t *testing.T) *alarm.Saved {
	t.Helper()
	class, ok := alarm.ParseClass(a.RiskClass)
	if !ok {
		t.Fatalf("risk_class %q", a.RiskClass)
	}
	s := &alarm.Saved{
		LastSrcPort: a.LastSrcPort, LastDstPort: a.LastDstPort, ExpandedTitle: a.Expanded,
		Opened: a.Opened, Latest: a.Latest, // not the arrival, which is by another clock (D31)
		LineTime: a.LineTime, LineDue: a.LineDue, Unlisted: alarm.Unlisted(a.Unlisted),
	}
	s.Alarm = alarm.Alarm{
		ID: a.ID, Title: a.Title, Status: a.Status, Tag: a.Tag, Kingdom: a.Kingdom, Category: a.Category,
		Created: a.Created, Updated: a.Updated, Risk: a.Risk, Class: class,
		SrcIPs: addresses(t, a.SrcIPs), DstIPs: addresses(t, a.DstIPs), Networks: a.Networks,
		Truncated: alarm.Truncated(a.Truncated),
	}
	for _, c := range a.CustomData {
		s.CustomData = append(s.CustomData, alarm.CustomData{Label: c.Label, Content: c.Content})
	}
	for i := range a.Rules {
		r := &a.Rules[i]
		s.Rules = append(s.Rules, r.rule())
		x := alarm.Extra{StickyTexts: r.SavedSticky.Strings, StickyNumbers: r.SavedSticky.Integers, Origin: r.SavedOrigin}
		for _, id := range r.SavedEventIDs {
			x.EventIDs = append(x.EventIDs, event.HashID(id))
		}
		for _, text := range r.SavedEvents {
			one, ok := alarm.ParseIdentity(text)
			if !ok {
				t.Fatalf("saved event %q", text)
			}
			x.Events = append(x.Events, one)
		}
		s.Extras = append(s.Extras, x)
	}
	return s
}

func (r *ruleDoc) rule() alarm.Rule {
	out := alarm.Rule{
		Name: r.Name, Stage: r.Stage, Occurrence: uint64(r.Occurrence), From: r.From, To: r.To,
		PluginID: r.PluginID, PluginSID: r.PluginSID,
		Product: r.Product, Category: r.TaxCategory, Subcategory: r.Subcategory,
		Type: r.Type, PortFrom: r.PortFrom, PortTo: r.PortTo, Protocol: r.Protocol,
		Reliability: r.Reliability, Timeout: r.Timeout, Start: r.Start, End: r.End,
		StickyDifferent: r.Sticky,
		CustomData:      [event.CustomFields]string{r.CustomData1, r.CustomData2, r.CustomData3},
		CustomLabel:     [event.CustomFields]string{r.CustomLabel1, r.CustomLabel2, r.CustomLabel3},
	}
	switch r.Status {
	case "finished":
		out.Status = alarm.Finished
	case "timeout":
		out.Status = alarm.Timeout
	}
	return out
}

func addresses(t *testing.T, texts []string) []netip.Addr {
	t.Helper()
	out := make([]netip.Addr, len(texts))
	for i, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = addr
	}
	return out
}

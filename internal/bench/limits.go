package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
)

// A limit is the speed of one part of the server alone, on one core, in this
// process: no server can be faster than its parts.
type limit struct {
	name, about string
	goal        float64 // the least speed, a second; 0 for none
	measure     func(ctx context.Context, dir string, lasts time.Duration) (reached, error)
}

// reached is how fast a part was.
type reached struct {
	perSecond float64
	megabytes float64 // what it holds in the end, 0 if that is nothing or not known
}

// The limits in the order in which they are shown.
func limits() []limit {
	return []limit{
		{"decode", "decode an event", 0, limitDecode},
		{"skip", "read an event as far as to see that no rule names it", 0, limitSkip},
		{"engine-unmatched", "engine alone, no rule names the event", 2_000_000, engineSpeed(Workload{}, 0)},
		{"engine-named", "engine alone, a rule names the event, no backlog takes it", 0, engineSpeed(Workload{Near: 1}, 0)},
		{"engine-named-off", "the same with --look-back=0", 0, engineSpeed(Workload{Near: 1}, correlate.Off)},
		{"engine-matched", "engine alone, a backlog takes the event", 500_000, engineSpeed(Workload{Match: 1}, 0)},
		{"engine-matched-off", "the same with --look-back=0", 0, engineSpeed(Workload{Match: 1}, correlate.Off)},
		{"write", "make and write a line about an event", 0, limitWrite},
	}
}

// limitPlan returns what the limits are measured with, with the shares of a workload.
func limitPlan(w Workload) (*plan, error) {
	w.Directives, w.Live = 1000, 10_000
	return newPlan(w, 1)
}

// sampleEvents is the number of different events that are decoded over and over.
const sampleEvents = 4096

// sampleTexts returns the texts of events from n on.
func (p *plan) sampleTexts(n uint64) [][]byte {
	s := p.stream(0)
	s.setTime(time.Unix(replayStart, 0))
	texts := make([][]byte, sampleEvents)
	for i := range texts {
		texts[i] = s.append(nil, n+uint64(i))
	}
	return texts
}

// timed calls a function that does something a number of times until it has
// taken long enough, and returns how often a second it was done. Only what the
// function says it took counts.
func timed(ctx context.Context, lasts time.Duration, do func() (times int, took time.Duration, err error)) (reached, error) {
	sum, all := 0, time.Duration(0)
	for all < lasts || all == 0 {
		if ctx.Err() != nil {
			return reached{}, context.Cause(ctx)
		}
		times, took, err := do()
		if err != nil {
			return reached{}, err
		}
		sum, all = sum+times, all+took
	}
	return reached{perSecond: float64(sum) / all.Seconds()}, nil
}

func limitDecode(ctx context.Context, _ string, lasts time.Duration) (reached, error) {
	return decoding(ctx, lasts, func(texts [][]byte) (bad []byte) {
		var ev event.Event
		for _, text := range texts {
			if event.Decode(text, &ev) != nil {
				return text
			}
		}
		return nil
	})
}

func limitSkip(ctx context.Context, _ string, lasts time.Duration) (reached, error) {
	nobody := func(_ []event.Identity, wanted []bool) { clear(wanted) }
	events, outcomes := make([]event.Event, sampleEvents), make([]event.Outcome, sampleEvents)
	var screen event.Screen
	return decoding(ctx, lasts, func(texts [][]byte) (bad []byte) {
		screen.Decode(texts, events, outcomes, nobody)
		for i := range outcomes {
			if !outcomes[i].Skipped {
				return texts[i]
			}
		}
		return nil
	})
}

// decoding returns how many events a second a function decodes, which returns one
// that it did not decode as it should.
func decoding(ctx context.Context, lasts time.Duration, decode func(texts [][]byte) (bad []byte)) (reached, error) {
	p, err := limitPlan(Workload{})
	if err != nil {
		return reached{}, err
	}
	texts := p.sampleTexts(p.live)
	return timed(ctx, lasts, func() (int, time.Duration, error) {
		begun := time.Now()
		if bad := decode(texts); bad != nil {
			return 0, 0, fmt.Errorf("the event %s was not decoded as it should", bad)
		}
		return len(texts), time.Since(begun), nil
	})
}

// engine returns an engine for the configuration of a plan, which looks back as
// correlate.Options says.
func (p *plan) engine(lookBack int64) (*correlate.Engine, error) {
	var report jsonfile.Report
	var assets, directives []*jsonfile.File
	for name, content := range p.configuration() {
		file := jsonfile.NewFile(name, content)
		if ok, _ := filepath.Match("assets_*", name); ok {
			assets = append(assets, file)
		} else {
			directives = append(directives, file)
		}
	}
	table, loaded := asset.Load(assets, &report), directive.Load(directives, &report)
	if len(report.Problems) > 0 {
		return nil, &report.Problems[0]
	}
	return correlate.New(correlate.Plans(loaded), table, correlate.Options{LookBack: lookBack}), nil
}

// decodeAll decodes events that a rule may name.
func decodeAll(texts [][]byte) ([]event.Event, error) {
	events := make([]event.Event, len(texts))
	for i, text := range texts {
		if rejection := event.Decode(text, &events[i]); rejection != nil {
			return nil, rejection
		}
	}
	return events, nil
}

// engineSpeed measures how many events a second an engine takes, with the shares of a
// workload. It looks back as correlate.Options says; all events are of one second, so that
// it remembers as many as it may.
func engineSpeed(w Workload, lookBack int64) func(context.Context, string, time.Duration) (reached, error) {
	return func(ctx context.Context, _ string, lasts time.Duration) (reached, error) {
		p, err := limitPlan(w)
		if err != nil {
			return reached{}, err
		}
		engine, err := p.engine(lookBack)
		if err != nil {
			return reached{}, err
		}
		empty := inUse()
		r, err := p.stepSpeed(ctx, engine, lasts)
		r.megabytes = max(0, inUse()-empty)
		runtime.KeepAlive(engine)
		return r, err
	}
}

// inUse returns the megabytes of memory that are in use.
func inUse() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / million
}

// stepSpeed returns how many events a second an engine takes.
func (p *plan) stepSpeed(ctx context.Context, engine *correlate.Engine, lasts time.Duration) (reached, error) {
	n := uint64(0)
	step := func() (int, time.Duration, error) {
		events, err := decodeAll(p.sampleTexts(n))
		n += sampleEvents
		if err != nil {
			return 0, 0, err
		}
		taken := 0
		begun := time.Now()
		for i := range events {
			changes := engine.Step(time.Unix(events[i].Seconds, int64(events[i].Nanos)).UnixNano(), &events[i])
			for j := range changes {
				if changes[j].Kind == correlate.Accepted {
					taken++
				}
			}
		}
		took := time.Since(begun)
		if want := int(p.matches(n) - p.matches(n-sampleEvents)); taken != want { //nolint:gosec // a small number
			return 0, 0, fmt.Errorf("backlogs took %d events, not %d", taken, want)
		}
		return len(events), took, nil
	}
	for n < p.live { // opens the backlogs
		if _, _, err := step(); err != nil {
			return reached{}, err
		}
	}
	return timed(ctx, lasts, step)
}

// limitWrite makes lines about events and writes them as a server under load
// does, a block at a time.
func limitWrite(ctx context.Context, dir string, lasts time.Duration) (r reached, err error) {
	const block, rewind = 64 << 10, 256 << 20
	file, err := os.Create(filepath.Join(dir, "write.json"))
	if err != nil {
		return reached{}, fmt.Errorf("writing lines: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	line := alarm.Event{AlarmID: "0123456789abcdef", Stage: stages, EventID: idPrefix(0) + "000-000000000000"}
	buf := make([]byte, 0, 2*block)
	written := 0
	return timed(ctx, lasts, func() (int, time.Duration, error) {
		begun, lines := time.Now(), 0
		for buf = buf[:0]; len(buf) < block; lines++ {
			buf = line.AppendJSON(buf)
		}
		_, err := file.Write(buf)
		took := time.Since(begun)
		if written += len(buf); written > rewind && err == nil { // the disk is not what is measured
			written = 0
			_, err = file.Seek(0, 0)
		}
		return lines, took, err
	})
}

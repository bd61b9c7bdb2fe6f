package live

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/bus"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/enrich"
	"dsiem/internal/web/status"
)

// lineWriter takes whole lines for the two alarm files. It may wait.
type lineWriter interface {
	Write(ctx context.Context, events, alarms []byte) error
}

// Emitter turns changes into lines, look-ups, overload signals, counters and
// log lines. It belongs to the dispatcher's goroutine.
type Emitter struct {
	Writer lineWriter
	// Ctx ends when lines that find no room have to be given up.
	Ctx context.Context //nolint:containedctx // the dispatcher has no other way to hand it over

	Logger  *slog.Logger
	Stats   *Stats
	Engines *shard.Set

	// Enricher is nil if there is no service to ask: lines are written at once
	// then.
	Enricher *enrich.Enricher
	Outbox   *enrich.Outbox
	Findings Findings

	Pressure *bus.Pressure
	Signal   func(overloaded bool)
	// Latency is told how long an accepted event took from its receipt until
	// its line was handed over.
	Latency func(time.Duration)

	// Recent has the alarms that were written last.
	Recent *status.Recent

	events, alarms []byte

	// logged are the changes of the present second, by kind.
	logged [correlate.Expired + 1]int
	second int64
}

// Findings collects results of look-ups for the dispatcher, from any
// goroutine.
type Findings struct {
	Filled chan struct{}

	mu   sync.Mutex
	list []finding
}

type finding struct {
	directive uint64
	alarmID   string
	ticket    enrich.Ticket
	result    enrich.Result
}

func (f *Findings) add(one finding) {
	f.mu.Lock()
	f.list = append(f.list, one)
	f.mu.Unlock()
	select {
	case f.Filled <- struct{}{}:
	default:
	}
}

func (f *Findings) take() []finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	return list
}

// Publish hands on what changed, in order.
func (p *Emitter) Publish(now time.Time, changes []correlate.Change) {
	p.resolve(now)
	lastStep := uint64(0)
	for i := range changes {
		c := &changes[i]
		p.log(now, c)
		switch c.Kind {
		case correlate.Accepted:
			if c.Order.Step != lastStep {
				lastStep = c.Order.Step
				p.Stats.Matched.Add(1)
			}
			p.accepted(now, c)
		case correlate.Updated:
			p.updated(now, c)
		case correlate.Opened:
			p.Stats.Opened.Add(1)
		case correlate.Finished:
			p.Stats.Finished.Add(1)
			p.ended(c)
		case correlate.Expired:
			p.Stats.Expired.Add(1)
			p.ended(c)
		case correlate.Advanced:
		}
	}
	p.write(now, p.outboxTick(now))
	p.send(p.Pressure.Tick(now))
}

func (p *Emitter) accepted(now time.Time, c *correlate.Change) {
	line := alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID}
	p.events = line.AppendJSON(p.events)
	if c.ReceivedAt > 0 {
		p.Latency(now.Sub(time.Unix(0, c.ReceivedAt)))
	}
	if !c.Earlier {
		p.send(p.Pressure.Observe(now, c.ReceivedAt))
	}
}

func (p *Emitter) send(s bus.Signal) {
	switch s {
	case bus.Overloaded:
		p.Logger.Warn("backlog is under pressure")
		p.Signal(true)
	case bus.Relieved:
		p.Signal(false)
	case bus.NoSignal:
	}
}

func (p *Emitter) updated(now time.Time, c *correlate.Change) {
	if p.Enricher == nil {
		p.line(now, c.Alarm)
		return
	}
	ticket, lines := p.Outbox.Add(now, c.Alarm, c.Lookup)
	p.append(now, lines)
	if ticket == 0 {
		return
	}
	directive, id := c.Directive, c.AlarmID
	soFar := p.Enricher.Submit(enrich.Request{Alarm: c.Alarm, LastSrcPort: c.LastSrcPort, LastDstPort: c.LastDstPort},
		func(result enrich.Result) { p.Findings.add(finding{directive, id, ticket, result}) })
	p.Outbox.Follow(ticket, soFar)
}

func (p *Emitter) ended(c *correlate.Change) {
	if p.Enricher != nil {
		p.Outbox.End(c.AlarmID)
	}
}

// resolve gives results of look-ups to their alarms and lines.
func (p *Emitter) resolve(now time.Time) {
	if p.Enricher == nil {
		return
	}
	for _, f := range p.Findings.take() {
		p.Engines.Of(f.directive).Enrich(f.alarmID, f.result.Intel, f.result.Vulns)
		p.append(now, p.Outbox.Resolve(now, f.ticket, f.result))
	}
}

func (p *Emitter) outboxTick(now time.Time) []*alarm.Alarm {
	if p.Enricher == nil {
		return nil
	}
	return p.Outbox.Tick(now)
}

func (p *Emitter) append(now time.Time, lines []*alarm.Alarm) {
	for _, a := range lines {
		p.line(now, a)
	}
}

func (p *Emitter) line(now time.Time, a *alarm.Alarm) {
	p.Recent.Add(shown(now, a))
	p.Stats.AlarmLines[a.Class].Add(1)
	p.alarms = a.AppendJSON(p.alarms)
}

// write hands the collected lines to the writer, and these behind them.
func (p *Emitter) write(now time.Time, lines []*alarm.Alarm) {
	p.append(now, lines)
	if len(p.events)+len(p.alarms) == 0 {
		return
	}
	if err := p.Writer.Write(p.Ctx, p.events, p.alarms); err != nil {
		p.Logger.Error("alarm lines lost", "error", err, "bytes", len(p.events)+len(p.alarms))
	}
	p.events, p.alarms = p.events[:0], p.alarms[:0]
}

// End writes everything that is still held. The enricher has ended.
func (p *Emitter) End(now time.Time) {
	p.resolve(now)
	if p.Enricher != nil {
		p.append(now, p.Outbox.Flush())
	}
	p.write(now, nil)
}

// The original's rule for a flood of log lines: after so many of one kind in a
// second, one in so many is written (spec/interfaces.md §6.1).
const linesPerSecond, oneIn = 100, 100

// sampled reports whether a change of a kind is to be logged.
func (p *Emitter) sampled(now time.Time, kind correlate.Kind) bool {
	if second := now.Unix(); second != p.second {
		p.second = second
		clear(p.logged[:])
	}
	p.logged[kind]++
	n := p.logged[kind]
	return n <= linesPerSecond || n%oneIn == 0
}

// log writes the lines that other tools know from the references
// (spec/interfaces.md §6.3).
func (p *Emitter) log(now time.Time, c *correlate.Change) {
	level := slog.LevelInfo
	if c.Kind == correlate.Accepted {
		level = slog.LevelDebug
	}
	if !p.Logger.Enabled(context.Background(), level) || !p.sampled(now, c.Kind) {
		return
	}
	about := []slog.Attr{slog.Uint64("directive.id", c.Directive), slog.String("backlog.id", c.AlarmID)} //nolint:sloglint // the references' keys
	eventID := slog.String("event.id", c.EventID)                                                        //nolint:sloglint // the references' key
	say := func(message string, attrs ...slog.Attr) {
		p.Logger.LogAttrs(context.Background(), level, message, append(about, attrs...)...) //nolint:sloglint // the references' texts
	}
	switch c.Kind {
	case correlate.Opened:
		say("new backlog created", eventID)
	case correlate.Accepted:
		say("event taken", eventID, slog.Int("stage", c.Stage))
	case correlate.Advanced:
		say("stage increased to " + strconv.Itoa(c.Stage))
	case correlate.Updated:
		if c.Alarm.Risk != c.RiskBefore {
			say(fmt.Sprintf("risk changed from %d to %d", c.RiskBefore, c.Alarm.Risk))
		}
	case correlate.Finished:
		say("reached max stage and occurrence, deleting backlog")
		say("exited running state")
	case correlate.Expired:
		say("backlog expired", slog.Int("stage", c.Stage))
		say("exited running state")
	}
}

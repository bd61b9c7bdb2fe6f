package app

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
	"dsiem/internal/enrich"
	"dsiem/internal/webui"
)

// lineWriter takes whole lines for the two alarm files. It may wait.
type lineWriter interface {
	Write(ctx context.Context, events, alarms []byte) error
}

// publisher turns changes into lines, look-ups, overload signals, counters and
// log lines. It belongs to the dispatcher's goroutine.
type publisher struct {
	writer lineWriter
	// ctx ends when lines that find no room have to be given up.
	ctx context.Context //nolint:containedctx // the dispatcher has no other way to hand it over

	logger  *slog.Logger
	stats   *serveStats
	engines *engines

	// enricher is nil if there is no service to ask: lines are written at once
	// then.
	enricher *enrich.Enricher
	outbox   *enrich.Outbox
	findings findings

	pressure *bus.Pressure
	signal   func(overloaded bool)
	// latency is told how long an accepted event took from its receipt until
	// its line was handed over.
	latency func(time.Duration)

	// recent has the alarms that were written last.
	recent *webui.Recent

	events, alarms []byte

	// logged are the changes of the present second, by kind.
	logged [correlate.Expired + 1]int
	second int64
}

// findings collects results of look-ups for the dispatcher, from any
// goroutine.
type findings struct {
	filled chan struct{}

	mu   sync.Mutex
	list []finding
}

type finding struct {
	directive uint64
	alarmID   string
	ticket    enrich.Ticket
	result    enrich.Result
}

func (f *findings) add(one finding) {
	f.mu.Lock()
	f.list = append(f.list, one)
	f.mu.Unlock()
	select {
	case f.filled <- struct{}{}:
	default:
	}
}

func (f *findings) take() []finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	return list
}

// publish hands on what changed, in order.
func (p *publisher) publish(now time.Time, changes []correlate.Change) {
	p.resolve(now)
	lastStep := uint64(0)
	for i := range changes {
		c := &changes[i]
		p.log(now, c)
		switch c.Kind {
		case correlate.Accepted:
			if c.Order.Step != lastStep {
				lastStep = c.Order.Step
				p.stats.matched.Add(1)
			}
			p.accepted(now, c)
		case correlate.Updated:
			p.updated(now, c)
		case correlate.Opened:
			p.stats.opened.Add(1)
		case correlate.Finished:
			p.stats.finished.Add(1)
			p.ended(c)
		case correlate.Expired:
			p.stats.expired.Add(1)
			p.ended(c)
		case correlate.Advanced:
		}
	}
	p.write(now, p.outboxTick(now))
	p.send(p.pressure.Tick(now))
}

func (p *publisher) accepted(now time.Time, c *correlate.Change) {
	line := alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID}
	p.events = line.AppendJSON(p.events)
	if c.ReceivedAt > 0 {
		p.latency(now.Sub(time.Unix(0, c.ReceivedAt)))
	}
	if !c.Earlier {
		p.send(p.pressure.Observe(now, c.ReceivedAt))
	}
}

func (p *publisher) send(s bus.Signal) {
	switch s {
	case bus.Overloaded:
		p.logger.Warn("backlog is under pressure")
		p.signal(true)
	case bus.Relieved:
		p.signal(false)
	case bus.NoSignal:
	}
}

func (p *publisher) updated(now time.Time, c *correlate.Change) {
	if p.enricher == nil {
		p.line(now, c.Alarm)
		return
	}
	ticket, lines := p.outbox.Add(now, c.Alarm, c.Lookup)
	p.append(now, lines)
	if ticket == 0 {
		return
	}
	directive, id := c.Directive, c.AlarmID
	soFar := p.enricher.Submit(enrich.Request{Alarm: c.Alarm, LastSrcPort: c.LastSrcPort, LastDstPort: c.LastDstPort},
		func(result enrich.Result) { p.findings.add(finding{directive, id, ticket, result}) })
	p.outbox.Follow(ticket, soFar)
}

func (p *publisher) ended(c *correlate.Change) {
	if p.enricher != nil {
		p.outbox.End(c.AlarmID)
	}
}

// resolve gives results of look-ups to their alarms and lines.
func (p *publisher) resolve(now time.Time) {
	if p.enricher == nil {
		return
	}
	for _, f := range p.findings.take() {
		p.engines.of(f.directive).Enrich(f.alarmID, f.result.Intel, f.result.Vulns)
		p.append(now, p.outbox.Resolve(now, f.ticket, f.result))
	}
}

func (p *publisher) outboxTick(now time.Time) []*alarm.Alarm {
	if p.enricher == nil {
		return nil
	}
	return p.outbox.Tick(now)
}

func (p *publisher) append(now time.Time, lines []*alarm.Alarm) {
	for _, a := range lines {
		p.line(now, a)
	}
}

func (p *publisher) line(now time.Time, a *alarm.Alarm) {
	p.recent.Add(shown(now, a))
	p.stats.alarmLines[a.Class].Add(1)
	p.alarms = a.AppendJSON(p.alarms)
}

// write hands the collected lines to the writer, and these behind them.
func (p *publisher) write(now time.Time, lines []*alarm.Alarm) {
	p.append(now, lines)
	if len(p.events)+len(p.alarms) == 0 {
		return
	}
	if err := p.writer.Write(p.ctx, p.events, p.alarms); err != nil {
		p.logger.Error("alarm lines lost", "error", err, "bytes", len(p.events)+len(p.alarms))
	}
	p.events, p.alarms = p.events[:0], p.alarms[:0]
}

// end writes everything that is still held. The enricher has ended.
func (p *publisher) end(now time.Time) {
	p.resolve(now)
	if p.enricher != nil {
		p.append(now, p.outbox.Flush())
	}
	p.write(now, nil)
}

// The original's rule for a flood of log lines: after so many of one kind in a
// second, one in so many is written (spec/interfaces.md §6.1).
const linesPerSecond, oneIn = 100, 100

// sampled reports whether a change of a kind is to be logged.
func (p *publisher) sampled(now time.Time, kind correlate.Kind) bool {
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
func (p *publisher) log(now time.Time, c *correlate.Change) {
	level := slog.LevelInfo
	if c.Kind == correlate.Accepted {
		level = slog.LevelDebug
	}
	if !p.logger.Enabled(context.Background(), level) || !p.sampled(now, c.Kind) {
		return
	}
	about := []slog.Attr{slog.Uint64("directive.id", c.Directive), slog.String("backlog.id", c.AlarmID)} //nolint:sloglint // the references' keys
	eventID := slog.String("event.id", c.EventID)                                                        //nolint:sloglint // the references' key
	say := func(message string, attrs ...slog.Attr) {
		p.logger.LogAttrs(context.Background(), level, message, append(about, attrs...)...) //nolint:sloglint // the references' texts
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

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
)

// emitter turns changes into lines, look-ups, overload signals and log lines. It
// belongs to the Correlator's goroutine.
type emitter struct {
	output   Output
	observer observers
	engines  *shard.Set
	counts   *counts
	logger   *slog.Logger
	// lines is the context of writing; giveUp ends it, when lines that find no room
	// have to be given up.
	lines  context.Context //nolint:containedctx // it lives as long as the emitter
	giveUp context.CancelFunc

	// enricher is nil if there is no service to ask: lines are written at once
	// then.
	enricher *enrich.Enricher
	outbox   *enrich.Outbox
	findings findings

	pressure *bus.Pressure
	signal   func(overloaded bool)

	batch alarm.Batch

	// logged are the changes of the present second, by kind.
	logged [correlate.Expired + 1]int
	second int64
}

func newEmitter(o *Options, engines *shard.Set, counts *counts) *emitter {
	e := &emitter{
		output: o.Output, observer: o.Observers, engines: engines, counts: counts, logger: o.Logger,
		enricher: o.Lookups, outbox: enrich.NewOutbox(enrich.OutboxOptions{Wait: o.LookupWait}),
		findings: findings{filled: make(chan struct{}, 1)},
		pressure: bus.NewPressure(o.Overload.MaxDelay, o.Overload.Hold), signal: o.Overload.Signal,
	}
	if e.signal == nil {
		e.signal = func(bool) {}
	}
	e.lines, e.giveUp = context.WithCancel(context.Background())
	return e
}

// findings collects results of look-ups for the Correlator, from any goroutine.
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

// gaveUp reports whether lines that find no room are lost.
func (e *emitter) gaveUp() bool { return e.lines.Err() != nil }

// found has an element when look-ups have results, which publish takes.
func (e *emitter) found() <-chan struct{} { return e.findings.filled }

// publish hands on what changed, in order.
func (e *emitter) publish(now time.Time, changes []correlate.Change) {
	e.resolve(now)
	for i := range changes {
		c := &changes[i]
		e.log(now, c)
		switch c.Kind {
		case correlate.Accepted:
			e.accepted(now, c)
		case correlate.Updated:
			e.updated(now, c)
		case correlate.Finished, correlate.Expired:
			e.ended(c)
		case correlate.Opened, correlate.Advanced:
		}
	}
	if e.enricher != nil {
		e.add(e.outbox.Tick(now))
	}
	e.write(now)
	e.send(e.pressure.Tick(now))
}

func (e *emitter) accepted(now time.Time, c *correlate.Change) {
	e.batch.AddEvent(&alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID})
	if c.ReceivedAt > 0 && e.counts.latency != nil {
		e.counts.latency.Observe(now.Sub(time.Unix(0, c.ReceivedAt)), 1)
	}
	if !c.Earlier {
		e.send(e.pressure.Observe(now, c.ReceivedAt))
	}
}

func (e *emitter) send(s bus.Signal) {
	switch s {
	case bus.Overloaded:
		e.logger.Warn("backlog is under pressure")
		e.signal(true)
	case bus.Relieved:
		e.signal(false)
	case bus.NoSignal:
	}
}

func (e *emitter) updated(now time.Time, c *correlate.Change) {
	if e.enricher == nil {
		e.batch.AddAlarm(c.Alarm)
		return
	}
	ticket, lines := e.outbox.Add(now, c.Alarm, c.Lookup)
	e.add(lines)
	if ticket == 0 {
		return
	}
	directive, id := c.Directive, c.AlarmID
	soFar := e.enricher.Submit(enrich.Request{Alarm: c.Alarm, LastSrcPort: c.LastSrcPort, LastDstPort: c.LastDstPort},
		func(result enrich.Result) { e.findings.add(finding{directive, id, ticket, result}) })
	e.outbox.Follow(ticket, soFar)
}

func (e *emitter) ended(c *correlate.Change) {
	if e.enricher != nil {
		e.outbox.End(c.AlarmID)
	}
}

// resolve gives results of look-ups to their alarms and lines.
func (e *emitter) resolve(now time.Time) {
	if e.enricher == nil {
		return
	}
	for _, f := range e.findings.take() {
		e.engines.Of(f.directive).Enrich(f.alarmID, f.result.Intel, f.result.Vulns)
		e.add(e.outbox.Resolve(now, f.ticket, f.result))
	}
}

func (e *emitter) add(lines []*alarm.Alarm) {
	for _, a := range lines {
		e.batch.AddAlarm(a)
	}
}

// write hands the collected lines to the Output.
func (e *emitter) write(now time.Time) {
	if e.batch.Size() == 0 {
		return
	}
	for _, a := range e.batch.Alarms {
		e.counts.alarmLines[a.Class].Add(1)
	}
	if err := e.output.Write(e.lines, &e.batch); err != nil {
		e.logger.Error("alarm lines lost", "error", err, "bytes", e.batch.Size())
	}
	e.observer.written(now, &e.batch)
	e.batch.Reset()
}

// close writes everything that is still held. The enricher has ended.
func (e *emitter) close(now time.Time) {
	e.resolve(now)
	if e.enricher != nil {
		e.add(e.outbox.Flush())
	}
	e.write(now)
}

// relieve takes back an overload.
func (e *emitter) relieve() {
	if e.pressure.Overloaded() {
		e.signal(false)
	}
}

// The original's rule for a flood of log lines: after so many of one kind in a
// second, one in so many is written (docs/spec/interfaces.md §6.1).
const linesPerSecond, oneIn = 100, 100

// sampled reports whether a change of a kind is to be logged.
func (e *emitter) sampled(now time.Time, kind correlate.Kind) bool {
	if second := now.Unix(); second != e.second {
		e.second = second
		clear(e.logged[:])
	}
	e.logged[kind]++
	n := e.logged[kind]
	return n <= linesPerSecond || n%oneIn == 0
}

// log writes a line about an alarm that has another stage, risk or class, or is new,
// and, for who wants to see more, those that other tools know from the references
// (docs/spec/interfaces.md §6.3).
func (e *emitter) log(now time.Time, c *correlate.Change) {
	level := slog.LevelDebug
	if c.Kind == correlate.Updated && (c.Lookup || c.Before != c.Alarm.Class || c.RiskBefore != c.Alarm.Risk) {
		level = slog.LevelInfo
	}
	if !e.logger.Enabled(e.lines, level) || !e.sampled(now, c.Kind) {
		return
	}
	if level == slog.LevelInfo {
		e.logger.LogAttrs(e.lines, level, "alarm changed", slog.String("alarm_id", c.AlarmID), slog.String("title", c.Alarm.Title),
			slog.Int("risk", c.Alarm.Risk), slog.String("class", c.Alarm.Class.String()), slog.Int("stage", c.Stage),
			slog.Uint64("directive", c.Directive))
	}
	if e.logger.Enabled(e.lines, slog.LevelDebug) {
		e.logDetail(c)
	}
}

// logDetail writes the references' lines.
func (e *emitter) logDetail(c *correlate.Change) {
	about := []slog.Attr{slog.Uint64("directive.id", c.Directive), slog.String("backlog.id", c.AlarmID)} //nolint:sloglint // the references' keys
	eventID := slog.String("event.id", c.EventID)                                                        //nolint:sloglint // the references' key
	say := func(message string, attrs ...slog.Attr) {
		e.logger.LogAttrs(e.lines, slog.LevelDebug, message, append(about, attrs...)...) //nolint:sloglint // the references' texts
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

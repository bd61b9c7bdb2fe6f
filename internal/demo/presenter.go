package demo

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/demo/story"
	"dsiem/internal/replay"
	"dsiem/internal/text"
)

// presenter shows what happens in the demo. Its methods may be called from any
// goroutine.
type presenter struct {
	mu     sync.Mutex
	w      io.Writer
	colour bool
	start  time.Time
	events int
	acts   []story.Act
	alarms []*shownAlarm // in order of first appearance
	byID   map[string]*shownAlarm
	taken  int // events that alarms took
}

// shownAlarm is an alarm as it was shown last.
type shownAlarm struct {
	alarm.Alarm
	taken int // events
	ended string
}

func newPresenter(o *Options, events int) *presenter {
	return &presenter{
		w: o.Screen, colour: o.Colour, start: o.Start, events: events,
		acts: story.Acts(), byID: map[string]*shownAlarm{},
	}
}

// The colours of a terminal.
const (
	noColour = "0"
	bold     = "1"
	faint    = "2"
	red      = "1;31"
	amber    = "33"
	blue     = "36"
)

func (p *presenter) paint(colour, text string) string {
	if !p.colour || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func (p *presenter) classColour(c alarm.Class) string {
	switch c {
	case alarm.High:
		return red
	case alarm.Medium:
		return amber
	case alarm.Low:
		return blue
	case alarm.Unclassified:
	}
	return noColour
}

func (p *presenter) begin() {
	fmt.Fprintf(p.w, "%s\n%s\n\n",
		p.paint(bold, "Dsiem demo: a morning in a small company"),
		p.paint(faint, fmt.Sprintf("%s events of %.0f minutes, correlated as they happen", text.Group(p.events), story.Length.Minutes())))
}

// watch shows captions whose time has come and alarms that changed.
func (p *presenter) watch(now int64, changes []correlate.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.acts) > 0 && !p.start.Add(p.acts[0].At).After(time.Unix(now, 0)) {
		fmt.Fprintf(p.w, "%s  %s\n", p.start.Add(p.acts[0].At).Format(time.TimeOnly), p.paint(faint, p.acts[0].Text))
		p.acts = p.acts[1:]
	}
	for i := range changes {
		switch c := &changes[i]; c.Kind {
		case correlate.Accepted:
			p.taken++
			if a := p.byID[c.AlarmID]; a != nil {
				a.taken++
			} else {
				p.byID[c.AlarmID] = &shownAlarm{taken: 1}
			}
		case correlate.Updated:
			p.alarm(now, c)
		case correlate.Finished, correlate.Expired:
			p.ended(c)
		case correlate.Opened, correlate.Advanced:
		}
	}
}

func (p *presenter) ended(c *correlate.Change) {
	a := p.byID[c.AlarmID]
	if a == nil || a.ID == "" {
		return
	}
	if c.Kind == correlate.Finished {
		a.ended = replay.StateComplete
	} else {
		a.ended = replay.StateTimedOut
	}
}

// alarm shows an alarm that is new, or whose risk or stages changed.
func (p *presenter) alarm(now int64, c *correlate.Change) {
	a := p.byID[c.AlarmID]
	if a == nil {
		a = &shownAlarm{}
		p.byID[c.AlarmID] = a
	}
	before := a.Alarm
	a.Alarm = *c.Alarm
	what := ""
	switch {
	case before.ID == "":
		p.alarms = append(p.alarms, a)
		what = "alarm"
	case a.Risk > before.Risk:
		what = "grows"
	case slices.ContainsFunc(a.Rules, func(r alarm.Rule) bool { return r.Status == alarm.Timeout }):
		what = "times out"
	case replay.FinishedStages(&a.Alarm) == replay.FinishedStages(&before):
		return // only took another event of an earlier stage
	default:
		what = "goes on"
	}
	fmt.Fprintf(p.w, "%s  %-9s %s %s  %s %s\n", time.Unix(now, 0).In(p.start.Location()).Format(time.TimeOnly),
		what, p.paint(p.classColour(a.Class), fmt.Sprintf("%-6s", a.Class)), p.risk(a.Risk), a.Title,
		p.paint(faint, progressOf(&a.Alarm)))
}

func (p *presenter) risk(risk int) string { return fmt.Sprintf("risk %2d", risk) }

func progressOf(a *alarm.Alarm) string {
	return fmt.Sprintf("(%d of %s)", replay.FinishedStages(a), text.Count(len(a.Rules), "stage"))
}

// totals are what the server has counted, and where its files are.
type totals struct {
	events, alarms              int
	alarmsFile, alarmEventsFile string
}

// end shows all alarms in a table, the gravest first, and where the files are.
func (p *presenter) end(s totals, dir, configs, events string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortStableFunc(p.alarms, func(a, b *shownAlarm) int { return cmp.Compare(b.Risk, a.Risk) })
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", p.paint(bold, fmt.Sprintf("%s events came down to %s",
		text.Group(s.events), text.Count(len(p.alarms), "alarm"))))
	fmt.Fprintf(&b, "%s\n", p.paint(faint, replay.AlarmTableHead))
	for _, a := range p.alarms {
		row := replay.GraveAlarm{
			Title: a.Title, Risk: a.Risk, Class: a.Class.String(), Events: a.taken,
			Finished: replay.FinishedStages(&a.Alarm), Stages: len(a.Rules), State: cmp.Or(a.ended, replay.StateOpen),
		}
		fmt.Fprintln(&b, row.Line(p.paint(p.classColour(a.Class), row.ClassColumn())))
	}
	fmt.Fprintf(&b, "\nalarms         %s (%s)\nalarm events   %s (%s)\nevents         %s\nconfiguration  %s\n",
		s.alarmsFile, text.Count(s.alarms, "line"), s.alarmEventsFile, text.Count(p.taken, "line"), events, configs)
	fmt.Fprintf(&b, "\nChange the directives there, then see what differs:\n  dsiem validate --config %s\n  dsiem replay --config %s --out %s/again %s\n",
		configs, configs, dir, events)
	_, err := io.WriteString(p.w, b.String())
	if err != nil {
		return fmt.Errorf("writing to the screen: %w", err)
	}
	return nil
}

// stay says where the server is, which goes on.
func (p *presenter) stay(url string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := fmt.Fprintf(p.w, "\nDsiem goes on serving at %[1]s until you press Ctrl-C.\n"+
		"Its state: %[1]s/   Send it events: curl -d @event.json %[1]s/events\n", url)
	if err != nil {
		return fmt.Errorf("writing to the screen: %w", err)
	}
	return nil
}

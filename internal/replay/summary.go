package replay

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/alarm"
	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/internal/text"
)

// Summary tells what a replay did.
type Summary struct {
	Events   EventCounts    `json:"events"`
	Rejected map[string]int `json:"rejected"`
	Backlogs BacklogCounts  `json:"backlogs"`
	// Alarms counts alarms by the class they were published with last.
	Alarms map[string]int `json:"alarms"`
	// GravestAlarms are those of the highest risk, MoreAlarms is the number of the
	// others.
	GravestAlarms []*GraveAlarm `json:"gravest_alarms"`
	MoreAlarms    int           `json:"more_alarms"`
	Lines         LineCounts    `json:"lines"`
	// AlarmsFile and AlarmEventsFile are the files that were written.
	AlarmsFile      string `json:"alarms_file"`
	AlarmEventsFile string `json:"alarm_events_file"`
	// NoAlarms says why there are no alarms, if there are none.
	NoAlarms []string `json:"no_alarms"`
	// Unfinished are the backlogs that did not finish.
	Unfinished []Unfinished `json:"unfinished"`
	// Advice is what may give more alarms.
	Advice []string `json:"advice"`
	// Future are the first events that were dated ahead of the records around them.
	Future          []FutureEvent `json:"future"`
	Seconds         float64       `json:"seconds"`
	EventsPerSecond float64       `json:"events_per_second"`

	read, matched atomic.Int64 // shown while the replay runs
	rejections    [event.Reasons]int
	classes       [alarm.High + 1]int
	unfinished    unfinished
	gravest       gravest
}

// EventCounts says what became of the records of the input.
type EventCounts struct {
	// Read is the number of records; each is in exactly one of Rejected,
	// Skipped, Whitelisted and Offered. NoAddresses are those of Skipped that are
	// alerts without addresses.
	Read        int `json:"read"`
	Rejected    int `json:"rejected"`
	Skipped     int `json:"skipped"`
	NoAddresses int `json:"no_addresses"`
	Whitelisted int `json:"whitelisted"`
	Offered     int `json:"offered"`
	// Matched is the number of events that at least one backlog took.
	Matched int `json:"matched"`
	// WithoutID is the number of offered events that came without an event_id and
	// got one, Repaired that of those whose text was no UTF-8 throughout.
	WithoutID int `json:"without_id"`
	Repaired  int `json:"repaired_encoding"`
	// Future is the number of events that were dated ahead of the records around them
	// and are taken for a time between theirs (D30).
	Future int `json:"future"`
	// Late is the number of events that are more than a minute older than the clock,
	// Lagging of those that are older than it by more than the look-back.
	Late    int `json:"late"`
	Lagging int `json:"lagging"`
	// Repeated, OutOfOrder, Outside and Known are matches that were swallowed: a
	// sticky_different value seen before, or an id that a lower stage has; an event
	// older than the end of the stages before; one that a backlog would have taken but
	// for the time of its stage; one that could have opened a backlog but has been
	// recorded in one.
	Repeated   uint64 `json:"repeated"`
	OutOfOrder uint64 `json:"out_of_order"`
	Outside    uint64 `json:"outside"`
	Known      uint64 `json:"known"`
	// LookedBack are events that a backlog was offered after the fact (D33), Forgotten
	// what was forgotten before its time because there was too much, Truncated the
	// events whose address or custom data an alarm does not list.
	LookedBack uint64 `json:"looked_back"`
	Forgotten  uint64 `json:"forgotten"`
	Truncated  uint64 `json:"truncated"`
}

// FutureEvent is an event that was dated ahead of the records around it, and taken
// for a time between theirs.
type FutureEvent struct {
	File  string `json:"file"`
	Line  int    `json:"line"`
	Ahead int64  `json:"seconds_ahead"`
}

// shownFuture is the number of such events that the summary names.
const shownFuture = 100

// BacklogCounts says what became of backlogs.
type BacklogCounts struct {
	Loaded    int `json:"loaded"`
	Discarded int `json:"discarded"`
	Opened    int `json:"opened"`
	Finished  int `json:"finished"`
	Expired   int `json:"expired"`
	Live      int `json:"live"`
	Saved     int `json:"saved"`
}

// LineCounts is the number of lines written.
type LineCounts struct {
	Alarms      int `json:"alarms"`
	AlarmEvents int `json:"alarm_events"`
}

// Started reports whether the replay got as far as reading events.
func (s *Summary) Started() bool { return s.AlarmsFile != "" }

func newSummary() *Summary {
	return &Summary{
		Rejected: map[string]int{}, Alarms: map[string]int{},
		GravestAlarms: []*GraveAlarm{},
		NoAlarms:      []string{}, Unfinished: []Unfinished{}, Advice: []string{}, Future: []FutureEvent{},
		unfinished: unfinished{}, gravest: newGravest(),
	}
}

func (s *Summary) add(c batchCounts) {
	s.read.Add(int64(c.read))
	s.Events.Read += c.read
	for _, n := range c.skipped {
		s.Events.Skipped += n
	}
	s.Events.NoAddresses += c.skipped[input.NoAddresses]
	s.Events.Whitelisted += c.whitelisted
	s.Events.Offered += c.offered
	s.Events.WithoutID += c.withoutID
	s.Events.Repaired += c.repaired
	s.Events.Future += c.future
	s.Events.Late += c.late
	s.Events.Lagging += c.lagging
}

// reject counts a rejection and returns how many there are for its reason.
func (s *Summary) reject(reason event.Reason) int {
	s.Events.Rejected++
	s.rejections[reason]++
	return s.rejections[reason]
}

// alarm counts an alarm line by the alarm's class and its class before.
func (s *Summary) alarm(before, now alarm.Class) {
	if before != alarm.Unclassified {
		s.classes[before]--
	}
	s.classes[now]++
}

// complete fills in what is known at the end.
func (s *Summary) complete(took time.Duration) {
	s.Events.Matched = int(s.matched.Load())
	for reason, n := range s.rejections {
		if n > 0 {
			s.Rejected[event.Reason(reason).String()] = n
		}
	}
	s.Unfinished = s.unfinished.all()
	s.GravestAlarms = s.gravest.all()
	s.MoreAlarms = -len(s.GravestAlarms)
	for class := alarm.Low; class <= alarm.High; class++ {
		s.Alarms[class.String()] = s.classes[class]
		s.MoreAlarms += s.classes[class]
	}
	s.Seconds = took.Seconds()
	if s.Seconds > 0 {
		s.EventsPerSecond = float64(s.Events.Read) / s.Seconds
	}
}

// WriteJSON writes the summary as one indented JSON object.
func (s *Summary) WriteJSON(w io.Writer) error {
	err := json.MarshalWrite(w, s, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	_, err = io.WriteString(w, "\n")
	return err
}

// WriteText writes the summary for people.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(label, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s"+format+"\n", append([]any{label}, args...)...)
	}
	e, l := &s.Events, &s.Backlogs
	line("events", "%s read, %s offered, %s matched", text.Group(e.Read), text.Group(e.Offered), text.Group(e.Matched))
	for _, note := range e.notes(s.Future) {
		if note != "" {
			line("", "%s", note)
		}
	}
	if e.Rejected > 0 {
		var reasons []string
		for reason, n := range s.rejections {
			if n > 0 {
				reasons = append(reasons, fmt.Sprintf("%s %s", text.Group(n), event.Reason(reason)))
			}
		}
		line("rejected", "%s: %s", text.Group(e.Rejected), strings.Join(reasons, ", "))
	}
	if l.Loaded+l.Discarded > 0 {
		line("restored", "%s, %s discarded", text.Count(l.Loaded, "saved backlog"), text.Group(l.Discarded))
	}
	line("backlogs", "%s opened, %s finished, %s expired, %s live", text.Group(l.Opened), text.Group(l.Finished), text.Group(l.Expired), text.Group(l.Live))
	for i, one := range unfinishedLines(s.Unfinished) {
		line(labelOf(i, "ended"), "%s", one)
	}
	if l.Saved > 0 {
		line("saved", "%s", text.Count(l.Saved, "backlog"))
	}
	high, medium, low := s.classes[alarm.High], s.classes[alarm.Medium], s.classes[alarm.Low]
	line("alarms", "%s: %s High, %s Medium, %s Low", text.Group(high+medium+low), text.Group(high), text.Group(medium), text.Group(low))
	for _, reason := range s.NoAlarms {
		line("", "%s", reason)
	}
	for i, one := range s.Advice {
		line(labelOf(i, "advice"), "%s", one)
	}
	line("written", "%s (%s)", s.AlarmsFile, text.Count(s.Lines.Alarms, "line"))
	line("", "%s (%s)", s.AlarmEventsFile, text.Count(s.Lines.AlarmEvents, "line"))
	line("time", "%.2f s, %s events/s", s.Seconds, text.Group(int(s.EventsPerSecond)))
	s.writeAlarms(&b)
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	return nil
}

// writeAlarms writes the table of the gravest alarms, if there are any.
func (s *Summary) writeAlarms(b *strings.Builder) {
	if len(s.GravestAlarms) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", AlarmTableHead)
	for _, a := range s.GravestAlarms {
		fmt.Fprintln(b, a.Line(a.ClassColumn()))
	}
	if s.MoreAlarms > 0 {
		fmt.Fprintf(b, "and %s more\n", text.Group(s.MoreAlarms))
	}
}

// notes tells for people what happened to some of the events, "" for what did not.
func (e *EventCounts) notes(ahead []FutureEvent) []string {
	var swallowed string
	if e.Repeated+e.OutOfOrder+e.Outside+e.Known > 0 {
		swallowed = fmt.Sprintf("matches not counted: %s repeated, %s out of order, %s outside, %s known",
			text.Group(e.Repeated), text.Group(e.OutOfOrder), text.Group(e.Outside), text.Group(e.Known))
	}
	return []string{
		noteOf(e.Skipped-e.NoAddresses, "skipped, "+input.NoAlert.String()),
		noteOf(e.NoAddresses, "skipped, "+input.NoAddresses.String()),
		noteOf(e.Whitelisted, "dropped, from whitelisted addresses"),
		noteOf(e.WithoutID, "without an event_id, which got one"),
		noteOf(e.Repaired, "with bytes that are not UTF-8, replaced by U+FFFD"),
		noteOf(e.Future, "dated ahead of the events around them, and taken for their time: "+futureText(ahead, e.Future)),
		noteOf(e.Late, "more than a minute older than an event before them"),
		swallowed,
		noteOf(e.LookedBack, "looked back to"),
		noteOf(e.Forgotten, "forgotten early, there were too many"),
		noteOf(e.Truncated, "with a value that an alarm does not list"),
	}
}

// noteOf tells what happened to n events, "" if there are none.
func noteOf[N int | uint64](n N, what string) string {
	if n == 0 {
		return ""
	}
	return text.Group(n) + " " + what
}

// labelOf returns the label of the first line of several.
func labelOf(i int, label string) string {
	if i > 0 {
		return ""
	}
	return label
}

// shownPlaces is the number of events dated ahead that are shown to people.
const shownPlaces = 3

// futureText names the first of n events that were dated ahead.
func futureText(events []FutureEvent, n int) string {
	var places []string
	for i := range events[:min(len(events), shownPlaces)] {
		f := &events[i]
		by := (time.Duration(f.Ahead) * time.Second).String()
		if days := f.Ahead / (day / perSecond); days > 1 {
			by = text.Count(int(days), "day")
		}
		places = append(places, fmt.Sprintf("%s:%d by %s", f.File, f.Line, by))
	}
	if n > len(places) {
		places = append(places, "...")
	}
	return strings.Join(places, ", ")
}

package alarm

// The names of the files that alarms are written to (docs/spec/correlation.md §8).
const (
	// AlarmsFile has the alarms, a line for each state that is published.
	AlarmsFile = "siem_alarms.json"
	// EventsFile has the alarm events, a line for each event that an alarm takes.
	EventsFile = "siem_alarm_events.json"
)

// Batch is alarms and alarm events that are written together, and their lines,
// which are made once.
type Batch struct {
	// Alarms are in the order of their lines. Nobody changes them any more.
	Alarms []*Alarm
	// EventLines and AlarmLines are whole lines of the two files.
	EventLines, AlarmLines []byte
}

// AddEvent adds the line of an alarm event.
func (b *Batch) AddEvent(e *Event) { b.EventLines = e.AppendJSON(b.EventLines) }

// AddAlarm adds an alarm and its line.
func (b *Batch) AddAlarm(a *Alarm) {
	b.Alarms = append(b.Alarms, a)
	b.AlarmLines = a.AppendJSON(b.AlarmLines)
}

// Size returns the length of all lines in bytes.
func (b *Batch) Size() int { return len(b.EventLines) + len(b.AlarmLines) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	clear(b.Alarms)
	b.Alarms, b.EventLines, b.AlarmLines = b.Alarms[:0], b.EventLines[:0], b.AlarmLines[:0]
}

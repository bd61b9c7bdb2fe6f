package status

import (
	"sync"
	"time"
)

// ShownAlarms is how many alarms the status page shows.
const ShownAlarms = 20

// Alarm is an alarm as the status page shows it. Its texts may come from events,
// that is, from an attacker.
type Alarm struct {
	// Time is when the alarm was written last.
	Time time.Time `json:"time"`
	// ID is the alarm's id, Title its title.
	ID    string `json:"id"`
	Title string `json:"title"`
	// Risk is 1 to 255; Class is "Low", "Medium" or "High".
	Risk  int    `json:"risk"`
	Class string `json:"class"`
}

// Recent remembers the last alarms. An alarm that was updated takes the place of
// its earlier state and becomes the newest. Any goroutine may add and list.
type Recent struct {
	mu     sync.RWMutex
	alarms []Alarm // the newest first; its capacity is the size
}

// NewRecent returns a Recent of this many alarms; 0 or less is ShownAlarms. Add
// looks at each of them, so it should be dozens, not thousands.
func NewRecent(size int) *Recent {
	if size <= 0 {
		size = ShownAlarms
	}
	return &Recent{alarms: make([]Alarm, 0, size)}
}

// Add remembers an alarm as the newest. It keeps its strings and allocates
// nothing. An alarm without id replaces no other.
func (r *Recent) Add(a Alarm) {
	r.mu.Lock()
	defer r.mu.Unlock()
	place := r.place(a.ID)
	copy(r.alarms[1:place+1], r.alarms[:place])
	r.alarms[0] = a
}

// place returns the entry that an alarm replaces: its own earlier state, a new
// one at the end, or the oldest.
func (r *Recent) place(id string) int {
	for i := range r.alarms {
		if id != "" && r.alarms[i].ID == id {
			return i
		}
	}
	if n := len(r.alarms); n < cap(r.alarms) {
		r.alarms = r.alarms[:n+1]
	}
	return len(r.alarms) - 1
}

// List returns the alarms, the newest first, in a slice of the caller's own. It
// is empty, not nil, before the first alarm.
func (r *Recent) List() []Alarm {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return append(make([]Alarm, 0, len(r.alarms)), r.alarms...)
}

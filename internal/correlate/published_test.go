package correlate

import "testing"

// Alarms are found by ids of any form; of two with one id the first one is, until it
// has ended and the other is published again.
func TestPublishedAlarmsAreFoundByID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "x", "0123456789abcdef", "\x00123456789abcdef", "an id of another program"} {
		var (
			s store
			p published
		)
		backlogs := [2]*backlog{s.take(), s.take()}
		for _, b := range backlogs {
			if len(id) == idLength && id[0] != 0 {
				copy(b.id[:], id)
			}
			p.add(b, id)
		}
		if got := p.find(id); got != backlogs[0].self {
			t.Errorf("%q is %d, want the first, %d", id, got, backlogs[0].self)
		}
		p.remove(backlogs[1], id)
		if got := p.find(id); got != backlogs[0].self {
			t.Errorf("%q is %d after the end of the second, want %d", id, got, backlogs[0].self)
		}
		p.remove(backlogs[0], id)
		if got := p.find(id); got != 0 {
			t.Errorf("%q is %d after the end of the first", id, got)
		}
		p.add(backlogs[1], id)
		if got := p.find(id); got != backlogs[1].self {
			t.Errorf("%q is %d, want the second, %d", id, got, backlogs[1].self)
		}
		if got := p.find("0123456789ABCDEF"); got != 0 {
			t.Errorf("an unknown id is %d", got)
		}
	}
}

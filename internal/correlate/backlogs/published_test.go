package backlogs

import "testing"

// Alarms are found by ids of any form; of two with one id the first one is, until it
// has ended and the other is published again.
func TestPublishedAlarmsAreFoundByID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "x", "0123456789abcdef", "\x00123456789abcdef", "an id of another program"} {
		var (
			s Store
			p Published
		)
		backlogs := [2]*Backlog{s.Take(), s.Take()}
		for _, b := range backlogs {
			if len(id) == IDLength && id[0] != 0 {
				copy(b.ID[:], id)
			}
			p.Add(b, id)
		}
		if got := p.Find(id); got != backlogs[0].Self {
			t.Errorf("%q is %d, want the first, %d", id, got, backlogs[0].Self)
		}
		p.Remove(backlogs[1], id)
		if got := p.Find(id); got != backlogs[0].Self {
			t.Errorf("%q is %d after the end of the second, want %d", id, got, backlogs[0].Self)
		}
		p.Remove(backlogs[0], id)
		if got := p.Find(id); got != 0 {
			t.Errorf("%q is %d after the end of the first", id, got)
		}
		p.Add(backlogs[1], id)
		if got := p.Find(id); got != backlogs[1].Self {
			t.Errorf("%q is %d, want the second, %d", id, got, backlogs[1].Self)
		}
		if got := p.Find("0123456789ABCDEF"); got != 0 {
			t.Errorf("an unknown id is %d", got)
		}
	}
}

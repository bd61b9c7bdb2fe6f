package enrich_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dsiem/internal/alarm"
	"dsiem/internal/enrich"
)

// script plays steps on an outbox that holds lines for 2 seconds, a word each,
// and returns the lines written at each:
//
//	a1?  the line 1 of alarm a, which waits for look-ups
//	a1   the line 1 of alarm a
//	a1=x the result of a1: the finding x
//	a1~x the finding x is what is known of a1 before its result
//	+500 the clock goes on by 500 ms
//	a.   the alarm a has no more lines
//	!    everything is flushed
func script(t *testing.T, box *enrich.Outbox, words string) string {
	t.Helper()
	now := time.Unix(1_000_000, 0)
	tickets := map[string]enrich.Ticket{}
	var out []string
	for word := range strings.FieldsSeq(words) {
		var lines []*alarm.Alarm
		name, finding, isResult := strings.Cut(word, "=")
		followed, known, follows := strings.Cut(word, "~")
		switch {
		case follows:
			box.Follow(tickets[followed], func() enrich.Result { return enrich.Result{Intel: hits(known)} })
		case isResult:
			lines = box.Resolve(now, tickets[name], enrich.Result{Intel: hits(finding)})
		case word[0] == '+':
			d, err := time.ParseDuration(word + "ms")
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(d)
			lines = box.Tick(now)
		case word == "!":
			lines = box.Flush()
		case word[1] == '.':
			box.End(word[:1])
		default:
			line := &alarm.Alarm{ID: word[:1], Title: strings.TrimRight(word, "?")}
			tickets[line.Title], lines = box.Add(now, line, strings.HasSuffix(word, "?"))
		}
		var written []string
		for _, l := range lines {
			written = append(written, shown(l))
		}
		out = append(out, strings.Join(written, ","))
	}
	return strings.Join(out, " ")
}

// hits are findings of one letter each.
func hits(letters string) []alarm.Hit {
	var out []alarm.Hit
	for _, r := range letters {
		out = append(out, alarm.Hit{Provider: "P", Term: "t", Result: string(r)})
	}
	return out
}

// shown is a line as its title and the letters of its findings.
func shown(l *alarm.Alarm) string {
	text := l.Title
	for _, h := range l.IntelHits {
		text += h.Result
	}
	return text
}

// Each word of want is what the word of the steps below it writes; - is nothing.
func TestOutbox(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, steps, want string }{
		{"no look-ups", "a1 a2 b1", "a1 a2 b1"},
		{"result in time", "a1? +500 a1=x", "- - a1x"},
		{"nothing found", "a1? a1= +5000", "- a1 -"},
		{"wait is over", "a1? +1999 +1 +5000", "- - a1 -"},
		{"late result", "a1? +2000 a1=x", "- a1 a1x"},
		{"late result without finding", "a1? +2000 a1=", "- a1 -"},
		{"late result with a known finding", "a1? a1=x a2? +2000 a2=x", "- a1x - a2x -"},
		{"late result when a later line was written", "a1? +2000 a2 a1=x a3", "- a1 a2 a2x a3x"},
		{"late result when a later line is held", "a1? +2000 a2? a1=x a2=y", "- a1 - - a2xy"},
		{"two late results", "a1? a2? +2000 a1=x a2=y a2=y", "- - a1,a2 a2x a2xy -"},
		{"later lines wait for earlier ones", "a1? a2 a3? a4 a3=y a1=x", "- - - - - a1x,a2x,a3xy,a4xy"},
		{"findings of later lines are not in earlier ones", "a1? +1000 a2? a2=y +1000", "- - - - a1,a2y"},
		{"wait of later lines", "a1? +1000 a2? a3 +1000 +1000", "- - - - a1 a2,a3"},
		{"other alarms do not wait", "a1? b1 b2? b2=y a1=x", "- b1 - b2y a1x"},
		{"in order of deadline", "a1? +1 b1? +1 c1? +1 a2 +2000", "- - - - - - - a1,a2,b1,c1"},
		{"findings stay", "a1? a1=x a2 +9000000 a3", "- a1x a2x - a3x"},
		{"end", "a1? a1=x a. a2", "- a1x - a2"},
		{"end before the result", "a1? +2000 a. a1=x a2", "- a1 - a1x a2"},
		{"end while a line is held", "a1? a2 a. a1=x a3", "- - - a1x,a2x a3"},
		{"a line after the end, result open", "a1? +2000 a. a2 a1=x a3", "- a1 - a2 a2x a3x"},
		{"flush", "a1? b1? a2 b1=x ! a1=x a3", "- - - b1x a1,a2 - a3"},
		{"part of the result when the wait is over", "a1? a1~x +2000 a1=xy a2", "- - a1x a1xy a2xy"},
		{"all of the result when the wait is over", "a1? a1~x +2000 a1=x a2", "- - a1x - a2x"},
		{"part of the result, flushed", "a1? a1~x a2 !", "- - - a1x,a2x"},
		{"part of the result is asked for late", "a1? +2000 a1~x a2 a1=x", "- a1 - a2 a2x"},
		{"result after its part", "a1? a1~x a1=y +2000", "- - a1y -"},
		{"part of a later line's result", "a1? +1000 a2? a2~x +1000 a2=", "- - - - a1 a2"},
		{"result twice", "a1? a1=x a1=y a2", "- a1x - a2x"},
		{"an alarm again before its line is off the list", "a1? a1= a2? +2000 a3? a3= +2000", "- a1 - a2 - a3 -"},
	} {
		want := strings.ReplaceAll(tt.want, "-", "")
		if got := script(t, enrich.NewOutbox(enrich.OutboxOptions{Wait: 2 * time.Second}), tt.steps); got != want {
			t.Errorf("%s: %s:\n got %q\nwant %q", tt.name, tt.steps, got, want)
		}
	}
}

func TestOutboxWithoutWait(t *testing.T) {
	t.Parallel()
	if got, want := script(t, enrich.NewOutbox(enrich.OutboxOptions{}), "a1? a1=x a2?"), "a1 a1x a2x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOutboxLimit(t *testing.T) {
	t.Parallel()
	box := enrich.NewOutbox(enrich.OutboxOptions{Wait: time.Hour, Limit: 3})
	if got, want := script(t, box, "a1? b1? a2 b2? b3 c1? b1=x b2=y c1="), "   a1,a2  b1  b2xy,b3xy c1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A line that was handed in is never changed, and one without new findings is
// handed out as it is.
func TestOutboxKeepsLines(t *testing.T) {
	t.Parallel()
	box := enrich.NewOutbox(enrich.OutboxOptions{Wait: time.Second})
	now := time.Unix(0, 0)
	line := &alarm.Alarm{ID: "a", IntelHits: slices.Grow(hits("x"), 10)}
	if _, out := box.Add(now, line, false); len(out) != 1 || out[0] != line {
		t.Error("another line")
	}
	ticket, _ := box.Add(now, line, true)
	out := box.Resolve(now, ticket, enrich.Result{Intel: hits("xy"), Vulns: hits("z")})
	if len(out) != 1 || show(out[0].IntelHits) != "P t x | P t y" || show(out[0].Vulnerabilities) != "P t z" {
		t.Error(out)
	}
	if len(line.IntelHits) != 1 || len(line.Vulnerabilities) != 0 || line.IntelHits[:2][1].Result != "" {
		t.Error("the line was changed")
	}
}

// outboxModel plays random steps and holds what must be true of the lines.
type outboxModel struct {
	box  *enrich.Outbox
	wait time.Duration
	now  time.Time
	// tickets are the open ones with their lines.
	tickets map[enrich.Ticket]modelLine
	alarms  map[string]*modelAlarm
}

type modelLine struct {
	id string
	n  int // number within the alarm
}

type modelAlarm struct {
	added   []time.Time    // when each line was handed in
	written int            // lines so far
	found   map[string]int // the earliest line that each finding is for
	last    map[string]bool
}

func (m *outboxModel) alarm(id string) *modelAlarm {
	a := m.alarms[id]
	if a == nil {
		a = &modelAlarm{found: map[string]int{}}
		m.alarms[id] = a
	}
	return a
}

// write checks lines that are to be written now.
func (m *outboxModel) write(t *rapid.T, lines []*alarm.Alarm) {
	for _, l := range lines {
		a, n := m.alarm(l.ID), int(l.Updated)
		has := map[string]bool{}
		for _, h := range l.IntelHits {
			if has[h.Result] {
				t.Fatalf("%s%d has %s twice", l.ID, n, h.Result)
			}
			has[h.Result] = true
			if at, ok := a.found[h.Result]; !ok || at > n {
				t.Fatalf("%s%d has %s, found for line %d", l.ID, n, h.Result, at)
			}
		}
		for result, at := range a.found {
			if at <= n && !has[result] {
				t.Fatalf("%s%d lacks %s, which was found for line %d", l.ID, n, result, at)
			}
		}
		switch {
		case n == a.written: // the next one
			a.written++
		case n == a.written-1 && len(has) > len(a.last): // once more, with more
			if a.written != len(a.added) {
				t.Fatalf("%s%d once more, but another line is held", l.ID, n)
			}
		default:
			t.Fatalf("%s%d after %d lines", l.ID, n, a.written)
		}
		a.last = has
	}
}

// settled checks what must be true after every step.
func (m *outboxModel) settled(t *rapid.T) {
	held := 0
	for id, a := range m.alarms {
		held += len(a.added) - a.written
		if a.written == len(a.added) && len(a.last) != len(a.found) {
			t.Fatalf("the last line of %s has %v of %v", id, a.last, a.found)
		}
		if a.written < len(a.added) && !m.now.Before(a.added[a.written].Add(m.wait)) {
			t.Fatalf("%s%d is held for %s", id, a.written, m.now.Sub(a.added[a.written]))
		}
	}
	if held != m.box.Held() {
		t.Fatalf("%d lines are held, not %d", held, m.box.Held())
	}
	if next, ok := m.box.Next(); held > 0 && (!ok || next.After(m.now.Add(m.wait))) {
		t.Fatalf("the next tick is at %s", next)
	}
}

func (m *outboxModel) add(t *rapid.T) {
	id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "alarm")
	lookup := rapid.Bool().Draw(t, "look-up")
	a := m.alarm(id)
	n := len(a.added)
	a.added = append(a.added, m.now)
	ticket, lines := m.box.Add(m.now, &alarm.Alarm{ID: id, Updated: int64(n)}, lookup)
	if lookup != (ticket != 0) {
		t.Fatalf("ticket %d", ticket)
	}
	if lookup {
		m.tickets[ticket] = modelLine{id, n}
	}
	m.write(t, lines)
}

func (m *outboxModel) tick(t *rapid.T) {
	at := m.now.Add(time.Duration(rapid.IntRange(-100, 1500).Draw(t, "ms")) * time.Millisecond)
	if at.After(m.now) {
		m.now = at
	}
	m.write(t, m.box.Tick(at))
}

func (m *outboxModel) resolve(t *rapid.T) {
	if len(m.tickets) == 0 {
		t.Skip("no ticket")
	}
	ticket := rapid.SampledFrom(slices.Sorted(maps.Keys(m.tickets))).Draw(t, "ticket")
	line := m.tickets[ticket]
	delete(m.tickets, ticket)
	letters := rapid.StringMatching("[uvwxyz]{0,3}").Draw(t, "findings")
	a := m.alarm(line.id)
	for _, r := range letters {
		if at, ok := a.found[string(r)]; !ok || line.n < at {
			a.found[string(r)] = line.n
		}
	}
	m.write(t, m.box.Resolve(m.now, ticket, enrich.Result{Intel: hits(letters)}))
}

// TestOutboxProperties: no line is lost, doubled or out of order, none is held
// for longer than the wait, and findings are in the line they were found for
// and in all later ones, whatever the order of results and of time.
func TestOutboxProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		wait := time.Duration(rapid.IntRange(0, 2000).Draw(t, "wait")) * time.Millisecond
		m := &outboxModel{
			box:  enrich.NewOutbox(enrich.OutboxOptions{Wait: wait}),
			wait: wait, now: time.Unix(1_000_000, 0),
			tickets: map[enrich.Ticket]modelLine{}, alarms: map[string]*modelAlarm{},
		}
		t.Repeat(map[string]func(*rapid.T){"": m.settled, "add": m.add, "tick": m.tick, "resolve": m.resolve})
		if rapid.Bool().Draw(t, "flush") {
			m.write(t, m.box.Flush())
			for ticket := range m.tickets {
				m.write(t, m.box.Resolve(m.now, ticket, enrich.Result{Intel: hits("x")}))
			}
		}
		for len(m.tickets) > 0 && m.box.Held() > 0 {
			m.resolve(t)
		}
		m.now = m.now.Add(wait)
		m.write(t, m.box.Tick(m.now))
		if m.box.Held() != 0 {
			t.Fatalf("%d lines are held", m.box.Held())
		}
	})
}

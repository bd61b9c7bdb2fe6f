package enrich_test

import (
	"fmt"
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
		switch {
		case isResult:
			lines = box.Resolve(now, tickets[name], enrich.Result{Intel: hits(finding)})
		case word[0] == '+':
			ms := 0
			fmt.Sscan(word, &ms)
			now = now.Add(time.Duration(ms) * time.Millisecond)
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
	if got, want := script(t, box, "a1? b1? a2 b2? b3 b1=x b2=y"), "   a1,a2 b1 b1x b2xy,b3xy"; got != want {
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

	added   map[string][]time.Time       // when each line was handed in, by alarm
	tickets map[enrich.Ticket]modelLine  // open
	found   map[string]map[string]int    // finding -> its line, by alarm
	written map[string]int               // lines so far, by alarm
	last    map[string]map[string]bool   // findings of the last line written
	perLine map[string]map[int][]string // findings of lines by number
}

type modelLine struct {
	id string
	n  int
}

// write checks lines that are to be written now.
func (m *outboxModel) write(t *rapid.T, lines []*alarm.Alarm) {
	for _, l := range lines {
		n := int(l.Updated)
		has := map[string]bool{}
		for _, h := range l.IntelHits {
			if has[h.Result] {
				t.Fatalf("%s%d has %s twice", l.ID, n, h.Result)
			}
			has[h.Result] = true
		}
		for result, at := range m.found[l.ID] {
			late := n == m.written[l.ID]-1
			if !has[result] && (at <= n || late && at < m.written[l.ID]) {
				t.Fatalf("%s%d lacks %s, which was found for line %d", l.ID, n, result, at)
			}
		}
		for result := range has {
			if at, ok := m.found[l.ID][result]; !ok || at > n && at >= m.written[l.ID] {
				t.Fatalf("%s%d has %s, found for line %d", l.ID, n, result, at)
			}
		}
		switch {
		case n == m.written[l.ID]: // the next one
			m.written[l.ID]++
		case n == m.written[l.ID]-1 && len(has) > len(m.last[l.ID]): // once more, with more
			if m.written[l.ID] != len(m.added[l.ID]) {
				t.Fatalf("%s%d once more, but another line is held", l.ID, n)
			}
		default:
			t.Fatalf("%s%d after %d lines", l.ID, n, m.written[l.ID])
		}
		for result := range m.last[l.ID] {
			if !has[result] {
				t.Fatalf("%s%d lost %s", l.ID, n, result)
			}
		}
		m.last[l.ID] = has
	}
}

// settled checks what must be true after every step.
func (m *outboxModel) settled(t *rapid.T) {
	held := 0
	for id, lines := range m.added {
		held += len(lines) - m.written[id]
		if m.written[id] == len(lines) {
			continue
		}
		if at := lines[m.written[id]]; !m.now.Before(at.Add(m.wait)) {
			t.Fatalf("%s%d is held for %s", id, m.written[id], m.now.Sub(at))
		}
	}
	if held != m.box.Held() {
		t.Fatalf("%d lines are held, not %d", held, m.box.Held())
	}
	next, ok := m.box.Next()
	if held > 0 && (!ok || next.After(m.now.Add(m.wait))) {
		t.Fatalf("next tick: %v at %s", ok, next)
	}
}

// TestOutboxProperties: no line is lost, doubled or out of order, none is held
// for longer than the wait, and findings are in the line they were found for
// and in all later ones, whatever the order of results and of time.
func TestOutboxProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		wait := time.Duration(rapid.IntRange(0, 2000).Draw(t, "wait")) * time.Millisecond
		m := &outboxModel{
			box: enrich.NewOutbox(enrich.OutboxOptions{Wait: wait}), wait: wait, now: time.Unix(1_000_000, 0),
			added: map[string][]time.Time{}, tickets: map[enrich.Ticket]modelLine{}, found: map[string]map[string]int{},
			written: map[string]int{}, last: map[string]map[string]bool{}, perLine: map[string]map[int][]string{},
		}
		t.Repeat(map[string]func(*rapid.T){
			"": m.settled,
			"add": func(t *rapid.T) {
				id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "alarm")
				lookup := rapid.Bool().Draw(t, "look-up")
				n := len(m.added[id])
				m.added[id] = append(m.added[id], m.now)
				ticket, lines := m.box.Add(m.now, &alarm.Alarm{ID: id, Updated: int64(n)}, lookup)
				if lookup {
					m.tickets[ticket] = modelLine{id, n}
				} else if ticket != 0 {
					t.Fatal("a ticket for nothing")
				}
				m.write(t, lines)
			},
			"resolve": func(t *rapid.T) {
				if len(m.tickets) == 0 {
					t.Skip("no ticket")
				}
				m.resolve(t, rapid.SampledFrom(slices.Sorted(maps.Keys(m.tickets))).Draw(t, "ticket"))
			},
			"tick": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(-100, 1500).Draw(t, "ms")) * time.Millisecond)
				m.write(t, m.box.Tick(m.now))
			},
		})
		if rapid.Bool().Draw(t, "flush") {
			m.write(t, m.box.Flush())
		}
		for _, ticket := range slices.Sorted(maps.Keys(m.tickets)) {
			if m.box.Held() > 0 {
				m.resolve(t, ticket)
			}
		}
		m.now = m.now.Add(time.Hour)
		m.write(t, m.box.Tick(m.now))
		m.settled(t)
	})
}

func (m *outboxModel) resolve(t *rapid.T, ticket enrich.Ticket) {
	line := m.tickets[ticket]
	delete(m.tickets, ticket)
	letters := rapid.StringMatching("[uvwxyz]{0,3}").Draw(t, "findings")
	found := m.found[line.id]
	if found == nil {
		found = map[string]int{}
		m.found[line.id] = found
	}
	for _, r := range letters {
		at, ok := found[string(r)]
		if !ok || line.n < at {
			found[string(r)] = line.n
		}
	}
	m.write(t, m.box.Resolve(m.now, ticket, enrich.Result{Intel: hits(letters)}))
}

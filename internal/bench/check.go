package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-json-experiment/json"
)

// Findings are the differences between what a server wrote and what it had to
// write. The zero value is none.
type Findings struct {
	// Lost counts lines that are missing: of an event that a backlog had to take,
	// or of an alarm.
	Lost uint64 `json:"lost"`
	// Duplicate counts lines that are there again, and second alarms of an
	// attack.
	Duplicate uint64 `json:"duplicate"`
	// Foreign counts lines that belong to nothing that was sent, or to something
	// else: an event that matches nothing, an alarm with the events or addresses
	// of another attack.
	Foreign uint64 `json:"foreign"`
	// WrongStage counts events in the wrong stage, and alarm lines of a stage that
	// was not complete or whose turn was over.
	WrongStage uint64 `json:"wrong_stage"`
	// WrongRisk counts alarm lines with the wrong risk or risk class.
	WrongRisk uint64 `json:"wrong_risk"`
	// Examples are the first few of each, in words.
	Examples []string `json:"examples,omitempty"`
}

// Total returns the number of findings of all kinds.
func (f *Findings) Total() uint64 {
	return f.Lost + f.Duplicate + f.Foreign + f.WrongStage + f.WrongRisk
}

// examples is how many findings of a kind are told in words.
const examples = 3

// add counts a finding of a kind, which is one of the counters.
func (f *Findings) add(kind *uint64, format string, args ...any) {
	if *kind++; *kind <= examples {
		f.Examples = append(f.Examples, fmt.Sprintf(format, args...))
	}
}

// checker compares the lines of both alarm files with what a plan says: all
// lines about events first, then all about alarms, then the rest.
type checker struct {
	*plan
	Findings

	// sent is the number of events of each stream.
	sent []uint64
	// seen has a bit for each event of a stream that a backlog took.
	seen [][]uint64
	// attacks are the attacks of each stream, by round and slot; deserted those
	// that are abandoned, by the number of their event; known those of all alarm
	// ids so far.
	attacks  [][]attack
	deserted []map[uint64]*attack
	known    map[string]*attack
}

// attack is what was written about one attack.
type attack struct {
	id     string // of its alarm
	stream int
	// first is the part of the event that opens it.
	first part
	// lines has a bit for each stage with an alarm line; stage 2 of one that is
	// abandoned is its end.
	lines uint8
}

func newChecker(p *plan, sent []uint64) *checker {
	c := &checker{plan: p, sent: slices.Clone(sent), known: map[string]*attack{}}
	for stream, n := range sent {
		const bits = 64
		c.seen = append(c.seen, make([]uint64, divideUp(n, bits)))
		all := make([]attack, (n/(p.live*p.length)+2)*p.live)
		for i := range all {
			slot := uint64(i) % p.live
			all[i] = attack{stream: stream, first: part{kind: matched, slot: slot, round: uint64(i) / p.live}}
		}
		c.attacks = append(c.attacks, all)
		c.deserted = append(c.deserted, map[uint64]*attack{})
	}
	return c
}

// check compares both files.
func (c *checker) check(events, alarms string) (*Findings, error) {
	for _, file := range []struct {
		name string
		line func([]byte)
	}{{events, c.event}, {alarms, c.alarm}} {
		if err := eachLine(file.name, file.line); err != nil {
			return nil, fmt.Errorf("checking what the server wrote: %w", err)
		}
	}
	return c.finish(), nil
}

// eachLine calls a function for each line of a file, without its end. A file
// that does not exist has none; a last line without an end is one.
func eachLine(name string, fn func([]byte)) error {
	file, err := os.Open(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	defer file.Close()
	const longest = 1 << 20
	reader := bufio.NewReaderSize(file, longest)
	for {
		line, err := reader.ReadSlice('\n')
		if len(line) > 0 {
			fn(bytes.TrimSuffix(line, []byte{'\n'}))
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

// eventLine is a line about an event as the checker needs it.
type eventLine struct{ alarmID, stage, eventID []byte }

// parseEventLine reads a line about an event in the one form that it has.
func parseEventLine(line []byte) (e eventLine, ok bool) {
	for _, next := range []struct {
		before, behind string
		value          *[]byte
	}{
		{`{"alarm_id":"`, `",`, &e.alarmID},
		{`"stage":`, `,`, &e.stage},
		{`"event_id":"`, `"}`, &e.eventID},
	} {
		rest, begins := bytes.CutPrefix(line, []byte(next.before))
		if *next.value, line, ok = bytes.Cut(rest, []byte(next.behind)); !begins || !ok {
			return eventLine{}, false
		}
	}
	return e, len(line) == 0
}

// event looks at a line about an event.
func (c *checker) event(line []byte) {
	e, ok := parseEventLine(line)
	if !ok {
		c.add(&c.Foreign, "the line %q is not about an event", line)
		return
	}
	stream, n, ok := c.readID(e.eventID)
	if !ok || n >= c.sent[stream] {
		c.add(&c.Foreign, "event %s was never sent", e.eventID)
		return
	}
	m := c.part(n)
	if m.kind < abandoned {
		c.add(&c.Foreign, "event %s matches nothing, but is in alarm %s", e.eventID, e.alarmID)
		return
	}
	const bits = 64
	if c.seen[stream][n/bits]&(1<<(n%bits)) != 0 {
		c.add(&c.Duplicate, "event %s is there again, in alarm %s", e.eventID, e.alarmID)
		return
	}
	c.seen[stream][n/bits] |= 1 << (n % bits)
	if want := c.stage(m.position); len(e.stage) != 1 || int(e.stage[0]-'0') != want {
		c.add(&c.WrongStage, "event %s is in stage %s of alarm %s, not in stage %d", e.eventID, e.stage, e.alarmID, want)
	}
	c.belongs(c.attackOf(stream, m), &e)
}

func (c *checker) attackOf(stream int, m part) *attack {
	if m.kind == matched {
		return &c.attacks[stream][m.round*c.live+m.slot]
	}
	a := c.deserted[stream][m.slot]
	if a == nil {
		a = &attack{stream: stream, first: m}
		c.deserted[stream][m.slot] = a
	}
	return a
}

// belongs checks that an attack and an alarm belong to each other only.
func (c *checker) belongs(a *attack, e *eventLine) {
	other := c.known[string(e.alarmID)]
	switch {
	case other == nil && a.id == "":
		a.id = string(e.alarmID)
		c.known[a.id] = a
	case other == nil:
		c.known[string(e.alarmID)] = a
		c.add(&c.Duplicate, "event %s is in alarm %s, but its attack has alarm %s", e.eventID, e.alarmID, a.id)
	case other != a:
		c.add(&c.Foreign, "event %s is in alarm %s, which is that of another attack", e.eventID, e.alarmID)
	}
}

// alarmLine is a line about an alarm as far as it is checked.
type alarmLine struct {
	ID     string     `json:"alarm_id"`
	Risk   int        `json:"risk"`
	Class  string     `json:"risk_class"`
	Rules  []ruleLine `json:"rules"`
	SrcIPs []string   `json:"src_ips"`
	DstIPs []string   `json:"dst_ips"`
}

type ruleLine struct {
	PluginID uint64 `json:"plugin_id"`
	Status   string `json:"status"`
}

// finished returns the number of stages that are complete, and whether the next
// one has expired; -1 if others come before them, or behind one that has.
func (a *alarmLine) finished() (n int, expired bool) {
	for i, r := range a.Rules {
		switch {
		case r.Status == "finished" && n == i:
			n++
		case r.Status == "timeout" && n == i:
			expired = true
		case r.Status != "":
			return -1, false
		}
	}
	return n, expired
}

// riskClass returns the class of a risk with default settings.
func riskClass(risk int) string {
	const mediumFrom, mediumTo = 3, 6
	switch {
	case risk < mediumFrom:
		return "Low"
	case risk <= mediumTo:
		return "Medium"
	}
	return "High"
}

// alarm looks at a line about an alarm.
func (c *checker) alarm(line []byte) {
	var l alarmLine
	if err := json.Unmarshal(line, &l); err != nil {
		c.add(&c.Foreign, "the line %.80q is not about an alarm: %v", line, err)
		return
	}
	a := c.known[l.ID]
	if a == nil {
		c.add(&c.Foreign, "alarm %s has no events", l.ID)
		return
	}
	if !c.about(&l, c.target(a.stream, a.first)) {
		c.add(&c.Foreign, "alarm %s is about directive, source or destination of another attack", l.ID)
	}
	stage, expired := l.finished()
	step := stage // of the attack: the end of one that is abandoned is the second
	if expired {
		step++
	}
	switch {
	case len(l.Rules) != stages || stage < 1 || !c.completed(a, stage):
		c.add(&c.WrongStage, "alarm %s has a line with %d complete stages, which they never were", l.ID, stage)
		return
	case expired && a.first.kind != abandoned:
		c.add(&c.WrongStage, "alarm %s has expired after stage %d, though its attack goes on", l.ID, stage)
		return
	case a.lines&(1<<step) != 0:
		c.add(&c.Duplicate, "alarm %s has another line about its stage %d", l.ID, step)
		return
	case a.lines>>step != 0:
		c.add(&c.WrongStage, "alarm %s has a line about stage %d behind that of a later one", l.ID, step)
		return
	}
	a.lines |= 1 << step
	if want := c.risk(c.target(a.stream, a.first), stage); l.Risk != want || l.Class != riskClass(want) {
		c.add(&c.WrongRisk, "alarm %s has risk %d (%s) after stage %d, not %d (%s)", l.ID, l.Risk, l.Class, stage, want, riskClass(want))
	}
}

// about reports whether an alarm is about a target and nothing else.
func (c *checker) about(l *alarmLine, t target) bool {
	for _, r := range l.Rules {
		if r.PluginID != firstPlugin+t.directive {
			return false
		}
	}
	return len(l.SrcIPs) == 1 && l.SrcIPs[0] == c.address(sourceNet, t.src) &&
		len(l.DstIPs) == 1 && l.DstIPs[0] == c.address(homeNet, t.dst)
}

// completed reports whether the event that completes a stage of an attack was
// sent.
func (c *checker) completed(a *attack, stage int) bool {
	m := a.first
	if m.kind == abandoned {
		return stage == 1
	}
	m.position = c.last(stage)
	return c.number(m) < c.sent[a.stream]
}

// finish looks for what is missing. All attacks that are abandoned have had the
// time to expire.
func (c *checker) finish() *Findings {
	const bits = 64
	for stream, sent := range c.sent {
		for n := range sent {
			m := c.part(n)
			if m.kind < abandoned {
				continue
			}
			a := c.attackOf(stream, m)
			if c.seen[stream][n/bits]&(1<<(n%bits)) == 0 {
				c.add(&c.Lost, "event %d of connection %d is missing: number %d of an attack of directive %d",
					n, stream, m.position+1, c.target(stream, m).directive+1)
			}
			stage := c.stage(m.position)
			if m.position != c.last(stage) || c.risk(c.target(stream, m), stage) == 0 {
				continue
			}
			if a.lines&(1<<stage) == 0 {
				c.add(&c.Lost, "alarm %q has no line after stage %d", a.id, stage)
			}
			if m.kind == abandoned && a.lines&(1<<(stage+1)) == 0 {
				c.add(&c.Lost, "alarm %q has no line about its end, though it has expired", a.id)
			}
		}
	}
	return &c.Findings
}

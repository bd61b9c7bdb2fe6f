package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"dsiem/internal/event"
)

// defaultPluginID is the plugin id of events and rules that state none.
const defaultPluginID = 1001

// normalized is one normalized event of docs/spec/correlation.md §1.1.
type normalized struct {
	ID          string `json:"event_id"`
	Timestamp   string `json:"timestamp"`
	Title       string `json:"title"`
	Sensor      string `json:"sensor"`
	SrcIP       string `json:"src_ip"`
	SrcPort     uint16 `json:"src_port"`
	DstIP       string `json:"dst_ip"`
	DstPort     uint16 `json:"dst_port"`
	Protocol    string `json:"protocol"`
	PluginID    uint64 `json:"plugin_id,omitempty"`
	PluginSID   uint64 `json:"plugin_sid,omitempty"`
	Product     string `json:"product,omitempty"`
	Category    string `json:"category,omitempty"`
	Subcategory string `json:"subcategory,omitempty"`
	customFields

	at      time.Duration // from the base time
	arrival int64         // likewise, in nanoseconds, or NoArrival
	zone    *time.Location
}

// eventClock gives times to events that state none. It runs on through all
// runs of a scenario, and remembers the event ids seen.
type eventClock struct {
	gap     time.Duration
	last    time.Duration
	started bool
	ids     map[string][]byte // NDJSON line by event id
	// arrivals are those of the run's events so far.
	arrivals []int64
}

// next is the time of an event that states none.
func (c *eventClock) next() time.Duration {
	if !c.started {
		return 0
	}
	return c.last + c.gap
}

// noID is how a scenario names an event without an id.
const noID = `""`

// eventsFile is the name of the file that the events of a run are in. Ids of events
// without one depend on it.
const eventsFile = "events.ndjson"

// givenIDs returns the ids that a replay gives to the events of the run which have none
// (docs/spec/correlation.md D34).
func (r *Run) givenIDs() map[string]bool {
	ids := map[string]bool{}
	number := 0
	for line := range strings.Lines(string(r.Events)) {
		number++
		ids[event.RecordID(eventsFile, number, []byte(strings.TrimSpace(line)))] = true
	}
	return ids
}

// parseEvents turns the events section into NDJSON, with the arrivals of its lines if
// it states any.
func (s *source) parseEvents(sec *section, clock *eventClock) (events []byte, arrivals []int64) {
	clock.arrivals = nil
	var out bytes.Buffer
	var all []string
	clock.gap = time.Second
	if clock.ids == nil {
		clock.ids = map[string][]byte{}
	}
	for i, row := range sec.body {
		if row = strings.TrimSpace(row); strings.HasPrefix(row, "{") {
			if err := clock.raw(row); err != nil {
				s.failf(sec.at(i), "%v", err)
			}
			out.WriteString(row + "\n")
			clock.arrivals = append(clock.arrivals, NoArrival)
			continue
		}
		e, ok := s.entry(sec, i)
		if !ok {
			continue
		}
		head, words := e.raw[0], e.raw[1:]
		if head == "all" {
			words, err := clock.setGap(words)
			if err != nil {
				s.failf(e.line, "all: %v", err)
			}
			all = words
			continue
		}
		lines, err := clock.events(head, all, words)
		if err != nil {
			s.failf(e.line, "%v", err)
		}
		out.Write(lines)
	}
	stated := func(at int64) bool { return at != NoArrival }
	if !slices.ContainsFunc(clock.arrivals, stated) {
		return out.Bytes(), nil
	}
	return out.Bytes(), clock.arrivals
}

// setGap takes gap=… out of the words of an "all" line.
func (c *eventClock) setGap(words []string) (rest []string, err error) {
	for _, w := range words {
		value, ok := strings.CutPrefix(w, "gap=")
		if !ok {
			rest = append(rest, w)
			continue
		}
		if c.gap, err = offset(value); err != nil {
			return rest, err
		}
	}
	return rest, nil
}

// raw notes the id of an event that is given as JSON text, if the text has one.
func (c *eventClock) raw(text string) error {
	var ev struct {
		ID any `json:"event_id"`
	}
	if err := json.Unmarshal([]byte(text), &ev); err != nil {
		return nil //nolint:nilerr // a text that is no JSON has no id and is to be rejected
	}
	id, _ := ev.ID.(string)
	if id == "" {
		c.ids[noID] = []byte(text)
		return nil
	}
	if !isID(id) {
		return fmt.Errorf("event_id %q: use letters, digits, - and _", id)
	}
	if _, known := c.ids[id]; known {
		return errors.New("the id is taken; write \"" + id + " again\" to repeat the event")
	}
	c.ids[id] = []byte(text + "\n")
	return nil
}

// events returns the NDJSON lines of one event or a range of them.
func (c *eventClock) events(head string, all, words []string) ([]byte, error) {
	ids, err := expand(head)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, id := range ids {
		line, err := c.event(id, all, words)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", id, err)
		}
		out = append(out, line...)
	}
	return out, nil
}

// event returns the NDJSON line of one event.
func (c *eventClock) event(id string, all, words []string) ([]byte, error) {
	line, known := c.ids[id]
	ev := &normalized{
		ID: id, Title: "t", Sensor: "s", SrcIP: "10.0.0.1", DstIP: "10.0.0.2", Protocol: "TCP",
		at: c.next(), arrival: NoArrival, zone: time.UTC,
	}
	if len(words) > 0 && words[0] == "again" {
		if !known {
			return nil, errors.New("there is no such event yet")
		}
		for _, w := range words[1:] {
			if !strings.HasPrefix(w, "@") {
				return nil, fmt.Errorf("word %q after \"again\" is not an arrival", w)
			}
			if err := ev.apply(w); err != nil {
				return nil, err
			}
		}
		c.arrivals = append(c.arrivals, ev.arrival)
		return line, nil
	}
	if known {
		return nil, fmt.Errorf("the id is taken; write \"%s again\" to repeat the event", id)
	}
	for _, w := range slices.Concat(all, words) {
		if err := ev.apply(w); err != nil {
			return nil, err
		}
	}
	ev.identify()
	ev.Timestamp = Base().Add(ev.at).In(ev.zone).Format(time.RFC3339Nano)
	c.last, c.started = ev.at, true
	c.arrivals = append(c.arrivals, ev.arrival)

	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(ev); err != nil {
		return nil, err
	}
	c.ids[id] = buf.Bytes()
	return buf.Bytes(), nil
}

// identify gives the default plugin to an event that is not of a taxonomy only.
func (ev *normalized) identify() {
	if ev.Product != "" && ev.PluginID == 0 && ev.PluginSID == 0 {
		return
	}
	if ev.PluginID == 0 {
		ev.PluginID = defaultPluginID
	}
	if ev.PluginSID == 0 {
		ev.PluginSID = 1
	}
}

func (ev *normalized) apply(word string) error {
	if ports, ok := strings.CutPrefix(word, "port:"); ok {
		return ev.applyPorts(ports)
	}
	if key, value, ok := strings.Cut(word, "="); ok {
		return ev.applyValue(key, value)
	}
	if src, dst, ok := strings.Cut(word, ">"); ok {
		return errors.Join(address(src, &ev.SrcIP), address(dst, &ev.DstIP))
	}
	if arrival, ok := strings.CutPrefix(word, "@"); ok {
		at, err := offset(arrival)
		ev.arrival = int64(at)
		return err
	}
	if strings.HasPrefix(word, "+") || strings.HasPrefix(word, "-") {
		at, err := offset(word)
		ev.at = at
		return err
	}
	if n, ok := numbered(word, "pid"); ok {
		return atou(n, &ev.PluginID)
	}
	if n, ok := numbered(word, "sid"); ok {
		return atou(n, &ev.PluginSID)
	}
	return fmt.Errorf("word %q is not understood", word)
}

func (ev *normalized) applyPorts(ports string) error {
	src, dst, ok := strings.Cut(ports, ">")
	if !ok {
		return fmt.Errorf("port:%s: write port:SRC>DST, port:SRC> or port:>DST", ports)
	}
	return errors.Join(port(src, &ev.SrcPort), port(dst, &ev.DstPort))
}

func (ev *normalized) applyValue(key, value string) error {
	switch key {
	case "protocol":
		ev.Protocol = value
	case "title":
		ev.Title = value
	case "sensor":
		ev.Sensor = value
	case "zone":
		at, err := time.Parse("-07:00", value)
		if err != nil {
			return fmt.Errorf("zone=%s: write it as +07:00", value)
		}
		_, seconds := at.Zone()
		ev.zone = time.FixedZone("", seconds)
	case "tax":
		product, category, sub, err := taxonomy(value)
		ev.Product, ev.Category, ev.Subcategory = product, category, sub
		return err
	default:
		field := ev.field(key)
		if field == nil {
			return fmt.Errorf("word \"%s=\" is not understood", key)
		}
		*field = value
	}
	return nil
}

// address sets an address; an empty text keeps what is there and .7 means
// 10.0.0.7.
func address(text string, into *string) error {
	if text == "" {
		return nil
	}
	if strings.HasPrefix(text, ".") {
		text = "10.0.0" + text
	}
	if _, err := netip.ParseAddr(text); err != nil {
		return fmt.Errorf("%q is not an address", text)
	}
	*into = text
	return nil
}

// port sets a port; an empty text keeps what is there.
func port(text string, into *uint16) error {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return fmt.Errorf("%q is not a port", text)
	}
	*into = uint16(n)
	return nil
}

// offset reads a number of seconds, with sign and fraction if any.
func offset(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text + "s")
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of seconds", text)
	}
	return d, nil
}

// maxRange bounds e1..eN, against slips of the pen.
const maxRange = 100_000

// expand returns the event ids of e1 or e5..e17.
func expand(word string) ([]string, error) {
	first, last, ok := strings.Cut(word, "..")
	if !isID(first) {
		return nil, fmt.Errorf("%q is not an event id; use letters, digits, - and _", first)
	}
	if !ok {
		return []string{first}, nil
	}
	prefix, from, ok1 := counted(first)
	prefix2, to, ok2 := counted(last)
	if !ok1 || !ok2 || prefix != prefix2 || from > to || to-from >= maxRange {
		return nil, fmt.Errorf("%q is not a range of event ids such as e5..e17", word)
	}
	ids := make([]string, 0, to-from+1)
	for n := from; n <= to; n++ {
		ids = append(ids, prefix+strconv.Itoa(n))
	}
	return ids, nil
}

// isID reports whether text can be an event id in a scenario.
func isID(text string) bool {
	for _, c := range text {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return text != ""
}

// counted takes an id such as e17 apart. Ids with leading zeros have no number.
func counted(id string) (prefix string, number int, ok bool) {
	prefix = strings.TrimRight(id, "0123456789")
	digits := id[len(prefix):]
	n, err := strconv.Atoi(digits)
	return prefix, n, err == nil && strconv.Itoa(n) == digits
}

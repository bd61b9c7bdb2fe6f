package correlate_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/asset"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// The decisions of docs/spec/correlation.md §15, one by one, shown on the reference; what is
// expected comes from the text. Times are seconds after the start of a world.

// stages is a directive whose stages have the SIDs 1, 2, 3 ... and the given
// occurrences, all of one source, with timeouts of 60 s.
func stages(occurrences ...uint64) *directive.Directive {
	d := &directive.Directive{ID: 1, Name: "D", Kingdom: "K", Category: "C", Priority: 3}
	for i, n := range occurrences {
		from := ":1"
		if i == 0 {
			from = "ANY"
		}
		d.Rules = append(d.Rules, directive.Rule{
			Name: "r", Stage: i + 1, Occurrence: n, PluginID: 1001, PluginSID: []uint64{uint64(i + 1)},
			From: from, To: "ANY", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 10, Timeout: 60,
		})
	}
	return d
}

// bruteForce is the documented directive: failures, then a success.
func bruteForce() *directive.Directive {
	d := stages(1, 4, 1)
	d.AllRulesAlwaysActive = true
	d.Rules[1].PluginSID, d.Rules[2].PluginSID = []uint64{1}, []uint64{2}
	for i := range d.Rules {
		d.Rules[i].Timeout = 300
	}
	return d
}

func with(d *directive.Directive, edit func(*directive.Directive)) *directive.Directive {
	edit(d)
	return d
}

// site is a reference with a home network of value 4, so that a completed stage
// has risk 4.
func site(opts settings, directives ...*directive.Directive) *reference {
	return &reference{
		directives: directives, opts: opts, bounds: specified(),
		assets: []asset.Asset{{Name: "net", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Value: 4}},
	}
}

func moment(seconds float64) int64 {
	return worldStart + int64(math.Round(seconds*1e6))*1000
}

// sends is an event of time t with a SID.
func sends(t float64, id string, sid uint64) event.Event {
	return at(event.Event{
		ID: id, SrcIP: netip.MustParseAddr("10.0.0.1"), DstIP: netip.MustParseAddr("10.0.0.2"),
		PluginID: 1001, PluginSID: sid,
	}, moment(t))
}

func from(ev event.Event, src string) event.Event {
	ev.SrcIP = netip.MustParseAddr(src)
	return ev
}

// hear lets an event arrive.
func (r *reference) hear(clock float64, ev event.Event) { r.Step(moment(clock), &ev) }

// now lets an event arrive at its own time.
func (r *reference) now(t float64, id string, sid uint64) { r.hear(t, sends(t, id, sid)) }

// story tells lines in short: "#1 2[e5]" for an event taken by stage 2 of the
// first alarm, "#1 4/FT" for an alarm line with risk 4, one letter a rule.
func story(lines []string) []string {
	var out []string
	for _, line := range named(lines) {
		name, rest, _ := strings.Cut(line, ",")
		var doc struct {
			Stage   int    `json:"stage"`
			EventID string `json:"event_id"`
			Risk    int    `json:"risk"`
			Rules   []struct {
				Status string `json:"status"`
			} `json:"rules"`
		}
		if err := json.Unmarshal([]byte("{"+rest), &doc); err != nil {
			panic(err) // a line of ours is JSON
		}
		if doc.Rules == nil {
			out = append(out, fmt.Sprintf("%s %d[%s]", name, doc.Stage, doc.EventID))
			continue
		}
		letters := ""
		for _, rule := range doc.Rules {
			letters += map[string]string{"": "-", "finished": "F", "timeout": "T"}[rule.Status]
		}
		out = append(out, fmt.Sprintf("%s %d/%s", name, doc.Risk, letters))
	}
	return out
}

func (r *reference) tells(t *testing.T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, story(r.lines)); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
}

func (r *reference) counts(t *testing.T, want map[string]uint64) {
	t.Helper()
	if diff := cmp.Diff(want, r.counters); diff != "" {
		t.Errorf("counters: want - got +:\n%s", diff)
	}
}

// field returns what a key of the last line with such a key holds.
func (r *reference) field(t *testing.T, path ...any) any {
	t.Helper()
	for _, line := range slices.Backward(r.lines) {
		var v any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		for _, step := range path {
			switch key := step.(type) {
			case string:
				v = v.(map[string]any)[key]
			case int:
				v = v.([]any)[key]
			}
			if v == nil {
				break
			}
		}
		if v != nil {
			return v
		}
	}
	t.Fatalf("no line has %v", path)
	return nil
}

// seconds reads a time of a line as seconds after the start of the world.
func (r *reference) seconds(t *testing.T, path ...any) int64 {
	t.Helper()
	return int64(r.field(t, path...).(float64)) - worldStart/nanos
}

// D28: a time ahead of the arrival becomes the arrival's; the id of the alarm
// comes from what was sent; from 1 s on it is counted.
func TestReferenceNoFuture(t *testing.T) {
	r := site(defaults(), stages(1, 1))
	r.hear(10, sends(10.999, "e1", 1)) // less than a second ahead
	r.counts(t, nil)
	r.hear(11, from(sends(86400*3650, "e2", 1), "10.0.0.3"))
	r.counts(t, map[string]uint64{"future": 1})
	if got := r.seconds(t, "rules", 1, "start_time"); got != 11 {
		t.Errorf("a stage starts at %d, want 11", got)
	}
	r.hear(12, from(sends(12, "e3", 2), "10.0.0.3"))
	r.hear(13, from(sends(13, "e4", 1), "10.0.0.3")) // the source is not blind
	r.tells(t, "#1 1[e1]", "#1 4/F-", "#2 1[e2]", "#2 4/F-", "#2 2[e3]", "#2 4/FF", "#3 1[e4]", "#3 4/F-")
}

// D29 with scenario 6: A(10 s), B(9 s), C(11 s) in this order of arrival.
func TestReferenceTolerance(t *testing.T) {
	for _, times := range [][3]float64{{10, 9, 11}, {10.9, 10.1, 11}} {
		r := site(defaults(), stages(1, 1, 1))
		r.hear(20, sends(times[0], "A", 1))
		r.hear(20, sends(times[1], "B", 2))
		r.hear(20, sends(times[2], "C", 3))
		r.tells(t, "#1 1[A]", "#1 4/F--", "#1 2[B]", "#1 4/FF-", "#1 3[C]", "#1 4/FFF")
		// Ends never decrease, a stage starts at the end of the one before.
		for _, x := range []struct {
			rule int
			key  string
			want int64
		}{{0, "start_time", 10}, {0, "end_time", 10}, {1, "start_time", 10}, {1, "end_time", 10}, {2, "start_time", 10}, {2, "end_time", 11}} {
			if got := r.seconds(t, "rules", x.rule, x.key); got != x.want {
				t.Errorf("%v: %s of rule %d is %d, want %d", times, x.key, x.rule, got, x.want)
			}
		}
	}
	// Without tolerance B is older than the opener: not of this attack.
	opts := defaults()
	opts.OrderTolerance = 0
	r := site(opts, stages(1, 1, 1))
	r.hear(20, sends(10, "A", 1))
	r.hear(20, sends(9, "B", 2))
	r.tells(t, "#1 1[A]", "#1 4/F--")
	r.counts(t, map[string]uint64{"outside": 1})
}

// D29: between the opener and the end of the stage before, less the tolerance,
// an event is swallowed and counted; before the opener it may open another.
func TestReferenceOldEvents(t *testing.T) {
	brute := func() *reference {
		d := stages(1, 1, 2)
		for i := range d.Rules {
			d.Rules[i].PluginSID = []uint64{1}
		}
		r := site(defaults(), d)
		r.now(10, "e1", 1)
		r.now(30, "e2", 1) // E = 30
		r.lines = nil
		return r
	}
	for _, c := range []struct {
		t          float64
		outOfOrder bool
		opens      bool
	}{
		{30, false, false}, {25, false, false}, {24.999, true, false}, {5, true, false}, {4.999, false, true},
	} {
		r := brute()
		r.hear(31, sends(c.t, "x", 1))
		got := story(r.lines)
		want := []string{"#1 3[x]"}
		switch {
		case c.outOfOrder:
			want = nil
		case c.opens:
			want = []string{"#1 1[x]", "#1 4/F--"}
		}
		if c.opens { // and looks back to what is later
			got = got[:2]
		}
		if diff := cmp.Diff(want, got); diff != "" || r.counters["outOfOrder"] != 1 && c.outOfOrder {
			t.Errorf("%v: counters %v\n%s", c.t, r.counters, diff)
		}
	}
}

// D29: where a stage ends does not depend on the order in which its events
// arrive; an event of an earlier stage, or recorded again, does not move it.
func TestReferenceEndIsTheLargestTime(t *testing.T) {
	times := []float64{12.5, 9.1, 14.2, 11}
	for range 50 {
		rand.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
		opts := defaults()
		opts.LookBack = 0
		r := site(opts, with(stages(1, 4, 1), func(d *directive.Directive) { d.AllRulesAlwaysActive = true }))
		r.hear(20, sends(10, "A", 1))
		for i, at := range times {
			r.hear(20, sends(at, "B"+strconv.Itoa(i), 2))
			r.hear(20, sends(19, "A"+strconv.Itoa(i), 1)) // of the first stage
		}
		if end, start := r.seconds(t, "rules", 1, "end_time"), r.seconds(t, "rules", 2, "start_time"); end != 14 || start != 14 {
			t.Errorf("%v: stage 2 ends at %d, stage 3 starts at %d, want 14", times, end, start)
		}
	}
}

// D31: the time to wait counts from the arrival of what completed the stage
// before, however late that was, and the expiry is strict.
func TestReferenceExpiryGoesByArrival(t *testing.T) {
	for _, grace := range []int64{0, 7} {
		opts := defaults()
		opts.Grace = grace
		r := site(opts, stages(1, 1))
		r.hear(1000.9, sends(10, "A", 1)) // 990 s late
		r.Expire(moment(1060.9 + float64(grace)))
		r.tells(t, "#1 1[A]", "#1 4/F-")
		r.Expire(moment(1061 + float64(grace)))
		r.tells(t, "#1 1[A]", "#1 4/F-", "#1 4/FT")
		r.counts(t, map[string]uint64{"late": 1})
	}
}

// D31: several at one step expire in order of arrival + timeout, then of opening.
func TestReferenceOrderOfExpiry(t *testing.T) {
	quick, slow := stages(1, 1), with(stages(1, 1), func(d *directive.Directive) { d.ID, d.Name = 2, "E" })
	quick.Rules[1].Timeout, slow.Rules[1].Timeout = 5, 6
	r := site(defaults(), slow, quick)
	r.now(0.9, "A", 1)
	r.hear(1.5, from(sends(1.5, "B", 1), "10.0.0.3"))
	r.lines = nil
	r.Expire(moment(100)) // deadlines: A slow 6, A quick 5, B slow 7, B quick 6
	var order []string
	for _, line := range r.lines {
		order = append(order, line[len(`{"alarm_id":"`):][:3])
	}
	if want := []string{"D/A", "E/A", "D/B", "E/B"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// D32: an event outside the window of the current stage is offered to no stage,
// earlier ones included; it may open another; nothing taking it, it is counted.
func TestReferenceWindow(t *testing.T) {
	build := func() *reference {
		opts := defaults()
		opts.Grace = 5
		r := site(opts, bruteForce())
		for i := range 5 {
			r.hear(1000, sends(10+float64(i), "e"+strconv.Itoa(i), 1)) // stage 3 starts at 14, ends at 319
		}
		r.lines = nil
		return r
	}
	r := build()
	r.hear(1000, sends(319.9, "last", 2))
	r.tells(t, "#1 3[last]", "#1 4/FFF")
	r = build()
	r.hear(1000, sends(320, "late", 2))
	r.tells(t)
	r.counts(t, map[string]uint64{"late": 6, "outside": 1})
	r.hear(1000, sends(320, "other", 1)) // fits stages 1 and 2 of the old one
	r.tells(t, "#1 1[other]", "#1 4/F--")
}

// D32: before one backlog more opens than there may be of one source and key, the
// oldest without an alarm line ends, else the oldest.
func TestReferenceLiveBacklogsOfOneSourceAreBounded(t *testing.T) {
	d := stages(1, 1)
	d.Rules[0].To = "ANY"
	r := site(defaults(), d)
	r.bounds.live = 2
	outside := "8.8.8.8"
	to := func(ev event.Event, dst string) event.Event {
		ev.DstIP = netip.MustParseAddr(dst)
		return from(ev, outside)
	}
	r.hear(0, to(sends(0, "a", 1), "10.0.0.2")) // has risk
	r.hear(1, to(sends(1, "b", 1), "9.9.9.9"))  // has none
	r.hear(2, from(sends(2, "z", 1), "10.0.0.7"))
	r.hear(3, to(sends(3, "c", 1), "10.0.0.2")) // b ends, without a line
	r.hear(4, to(sends(4, "d", 1), "10.0.0.2")) // a ends
	r.tells(t, "#1 1[a]", "#1 4/F-", "#2 1[b]", "#3 1[z]", "#3 4/F-", "#4 1[c]", "#4 4/F-", "#1 4/FT", "#5 1[d]", "#5 4/F-")
	r.counts(t, map[string]uint64{"crowded": 2})
}

// otherStages is the second directive of the tests of D32.4: SID 11 opens it, SID 12
// completes it.
func otherStages() *directive.Directive {
	d := stages(1, 1)
	d.ID, d.Name = 2, "E"
	for i := range d.Rules {
		d.Rules[i].PluginSID = []uint64{uint64(11 + i)}
	}
	return d
}

// opens lets an event with SID 1 or 11 and source 9.9.9.N arrive that is to open a backlog
// without risk, and so without an alarm line.
func (r *reference) opens(t float64, id string, sid uint64, n int) {
	r.hear(t, fromTo(sends(t, id, sid), n, "8.8.8.8"))
}

// publishes does the same with risk: the backlog has an alarm line at once.
func (r *reference) publishes(t float64, id string, sid uint64, n int) {
	r.hear(t, fromTo(sends(t, id, sid), n, "10.0.0.2"))
}

func fromTo(ev event.Event, n int, dst string) event.Event {
	ev.DstIP = netip.MustParseAddr(dst)
	return from(ev, "9.9.9."+strconv.Itoa(n))
}

// lives says which backlogs live, by the ids of their openers in order of opening.
func (r *reference) lives(t *testing.T, want string) {
	t.Helper()
	var got []string
	for _, b := range r.live {
		got = append(got, b.opener.event.ID)
	}
	if got := strings.Join(got, " "); got != want {
		t.Errorf("%q live, want %q", got, want)
	}
}

// D32.4: of a directive that is full the group with the most backlogs gives its oldest, of
// groups with equally many the one whose oldest opened first.
func TestReferenceDirectiveIsFull(t *testing.T) {
	r := site(defaults(), stages(1, 1), otherStages())
	r.bounds.directive = 4
	r.opens(0, "x", 11, 2) // of another directive: neither counts nor gives way
	r.opens(1, "a", 1, 1)
	r.opens(2, "b", 1, 2)
	r.opens(3, "c", 1, 3)
	r.opens(4, "d", 1, 2)
	r.counts(t, nil)
	r.opens(5, "e", 1, 4) // source 2 has two
	r.lives(t, "x a c d e")
	r.opens(6, "f", 1, 3) // each has one: that of a is the oldest
	r.lives(t, "x c d e f")
	r.opens(7, "g", 1, 4) // source 3 has two
	r.lives(t, "x d e f g")
	r.opens(8, "h", 1, 4) // source 4 has two, and gives way to its own
	r.lives(t, "x d f g h")
	r.opens(9, "i", 1, 3) // source 4 again
	r.lives(t, "x d f h i")
	r.opens(10, "j", 1, 5) // source 3 has two
	r.lives(t, "x d h i j")
	r.counts(t, map[string]uint64{"crowded": 6})
}

// D32.4: of two groups with two backlogs each it is their oldest ones that decide, not their
// latest ones.
func TestReferenceLargeGroupsGiveWayInTurn(t *testing.T) {
	r := site(defaults(), stages(1, 1))
	r.bounds.directive = 5
	for i, source := range []int{3, 1, 2, 2, 1} {
		r.opens(float64(i), string(rune('a'+i)), 1, source)
	}
	r.opens(5, "f", 1, 4) // sources 1 and 2 have two each, and b is older than c
	r.lives(t, "a c d e f")
	r.opens(6, "g", 1, 4) // source 2 has two
	r.lives(t, "a d e f g")
	r.opens(7, "h", 1, 5) // source 4 has two
	r.lives(t, "a d e g h")
}

// D32.4: a group is of one key, which consists of what later stages take over from the opener.
func TestReferenceGroupThatGivesWayHasOneKey(t *testing.T) {
	for to, want := range map[string]string{"ANY": "a c d", ":1": "b c d"} {
		d := stages(1, 1)
		d.Rules[1].To = to
		r := site(defaults(), d)
		r.bounds.directive = 3
		r.hear(0, fromTo(sends(0, "a", 1), 1, "8.8.8.8"))
		r.hear(1, fromTo(sends(1, "b", 1), 2, "8.8.8.8"))
		r.hear(2, fromTo(sends(2, "c", 1), 2, "8.8.4.4"))
		r.hear(3, fromTo(sends(3, "d", 1), 3, "8.8.8.8"))
		r.lives(t, want)
	}
}

// D32.4: what gives way ends like an expired one. It takes no event any more, and what it has
// recorded is known.
func TestReferenceBacklogThatGaveWayHasEnded(t *testing.T) {
	r := site(defaults(), stages(1, 1))
	r.bounds.directive = 1
	r.opens(0, "a", 1, 1)
	r.opens(1, "b", 1, 2)
	r.hear(2, fromTo(sends(2, "end", 2), 1, "8.8.8.8"))
	r.hear(3, fromTo(sends(0, "a", 1), 1, "8.8.8.8"))
	r.hear(4, fromTo(sends(4, "end", 2), 2, "8.8.8.8"))
	r.tells(t, "#1 1[a]", "#2 1[b]", "#2 2[end]")
	r.counts(t, map[string]uint64{"crowded": 1, "known": 1})
}

// D32.4: backlogs with an alarm line do not give way, nor do they make their group larger.
func TestReferenceBacklogsWithAnAlarmLineStay(t *testing.T) {
	r := site(defaults(), stages(1, 1))
	r.bounds.directive = 6
	for i, id := range []string{"A", "B", "C"} {
		r.publishes(float64(i), id, 1, 1)
	}
	r.opens(3, "a", 1, 1)
	r.opens(4, "b", 1, 2)
	r.opens(5, "c", 1, 2)
	r.opens(6, "d", 1, 3) // source 1 has four, but only one of them can give way
	r.lives(t, "A B C a c d")
	r.opens(7, "e", 1, 4) // a is the oldest that can
	r.lives(t, "A B C c d e")
	r.counts(t, map[string]uint64{"crowded": 2})
}

// D32.4: an alarm line of an alarm whose risk has fallen to 0 is one.
func TestReferenceAlarmWithoutRiskStays(t *testing.T) {
	d := stages(1, 1, 1)
	d.Rules[1].Reliability = 0
	r := site(defaults(), d)
	r.bounds.directive = 2
	r.publishes(0, "A", 1, 1)
	r.hear(1, fromTo(sends(1, "A2", 2), 1, "10.0.0.2"))
	r.opens(2, "a", 1, 2)
	r.opens(3, "b", 1, 3)
	r.lives(t, "A b")
	r.tells(t, "#1 1[A]", "#1 4/F--", "#1 2[A2]", "#1 0/FF-", "#2 1[a]", "#3 1[b]")
}

// D32.4: while all have an alarm line an event opens nothing. It is not known, and can open
// when there is room again.
func TestReferenceOpeningIsRefused(t *testing.T) {
	r := site(defaults(), stages(1, 1), otherStages())
	r.bounds.directive = 2
	r.publishes(0, "A", 1, 1)
	r.publishes(1, "B", 1, 2)
	r.publishes(2, "C", 1, 3)
	r.lives(t, "A B")
	r.counts(t, map[string]uint64{"refused": 1})
	r.opens(3, "x", 11, 3) // of another directive
	r.hear(3, fromTo(sends(1, "B", 1), 2, "10.0.0.2"))
	r.counts(t, map[string]uint64{"refused": 1, "known": 1}) // a known one would open nothing anyway
	r.hear(4, fromTo(sends(4, "end", 2), 3, "10.0.0.2"))     // none of this source lives
	r.hear(5, fromTo(sends(5, "end", 2), 1, "10.0.0.2"))     // completes A
	r.hear(6, fromTo(sends(2, "C", 1), 3, "10.0.0.2"))       // opens, and looks back to its end
	r.counts(t, map[string]uint64{"refused": 1, "known": 1, "lookedBack": 1})
	r.lives(t, "B x")
	r.tells(t, "#1 1[A]", "#1 4/F-", "#2 1[B]", "#2 4/F-", "#3 1[x]", "#1 2[end]", "#1 4/FF",
		"#4 1[C]", "#4 4/F-", "#4 2[end]", "#4 4/FF")
}

// D32: a refused event that lies outside of a backlog's window has been taken by nobody, so
// it is outside as well.
func TestReferenceRefusedEventIsOutside(t *testing.T) {
	d := stages(1, 1)
	d.Rules[1].PluginSID = []uint64{1}
	r := site(defaults(), d)
	r.bounds.directive = 1
	r.hear(1000, fromTo(sends(10, "A", 1), 1, "10.0.0.2"))
	r.hear(1000, fromTo(sends(71, "B", 1), 1, "10.0.0.2"))
	r.counts(t, map[string]uint64{"late": 2, "refused": 1, "outside": 1})
}

// D32.4: an engine that is full takes from the largest group of all directives.
func TestReferenceEngineIsFull(t *testing.T) {
	r := site(defaults(), stages(1, 1), otherStages())
	r.bounds.engine = 4
	r.opens(0, "a", 1, 2)
	r.opens(1, "b", 1, 1)
	r.opens(2, "x", 11, 1) // the source of b, but of another directive, and so of another group
	r.opens(3, "y", 11, 3)
	r.opens(4, "c", 1, 5) // each group has one
	r.lives(t, "b x y c")
	r.opens(5, "d", 1, 6)
	r.lives(t, "x y c d")
	r.opens(6, "z", 11, 3)
	r.lives(t, "y c d z")
	r.opens(7, "e", 1, 7) // source 3 has two of the second directive
	r.lives(t, "c d z e")
	r.opens(8, "w", 11, 8) // one of the first directive makes room for the second
	r.lives(t, "d z e w")
	r.counts(t, map[string]uint64{"crowded": 5})
}

// D32.4: alarms of all directives stay if the engine is full.
func TestReferenceEngineFullOfAlarms(t *testing.T) {
	r := site(defaults(), stages(1, 1), otherStages())
	r.bounds.engine = 3
	r.publishes(0, "A", 1, 1)
	r.publishes(1, "B", 1, 2)
	r.opens(2, "x", 11, 3)
	r.publishes(3, "C", 1, 4) // its own directive has nothing that gives way
	r.lives(t, "A B C")
	r.publishes(4, "X", 11, 4)
	r.opens(5, "y", 11, 5)
	r.opens(6, "a", 1, 5)
	r.lives(t, "A B C")
	r.counts(t, map[string]uint64{"crowded": 1, "refused": 3})
}

// D32.4: for a directive that is full none of another gives way, be the engine full or not.
func TestReferenceDirectiveIsFullFirst(t *testing.T) {
	for _, engine := range []int{3, 100} {
		r := site(defaults(), stages(1, 1), otherStages())
		r.bounds.directive, r.bounds.engine = 2, engine
		r.opens(0, "x", 11, 1)
		r.publishes(1, "A", 1, 1)
		r.opens(2, "a", 1, 2)
		r.opens(3, "b", 1, 3) // a gives way, which makes the engine one less, too
		r.lives(t, "x A b")
		r.hear(4, fromTo(sends(4, "end", 2), 3, "10.0.0.2")) // ends b
		r.publishes(5, "B", 1, 3)
		r.publishes(6, "C", 1, 4)
		r.lives(t, "x A B")
		r.counts(t, map[string]uint64{"crowded": 1, "refused": 1})
	}
}

// D32.4: loading ignores the bounds. As many give way as are needed for one to open.
func TestReferenceMoreThanTheBoundsAreLoaded(t *testing.T) {
	loaded := func(directive, engine int) *reference {
		r := site(defaults(), stages(1, 1), otherStages())
		r.opens(0, "x", 11, 1)
		r.opens(1, "a", 1, 1)
		r.opens(2, "b", 1, 2)
		r.opens(3, "c", 1, 2)
		r.publishes(4, "A", 1, 3)
		r.opens(5, "y", 11, 1)
		r.bounds.directive, r.bounds.engine = directive, engine
		r.opens(6, "new", 1, 4)
		return r
	}
	for _, c := range []struct {
		directive, engine int
		live              string
		crowded, refused  uint64
	}{
		{100, 6, "a b c A y new", 1, 0}, // source 1 has two of the other directive, and x is older than b
		{100, 5, "a c A y new", 2, 0},   // then source 2
		{3, 100, "x c A y new", 2, 0},   // b, then a
		{2, 100, "x A y new", 3, 0},
		{2, 3, "A y new", 4, 0}, // three for the directive, and x for the engine
		{2, 2, "A new", 5, 0},
		{1, 100, "x A y", 3, 1}, // what gave way has ended for nothing
		{100, 1, "A", 5, 1},
	} {
		r := loaded(c.directive, c.engine)
		r.lives(t, c.live)
		if r.counters["crowded"] != c.crowded || r.counters["refused"] != c.refused {
			t.Errorf("%+v: counters %v", c, r.counters)
		}
	}
}

// D32.4: before the directive or the engine is found full, a group that is full has made
// room, if need be of one with an alarm line.
func TestReferenceGroupMakesRoomBeforeDirectiveAndEngine(t *testing.T) {
	for _, bound := range []func(*bounds, int){
		func(b *bounds, n int) { b.directive = n }, func(b *bounds, n int) { b.engine = n },
	} {
		r := site(defaults(), stages(1, 1))
		r.bounds.live = 2
		bound(&r.bounds, 3)
		r.publishes(0, "A", 1, 1)
		r.publishes(1, "B", 1, 1)
		r.opens(2, "a", 1, 2)
		r.opens(3, "C", 1, 1) // A ends, and a need not give way
		r.lives(t, "B a C")
		r.counts(t, map[string]uint64{"crowded": 1})
		r.publishes(4, "D", 1, 1) // C ends, which has no line
		r.publishes(5, "E", 1, 3) // a gives way
		r.publishes(6, "F", 1, 4)
		r.lives(t, "B D E")
		r.counts(t, map[string]uint64{"crowded": 3, "refused": 1})
		bound(&r.bounds, 2)       // as though more had been loaded
		r.publishes(7, "G", 1, 1) // B has ended for nothing
		r.lives(t, "D E")
		r.counts(t, map[string]uint64{"crowded": 4, "refused": 2})
	}
}

// §6.1 with D32.4: directives get an event one after the other. What has given way for one
// of them is not offered it.
func TestReferenceEventIsOfferedAfterItMadeRoom(t *testing.T) {
	other := otherStages()
	other.Rules[1].PluginSID = []uint64{1} // what opens the first
	for _, c := range []struct {
		directives []*directive.Directive
		lines      []string
		counters   map[string]uint64
	}{
		{[]*directive.Directive{stages(1, 1), other}, []string{"#1 1[x]", "#2 1[a]"}, map[string]uint64{"crowded": 1}},
		{[]*directive.Directive{other, stages(1, 1)}, []string{"#1 1[x]", "#1 2[a]", "#2 1[a]"}, nil},
	} {
		r := site(defaults(), c.directives...)
		r.bounds.engine = 1
		r.opens(0, "x", 11, 1)
		r.opens(1, "a", 1, 1)
		r.tells(t, c.lines...)
		r.counts(t, c.counters)
		r.lives(t, "a")
	}
}

// D32.4: without room for a single backlog nothing opens.
func TestReferenceBoundOfNothing(t *testing.T) {
	for _, b := range []bounds{{live: 1, engine: 1}, {live: 1, directive: 1}} {
		r := site(defaults(), stages(1, 1))
		r.bounds.live, r.bounds.directive, r.bounds.engine = b.live, b.directive, b.engine
		r.opens(0, "a", 1, 1)
		r.tells(t)
		r.counts(t, map[string]uint64{"refused": 1})
	}
}

// D33: later stages that arrived before the opener are found; ties are not.
func TestReferenceLookBack(t *testing.T) {
	r := site(defaults(), stages(1, 2, 1))
	r.hear(20, sends(13, "C", 3))
	r.hear(20, sends(12, "B2", 2))
	r.hear(20, sends(10, "tie", 2))
	r.hear(20, sends(10.5, "B1", 2))
	r.tells(t)
	r.hear(21.5, sends(10, "A", 1))
	r.tells(t, "#1 1[A]", "#1 4/F--", "#1 2[B1]", "#1 2[B2]", "#1 4/FF-", "#1 3[C]", "#1 4/FFF")
	r.counts(t, map[string]uint64{"lookedBack": 3})
	if got := r.seconds(t, "update_time"); got != 21 {
		t.Errorf("update_time is %d, want the clock's 21", got)
	}
	if got := r.seconds(t, "rules", 1, "end_time"); got != 12 {
		t.Errorf("stage 2 ends at %d, want 12", got)
	}
}

// D33: what is remembered is so for the look-back of the clock from its arrival.
func TestReferenceLookBackEnds(t *testing.T) {
	for _, c := range []struct {
		back  int64
		clock float64
		found bool
	}{{10, 30.9, true}, {10, 31, false}, {60, 31, true}, {0, 20, false}} {
		opts := defaults()
		opts.LookBack = c.back
		r := site(opts, stages(1, 1))
		r.hear(20.1, sends(20.1, "B", 2))
		r.hear(c.clock, sends(20, "A", 1))
		if got := len(r.lines) == 4; got != c.found {
			t.Errorf("%+v: %q", c, story(r.lines))
		}
	}
}

// D33: an event looked back to is offered to this backlog only, opens nothing, and
// what it did when it arrived is not undone; (d) keeps later attacks from taking
// what an earlier one has.
func TestReferenceLookBackTakesNothingFromOthers(t *testing.T) {
	d := stages(1, 2)
	d.Rules[1].PluginSID = []uint64{1} // of the same kind
	r := site(defaults(), d)
	r.hear(20, sends(12, "e12", 1)) // opens
	r.hear(20, sends(13, "e13", 1)) // is taken
	r.hear(20, sends(5, "e5", 1))   // too old for the first: opens, looks back to both
	r.tells(t, "#1 1[e12]", "#1 4/F-", "#1 2[e13]", "#2 1[e5]", "#2 4/F-", "#2 2[e12]", "#2 2[e13]", "#2 4/FF")
	r.lines = nil
	r.hear(20, sends(11.5, "e11", 1)) // goes to the first, completes it
	r.hear(20, sends(11, "x", 1))     // opens; all that is later is known from ended ones
	r.tells(t, "#1 2[e11]", "#1 4/FF", "#2 1[x]", "#2 4/F-")

	r = site(defaults(), d)
	r.hear(20, sends(10, "a", 1))
	r.hear(20, sends(16, "b", 1))
	r.hear(20, from(sends(16, "b", 1), "10.0.0.9")) // another source: (d) does not matter
	r.tells(t, "#1 1[a]", "#1 4/F-", "#1 2[b]", "#2 1[b]", "#2 4/F-")
}

// D33: the newest 100 by arrival of one stage and key are considered, before
// anything else is looked at; at most 100 are offered.
func TestReferenceLookBackIsBounded(t *testing.T) {
	d := stages(1, 4)
	r := site(defaults(), d)
	r.bounds.considered = 3
	for i, at := range []float64{15, 12, 1, 2, 14} { // the newest are 1, 2, 14
		r.hear(20, sends(at, fmt.Sprint("t", at), 2))
		r.hear(20, from(sends(13, "other"+strconv.Itoa(i), 2), "10.0.0.9"))
	}
	r.hear(20, sends(10, "A", 1))
	r.tells(t, "#1 1[A]", "#1 4/F-", "#1 2[t14]")

	r = site(defaults(), d)
	r.bounds.offered = 2
	for _, at := range []float64{15, 12, 11, 14} {
		r.hear(20, sends(at, fmt.Sprint("t", at), 2))
	}
	r.hear(20, sends(10, "A", 1))
	r.tells(t, "#1 1[A]", "#1 4/F-", "#1 2[t11]", "#1 2[t12]")

	r = site(defaults(), stages(1, 200))
	for i := range 150 {
		r.hear(20, sends(10+float64(i)/100, strconv.Itoa(i), 2))
	}
	r.hear(20, sends(5, "A", 1))
	if got := r.lines[2:]; len(got) != 100 || !strings.Contains(got[0], `"event_id":"50"`) {
		t.Errorf("a forged old opener writes %d lines, the first %s", len(got), got[0])
	}
}

// D33 (b): an always-active directive looks back to earlier stages after the
// first, too, and D37 bounds their lines.
func TestReferenceLookBackOfAlwaysActive(t *testing.T) {
	r := site(defaults(), with(stages(1, 1, 1), func(d *directive.Directive) { d.AllRulesAlwaysActive = true }))
	r.hear(20, sends(14, "C", 3))
	r.hear(20, sends(13, "B3", 2))
	r.hear(20, sends(12, "B2", 2))
	r.hear(20, sends(11, "B1", 2))
	r.hear(20, sends(11.5, "A2", 1)) // opens, takes all that is later
	r.tells(t, "#1 1[A2]", "#1 4/F--", "#1 2[B2]", "#1 4/FF-", "#1 2[B3]", "#1 3[C]", "#1 4/FFF")
}

// D35 (a) and scenario 10: the opener sent again five times counts for nothing.
func TestReferenceSameIDWithinABacklog(t *testing.T) {
	r := site(defaults(), bruteForce())
	for i := range 6 {
		r.hear(float64(i), sends(0, "e1", 1))
	}
	r.counts(t, map[string]uint64{"repeated": 5})
	r.tells(t, "#1 1[e1]", "#1 4/F--")
	for range 2 { // an id of the same stage has its line, and does not count
		r.now(6, "e2", 1)
	}
	r.now(7, "e3", 1)
	r.tells(t, "#1 1[e1]", "#1 4/F--", "#1 2[e2]", "#1 2[e2]", "#1 2[e3]")
}

// D35 (b) and scenario 10: the whole batch again after the end is known; with new
// timestamps it is a new attack; a memory of 0 and one that is over know nothing.
func TestReferenceBatchAgain(t *testing.T) {
	batch := func(r *reference, clock, times float64) []string {
		r.lines = nil
		for i := range 5 {
			r.hear(clock+float64(i), sends(times+float64(i), "e"+strconv.Itoa(i), 1))
		}
		r.hear(clock+5, sends(times+5, "ok", 2))
		return story(r.lines)
	}
	for _, c := range []struct {
		remember     int64
		clock, times float64
		again        bool
	}{{3600, 60, 0, false}, {3600, 3600, 0, false}, {3600, 3606, 0, true}, {0, 60, 0, true}, {3600, 604800, 604800, true}} {
		opts := defaults()
		opts.Remember = c.remember
		r := site(opts, bruteForce())
		first := batch(r, 0, 0)
		var want []string
		if c.again {
			want = first
		}
		known := r.counters["known"]
		if diff := cmp.Diff(want, batch(r, c.clock, c.times)); diff != "" {
			t.Errorf("%+v: want - got +:\n%s", c, diff)
		}
		if got := r.counters["known"] - known; !c.again && got != 5 {
			t.Errorf("%+v: %d known, want 5", c, got)
		}
	}
}

// D35 (c): only the same event keeps a live backlog's directive from opening, not
// an equal id from elsewhere.
func TestReferenceEqualIDFromElsewhere(t *testing.T) {
	r := site(defaults(), stages(1, 1))
	r.now(0, "e", 1)
	r.hear(1, from(sends(0, "e", 1), "10.0.0.3")) // opens
	same := sends(0.5, "e", 1)                    // the timestamp is no part of it
	r.hear(2, same)
	same.DstPort = 80 // a port is
	r.hear(3, same)
	r.counts(t, map[string]uint64{"known": 1})
	r.tells(t, "#1 1[e]", "#1 4/F-", "#2 1[e]", "#2 4/F-", "#3 1[e]", "#3 4/F-")
}

// D35: the memory of ended backlogs is bounded, the oldest end goes first.
func TestReferenceMemoryOfEndedIsBounded(t *testing.T) {
	r := site(defaults(), stages(1, 1))
	r.bounds.known = 3
	for i := range 2 {
		r.now(float64(10*i), "a"+strconv.Itoa(i), 1)
		r.now(float64(10*i+1), "b"+strconv.Itoa(i), 2)
	}
	r.counts(t, map[string]uint64{"forgottenEnded": 1})
	r.lines = nil
	r.hear(30, sends(0, "a0", 1))
	r.hear(30, sends(10, "a1", 1))
	r.tells(t, "#1 1[a0]", "#1 4/F-")
}

// D36: an alarm that had a line keeps having them without risk.
func TestReferenceFallingRisk(t *testing.T) {
	d := stages(1, 1, 1)
	d.AllRulesAlwaysActive = true
	d.Rules[1].Reliability = 0
	r := site(defaults(), d)
	r.now(0, "a", 1)
	r.now(1, "b", 2)
	r.now(2, "c", 1) // an earlier stage
	r.Expire(moment(100))
	r.tells(t, "#1 1[a]", "#1 4/F--", "#1 2[b]", "#1 0/FF-", "#1 1[c]", "#1 0/FF-", "#1 0/FFT")
	if got := r.field(t, "risk_class"); got != "Low" {
		t.Errorf("class %v", got)
	}
	d = stages(1, 1, 1) // never any risk: no line
	for i := range d.Rules {
		d.Rules[i].Reliability = 0
	}
	r = site(defaults(), d)
	r.now(0, "a", 1)
	r.now(1, "b", 2)
	r.Expire(moment(100))
	r.tells(t, "#1 1[a]", "#1 2[b]")
}

// D37: the first event of a second has its line at once, later ones are due when
// the clock enters a later second, in order of opening and before expiry.
func TestReferenceDueLines(t *testing.T) {
	build := func() *reference {
		d := with(stages(1, 9), func(d *directive.Directive) { d.AllRulesAlwaysActive = true })
		r := site(defaults(), d)
		for _, src := range []string{"10.0.0.1", "10.0.0.3"} {
			r.hear(0, from(sends(0, "o"+src, 1), src))
		}
		for i, src := range []string{"10.0.0.3", "10.0.0.1", "10.0.0.1"} {
			r.hear(5, from(sends(5, "x"+strconv.Itoa(i), 1), src)) // at once: a new second
			r.hear(5.5, from(sends(5.5, "y"+strconv.Itoa(i), 1), src))
		}
		r.lines = r.lines[4:]
		return r
	}
	first := []string{"#1 1[x0]", "#1 4/F-", "#1 1[y0]", "#2 1[x1]", "#2 4/F-", "#2 1[y1]", "#2 1[x2]", "#2 1[y2]"}
	r := build()
	r.tells(t, first...)
	r.Expire(moment(5.9))
	r.tells(t, first...)
	r.Expire(moment(6)) // the first opened is that of 10.0.0.1
	r.tells(t, append(slices.Clone(first), "#2 4/F-", "#1 4/F-")...)
	if got := r.seconds(t, "update_time"); got != 5 {
		t.Errorf("update_time %d, want 5", got)
	}
	r = build()
	r.Flush(moment(5.9))
	r.Flush(moment(6))
	r.tells(t, append(slices.Clone(first), "#2 4/F-", "#1 4/F-")...)
	r = build()
	r.Expire(math.MaxInt64)
	r.tells(t, append(slices.Clone(first), "#2 4/F-", "#1 4/F-", "#2 4/FT", "#1 4/FT")...)
	// The line of the due second counts as one of the new second.
	r = build()
	r.hear(6, sends(6, "z", 1))
	r.tells(t, append(slices.Clone(first), "#2 4/F-", "#1 4/F-", "#2 1[z]")...)
	// Another line of the alarm comes first: nothing is due any more.
	r = build()
	for i := range 9 {
		r.hear(5.9, sends(5.9, "s"+strconv.Itoa(i), 2))
	}
	r.Flush(moment(5.9))
	got := story(r.lines)
	if diff := cmp.Diff([]string{"#2 2[s8]", "#2 4/FF", "#1 4/F-"}, got[len(got)-3:]); diff != "" {
		t.Error(diff)
	}
}

// Scenario 12: 6,000 flood events on an always-active directive write at most one
// alarm line a second.
func TestReferenceFlood(t *testing.T) {
	d := with(stages(1, 9), func(d *directive.Directive) { d.AllRulesAlwaysActive = true })
	d.Rules[1].Timeout = 1000
	r := site(defaults(), d)
	for i := range 6000 {
		r.now(float64(i)/1000, "e"+strconv.Itoa(i), 1)
	}
	alarms := 0
	for _, line := range r.lines {
		if strings.Contains(line, `"title"`) {
			alarms++
		}
	}
	if alarms != 6 {
		t.Errorf("%d alarm lines in six seconds", alarms)
	}
}

// D37: an alarm lists the first values and counts the events that brought more.
func TestReferenceListedValuesAreBounded(t *testing.T) {
	opts := defaults()
	opts.MaxAlarmValues = 2
	d := stages(1, 100)
	d.Rules[1].From = "ANY"
	d.AllRulesAlwaysActive = true
	r := site(opts, d)
	for i, src := range []string{"0.0.0.0", "1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.3", "0.0.0.0", "1.1.1.1"} {
		ev := from(sends(float64(i), "e"+strconv.Itoa(i), 2), src)
		if i == 0 {
			ev.PluginSID = 1
		}
		ev.CustomData = [event.CustomFields]string{strconv.Itoa(i), "same", strconv.Itoa(i)}
		ev.CustomLabel = [event.CustomFields]string{"a", "b", "a"}
		r.hear(float64(i), ev)
	}
	r.Expire(math.MaxInt64)
	line := r.lines[len(r.lines)-1]
	for _, want := range []string{
		`"src_ips":["1.1.1.1","1.1.1.2"]`,
		`"custom_data":[{"label":"a","content":"0"},{"label":"b","content":"same"},{"label":"a","content":"1"}]`,
		`,"truncated":{"src_ips":2,"dst_ips":0,"custom_data":5}}` + "\n",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	r.counts(t, map[string]uint64{"truncated": 7})

	// Risk and networks count every address.
	opts.MaxAlarmValues = 1
	d = stages(1, 1)
	d.Rules[1].From = "ANY"
	r = site(opts, d)
	r.hear(0, event.Event{ID: "a", SrcIP: netip.MustParseAddr("1.1.1.1"), DstIP: netip.MustParseAddr("1.1.1.2"), PluginID: 1001, PluginSID: 1, Seconds: worldStart / nanos})
	r.now(0, "b", 2)
	line = r.lines[len(r.lines)-1]
	for _, want := range []string{`"risk":4,`, `"src_ips":["1.1.1.1"],"dst_ips":["1.1.1.2"],"networks":["10.0.0.0/8"]`} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
}

// D37: listed values take at most so many bytes as written, D38: shown texts are
// cut at a character, and two that are equal then are one.
func TestReferenceListedBytes(t *testing.T) {
	r := site(defaults(), stages(1, 1000))
	r.bounds.listed = len(`"10.0.0.1""10.0.0.2"{"label":"l\"","content":"äö"}"10.0.0.3"`)
	r.bounds.text = 5
	for i, content := range []string{"äöü", "äöß", "o"} {
		ev := sends(float64(i), "e"+strconv.Itoa(i), uint64(min(i+1, 2)))
		ev.CustomData[0], ev.CustomLabel[0] = content, `l"`
		r.hear(float64(i), ev)
	}
	ev := sends(3, "e3", 2)
	ev.DstIP = netip.MustParseAddr("10.0.0.3")
	r.hear(3, ev)
	ev.ID, ev.DstIP = "e4", netip.MustParseAddr("10.0.0.4")
	r.hear(3, ev)
	r.Expire(math.MaxInt64)
	line := r.lines[len(r.lines)-1]
	for _, want := range []string{
		`"dst_ips":["10.0.0.2","10.0.0.3"]`, `"custom_data":[{"label":"l\"","content":"äö"}],"truncated":{"src_ips":0,"dst_ips":1,"custom_data":1}}`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
}

// D37: of a completed stage the newest ids are kept.
func TestReferenceIDsOfACompletedStage(t *testing.T) {
	r := site(defaults(), with(stages(1, 3, 1), func(d *directive.Directive) {
		d.Rules[2].PluginSID = []uint64{2, 3}
	}))
	r.bounds.ids = 2
	r.now(0, "A", 1)
	for _, id := range []string{"x", "y", "z"} {
		r.now(1, id, 2)
	}
	r.now(2, "y", 3) // known to the lower stage
	r.now(2, "x", 3) // forgotten by it
	r.counts(t, map[string]uint64{"forgottenIDs": 1, "repeated": 1})
	r.tells(t, "#1 1[A]", "#1 4/F--", "#1 2[x]", "#1 2[y]", "#1 2[z]", "#1 4/FF-", "#1 3[x]", "#1 4/FFF")
}

// Scenario 13: a newer attack of the same source is live while an older hour
// arrives.
func TestReferenceOlderHourBesideANewerAttack(t *testing.T) {
	r := site(defaults(), bruteForce())
	attack := func(clock, times float64, name string) {
		for i := range 5 {
			r.hear(clock+float64(i)/10, sends(times+float64(i)/10, name+strconv.Itoa(i), 1))
		}
	}
	attack(5000, 5000, "new")
	attack(5001, 1400, "old")
	r.hear(5002, sends(1402, "old ok", 2))
	r.hear(5003, sends(5003, "new ok", 2))
	r.Flush(moment(5003))
	var ends []string
	for _, line := range story(r.lines) {
		if strings.HasSuffix(line, "/FFF") || strings.Contains(line, "ok") {
			ends = append(ends, line)
		}
	}
	if want := []string{"#2 3[old ok]", "#2 4/FFF", "#1 3[new ok]", "#1 4/FFF"}; !slices.Equal(ends, want) {
		t.Errorf("%q, want %q", ends, want)
	}
}

// Scenario 5: stages 0.9 s apart, each event delayed by up to so much.
func TestReferenceJitter(t *testing.T) {
	const attacks = 500
	t.Log("delay   stamps  apart  without look-back   with   alarms sorted")
	for _, row := range []struct {
		delay  float64
		whole  bool
		oneSrc bool
		all    bool // all are to be found
	}{
		{0.5, false, false, true},
		{1, false, false, true},
		{2, false, false, true},
		{5, false, false, true},
		{9, false, false, true},
		{2, true, false, false},
		{2, false, true, false},
		{9, false, true, false},
	} {
		rnd := rand.New(rand.NewPCG(1, uint64(row.delay*10)))
		var ops []op
		for i := range attacks {
			begin := float64(i)*0.37 + rnd.Float64()
			src := fmt.Sprintf("10.1.%d.%d", i/250, i%250)
			if row.oneSrc {
				begin, src = float64(i)*8+rnd.Float64(), "10.1.0.1"
			}
			for stage := range 3 {
				stamp := begin + 0.9*float64(stage)
				ev := from(sends(stamp, fmt.Sprint("e", i, "-", stage), uint64(stage+1)), src)
				if row.whole {
					ev.Nanos = 0
				}
				ops = append(ops, op{clock: moment(stamp + rnd.Float64()*row.delay), event: ev})
			}
		}
		sort.SliceStable(ops, func(i, j int) bool { return ops[i].clock < ops[j].clock })
		found := func(back int64, ops []op) int {
			opts := defaults()
			opts.LookBack = back
			r := site(opts, stages(1, 1, 1))
			n := 0
			for _, line := range play(r, ops) {
				if strings.Count(line, `"status":"finished"`) == 3 {
					n++
				}
			}
			return n
		}
		sorted := slices.Clone(ops)
		for i := range sorted {
			sorted[i].clock = sent(&sorted[i].event)
		}
		sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].clock < sorted[j].clock })
		with, without, reference := found(10, ops), found(0, ops), found(10, sorted)
		t.Logf("%3.1f s   %-6v  %-5v  %d   %d   %d", row.delay, row.whole, row.oneSrc, without, with, reference)
		if row.all && with != attacks {
			t.Errorf("delays up to %v s: %d of %d found", row.delay, with, attacks)
		}
	}
}

// Scenario 5: brute force under jitter. What is found is printed; failures one too
// few are never an alarm, failures that go on after the success (5 and 6) are the
// limit that D33 knows.
func TestReferenceJitterOfBruteForce(t *testing.T) {
	const attacks = 100
	t.Log("failures  after  delay  without look-back   with   sorted, of 100")
	for _, row := range []struct{ failures, after int }{{5, 0}, {14, 0}, {5, 6}, {4, 0}} {
		for _, delay := range []float64{1, 2, 5, 9} {
			rnd := rand.New(rand.NewPCG(2, uint64(delay)))
			var ops []op
			for i := range attacks {
				begin, src := float64(i)*3, fmt.Sprintf("10.1.0.%d", i)
				for j := range row.failures + 1 + row.after {
					sid := uint64(1)
					if j == row.failures {
						sid = 2
					}
					stamp := begin + 0.9*float64(j) + rnd.Float64()/10
					ops = append(ops, op{clock: moment(stamp + rnd.Float64()*delay), event: from(sends(stamp, fmt.Sprint("e", i, "-", j), sid), src)})
				}
			}
			found := func(back int64, ops []op) int {
				sort.SliceStable(ops, func(i, j int) bool { return ops[i].clock < ops[j].clock })
				opts := defaults()
				opts.LookBack = back
				n := 0
				for _, line := range play(site(opts, bruteForce()), ops) {
					if strings.Count(line, `"status":"finished"`) == 3 {
						n++
					}
				}
				return n
			}
			without, with := found(0, ops), found(10, ops)
			for i := range ops {
				ops[i].clock = sent(&ops[i].event)
			}
			sorted := found(10, ops)
			t.Logf("%8d  %5d  %3.0f s  %d   %d   %d", row.failures, row.after, delay, without, with, sorted)
			if row.failures < 5 && with > 0 {
				t.Errorf("%d alarms of attacks with a failure too few", with)
			}
		}
	}
}

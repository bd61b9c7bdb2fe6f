package correlate_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// jittered is an event with the time of its arrival.
type jittered struct {
	arrival int64
	event   event.Event
}

// jitter is a workload of attacks whose events are delayed, each by its own time.
type jitter struct {
	name string
	// attack returns the events of attack i, with times in seconds from its start.
	attack func(draw *rand.Rand, i int) []jitterEvent
	// source returns the address of the source of attack i.
	source func(i int) netip.Addr
	attacks,
	// every is the time in seconds from one attack to the next.
	every float64
	// whole cuts times to whole seconds.
	whole bool
	rules []directive.Rule
}

type jitterEvent struct {
	at  float64
	sid uint64
}

func jitterRule(stage int, sid, occurrence uint64) directive.Rule {
	from := ":1"
	if stage == 1 {
		from = "ANY"
	}
	return directive.Rule{
		Name: "r", Stage: stage, Occurrence: occurrence, PluginID: 1001, PluginSID: []uint64{sid},
		From: from, To: "ANY", PortFrom: "ANY", PortTo: "ANY", Protocol: "ANY", Reliability: 10, Timeout: 60,
	}
}

func (j *jitter) events(delay float64) []jittered {
	draw := rand.New(rand.NewPCG(7, uint64(delay*1000)))
	var all []jittered
	for i := range int(j.attacks) {
		start := float64(i)*j.every + draw.Float64()/10
		for n, x := range j.attack(draw, i) {
			at := int64((1_700_000_000 + start + x.at) * 1e3)
			arrival := at + int64(draw.Float64()*delay*1e3)
			if j.whole {
				at = at / 1e3 * 1e3
			}
			at, arrival = at*1e6, arrival*1e6
			all = append(all, jittered{arrival, event.Event{
				ID: fmt.Sprint(i, "-", n), Seconds: at / 1e9, Nanos: int32(at % 1e9), PluginID: 1001, PluginSID: x.sid,
				SrcIP: j.source(i), DstIP: netip.MustParseAddr("10.0.0.9"),
			}})
		}
	}
	slices.SortStableFunc(all, func(a, b jittered) int { return cmp.Compare(a.arrival, b.arrival) })
	return all
}

// outcome is what became of a workload.
type outcome struct{ found, alarms int }

// play plays events, live by their arrivals or as a replay of them in their order.
func (j *jitter) play(events []jittered, replay bool, lookBack int64) outcome {
	d := &directive.Directive{ID: 1, Name: "D", Kingdom: "K", Category: "C", Priority: 3, Rules: j.rules}
	e := engineFor(correlate.Options{LookBack: lookBack}, d)
	var out outcome
	clock := int64(0)
	for i := range events {
		at := events[i].arrival
		if replay {
			at = events[i].event.Seconds*1e9 + int64(events[i].event.Nanos)
		}
		clock = max(clock, at)
		for _, c := range e.Step(clock, &events[i].event) {
			switch c.Kind {
			case correlate.Opened:
				out.alarms++
			case correlate.Finished:
				out.found++
			default:
			}
		}
	}
	return out
}

func manySources(i int) netip.Addr { return ipv4(203, i) }
func oneSource(int) netip.Addr     { return ipv4(203, 1) }

func times(sids ...uint64) func(*rand.Rand, int) []jitterEvent {
	return func(*rand.Rand, int) []jitterEvent {
		var events []jitterEvent
		for n, sid := range sids {
			events = append(events, jitterEvent{float64(n) * 0.9, sid})
		}
		return events
	}
}

// failures returns so many failures, a success, and failures after it.
func failures(n, after int) func(*rand.Rand, int) []jitterEvent {
	return func(draw *rand.Rand, _ int) []jitterEvent {
		at := 0.0
		var events []jitterEvent
		for i := range n + 1 + after {
			sid := uint64(1)
			if i == n {
				sid = 2
			}
			events = append(events, jitterEvent{at, sid})
			at += 0.3 + draw.Float64()/2
		}
		return events
	}
}

// TestAttacksAreFoundThroughJitter is the table of scenario 5 of spec/correlation.md §15: run it
// with -v. Where only jitter is between an attack and being found it is found; what
// is beyond that (limits of D33) is shown.
func TestAttacksAreFoundThroughJitter(t *testing.T) {
	t.Parallel()
	chain := []directive.Rule{jitterRule(1, 1, 1), jitterRule(2, 2, 1), jitterRule(3, 3, 1)}
	force := []directive.Rule{jitterRule(1, 1, 1), jitterRule(2, 1, 13), jitterRule(3, 2, 1)}
	t.Logf("%-44s %5s  %-18s %-18s %-18s %-18s", "", "delay", "sorted", "live", "replay", "no look-back")
	for _, j := range []struct {
		jitter
		all bool // every attack must be found
		few bool // none may be
	}{
		{jitter{name: "stages 0.9 s apart", attack: times(1, 2, 3), source: manySources, attacks: 500, every: 0.2, rules: chain}, true, false},
		{jitter{name: "whole seconds", attack: times(1, 2, 3), source: manySources, attacks: 500, every: 0.2, rules: chain, whole: true}, false, false},
		{jitter{name: "of one source every 8 s", attack: times(1, 2, 3), source: oneSource, attacks: 500, every: 8, rules: chain}, false, false},
		{jitter{name: "of one source every 3 s", attack: times(1, 2, 3), source: oneSource, attacks: 500, every: 3, rules: chain}, false, false},
		{jitter{name: "14 failures and a success", attack: failures(14, 0), source: manySources, attacks: 300, every: 1, rules: force}, false, false},
		{jitter{name: "13 failures and a success: none is right", attack: failures(13, 0), source: manySources, attacks: 300, every: 1, rules: force}, false, true},
		{jitter{name: "14 failures, a success, 6 failures", attack: failures(14, 6), source: manySources, attacks: 300, every: 1, rules: force}, false, false},
	} {
		sorted := j.play(j.events(0), false, correlate.Off)
		for _, delay := range []float64{0.5, 1, 2, 5, 9} {
			events := j.events(delay)
			live := j.play(events, false, correlate.DefaultLookBack)
			replay := j.play(events, true, correlate.DefaultReplayLookBack)
			without := j.play(events, false, correlate.Off)
			show := func(o outcome) string { return fmt.Sprintf("%d of %d alarms", o.found, o.alarms) }
			t.Logf("%-44s %4.1fs  %-18s %-18s %-18s %-18s", j.name, delay, show(sorted), show(live), show(replay), show(without))
			for _, o := range []outcome{live, replay} {
				if j.all && o.found != int(j.attacks) || j.few && o.found != 0 {
					t.Errorf("%s, delays up to %v s: %d of %v found", j.name, delay, o.found, j.attacks)
				}
			}
		}
	}
}

// TestSlowAttackIsFoundInEveryOrderOfArrival lets the events of one attack, as many as
// it needs, arrive in every order.
func TestSlowAttackIsFoundInEveryOrderOfArrival(t *testing.T) {
	t.Parallel()
	for _, apart := range []int64{1, 7, 14} {
		j := jitter{rules: []directive.Rule{jitterRule(1, 1, 1), jitterRule(2, 1, 3), jitterRule(3, 2, 1)}}
		var events []jittered
		for n, sid := range []uint64{1, 1, 1, 1, 2} {
			events = append(events, jittered{arrival: 2e18, event: *eventAt(1_700_000_000+int64(n)*apart, fmt.Sprint(n), sid, "203.0.113.1")})
		}
		n := 0
		permute(events, len(events), func() {
			n++
			for _, replay := range []bool{false, true} {
				if got := j.play(events, replay, correlate.DefaultReplayLookBack); got.found != 1 {
					var order []string
					for i := range events {
						order = append(order, events[i].event.ID)
					}
					t.Errorf("%d s apart, order of arrival %s, replay %v: %+v", apart, strings.Join(order, " "), replay, got)
				}
			}
		})
		if n != 120 {
			t.Errorf("%d orders", n)
		}
	}
}

func permute(events []jittered, n int, each func()) {
	if n == 1 {
		each()
		return
	}
	for i := range n {
		permute(events, n-1, each)
		if n%2 == 0 {
			events[i], events[n-1] = events[n-1], events[i]
		} else {
			events[0], events[n-1] = events[n-1], events[0]
		}
	}
}

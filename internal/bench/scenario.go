package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The tables of the matrix.
const (
	groupSpeed   = "nats"
	groupGrowth  = "growth"
	groupLatency = "latency"
	groupHTTP    = "http"
	groupReplay  = "replay"
	groupStress  = "stress"
	// groupSoak and groupRestart are those of cells that are too long for the matrix.
	groupSoak    = "soak"
	groupRestart = "restart"
	// groupOther is that of cells that are not in the matrix.
	groupOther = "other"
)

// groups returns all tables of cells, in order.
func groups() []string {
	return []string{groupSpeed, groupGrowth, groupLatency, groupHTTP, groupReplay, groupStress, groupSoak, groupRestart, groupOther}
}

// many is a large number of directives, as large sites have.
const many = 24_000

// Scenarios returns the cells of the matrix, in order.
func Scenarios() []Cell {
	return slices.Concat(speedScenarios(), growthScenarios(), latencyScenarios(), httpScenarios(), replayScenarios(), stressScenarios())
}

// LongScenarios returns the cells that are not in the matrix, for they take as
// long as all of it.
//
// A server gets what a site of some size has, and does what it does there: it opens
// backlogs, of which some are finished and some expire, and saves them. If it lost
// 20 bytes for each backlog, its heap would grow by more than 100 kB a minute.
// Resident memory, which also tells of what is not in the heap, varies more: the
// wider bound is what chance hardly makes of its slope in the time that counts.
func LongScenarios() []Cell {
	const rate, lasts, mostHeap, mostResident = 5000, 15 * time.Minute, 100, 250
	return append([]Cell{{
		Name: "soak", About: "5,000 events/s over NATS, default settings, 10 % match, 1 % are abandoned",
		Goals: []Goal{
			{Measure: MemoryGrowth, AtLeast: -mostResident, AtMost: mostResident},
			{Measure: HeapGrowth, AtLeast: -mostHeap, AtMost: mostHeap},
		},
		Transport: NATS, group: groupSoak, Defaults: true, Trend: time.Second, Rate: rate, Duration: lasts,
		Workload: Workload{Directives: 1000, Match: 0.1, Abandoned: 0.01, Live: 1000},
	}}, restartScenarios()...)
}

// restartScenarios stop a server that has many live backlogs and has copied them to
// disk, and start it again.
func restartScenarios() []Cell {
	const rate, lasts = 5000, 10 * time.Second
	cell := func(name string, live int, about string) Cell {
		return Cell{
			Name: name, About: about, Goals: []Goal{{Measure: OfRunning, AtMost: 1.3}},
			Transport: NATS, group: groupRestart, Defaults: true, Flags: []string{"--checkpoint=3"}, Restart: true,
			Rate: rate, Duration: lasts, Workload: Workload{Directives: 1, Match: 0.1, Live: live},
		}
	}
	return []Cell{
		cell("restart", 300_000, "300,000 live backlogs of a directive"),
		cell("restart-million", 1_000_000, "1,000,000 live backlogs of a directive"),
	}
}

// warmUp is for how long a server at full speed over NATS gets events before they
// count. Its garbage collector's pace follows the load: that takes two seconds of
// patience, and one for each of the few steps to the laziest pace. What the first
// seconds are like is what the floods measure.
const warmUp = 5 * time.Second

// seldom is the goal for garbage collections under load.
func seldom() Goal { return Goal{Measure: GCShare, AtMost: 0.1} }

// subscriberCell is the limit that speeds over NATS are compared with. It takes as
// long as the cell that it is for.
func subscriberCell(c *Cell) Cell {
	return Cell{
		Name: "subscriber", About: "a NATS client that only counts events", Events: c.Events, Duration: c.Duration, WarmUp: c.WarmUp,
		Transport: Subscriber, group: groupSpeed, Workload: Workload{Live: 1, EventSize: c.Workload.EventSize},
	}
}

func speedScenarios() []Cell {
	fast := Goal{Measure: OfSubscriber, AtLeast: 0.8}
	start := []Goal{fast, seldom(), {Measure: ReadySeconds, AtMost: 1}, {Measure: ReadyMemory, AtMost: 150e6}}
	return []Cell{
		{
			Name: "nats-0", About: "0 % match, 100 directives", Goals: []Goal{fast, seldom()},
			Transport: NATS, WarmUp: warmUp, group: groupSpeed, Workload: Workload{Directives: 100},
		},
		{
			Name: "nats-0-many", About: "0 % match, 24,000 directives", Goals: start,
			Transport: NATS, WarmUp: warmUp, group: groupSpeed, Workload: Workload{Directives: many},
		},
		{
			Name: "nats-1", About: "1 % match, 100 directives", Goals: []Goal{fast, seldom()},
			Transport: NATS, WarmUp: warmUp, group: groupSpeed, Workload: Workload{Directives: 100, Match: 0.01, Live: 100},
		},
		{
			Name: "nats-1-many", About: "1 % match, 24,000 directives", Goals: start,
			Transport: NATS, WarmUp: warmUp, group: groupSpeed, Workload: Workload{Directives: many, Match: 0.01, Live: 100},
		},
		{
			Name: "nats-near", About: "1 % match, a rule names the others, 1,000 directives", Goals: []Goal{seldom()},
			Transport: NATS, WarmUp: warmUp, group: groupSpeed, Workload: Workload{Directives: 1000, Match: 0.01, Near: 0.99, Live: 100},
		},
		{
			Name: "nats-50", About: "50 % match, 10,000 live backlogs, 1,000 directives", Goals: []Goal{{Measure: OfSubscriber, AtLeast: 0.4}, seldom()},
			Transport: NATS, WarmUp: warmUp, group: groupSpeed, Workload: Workload{Directives: 1000, Match: 0.5, Live: 10_000},
		},
		{
			Name: "nats-50-two", About: "the same with two engines", Goals: []Goal{seldom()}, Flags: []string{"--shards=2"},
			Transport: NATS, WarmUp: warmUp, group: groupSpeed, Workload: Workload{Directives: 1000, Match: 0.5, Live: 10_000},
		},
	}
}

// growthScenarios are compared with the first one.
func growthScenarios() []Cell {
	flat := Goal{Measure: RelativeCPU, AtLeast: 0.9, AtMost: 1.1}
	cell := func(name string, directives, live int, about string, goals ...Goal) Cell {
		return Cell{
			Name: name, About: about, Goals: append(goals, seldom()),
			Transport: NATS, WarmUp: warmUp, group: groupGrowth, Workload: Workload{Directives: directives, Live: live, Match: 0.1},
		}
	}
	return []Cell{
		cell("growth", 100, 10, "100 directives, 10 live backlogs"),
		cell("growth-directives", many, 10, "24,000 directives, 10 live backlogs", flat),
		cell("growth-live", 100, 10_000, "100 directives, 10,000 live backlogs", flat),
		cell("growth-million", 100, 1_000_000, "100 directives, 1,000,000 live backlogs", flat, Goal{Measure: BacklogBytes, AtMost: 400}),
		cell("growth-both", many, 1_000_000, "24,000 directives, 1,000,000 live backlogs", flat, Goal{Measure: BacklogBytes, AtMost: 400}),
	}
}

func latencyScenarios() []Cell {
	const rate, lasts = 100_000, 10 * time.Second
	cell := func(name string, match float64, about string, goals ...Goal) Cell {
		return Cell{
			Name: name, About: about, Goals: goals, Rate: rate, Duration: lasts,
			Transport: NATS, group: groupLatency, Workload: Workload{Directives: 1000, Match: match, Live: 10_000},
		}
	}
	return []Cell{
		cell("latency-1", 0.01, "100,000 events/s, 1 % match", Goal{Measure: P99, AtMost: 10}),
		cell("latency-50", 0.5, "100,000 events/s, 50 % match"),
		{
			Name: "latency-state", About: "100,000 events/s, 1 % match, 100,000 live backlogs, copied to disk every 3 s", Rate: rate, Duration: lasts,
			Defaults: true, Flags: []string{"--checkpoint=3"},
			Transport: NATS, group: groupLatency, Workload: Workload{Directives: 1000, Match: 0.01, Live: 100_000},
		},
	}
}

func httpScenarios() []Cell {
	workload := Workload{Directives: 1000, Match: 0.01, Live: 1600}
	return []Cell{
		{
			Name: "http", About: "one event in a request, 16 connections", Goals: []Goal{{Measure: EventsPerSecond, AtLeast: 50_000}},
			Transport: HTTP, group: groupHTTP, Workload: workload,
		},
		{
			Name: "http-array", About: "500 events in a request, 16 connections", Goals: []Goal{{Measure: EventsPerSecond, AtLeast: 200_000}},
			Transport: HTTPArray, group: groupHTTP, Workload: workload,
		},
	}
}

func replayScenarios() []Cell {
	fast := Goal{Measure: EventsPerSecond, AtLeast: 500_000}
	return []Cell{
		{
			Name: "replay-1", About: "1,000,000 events, 1 % match", Goals: []Goal{fast},
			Transport: Replay, group: groupReplay, Workload: Workload{Directives: 1000, Match: 0.01, Live: 1000},
		},
		{
			Name: "replay-50", About: "1,000,000 events, 50 % match",
			Transport: Replay, group: groupReplay, Workload: Workload{Directives: 1000, Match: 0.5, Live: 1000},
		},
	}
}

// stressScenarios are about nothing being lost, doubled or wrong.
func stressScenarios() []Cell {
	const flood = 600_000
	return []Cell{
		{
			Name: "flood", About: "600,000 events over NATS at full speed, default settings, 1 % match", Flood: true, Defaults: true, Events: flood,
			Transport: NATS, group: groupStress, Workload: Workload{Directives: 1000, Match: 0.01, Live: 100},
		},
		{
			Name: "flood-50", About: "600,000 events over NATS at full speed, default settings, 50 % match", Flood: true, Defaults: true, Events: flood,
			Transport: NATS, group: groupStress, Workload: Workload{Directives: 1000, Match: 0.5, Live: 100},
		},
		{
			Name: "one-key", About: "600,000 events of one source, destination and directive", Events: flood,
			Transport: NATS, group: groupStress, Workload: Workload{Directives: 1, Match: 1, Live: 1, Addresses: 1, Occurrence: 10_000},
		},
		{
			Name: "defaults", About: "20,000 events/s over NATS, default settings, 50 % match", Defaults: true, Rate: 20_000,
			Transport: NATS, group: groupStress, Workload: Workload{Directives: 1000, Match: 0.5, Live: 1000},
		},
		{
			Name: "defaults-http", About: "500 events/s over HTTP, default settings, 50 % match", Defaults: true, Rate: 500,
			Transport: HTTP, group: groupStress, Workload: Workload{Directives: 1000, Match: 0.5, Live: 160},
		},
	}
}

// QuickScenarios returns one small cell for each transport: whether all works,
// in a moment. Their speeds say nothing.
func QuickScenarios() []Cell {
	workload := Workload{Directives: 20, Match: 0.3, Near: 0.2, Live: 32, Addresses: 50, Occurrence: 2}
	transports := Transports()
	cells := make([]Cell, 0, len(transports))
	for _, t := range transports {
		cells = append(cells, Cell{
			Name: "quick-" + string(t), About: "a few events, " + string(t), Transport: t, group: groupStress,
			Workload: workload, Events: 4000, Connections: 4, Batch: 50, Defaults: t == NATS,
		})
	}
	return cells
}

// Choose returns the cells with these names, in the order of the matrix, behind it
// the long ones.
func Choose(names []string) ([]Cell, error) {
	all := slices.Concat(Scenarios(), LongScenarios())
	known := make([]string, len(all))
	for i := range all {
		known[i] = all[i].Name
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no scenario %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(c Cell) bool { return !slices.Contains(names, c.Name) }), nil
}

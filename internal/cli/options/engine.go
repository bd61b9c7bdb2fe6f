package options

import (
	"math"
	"time"

	"dsiem/internal/correlate"
	"dsiem/internal/node"
)

// maxAlarmValues is the largest number of values that an alarm may list.
const maxAlarmValues = 1_000_000

// possibleTime reports whether a duration is one of those that the engine's options can
// have, and if it must be so, in whole seconds.
func possibleTime(d time.Duration, whole bool) bool {
	return d >= 0 && d <= correlate.Longest*time.Second && (!whole || d%time.Second == 0)
}

// Seconds returns a duration as the engine's options have it: in whole seconds, one
// at least, and correlate.Off for none.
func Seconds(d time.Duration) int64 {
	if d <= 0 {
		return correlate.Off
	}
	return max(1, int64(d/time.Second))
}

// The budgets of memory that make sense.
const minMemory, maxMemory = 64 << 20, 1 << 50

// maxShards is far more engines than any machine has cores.
const maxShards = 1024

// loadTexts are the helps of options that mean one thing where events come in
// and another one where they are correlated.
type loadTexts struct{ maxEPS, maxQueue string }

func (p Program) loadTexts() loadTexts {
	const zero = " 0 stands for 1000000."
	switch p.Mode {
	case node.ModeBackend:
		return loadTexts{
			"Events a second this backend should sustain. It limits nothing; a warning says if they take too long.",
			"Events that may wait, 24 times as many in a burst; more are dropped and counted." + zero,
		}
	case node.ModeFrontend:
		return loadTexts{
			"Events a second to take at most, from all clients together, while no backend is overloaded; 0 for no limit.",
			"Events that may wait for the engines.",
		}
	}
	return loadTexts{
		"Events a second to take over HTTP at most, from all clients together, while nothing is overloaded; 0 for no limit. " +
			"A backend takes all: there it is the rate to sustain, at least 1, and a warning says if events take too long.",
		"Events that may wait. More are refused over HTTP; a backend takes 24 times as many in a burst, then drops and counts them." + zero,
	}
}

func loadOptions(p Program, s *settings) []*option {
	texts := p.loadTexts()
	return []*option{
		{
			name: "max-eps", short: 'e', env: []string{"DSIEM_MAXEPS", "DSIEM_MAX_EPS", "MAX_EPS"},
			value: number{&s.MaxEPS, 0, math.MaxInt}, inBackend: number{&s.MaxEPS, 1, math.MaxInt}, def: "1000",
			help: texts.maxEPS,
		},
		{
			name: "min-eps", short: 'i', env: []string{"DSIEM_MINEPS", "DSIEM_MIN_EPS", "MIN_EPS"}, modes: intakeModes,
			value: number{&s.MinEPS, 0, math.MaxInt}, def: "100",
			help: "Events a second to take at least, however long an overload lasts; 0 for no limit at any time.",
		},
		{
			name: "max-queue", short: 'q', env: []string{"DSIEM_MAXQUEUE", "DSIEM_MAX_QUEUE"}, modes: engineModes,
			value: number{&s.MaxQueue, 0, math.MaxInt}, def: "25000",
			help: texts.maxQueue,
		},
		{
			name: "memory", env: []string{"DSIEM_MEMORY"},
			value: size{&s.Memory, minMemory, maxMemory}, shown: "75 % of what the container or the machine has",
			help: "Memory to stay below. It bounds what waits, what is in progress and what is remembered; GOMEMLIMIT says the same.",
		},
		{
			name: "max-delay", short: 'd', env: []string{"DSIEM_MAXDELAY", "DSIEM_MAX_DELAY"}, modes: engineModes,
			value: span{&s.MaxDelay, time.Second, 0}, def: "180",
			help: "Age from which a matched event is a sign of overload that makes frontends throttle; 0 for never.",
		},
		{
			name: "hold-duration", shortWithMode: 'n', env: []string{"DSIEM_HOLDDURATION", "DSIEM_HOLD_DURATION"},
			value: span{&s.HoldDuration, time.Second, time.Second}, def: "10",
			help: "How long an overload lasts after its last sign.",
		},
		{
			name: "shards", env: []string{"DSIEM_SHARDS"}, modes: engineModes,
			value: number{&s.Shards, 0, maxShards}, def: "0",
			help: "Engines that the directives are spread over; 0 is one for every two cores. The alarms are the same.",
		},
	}
}

func alarmOptions(s *settings) []*option {
	return []*option{
		{
			name: "status", short: 's', env: []string{"DSIEM_STATUS"},
			value: list{&s.Statuses, "STATUS,…"}, def: node.DefaultStatuses,
			help: "Alarm statuses; alarms get the first.",
		},
		{
			name: "tags", aliases: []string{"tag"}, short: 't', env: []string{"DSIEM_TAGS"},
			value: list{&s.Tags, "TAG,…"}, def: node.DefaultTags,
			help: "Alarm tags; alarms get the first.",
		},
		{
			name: "med-risk-min", env: []string{"DSIEM_MEDRISKMIN", "DSIEM_MED_RISK_MIN"}, modes: engineModes,
			value: number{&s.Engine.MedRiskMin, 0, math.MaxInt}, def: "3",
			help: "Lowest risk of class Medium: at least 2 and below --med-risk-max.",
		},
		{
			name: "med-risk-max", env: []string{"DSIEM_MEDRISKMAX", "DSIEM_MED_RISK_MAX"}, modes: engineModes,
			value: number{&s.Engine.MedRiskMax, 0, math.MaxInt}, def: "6",
			help: "Highest risk of class Medium: at most 9.",
		},
		{
			name: "min-alarm-lifetime", short: 'l', env: []string{"DSIEM_MINALARMLIFETIME", "DSIEM_MIN_ALARM_LIFETIME"}, modes: engineModes,
			value: span{&s.lifetime, time.Minute, 0}, def: "0",
			help: "Grace added to the timeout of every stage.",
		},
		{
			name: "order-tolerance", env: []string{"DSIEM_ORDER_TOLERANCE", "DSIEM_ORDERTOLERANCE"}, modes: engineModes,
			value: engineTime{span{&s.tolerance, time.Second, 0}, true}, def: "5s",
			help: "How much older than the stage before an event of a stage may be, in whole seconds.",
		},
		{
			name: "look-back", env: []string{"DSIEM_LOOK_BACK", "DSIEM_LOOKBACK"}, modes: engineModes,
			value: engineTime{span{&s.lookBack, time.Second, 0}, false}, def: "10s",
			help: "How long events are remembered that came before the stage they belong to; 0 is not at all. See docs/time.md.",
		},
		{
			name: "remember", env: []string{"DSIEM_REMEMBER"}, modes: engineModes,
			value: engineTime{span{&s.remember, time.Second, 0}, false}, def: "1h",
			help: "How long the events of an ended attack open no other one when they are sent again; 0 is not at all.",
		},
		{
			name: "max-alarm-values", env: []string{"DSIEM_MAX_ALARM_VALUES", "DSIEM_MAXALARMVALUES"}, modes: engineModes,
			value: number{&s.Engine.MaxAlarmValues, 1, maxAlarmValues}, def: "1000",
			help: "Addresses a side, and custom data values of one label, that an alarm lists.",
		},
		{
			name: "expand-titles", env: []string{"DSIEM_EXPAND_TITLES", "DSIEM_EXPANDTITLES"}, modes: engineModes,
			value: toggle{&s.expandTitles}, def: "true",
			help: "Replace SRC_IP and DST_IP in alarm titles.",
		},
		{
			name: "fsync", env: []string{"DSIEM_FSYNC"}, modes: engineModes,
			value: choice{&s.Fsync, []string{"never", "interval", "always"}}, def: "interval",
			help: "When alarm lines must be on disk: when the system likes, soon, or before anything else happens.",
		},
	}
}

func lookupOptions(s *settings) []*option {
	return []*option{
		{
			name: "cache-duration", aliases: []string{"cache"}, short: 'c',
			env: []string{"DSIEM_CACHEDURATION", "DSIEM_CACHE_DURATION"}, modes: engineModes,
			value: span{&s.CacheDuration, time.Minute, 0}, def: "10",
			help: "How long the result of a look-up is used again; 0 stands for the default.",
		},
		{
			name: "intel-private-ip", env: []string{"DSIEM_INTELPRIVATEIP", "DSIEM_INTEL_PRIVATE_IP"}, modes: engineModes,
			value: toggle{&s.IntelPrivateIP}, def: "false",
			help: "Ask threat intelligence about private addresses too.",
		},
		{
			name: "enrich-wait", env: []string{"DSIEM_ENRICH_WAIT", "DSIEM_ENRICHWAIT"}, modes: engineModes,
			value: span{&s.EnrichWait, time.Second, 0}, def: "2",
			help: "How long an alarm line waits for its look-ups.",
		},
	}
}

func stateOptions(s *settings) []*option {
	return []*option{
		{
			name: "reload-backlogs", env: []string{"DSIEM_RELOAD_BACKLOGS", "DSIEM_RELOADBACKLOGS"}, modes: engineModes,
			value: toggle{&s.ReloadBacklogs}, def: "true",
			help: "Save the live backlogs at the end and load them at the start.",
		},
		{
			name: "checkpoint", env: []string{"DSIEM_CHECKPOINT"}, modes: engineModes,
			value: span{&s.Checkpoint, time.Second, 0}, def: "30",
			help: "Time between two copies of the live backlogs, for a start after a crash; 0 for none. None without --reload-backlogs.",
		},
	}
}

package correlate

import "fmt"

// Options are the engine's settings. The zero value has the defaults. Durations
// are in whole seconds, and compared with differences of whole seconds of the
// clock.
type Options struct {
	// MinAlarmLifetime is the grace that is added to the timeout of every stage
	// (§6.6, B59).
	MinAlarmLifetime int64
	// OrderTolerance is how much older than the end of the stages before it, and
	// than the event that opened its backlog, an event of a stage may be (D29);
	// DefaultOrderTolerance if 0, none if Off.
	OrderTolerance int64
	// LookBack is how long events are remembered that may belong to a stage that
	// has not begun yet (D33); DefaultLookBack if 0, not at all if Off.
	LookBack int64
	// Remember is how long the events of an ended backlog open no other one
	// (D35 b); DefaultRemember if 0, not at all if Off.
	Remember int64
	// MaxAlarmValues is the number of addresses a side, and of custom data values
	// of one label, that an alarm keeps (D37); DefaultMaxAlarmValues if 0.
	MaxAlarmValues int
	// Memory is how many bytes an engine may take, from which the bounds of live backlogs
	// and of what it remembers follow (docs/spec/interfaces.md §5.8); 0 sets no bound to
	// live backlogs.
	Memory int64
	// MedRiskMin and MedRiskMax bound the class Medium; 3 and 6 if both are 0.
	// Min is at least 2, max at most 9, min below max (§7, B39).
	MedRiskMin, MedRiskMax int
	// Status and Tag are given to every alarm; "Open" and "Identified Threat"
	// if empty.
	Status, Tag string
	// Lookups lets Enrich find published alarms by their id.
	Lookups bool
	// LiteralTitles leaves SRC_IP and DST_IP in titles as they are (D4).
	LiteralTitles bool
}

// Off as a duration in Options is none at all, where 0 is the default.
const Off = -1

// The bounds and defaults of Options. A replay looks back for
// DefaultReplayLookBack.
const (
	DefaultOrderTolerance                = 5
	DefaultLookBack                      = 10
	DefaultReplayLookBack                = 60
	DefaultRemember                      = 3600
	DefaultMaxAlarmValues                = 1000
	DefaultMedRiskMin, DefaultMedRiskMax = 3, 6
	DefaultStatus                        = "Open"
	DefaultTag                           = "Identified Threat"

	lowestMedRiskMin, highestMedRiskMax = 2, 9
	// Longest is the longest of the durations that have a default, some thirty years:
	// what is remembered keeps its time in 32 bits.
	Longest = 1 << 30
)

// Check returns an error that says which setting is out of range.
func (o Options) Check() error {
	o = o.withDefaults()
	if o.MinAlarmLifetime < 0 {
		return fmt.Errorf("the minimum alarm lifetime is %d seconds; it must not be negative", o.MinAlarmLifetime)
	}
	for _, d := range []struct {
		name    string
		seconds int64
	}{{"order tolerance", o.OrderTolerance}, {"look-back", o.LookBack}, {"time that ended alarms are remembered", o.Remember}} {
		if d.seconds > Longest {
			return fmt.Errorf("the %s is %d seconds; it must not be more than %d", d.name, d.seconds, Longest)
		}
	}
	switch {
	case o.MaxAlarmValues < 1:
		return fmt.Errorf("an alarm is to keep %d values; it must keep at least 1", o.MaxAlarmValues)
	case o.MedRiskMin < lowestMedRiskMin || o.MedRiskMax > highestMedRiskMax || o.MedRiskMin >= o.MedRiskMax:
		return fmt.Errorf("medium risk from %d to %d is not possible; use at least %d and at most %d, the first below the second",
			o.MedRiskMin, o.MedRiskMax, lowestMedRiskMin, highestMedRiskMax)
	}
	return nil
}

// withDefaults returns the settings with 0 for what is off and everything else set.
func (o Options) withDefaults() Options {
	o.OrderTolerance = duration(o.OrderTolerance, DefaultOrderTolerance)
	o.LookBack = duration(o.LookBack, DefaultLookBack)
	o.Remember = duration(o.Remember, DefaultRemember)
	if o.MaxAlarmValues == 0 {
		o.MaxAlarmValues = DefaultMaxAlarmValues
	}
	if o.MedRiskMin == 0 && o.MedRiskMax == 0 {
		o.MedRiskMin, o.MedRiskMax = DefaultMedRiskMin, DefaultMedRiskMax
	}
	if o.Status == "" {
		o.Status = DefaultStatus
	}
	if o.Tag == "" {
		o.Tag = DefaultTag
	}
	return o
}

func duration(seconds, ifZero int64) int64 {
	if seconds == 0 {
		return ifZero
	}
	return max(0, seconds)
}

package scenario

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// savedFolder is the word that stands for the folder of saved backlogs in a
// scenario's options.
const savedFolder = "SAVED"

// Options are the settings of one run, with the defaults of dsiem replay where
// the scenario is silent.
type Options struct {
	MinAlarmLifetime time.Duration
	// OrderTolerance, LookBack and Remember are as docs/spec/correlation.md §15 has them.
	OrderTolerance, LookBack, Remember time.Duration
	MaxAlarmValues                     int
	MedRiskMin, MedRiskMax             int
	Status, Tags                       []string
	ExpandTitles                       bool
	ExpireAll                          bool
	// LoadBacklogs and SaveBacklogs tell whether the run reads, or writes, the
	// scenario's folder of saved backlogs.
	LoadBacklogs, SaveBacklogs bool
}

// defaultOptions are the documented defaults (docs/spec/interfaces.md §1).
func defaultOptions() Options {
	return Options{
		OrderTolerance: 5 * time.Second, LookBack: time.Minute, Remember: time.Hour, MaxAlarmValues: 1000,
		MedRiskMin:   3,
		MedRiskMax:   6,
		Status:       []string{"Open", "In-Progress", "Closed"},
		Tags:         []string{"Identified Threat", "False Positive", "Valid Threat", "Security Incident"},
		ExpandTitles: true,
	}
}

// parseOptions sets opt from flags and returns the flags to pass on.
func (s *source) parseOptions(sec *section, opt *Options) (args []string) {
	for _, e := range s.entries(sec) {
		for words := e.raw; len(words) > 0; {
			flag, value, hasValue := strings.Cut(words[0], "=")
			words = words[1:]
			set, isBool := opt.flag(flag)
			if set == nil {
				s.failf(e.line, "unknown option %q", flag)
				break
			}
			switch {
			case isBool && !hasValue:
				value = "true"
			case !hasValue && len(words) == 0:
				s.failf(e.line, "option %s needs a value", flag)
				return args
			case !hasValue:
				value, words = words[0], words[1:]
			}
			if !set(value) {
				s.failf(e.line, "option %s: bad value %q", flag, value)
				continue
			}
			if !strings.HasSuffix(flag, "-backlogs") {
				args = append(args, flag+"="+value)
			}
		}
	}
	return args
}

// flag returns the function that sets an option, nil if there is no such one.
func (o *Options) flag(name string) (set func(value string) bool, isBool bool) {
	switch name {
	case "--min-alarm-lifetime":
		return func(v string) bool {
			n, err := strconv.ParseUint(v, 10, 16)
			o.MinAlarmLifetime = time.Duration(n) * time.Minute
			return err == nil
		}, false
	case "--order-tolerance":
		return durationInto(&o.OrderTolerance), false
	case "--look-back":
		return durationInto(&o.LookBack), false
	case "--remember":
		return durationInto(&o.Remember), false
	case "--max-alarm-values":
		return intInto(&o.MaxAlarmValues), false
	case "--max-jump": // the engine has none
		return func(v string) bool { d, err := time.ParseDuration(v); return err == nil && d >= 0 }, false
	case "--med-risk-min":
		return intInto(&o.MedRiskMin), false
	case "--med-risk-max":
		return intInto(&o.MedRiskMax), false
	case "--status":
		return listInto(&o.Status), false
	case "--tags":
		return listInto(&o.Tags), false
	case "--expand-titles":
		return boolInto(&o.ExpandTitles), true
	case "--expire-all":
		return boolInto(&o.ExpireAll), true
	case "--load-backlogs":
		return folderInto(&o.LoadBacklogs), false
	case "--save-backlogs":
		return folderInto(&o.SaveBacklogs), false
	}
	return nil, false
}

func intInto(p *int) func(string) bool {
	return func(v string) (ok bool) {
		n, err := strconv.Atoi(v)
		*p = n
		return err == nil
	}
}

func durationInto(p *time.Duration) func(string) bool {
	return func(v string) bool {
		d, err := time.ParseDuration(v)
		*p = d
		return err == nil && d >= 0 && d%time.Second == 0
	}
}

func boolInto(p *bool) func(string) bool {
	return func(v string) bool {
		b, err := strconv.ParseBool(v)
		*p = b
		return err == nil
	}
}

func listInto(p *[]string) func(string) bool {
	return func(v string) bool {
		*p = strings.Split(v, ",")
		return !slices.Contains(*p, "")
	}
}

func folderInto(p *bool) func(string) bool {
	return func(v string) bool {
		*p = true
		return v == savedFolder
	}
}

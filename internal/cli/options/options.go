// Package options turns the arguments and the environment of serve and
// healthcheck into options of a node, or the question to one. All of it is made
// from one table, optionTable: flags, variables, help, completion, and the
// settings in the log. It reads no environment by itself, writes nothing but help,
// and starts nothing; it has no state.
//
// It is a parser of its own because the flags and variables are those of three
// generations of Dsiem: any spelling of a name, flags before and after the
// command, -n with two meanings, switches with values, several variables for one
// setting, options that only some modes have, and where each value came from. A
// library could be bent to some of that by rewriting its arguments, and would know
// nothing of the rest.
package options

import (
	"iter"
	"slices"
	"time"

	"dsiem/internal/node"
)

// Program says as what a command line runs.
type Program struct {
	// Called is the name the program goes by in messages: dsiem, dsiem-backend
	// or dsiem-frontend.
	Called string
	// Mode is the only mode of the program, as of dsiem-backend and
	// dsiem-frontend. It is "" for dsiem: --mode and DSIEM_MODE decide.
	Mode string
}

// UsageError is a command line that makes no sense.
type UsageError string

func (e UsageError) Error() string { return string(e) }

// The flags that ask for something else than a command does.
const (
	Help    = "help"
	Version = "version"
)

// Command finds the command in arguments: the first word that is neither a flag of
// serve or healthcheck nor the value of one. If Help or Version is asked for
// before it, that is returned instead.
func (p Program) Command(args []string) (command, asked string) {
	known := slices.Concat(optionTable(p, &settings{}), healthcheckTable(p, &healthcheck{}))
	line := newFlagIndex(p, known).untilCommand(args)
	switch {
	case len(line.words) > 0:
		return line.words[0], ""
	case line.stop != nil:
		return "", line.stop.name
	}
	return "", ""
}

// unlimitedQueue is the number of events that may wait if max-queue is 0
// (docs/spec/interfaces.md §5.2).
const unlimitedQueue = 1_000_000

// defaultCache is how long the result of a look-up lives, also if cache-duration
// is 0 (docs/spec/interfaces.md §1.3, 17).
const defaultCache = 10 * time.Minute

// settings are what the options of serve set: most are those of the node, the
// others are turned into these by serveOptions.
type settings struct {
	node.Options

	help, version bool
	debug, trace  bool
	verbosity     int
	logLevel      string
	lifetime      time.Duration // min-alarm-lifetime
	// Of correlation's time, see docs/time.md.
	tolerance, lookBack, remember time.Duration
	expandTitles                  bool
	rootDir                       string
}

// option is one setting of serve. Its name and aliases are found in every
// spelling: --max-eps, --max_eps and --maxEPS are the same flag
// (docs/spec/interfaces.md §1.6).
type option struct {
	name    string   // in kebab-case
	aliases []string // other names, in kebab-case
	short   byte     // 0 for none
	// shortWithMode is a short flag with another meaning if the program is called
	// dsiem and the mode stands on the command line, as for the original.
	shortWithMode byte
	// env are the variables, the first that is set and not empty counts.
	env   []string
	value value
	// inBackend is the value in a backend, if not all texts are possible there.
	inBackend value
	// modes are those in which the option does something; 0 is all of them.
	modes modeSet
	// def is the text of the default, "" for the zero value. shown says it for
	// people if there is no such text.
	def, shown string
	help       string
	// original is what the original says about an impossible text, which a %s
	// stands for: words that people search for (docs/spec/interfaces.md §1.3).
	original string
	// noEffect says why the option is accepted without doing anything in any mode;
	// its value is not looked at. only is the one text that agrees with what happens anyway:
	// it needs no remark, and another one on the command line is an error.
	noEffect, only string
	// urls marks values that may hold user names and passwords.
	urls bool
	// stops ends the command line: what follows is not looked at.
	stops bool
}

// group is a heading of the help and the options below it.
type group struct {
	title   string
	options []*option
}

// each goes through all options.
func each(groups []group) iter.Seq[*option] {
	return func(yield func(*option) bool) {
		for _, g := range groups {
			for _, o := range g.options {
				if !yield(o) {
					return
				}
			}
		}
	}
}

// optionTable is the one place that knows the options of serve and which mode
// has them. Flags, variables, help, shell completion, the settings in the log
// and docs/options.md are made from it. The values are set in s.
//
// Units, ranges and names are those of docs/spec/interfaces.md §1.2 and §1.3, the
// rules for their texts are those of §1.5 and §1.6.
func optionTable(p Program, s *settings) []group {
	return p.arrange([]group{
		{"Node", nodeOptions(p, s)},
		{"Directories", directoryOptions(s)},
		{"HTTP", httpOptions(s)},
		{"Messages", natsOptions(s)},
		{"NATS for others", natsListenOptions(s)},
		{"Load", loadOptions(p, s)},
		{"Alarms", alarmOptions(s)},
		{"Threat intelligence and vulnerabilities", lookupOptions(s)},
		{"State", stateOptions(s)},
		{"Log and diagnostics", slices.Concat(logOptions(s), telemetryOptions(s), stopOptions(s))},
		{"Accepted without effect", foreignOptions()},
	})
}

// arrange moves the options that a program of one mode does not have to the
// last group.
func (p Program) arrange(groups []group) []group {
	if p.Mode == "" {
		return groups
	}
	var own []group
	var others []*option
	rest := groups[len(groups)-1]
	for _, g := range groups[:len(groups)-1] {
		var kept []*option
		for _, o := range g.options {
			if o.appliesTo(p.possible()) {
				kept = append(kept, o)
			} else {
				others = append(others, o)
			}
		}
		if len(kept) > 0 {
			own = append(own, group{g.title, kept})
		}
	}
	return append(own, group{rest.title, append(others, rest.options...)})
}

package options

import (
	"strings"

	"dsiem/internal/node"
)

// modeSet is a set of the modes that a node may have.
type modeSet uint8

const (
	standaloneMode modeSet = 1 << iota
	frontendMode
	backendMode
)

const (
	anyMode     = standaloneMode | frontendMode | backendMode
	intakeModes = standaloneMode | frontendMode // they take events over HTTP
	engineModes = standaloneMode | backendMode  // they raise alarms
	natsModes   = frontendMode | backendMode    // they need NATS
)

// allModes are the modes of serve, in the order of their bits.
func allModes() []string { return []string{node.ModeStandalone, node.ModeFrontend, node.ModeBackend} }

// modeOf returns the set of a mode, which is a string; all modes for what is none.
func modeOf(mode any) modeSet {
	for i, m := range allModes() {
		if m == mode {
			return 1 << i
		}
	}
	return anyMode
}

// names returns the modes of a set.
func (s modeSet) names() []string {
	var modes []string
	for _, m := range allModes() {
		if s&modeOf(m) != 0 {
			modes = append(modes, m)
		}
	}
	return modes
}

// possible returns what a program may be.
func (p Program) possible() modeSet { return modeOf(p.Mode) }

// appliesTo reports whether an option belongs to one of some modes.
func (o *option) appliesTo(m modeSet) bool { return o.modes == 0 || o.modes&m != 0 }

// reason says why an option does nothing in any of some modes, "" if it does
// something in one of them.
func (o *option) reason(m modeSet) string {
	switch modes := o.modes.names(); {
	case o.noEffect != "":
		return o.noEffect
	case o.appliesTo(m):
		return ""
	case len(modes) == 1:
		return "only the mode " + modes[0] + " uses it"
	default:
		return "only the modes " + strings.Join(modes, " and ") + " use it"
	}
}

// valueIn returns the value of an option in a mode.
func (o *option) valueIn(m modeSet) value {
	if m == backendMode && o.inBackend != nil {
		return o.inBackend
	}
	return o.value
}

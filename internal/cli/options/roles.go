package options

import (
	"strings"

	"dsiem/internal/node"
)

// roles is a set of the modes that a node may have.
type roles uint8

const (
	standaloneRole roles = 1 << iota
	frontendRole
	backendRole
)

const (
	anyRole     = standaloneRole | frontendRole | backendRole
	intakeRoles = standaloneRole | frontendRole // they take events over HTTP
	engineRoles = standaloneRole | backendRole  // they raise alarms
	natsRoles   = frontendRole | backendRole    // they need a message queue
)

// allModes are the modes of serve, in the order of their roles.
func allModes() []string { return []string{node.ModeStandalone, node.ModeFrontend, node.ModeBackend} }

// roleOf returns the role of a mode, which is a string; every role for what is
// none.
func roleOf(mode any) roles {
	for i, m := range allModes() {
		if m == mode {
			return 1 << i
		}
	}
	return anyRole
}

// modes returns the modes of the roles.
func (r roles) modes() []string {
	var modes []string
	for _, m := range allModes() {
		if r&roleOf(m) != 0 {
			modes = append(modes, m)
		}
	}
	return modes
}

// roles returns what a program may be.
func (p Program) roles() roles { return roleOf(p.Mode) }

// appliesTo reports whether an option belongs to one of some roles.
func (o *option) appliesTo(r roles) bool { return o.roles == 0 || o.roles&r != 0 }

// reason says why an option does nothing in any of some roles, "" if it does
// something in one of them.
func (o *option) reason(r roles) string {
	switch modes := o.roles.modes(); {
	case o.noEffect != "":
		return o.noEffect
	case o.appliesTo(r):
		return ""
	case len(modes) == 1:
		return "only the mode " + modes[0] + " uses it"
	default:
		return "only the modes " + strings.Join(modes, " and ") + " use it"
	}
}

// valueIn returns the value of an option in a role.
func (o *option) valueIn(r roles) value {
	if r == backendRole && o.inBackend != nil {
		return o.inBackend
	}
	return o.value
}

// Package auth decides who may do what over HTTP: users with tokens or
// passwords, and the rights of callers without any.
//
// A Guard owns the rights that it read from a file, reads the file again when it
// changes, and keeps what it has when the new content is bad. It is safe for
// concurrent use.
//
// The package never stores, logs or answers with a password, a token or a hash
// of one: files hold hashes only, and messages about such a file show the place
// of a mistake but none of its text. It serves nothing itself and knows no
// routes.
//
// Source of the requirements: docs/spec/interfaces.md §3.1, §9.
package auth

import (
	"cmp"
	"strings"
)

// Right is a set of things that a caller may do.
type Right uint8

const (
	// Intake is sending events.
	Intake Right = 1 << iota
	// ConfigRead is listing and reading configuration files.
	ConfigRead
	// ConfigWrite is storing and deleting configuration files. It does not
	// include ConfigRead.
	ConfigWrite
	// Diagnostics is reading metrics, rates, profiles and the state of the
	// program.
	Diagnostics

	// All is all of these.
	All = Intake | ConfigRead | ConfigWrite | Diagnostics
)

// rightNames are the names of the single rights in the file and in messages, in
// the order of their bits.
func rightNames() [4]string {
	return [...]string{"intake", "config-read", "config-write", "diagnostics"}
}

// allName stands for All in the file.
const allName = "all"

// String returns the names of the rights with commas in between, "all", or
// "none".
func (r Right) String() string {
	if r &= All; r == All {
		return allName
	}
	var names []string
	for bit, name := range rightNames() {
		if r&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

// parseRight returns the right of a name in the file.
func parseRight(name string) (Right, bool) {
	if name == allName {
		return All, true
	}
	for bit, known := range rightNames() {
		if name == known {
			return 1 << bit, true
		}
	}
	return 0, false
}

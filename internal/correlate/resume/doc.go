// Package resume knows what outlives an engine: the rules of saved backlogs, from which
// it finds their plan and the values of the events that opened them again, and the
// document of what an engine remembers of events.
//
// Source of the behaviour: docs/spec/correlation.md §11, §15.
package resume

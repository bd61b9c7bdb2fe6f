// Package backlogs holds the live backlogs of an engine: what each knows, where it lies
// in memory, how events, clock and alarm ids find it, and what its alarm shows. What
// happens to them is the engine's.
//
// Live backlogs are many, so that they lie in blocks without pointers. A Store has all
// that belong together: a backlog's methods are the store's.
//
// Source of the behaviour: docs/spec/correlation.md §4, §6.4, §15.
package backlogs

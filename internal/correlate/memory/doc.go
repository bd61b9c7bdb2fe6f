// Package memory is what an engine remembers of events: which ones backlogs have
// recorded, those of backlogs that have ended, and those of the last seconds with their
// texts. It knows nothing of directives. Its data structures have few pointers, cost
// next to nothing as long as nobody looks something up, and give the memory of a burst
// back.
//
// Source of the behaviour: spec/correlation.md §15 (D33, D35, D37).
package memory

// Package live correlates events as they come. A Correlator takes batches from a
// Source, decodes them on all cores, plays them through the engines under the
// clock, and hands the lines of alarms to an Output, after look-ups if there are
// services to ask. A Queue is the Source of a node without a log of events.
//
// One goroutine, that of Correlator.Run, owns the engines and everything that is
// made of their changes; whoever wants to know or change something of them gives
// it a function to run (Correlator.Ask). The Queue is between goroutines and has a
// lock. The package opens no file and no connection, and drops no event without
// counting it and no alarm line at all: it waits.
package live

// Package status is what a browser sees of a node: the built-in status page, and
// the static files of a web UI that somebody put into a folder.
//
// The status page owns nothing: it asks for a Status per request. A Recent is
// the one thing here with state; it remembers the last alarms for the page, is
// written by the goroutine that writes alarms and read by any. Handlers are safe
// for concurrent use. They ask nobody who they are, change nothing, load nothing
// from other hosts, and never follow a link out of the folder they serve.
//
// Source of the contract: docs/spec/interfaces.md §3.1, §3.7.
package status

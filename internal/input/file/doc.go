// Package intake receives events from outside and turns them into
// event.Event: it reads event files and standard input, and knows the forms an
// event may come in. It is a stage: it decides what one record is and whether
// it is an event, nothing else.
//
// A Reader belongs to one goroutine, a Batch to whoever it was handed to;
// Decode and DecodeSuricata keep no state. The package never logs, counts or
// looks into an event's meaning: it returns why a record is rejected, and its
// caller counts.
package file

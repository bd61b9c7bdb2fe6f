// Package file reads event files and standard input: JSON values one after the
// other, in lines, arrays or any other layout, plain or compressed with gzip or
// zstd. It decides what one record is and where it stands, nothing else.
//
// A Reader belongs to one goroutine, a Batch to whoever it was handed to. The
// package never decodes, logs or counts an event, and never skips one that is
// too large in silence: that is a Record with its reason.
package file

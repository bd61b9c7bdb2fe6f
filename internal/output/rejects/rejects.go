// Package rejects keeps the records that a node has rejected, for the people who
// have to find out why: the newest ones, in a file of bounded size.
//
// A File belongs to the goroutine that runs it; anybody may add records to it. It
// never lets anybody wait, never grows beyond its bound, and never drops a record
// without counting it. Nobody but the owner may read the file: a record is what a
// sender has sent, passwords in the wrong field included.
//
// Source of the behaviour: docs/spec/correlation.md D40.
package rejects

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/observe/log"
	"dsiem/internal/observe/metric"
	"dsiem/internal/text"
)

// Name is the file's name, and Old that of the file before it. Neither is one that
// a log shipper of ours takes.
const (
	Name = "rejected_events.ndjson"
	Old  = "rejected_events.1.ndjson"
)

const (
	// longest is the size from which a record is cut, in bytes.
	longest = 64 << 10
	// maxPending is the size of lines that may wait for the disk, in bytes.
	maxPending = 1 << 20
)

// Options are the settings of a File.
type Options struct {
	// Dir is the directory of the file.
	Dir string
	// Max is the size of both files together, in bytes; 0 or less keeps nothing.
	Max int64
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// Logger gets what is wrong with the file, at most one line in ten seconds; nil is
	// silence.
	Logger *slog.Logger
}

// File takes records, and writes them when it runs.
type File struct {
	o       Options
	wake    chan struct{} // has a token when lines wait
	warning log.Limit

	written, dropped atomic.Uint64

	mu      sync.Mutex
	pending []byte

	// The rest belongs to the goroutine that runs.
	lines []byte
}

// New returns a File. Nothing is on disk before the first record.
func New(o Options) *File {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return &File{o: o, wake: make(chan struct{}, 1)}
}

// Add takes a record with why it was rejected. It copies what it keeps and does not
// wait: if the disk is behind, the record is dropped and counted.
func (f *File) Add(record []byte, reason, detail string) {
	if f.o.Max <= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.pending)
	if before >= maxPending {
		f.dropped.Add(1)
		return
	}
	f.pending = appendLine(f.pending, f.o.Now(), record, reason, detail)
	if int64(len(f.pending)-before) > f.o.Max/2 {
		f.pending = f.pending[:before]
		f.dropped.Add(1)
		return
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// appendLine appends a record as a line. The record is a string, so that it can be
// read as it was sent, be it what it may.
func appendLine(dst []byte, now time.Time, record []byte, reason, detail string) []byte {
	dst = now.UTC().AppendFormat(append(dst, `{"time":"`...), time.RFC3339Nano)
	for _, m := range [...]struct{ key, value string }{
		{`","reason":`, reason}, {`,"detail":`, detail}, {`,"record":`, text.Clip(string(record[:min(len(record), longest+1)]), longest)},
	} {
		dst, _ = jsontext.AppendQuote(append(dst, m.key...), m.value) // an error is about U+FFFD
	}
	if len(record) > longest {
		dst = strconv.AppendInt(append(dst, `,"size":`...), int64(len(record)), 10)
	}
	return append(dst, '}', '\n')
}

// Run writes records until ctx ends, and then those that wait.
func (f *File) Run(ctx context.Context) error {
	for {
		select {
		case <-f.wake:
			f.write()
		case <-ctx.Done():
			f.write()
			return ctx.Err()
		}
	}
}

// write writes what waits. What cannot be written is dropped: these records are of
// no use to the node.
func (f *File) write() {
	f.mu.Lock()
	f.pending, f.lines = f.lines[:0], f.pending
	f.mu.Unlock()
	for rest := f.lines; len(rest) > 0; {
		n, err := f.append(rest)
		f.written.Add(uint64(bytes.Count(rest[:n], []byte{'\n'}))) //nolint:gosec // not negative
		rest = rest[n:]
		if err != nil {
			f.dropped.Add(uint64(bytes.Count(rest, []byte{'\n'}))) //nolint:gosec // not negative
			if f.warning.Allow(f.o.Now()) {
				f.o.Logger.Warn("rejected records cannot be kept", "error", err)
			}
			return
		}
	}
}

// append appends the first of some lines, as many as fit. When the file is full it
// becomes the old one.
func (f *File) append(lines []byte) (n int, err error) {
	path := filepath.Join(f.o.Dir, Name)
	if err := os.MkdirAll(f.o.Dir, 0o750); err != nil {
		return 0, fmt.Errorf("making the directory of %s: %w", Name, err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("opening %s: %w", Name, err)
	}
	defer file.Close()
	if err := file.Chmod(0o600); err != nil {
		return 0, fmt.Errorf("keeping %s from others: %w", Name, err)
	}
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("looking at %s: %w", Name, err)
	}
	room := f.o.Max/2 - info.Size()
	n = len(lines)
	if int64(n) > room {
		n = bytes.LastIndexByte(lines[:max(room, 0)], '\n') + 1
	}
	if n == 0 {
		if err := os.Rename(path, filepath.Join(f.o.Dir, Old)); err != nil {
			return 0, fmt.Errorf("putting %s aside: %w", Name, err)
		}
		return 0, nil
	}
	if _, err := file.Write(lines[:n]); err != nil {
		return 0, fmt.Errorf("writing %s: %w", Name, err)
	}
	return n, nil
}

// Register registers counters of what is kept.
func (f *File) Register(reg prometheus.Registerer) {
	s := metric.NewSnapshot(func() *File { return f })
	add := s.Counters("dsiem_rejected_events_total", "Records that were rejected, by whether they are kept in rejected_events.ndjson.", "outcome")
	add("kept", func(f *File) uint64 { return f.written.Load() })
	add("dropped", func(f *File) uint64 { return f.dropped.Load() })
	reg.MustRegister(s)
}

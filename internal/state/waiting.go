package state

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"dsiem/internal/event"
	"dsiem/internal/pending"
)

// waitingName is the file of events that a stop had no time for, below
// backlogsDir: one message per line, as on NATS. The next start
// plays them first. Their senders believe that they have been taken.
const waitingName = "waiting_events.ndjson"

// maxWaiting is the longest line of that file that is read, in bytes. No event is
// as long, so a longer one was written by something else, or the file is damaged.
const maxWaiting = 2 * event.MaxSize

// Waiting takes events that a stop has no time for. The first error ends
// the writing; written events count only if close returns nil.
type Waiting struct {
	path    string
	pending *pending.File
	out     *bufio.Writer
	buffer  []byte
	events  int
	err     error
}

// Add writes the events of a batch, and releases it.
func (w *Waiting) Add(b *event.Batch) {
	for i := range b.Len() {
		w.events++
		if w.open() {
			w.buffer = append(b.AppendMessage(w.buffer[:0], i), '\n')
			_, w.err = w.out.Write(w.buffer)
		}
	}
	b.Release()
}

func (w *Waiting) open() bool {
	if w.err != nil || w.pending != nil {
		return w.err == nil
	}
	if w.err = os.MkdirAll(filepath.Dir(w.path), 0o750); w.err != nil {
		return false
	}
	if w.pending, w.err = pending.Create(w.path, 0o640); w.err != nil {
		return false
	}
	w.out = bufio.NewWriterSize(w.pending, 1<<20)
	return true
}

// close puts the file into its place, if there are any events.
func (w *Waiting) close() error {
	if w.pending != nil {
		if w.err == nil {
			w.err = w.out.Flush()
		}
		if w.err == nil {
			w.err = w.pending.CloseAtomicallyReplace()
		}
		_ = w.pending.Cleanup() // does nothing after the replacement
	}
	if w.err != nil {
		return fmt.Errorf("saving events that still waited: %w", w.err)
	}
	return nil
}

// loadWaiting hands on the events that the last stop had no time for, and
// returns their number and that of the lines that are too long to be events.
func loadWaiting(path string, put func([]byte)) (events, tooLong int, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("loading events that still waited: %w", err)
	}
	defer file.Close()
	lines := bufio.NewReaderSize(file, maxWaiting+len("\n"))
	for !errors.Is(err, io.EOF) {
		var line []byte
		switch line, err = lines.ReadSlice('\n'); {
		case errors.Is(err, bufio.ErrBufferFull):
			tooLong++
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
		case len(line) > 0:
			events++
			put(bytes.TrimSuffix(line, []byte{'\n'}))
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return events, tooLong, fmt.Errorf("loading events that still waited: %w", err)
		}
	}
	return events, tooLong, nil
}

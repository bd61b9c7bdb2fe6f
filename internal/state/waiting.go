package state

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"dsiem/internal/event"
)

// waitingName is the file of events that a stop had no time for, below
// backlogsDir: one message per line, as on the message queue. The next start
// plays them first. Their senders believe that they have been taken.
const waitingName = "waiting_events.ndjson"

// WaitingFile takes events that a stop has no time for. The first error ends
// the writing; written events count only if close returns nil.
type WaitingFile struct {
	Path    string
	pending *renameio.PendingFile
	out     *bufio.Writer
	buffer  []byte
	Events  int
	Err     error
}

// Text writes an event as it came from the message queue.
func (w *WaitingFile) Text(data []byte) {
	w.Events++
	if w.open() {
		// A message may have newlines between its members.
		w.buffer = append(append(w.buffer[:0], bytes.ReplaceAll(data, []byte{'\n'}, []byte{' '})...), '\n')
		_, w.Err = w.out.Write(w.buffer)
	}
}

// Event writes a decoded event.
func (w *WaitingFile) Event(ev *event.Event, c event.Carrier) {
	w.Events++
	if w.open() {
		w.buffer = append(event.AppendMessage(w.buffer[:0], ev, c), '\n')
		_, w.Err = w.out.Write(w.buffer)
	}
}

func (w *WaitingFile) open() bool {
	if w.Err != nil || w.pending != nil {
		return w.Err == nil
	}
	if w.Err = os.MkdirAll(filepath.Dir(w.Path), 0o750); w.Err != nil {
		return false
	}
	if w.pending, w.Err = renameio.NewPendingFile(w.Path, renameio.WithPermissions(0o640)); w.Err != nil {
		return false
	}
	w.out = bufio.NewWriterSize(w.pending, 1<<20)
	return true
}

// Close puts the file into its place, if there are any events.
func (w *WaitingFile) Close() error {
	if w.pending != nil {
		if w.Err == nil {
			w.Err = w.out.Flush()
		}
		if w.Err == nil {
			w.Err = w.pending.CloseAtomicallyReplace()
		}
		_ = w.pending.Cleanup() // does nothing after the replacement
	}
	if w.Err != nil {
		return fmt.Errorf("saving events that still waited: %w", w.Err)
	}
	return nil
}

// LoadWaiting hands on the events that the last stop had no time for, and
// returns their number.
func LoadWaiting(path string, put func([]byte)) (int, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("loading events that still waited: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 2*event.MaxSize)
	n := 0
	for ; lines.Scan(); n++ {
		put(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		return n, fmt.Errorf("loading events that still waited: %w", err)
	}
	return n, nil
}

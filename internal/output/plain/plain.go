// Package plain writes the two alarm files of a replay. They belong to the
// goroutine that writes; nothing here starts one, rotates or tries again.
//
// Source of the formats: docs/spec/correlation.md §8, decision D27.
package plain

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"dsiem/internal/alarm"
)

// Mode says what to do with files that exist and are not empty.
type Mode uint8

const (
	// Refuse fails with ErrNotEmpty (D27).
	Refuse Mode = iota
	// Append writes behind what is there.
	Append
	// Overwrite replaces what is there.
	Overwrite
)

// ErrNotEmpty is the error of Refuse.
var ErrNotEmpty = errors.New("the file exists and is not empty")

// Files writes alarm lines and alarm-event lines. Lines are collected
// until Flush.
type Files struct {
	alarms, events lineFile
	failed         error // what ended writing for good
}

type lineFile struct {
	file  *os.File
	buf   []byte
	lines int // written
}

// Open opens both files in a directory, which it makes if it is missing.
func Open(dir string, mode Mode) (*Files, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the output directory: %w", err)
	}
	f := &Files{}
	if mode == Refuse {
		for _, name := range []string{alarm.AlarmsFile, alarm.EventsFile} {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Size() > 0 {
				return nil, fmt.Errorf("opening %s: %w", path, ErrNotEmpty)
			}
		}
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if mode == Overwrite {
		flags |= os.O_TRUNC
	}
	var err error
	if f.alarms.file, err = os.OpenFile(filepath.Join(dir, alarm.AlarmsFile), flags, 0o644); err != nil {
		return nil, fmt.Errorf("opening an output file: %w", err)
	}
	if f.events.file, err = os.OpenFile(filepath.Join(dir, alarm.EventsFile), flags, 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("opening an output file: %w", err), f.alarms.file.Close())
	}
	return f, nil
}

// Paths returns the paths of the alarm file and the alarm-event file.
func (f *Files) Paths() (alarms, events string) {
	return f.alarms.file.Name(), f.events.file.Name()
}

// Lines returns how many lines of each were written.
func (f *Files) Lines() (alarms, events int) { return f.alarms.lines, f.events.lines }

// Alarm collects an alarm line.
func (f *Files) Alarm(a *alarm.Alarm) {
	f.alarms.buf = a.AppendJSON(f.alarms.buf)
}

// Event collects an alarm-event line.
func (f *Files) Event(e *alarm.Event) {
	f.events.buf = e.AppendJSON(f.events.buf)
}

// Pending returns the bytes of the lines that were collected.
func (f *Files) Pending() int { return len(f.events.buf) + len(f.alarms.buf) }

// Flush writes what was collected: alarm-event lines before the alarm lines
// that they cause. After an error the files end in whole lines, as far as the
// system can tell, and nothing more is written.
func (f *Files) Flush() error {
	if f.failed == nil {
		f.failed = f.events.flush()
	}
	if f.failed == nil {
		f.failed = f.alarms.flush()
	}
	return f.failed
}

func (a *lineFile) flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	n, err := a.file.Write(a.buf)
	whole := bytes.LastIndexByte(a.buf[:n], '\n') + 1
	a.lines += bytes.Count(a.buf[:whole], []byte{'\n'})
	a.buf = a.buf[:0]
	if err == nil {
		return nil
	}
	if torn := int64(n - whole); torn > 0 {
		if info, statErr := a.file.Stat(); statErr == nil && info.Mode().IsRegular() {
			_ = a.file.Truncate(info.Size() - torn) // the error of the write is told
		}
	}
	return fmt.Errorf("writing alarm lines: %w", err)
}

// Close flushes, unless writing has failed before, and closes both files.
func (f *Files) Close() error {
	var err error
	if f.failed == nil {
		err = f.Flush()
	}
	return errors.Join(err, f.alarms.file.Close(), f.events.file.Close())
}

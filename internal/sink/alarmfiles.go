// Package sink writes what the engine publishes.
//
// AlarmFiles are the two append-only files that log shippers follow. Their
// owner is the goroutine that writes; nothing in this package starts one.
//
// Source of the formats: spec/correlation.md §8, decision D27.
package sink

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"dsiem/internal/alarm"
)

// The names of the two files.
const (
	AlarmsName      = "siem_alarms.json"
	AlarmEventsName = "siem_alarm_events.json"
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

// AlarmFiles writes alarm lines and alarm-event lines. Lines are collected
// until Flush.
type AlarmFiles struct {
	alarms, events alarmFile
}

type alarmFile struct {
	file  *os.File
	buf   []byte
	lines int
}

// Open opens both files in a directory, which it makes if it is missing.
func Open(dir string, mode Mode) (*AlarmFiles, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the output directory: %w", err)
	}
	f := &AlarmFiles{}
	if mode == Refuse {
		for _, name := range []string{AlarmsName, AlarmEventsName} {
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
	for file, name := range map[*alarmFile]string{&f.alarms: AlarmsName, &f.events: AlarmEventsName} {
		var err error
		if file.file, err = os.OpenFile(filepath.Join(dir, name), flags, 0o644); err != nil {
			return nil, errors.Join(fmt.Errorf("opening an output file: %w", err), f.close())
		}
	}
	return f, nil
}

// Paths returns the paths of the alarm file and the alarm-event file.
func (f *AlarmFiles) Paths() (alarms, events string) {
	return f.alarms.file.Name(), f.events.file.Name()
}

// Lines returns how many lines of each were written or collected.
func (f *AlarmFiles) Lines() (alarms, events int) { return f.alarms.lines, f.events.lines }

// Alarm collects an alarm line.
func (f *AlarmFiles) Alarm(a *alarm.Alarm) {
	f.alarms.buf = a.AppendJSON(f.alarms.buf)
	f.alarms.lines++
}

// Event collects an alarm-event line.
func (f *AlarmFiles) Event(e *alarm.Event) {
	f.events.buf = e.AppendJSON(f.events.buf)
	f.events.lines++
}

// Flush writes what was collected: alarm-event lines before the alarm lines
// that they cause. After an error the files end in whole lines of what was
// written before, as far as the system can tell, and nothing more is written.
func (f *AlarmFiles) Flush() error {
	if err := f.events.flush(); err != nil {
		return err
	}
	return f.alarms.flush()
}

func (a *alarmFile) flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	_, err := a.file.Write(a.buf)
	a.buf = a.buf[:0]
	if err != nil {
		return fmt.Errorf("writing alarm lines: %w", err)
	}
	return nil
}

// Close flushes and closes both files.
func (f *AlarmFiles) Close() error { return errors.Join(f.Flush(), f.close()) }

func (f *AlarmFiles) close() error {
	var errs []error
	for _, file := range []*os.File{f.alarms.file, f.events.file} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

package plain_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"dsiem/internal/alarm"
	"dsiem/internal/output/plain"
)

// old is what the files of a test hold before it.
const old = "{\"alarm_id\":\"old\"}\n"

// fill writes the old content into the named files of a new directory.
func fill(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(old), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// open opens the files of a directory.
func open(t *testing.T, dir string, mode plain.Mode) *plain.Files {
	t.Helper()
	f, err := plain.Open(dir, mode)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// The lines that write collects.
var (
	anEvent = alarm.Event{AlarmID: "a1", Stage: 2, EventID: "e<1>"}
	anAlarm = alarm.Alarm{ID: "a1", Title: "Probing & more"}
)

const eventLine = `{"alarm_id":"a1","stage":2,"event_id":"e<1>"}` + "\n"

func alarmLine() string { return string(anAlarm.AppendJSON(nil)) }

func TestAlarmFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	f := open(t, dir, plain.Refuse)
	alarms, events := f.Paths()
	if alarms != filepath.Join(dir, "siem_alarms.json") || events != filepath.Join(dir, "siem_alarm_events.json") {
		t.Errorf("the files are %s and %s", alarms, events)
	}
	f.Event(&anEvent)
	f.Event(&anEvent)
	f.Alarm(&anAlarm)
	if got := read(t, alarms) + read(t, events); got != "" {
		t.Errorf("there is something in the files before a flush: %s", got)
	}
	for range 2 { // the second time there is nothing to do
		if err := f.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, alarms); got != alarmLine() {
			t.Errorf("the alarms are %q, want %q", got, alarmLine())
		}
		if got := read(t, events); got != eventLine+eventLine {
			t.Errorf("the alarm events are %q, want two times %q", got, eventLine)
		}
	}
	f.Alarm(&anAlarm)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, alarms); got != alarmLine()+alarmLine() {
		t.Errorf("the alarms are %q after Close, want two times %q", got, alarmLine())
	}
	if alarms, events := f.Lines(); alarms != 2 || events != 2 {
		t.Errorf("%d and %d lines, want 2 and 2", alarms, events)
	}
	for _, path := range []string{alarms, events} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&0o400 == 0 || mode&0o133 != 0 {
			t.Errorf("%s has the mode %s; log shippers must be able to read it, nobody to run it", path, mode)
		}
	}
}

func TestAlarmFilesOfEarlierRuns(t *testing.T) {
	t.Parallel()
	both := []string{alarm.AlarmsFile, alarm.EventsFile}
	for _, test := range []struct {
		name string
		mode plain.Mode
		old  []string
		want string // in front of the new lines
	}{
		{"append", plain.Append, both, old},
		{"append to nothing", plain.Append, nil, ""},
		{"overwrite", plain.Overwrite, both, ""},
		{"overwrite nothing", plain.Overwrite, nil, ""},
		{"refuse nothing", plain.Refuse, nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, fill(t, test.old...), test.mode)
			f.Event(&anEvent)
			f.Alarm(&anAlarm)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			alarms, events := f.Paths()
			if got, want := read(t, alarms), test.want+alarmLine(); got != want {
				t.Errorf("the alarms are %q, want %q", got, want)
			}
			if got, want := read(t, events), test.want+eventLine; got != want {
				t.Errorf("the alarm events are %q, want %q", got, want)
			}
			if alarms, events := f.Lines(); alarms != 1 || events != 1 {
				t.Errorf("%d and %d lines, want those of this run, 1 and 1", alarms, events)
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{alarm.AlarmsFile, alarm.EventsFile} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := fill(t, name)
			_, err := plain.Open(dir, plain.Refuse)
			if !errors.Is(err, plain.ErrNotEmpty) || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
				t.Errorf("the error is %v, want ErrNotEmpty with the path", err)
			}
			if got := read(t, filepath.Join(dir, name)); got != old {
				t.Errorf("the file is %q now", got)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("the directory holds %v (%v) now, want the one file", entries, err)
			}
		})
	}
}

func TestRefuseTakesEmptyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{alarm.AlarmsFile, alarm.EventsFile} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := open(t, dir, plain.Refuse).Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	t.Run("the directory is a file", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(fill(t, "out"), "out")
		if _, err := plain.Open(dir, plain.Refuse); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("the error is %v", err)
		}
	})
	for _, name := range []string{alarm.AlarmsFile, alarm.EventsFile} {
		t.Run(name+" is a directory", func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := plain.Open(dir, plain.Append)
			if pathErr, ok := errors.AsType[*fs.PathError](err); !ok || pathErr.Path != filepath.Join(dir, name) {
				t.Errorf("the error is %v, want one that names %s", err, name)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has /dev/full")
	}
	for _, name := range []string{alarm.AlarmsFile, alarm.EventsFile} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Symlink("/dev/full", filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			f := open(t, dir, plain.Append)
			f.Event(&anEvent)
			f.Alarm(&anAlarm)
			err := f.Flush()
			if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), filepath.Join(dir, name)) {
				t.Errorf("the error is %v, want one of a full disk with the path", err)
			}
			if again := f.Flush(); !errors.Is(again, syscall.ENOSPC) {
				t.Errorf("flushing again: %v, want the same error", again)
			}
			if err := f.Close(); err != nil {
				t.Errorf("closing, the error is told a second time: %v", err)
			}
			wantEvents := 1
			if name == alarm.EventsFile {
				wantEvents = 0
			}
			if alarms, events := f.Lines(); alarms != 0 || events != wantEvents {
				t.Errorf("%d and %d lines are written, want 0 and %d", alarms, events, wantEvents)
			}
			if name == alarm.EventsFile {
				if alarms, _ := f.Paths(); read(t, alarms) != "" {
					t.Error("the alarm is written, although the event that caused it is not")
				}
			} else if _, events := f.Paths(); read(t, events) != eventLine {
				t.Error("the alarm event is not written before the alarm that it causes")
			}
		})
	}
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	f := open(t, t.TempDir(), plain.Refuse)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.Alarm(&anAlarm)
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closing again, with a line: %v, want os.ErrClosed", err)
	}
}

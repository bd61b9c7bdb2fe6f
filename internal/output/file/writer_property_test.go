package file

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/alarm"
	"dsiem/test/testkit"

	"pgregory.net/rapid"
)

// action is one thing that happens to a writer in the property test.
type action struct {
	kind string
	name string // of the file it happens to
	// events and alarms are the padding of the lines that are written.
	events, alarms []int
	fault          fault
	skip, times    int // calls that succeed first, calls that fail then
	pause          time.Duration
}

func (a action) String() string {
	switch a.kind {
	case "write":
		return fmt.Sprintf("write %v %v", a.events, a.alarms)
	case "pause":
		return "pause " + a.pause.String()
	case "fault":
		return fmt.Sprintf("fail %s %d times after %d times and %d bytes", a.name, a.times, a.skip, a.fault.allow)
	default:
		return a.kind + " " + a.name
	}
}

func anyAction() *rapid.Generator[action] {
	names := rapid.SampledFrom([]string{alarm.AlarmsFile, alarm.EventsFile})
	padding := rapid.SliceOfN(rapid.IntRange(0, 40), 0, 5)
	return rapid.Custom(func(rt *rapid.T) action {
		a := action{
			kind: rapid.SampledFrom([]string{"write", "write", "write", "pause", "pause", "fault", "fault", "rename", "create", "truncate"}).Draw(rt, "kind"),
			name: names.Draw(rt, "name"),
		}
		switch a.kind {
		case "write":
			a.events, a.alarms = padding.Draw(rt, "events"), padding.Draw(rt, "alarms")
		case "pause":
			a.pause = time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond
		case "fault":
			op := rapid.SampledFrom([]string{opWrite, opWrite, opWrite, opOpen, opNamed, opSize, opTruncate, opSync, opClose}).Draw(rt, "op")
			a.fault = fault{err: syscall.ENOSPC, allow: rapid.IntRange(0, 100).Draw(rt, "allow")}
			a.skip = rapid.IntRange(0, 3).Draw(rt, "skip")
			a.times = rapid.IntRange(1, 4).Draw(rt, "times")
			a.name = op + " " + a.name
		}
		return a
	})
}

// Whatever fails and however the files are rotated: every line is in one of the
// files of its name, whole, once and in order, and no alarm line is there
// before the alarm-event lines of its Write.
func TestEveryLineIsWrittenExactlyOnce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		actions := rapid.SliceOfN(anyAction(), 1, 40).Draw(rt, "actions")
		mode := Fsync(rapid.IntRange(0, 2).Draw(rt, "fsync"))
		room := rapid.SampledFrom([]int{1, 100, 1 << 20}).Draw(rt, "room")
		var problem error
		synctest.Test(t, func(t *testing.T) { problem = play(t, actions, mode, room) })
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// play runs the actions and returns what is wrong afterwards.
func play(t *testing.T, actions []action, mode Fsync, room int) error {
	files := newFakeFiles()
	w, ended := startFake(t, files, Options{Fsync: mode, MaxBuffered: room})
	want := map[string][]string{}
	fragments := false
	for i, a := range actions {
		switch a.kind {
		case "write":
			events, eventLines := linesOf("e", i+1, a.events)
			alarms, alarmLines := linesOf("a", i+1, a.alarms)
			if err := w.Write(t.Context(), batchOf(events, alarms)); err != nil {
				return err
			}
			want[alarm.EventsFile] = append(want[alarm.EventsFile], eventLines...)
			want[alarm.AlarmsFile] = append(want[alarm.AlarmsFile], alarmLines...)
		case "pause":
			testkit.Pass(a.pause)
		case "fault":
			files.fail(a.name, make([]fault, a.skip)...)
			files.fail(a.name, slices.Repeat([]fault{a.fault}, a.times)...)
			fragments = fragments || strings.HasPrefix(a.name, opTruncate) || strings.HasPrefix(a.name, opSize)
		case "rename":
			files.rename(a.name)
		case "create":
			files.renameAndCreate(a.name)
		case "truncate":
			files.copyAndTruncate(a.name)
		}
	}
	files.heal()
	if err := closeIn(t, w, time.Minute); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	if err := <-ended; err != nil {
		return fmt.Errorf("running: %w", err)
	}
	for name, lines := range want {
		if err := checkFiles(files.all[name], lines, fragments); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return errors.Join(checkOrder(files.lines), checkStats(w, want))
}

// linesOf returns lines of a Write, as text and one by one.
func linesOf(kind string, write int, padding []int) (text []byte, lines []string) {
	for i, n := range padding {
		line := fmt.Sprintf("%s %d %d %s|", kind, write, i, strings.Repeat("x", n))
		lines = append(lines, line)
		text = append(append(text, line...), '\n')
	}
	return text, lines
}

// checkFiles compares the lines of all files of one name. Only a copy, or a
// file whose torn end could not be taken back, may end in a part of a line.
func checkFiles(all []*inode, want []string, fragments bool) error {
	var got []string
	for i, one := range all {
		for line := range strings.Lines(string(one.data)) {
			whole, ended := strings.CutSuffix(line, "\n")
			switch {
			case ended:
				got = append(got, whole)
			case !one.isCopy && !fragments:
				return fmt.Errorf("file %d ends in %q", i, line)
			}
		}
	}
	if !slices.Equal(want, got) {
		return fmt.Errorf("\nwant %q\n got %q", want, got)
	}
	return nil
}

// checkOrder checks that alarm lines come after the alarm-event lines of the
// same Write.
func checkOrder(lines []string) error {
	last := map[string]int{}
	for _, line := range lines {
		var kind string
		var write int
		if _, err := fmt.Sscan(line, &kind, &write); err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		if kind == "e" && last["a"] >= write {
			return fmt.Errorf("alarm-event line of write %d after an alarm line of write %d", write, last["a"])
		}
		last[kind] = write
	}
	return nil
}

func checkStats(w *Writer, want map[string][]string) error {
	s := w.Stats()
	if s.Pending != 0 {
		return fmt.Errorf("at the end: %+v", s)
	}
	for name, counted := range map[string][2]uint64{
		alarm.AlarmsFile: {s.AlarmLines, s.AlarmBytes}, alarm.EventsFile: {s.EventLines, s.EventBytes},
	} {
		bytes := len(strings.Join(want[name], "\n")) + min(1, len(want[name]))
		if counted != [2]uint64{uint64(len(want[name])), uint64(bytes)} {
			return fmt.Errorf("%s: counted %v, want %d lines of %d bytes", name, counted, len(want[name]), bytes)
		}
	}
	return nil
}

// The same, with producers that do not wait for each other and a bound that
// makes them wait for the disk.
func TestLinesOfOneProducerKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		w, _ := startFake(t, files, Options{MaxBuffered: 500})
		files.fail(opWrite, fault{err: syscall.EIO, allow: 7}, fault{err: syscall.EIO, allow: 120}, fault{err: syscall.EIO})
		produced := make(chan error)
		for p := range 4 {
			go func() {
				var err error
				for n := range 200 {
					line := fmt.Appendf(nil, "%d %d\n", p, n)
					err = errors.Join(err, w.Write(context.WithoutCancel(t.Context()), batchOf(line, line)))
				}
				produced <- err
			}()
		}
		for range 4 {
			if err := <-produced; err != nil {
				t.Error(err)
			}
		}
		if err := closeIn(t, w, time.Minute); err != nil {
			t.Error(err)
		}
		for _, name := range []string{alarm.AlarmsFile, alarm.EventsFile} {
			var next [4]int
			for line := range strings.Lines(files.content(name)) {
				var p, n int
				if _, err := fmt.Sscan(line, &p, &n); err != nil || next[p] != n {
					t.Fatalf("%s: line %q, want number %d (%v)", name, line, next[p], err)
				}
				next[p]++
			}
			if next != [4]int{200, 200, 200, 200} {
				t.Errorf("%s: %v lines", name, next)
			}
		}
	})
}

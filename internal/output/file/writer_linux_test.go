package file

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"dsiem/internal/alarm"
)

// manyLines returns numbered lines of different lengths.
func manyLines(kind string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s %d %s\n", kind, i, strings.Repeat("x", i%200))
	}
	return b.String()
}

// A disk that is full from the first byte on, until the file is replaced.
func TestWriterOnFullDevice(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	alarms := filepath.Join(dir, alarm.AlarmsFile)
	if err := os.Symlink("/dev/full", alarms); err != nil {
		t.Fatal(err)
	}
	w, done := start(t, dir, Options{})
	write(t, w, "e1\n", "a1\n")
	untilFailing(w)
	if !errors.Is(w.Err(), syscall.ENOSPC) {
		t.Errorf("error %v", w.Err())
	}
	write(t, w, "e2\n", "a2\n")
	if err := os.Remove(alarms); err != nil {
		t.Fatal(err)
	}
	done.put(t, w, "e3\n", "a3\n")
	if got := contentOf(t, filepath.Join(dir, alarm.EventsFile), alarms); got != "e1\ne2\ne3\na1\na2\na3\n" {
		t.Errorf("lines %q", got)
	}
}

// A disk that is full in the middle of a line, until something is removed.
func TestWriterOnFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no small file system to fill: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 180<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	w, done := start(t, dir, Options{})
	events, alarms := manyLines("e", 200), manyLines("a", 1000)
	write(t, w, events, alarms)
	untilFailing(w)
	if !errors.Is(w.Err(), syscall.ENOSPC) {
		t.Errorf("error %v", w.Err())
	}
	full := contentOf(t, filepath.Join(dir, alarm.AlarmsFile))
	if full == "" || strings.HasSuffix(full, "\n") || !strings.HasPrefix(alarms, full) {
		t.Errorf("the full disk holds %d bytes of alarm lines", len(full))
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	done.put(t, w, "e\n", "a\n")
	if got := contentOf(t, filepath.Join(dir, alarm.EventsFile)); got != events+"e\n" {
		t.Errorf("alarm-event lines differ: %d bytes", len(got))
	}
	if got := contentOf(t, filepath.Join(dir, alarm.AlarmsFile)); got != alarms+"a\n" {
		t.Errorf("alarm lines differ: %d bytes", len(got))
	}
}

// limitedDir is the variable that makes the test binary the child of
// TestWriterUnderFileSizeLimit.
const limitedDir = "DSIEM_TEST_LIMITED_DIR"

// A limit on the size of files cuts a line in two; when it is raised, or the
// file is rotated, everything is written. The limit is one of the process, so
// a child has it.
func TestWriterUnderFileSizeLimit(t *testing.T) {
	if dir := os.Getenv(limitedDir); dir != "" {
		underLimit(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWriterUnderFileSizeLimit$", "-test.v")
	cmd.Env = append(os.Environ(), limitedDir+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func underLimit(t *testing.T, dir string) {
	limit := func(bytes uint64) {
		var l syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
		l.Cur = bytes
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}
	w, done := start(t, dir, Options{})
	path := filepath.Join(dir, alarm.AlarmsFile)

	limit(10_001)
	first := manyLines("a", 300)
	write(t, w, "", first)
	untilFailing(w)
	if got := contentOf(t, path); got != first[:10_001] || !errors.Is(w.Err(), syscall.EFBIG) {
		t.Errorf("at the limit: %d bytes, %v", len(got), w.Err())
	}
	limit(40_000)
	for w.Stats().Pending > 0 {
		<-done.ch
	}

	second := manyLines("b", 300)
	write(t, w, "", second)
	untilFailing(w)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	done.put(t, w, "", "last\n")
	old, now := contentOf(t, path+".1"), contentOf(t, path)
	if old+now != first+second+"last\n" || !strings.HasSuffix(old, "\n") || now == "last\n" {
		t.Errorf("old file %d bytes, new file %d bytes", len(old), len(now))
	}
}

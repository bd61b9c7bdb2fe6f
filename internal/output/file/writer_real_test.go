package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dsiem/internal/alarm"
)

// flushed tells when everything that was handed over is in the files.
type flushed struct{ ch chan struct{} }

// start runs a writer on real files until the end of the test.
func start(t testing.TB, dir string, o Options) (*Writer, flushed) {
	t.Helper()
	done := flushed{make(chan struct{}, 1)}
	o.Flushed = func(Flush) {
		select {
		case done.ch <- struct{}{}:
		default:
		}
	}
	w, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		if err := errors.Join(w.Close(ctx), <-ended); err != nil {
			t.Error(err)
		}
	})
	return w, done
}

// put hands over lines and waits until they are written.
func (f flushed) put(t *testing.T, w *Writer, events, alarms string) {
	t.Helper()
	write(t, w, events, alarms)
	for w.Stats().Pending > 0 {
		<-f.ch
	}
}

func contentOf(t *testing.T, paths ...string) string {
	t.Helper()
	var all []byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	return string(all)
}

func TestT52_FreshStartMakesBothFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "logs")
	w, _ := start(t, dir, Options{})
	for path, most := range map[string]os.FileMode{
		dir: 0o750, filepath.Join(dir, alarm.AlarmsFile): 0o640, filepath.Join(dir, alarm.EventsFile): 0o640,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&^most != 0 || mode&0o400 == 0 {
			t.Errorf("%s has mode %v", path, mode)
		}
	}
	if err := w.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestT53_RenamedFileIsFollowed(t *testing.T) {
	dir := t.TempDir()
	alarms := filepath.Join(dir, alarm.AlarmsFile)
	w, done := start(t, dir, Options{})
	done.put(t, w, "e1\n", "a1\n")
	if err := os.Rename(alarms, alarms+".1"); err != nil {
		t.Fatal(err)
	}
	done.put(t, w, "e2\n", "a2\n")
	if old, now := contentOf(t, alarms+".1"), contentOf(t, alarms); old != "a1\n" || now != "a2\n" {
		t.Errorf("old file %q, new file %q", old, now)
	}
	if got := contentOf(t, filepath.Join(dir, alarm.EventsFile)); got != "e1\ne2\n" {
		t.Errorf("the other file: %q", got)
	}
	// Back again, as after "mv" in the wrong directory.
	if err := os.Rename(alarms+".1", alarms); err != nil {
		t.Fatal(err)
	}
	done.put(t, w, "", "a3\n")
	if got := contentOf(t, alarms); got != "a1\na3\n" {
		t.Errorf("the file that came back: %q", got)
	}
}

// B18: rotated files of the references keep being written.
func TestB18_RemovedFileIsMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	alarms := filepath.Join(dir, alarm.AlarmsFile)
	w, done := start(t, dir, Options{Fsync: FsyncAlways})
	done.put(t, w, "e1\n", "a1\n")
	if err := os.Remove(alarms); err != nil {
		t.Fatal(err)
	}
	done.put(t, w, "e2\n", "a2\n")
	if got := contentOf(t, alarms); got != "a2\n" {
		t.Errorf("new file %q", got)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	done.put(t, w, "e3\n", "a3\n")
	if got := contentOf(t, filepath.Join(dir, alarm.EventsFile), alarms); got != "e3\na3\n" {
		t.Errorf("new directory: %q", got)
	}
}

func TestCopiedAndTruncatedFile(t *testing.T) {
	dir := t.TempDir()
	alarms := filepath.Join(dir, alarm.AlarmsFile)
	w, done := start(t, dir, Options{})
	done.put(t, w, "", "a1\na2\n")
	copied := contentOf(t, alarms)
	if err := os.Truncate(alarms, 0); err != nil {
		t.Fatal(err)
	}
	done.put(t, w, "", "a3\n")
	if got := contentOf(t, alarms); copied != "a1\na2\n" || got != "a3\n" {
		t.Errorf("copy %q, file %q", copied, got)
	}
}

func TestFilesOfAnEarlierRunAreContinued(t *testing.T) {
	dir := t.TempDir()
	alarms, events := filepath.Join(dir, alarm.AlarmsFile), filepath.Join(dir, alarm.EventsFile)
	// The earlier run was killed in the middle of a line.
	if err := errors.Join(os.WriteFile(alarms, []byte("a1\na"), 0o600), os.WriteFile(events, []byte("e1\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w, done := start(t, dir, Options{})
	done.put(t, w, "e2\n", "a2\n")
	if got := contentOf(t, alarms, events); got != "a1\na\na2\ne1\ne2\n" {
		t.Errorf("files %q", got)
	}
}

// Files are renamed as fast as the writer follows, while lines come from
// several producers: each is in exactly one of the files.
func TestRotationUnderLoad(t *testing.T) {
	const producers, lines, most = 4, 5000, 150
	dir := t.TempDir()
	var commits atomic.Int64
	w, err := Open(dir, Options{
		FlushEvery: time.Millisecond, MaxBuffered: 64 << 10,
		Flushed: func(Flush) { commits.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()

	var producing sync.WaitGroup
	for p := range producers {
		producing.Go(func() {
			for n := range lines {
				event := fmt.Appendf(nil, "%d %d %s\n", p, n, strings.Repeat("x", n%300))
				if err := w.Write(ctx, batchOf(event, event)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	produced := make(chan struct{})
	go func() { producing.Wait(); close(produced) }()
	rotated := map[string]int{}
	rotate(t, dir, rotated, most, &commits, produced)
	<-produced
	if err := errors.Join(w.Close(ctx), <-ended); err != nil {
		t.Fatal(err)
	}
	for name, n := range rotated {
		path := filepath.Join(dir, name)
		var paths []string
		for i := range n {
			paths = append(paths, fmt.Sprintf("%s.%d", path, i))
		}
		if _, err := os.Stat(path); err == nil { // not if the last rotation came after the last line
			paths = append(paths, path)
		}
		checkCounted(t, contentOf(t, paths...), producers, lines)
	}
	t.Logf("rotations %v, stats %+v", rotated, w.Stats())
}

// rotate renames both files after every group commit, until done or often
// enough.
func rotate(t *testing.T, dir string, rotated map[string]int, most int, commits *atomic.Int64, done chan struct{}) {
	seen := int64(0)
	for {
		select {
		case <-done:
			return
		default:
		}
		if commits.Load() == seen {
			runtime.Gosched()
			continue
		}
		seen = commits.Load()
		for _, name := range []string{alarm.AlarmsFile, alarm.EventsFile} {
			path := filepath.Join(dir, name)
			err := os.Rename(path, fmt.Sprintf("%s.%d", path, rotated[name]))
			switch {
			case errors.Is(err, os.ErrNotExist): // not made anew yet
			case err != nil:
				t.Error(err)
				return
			default:
				rotated[name]++
			}
		}
		if rotated[alarm.AlarmsFile] >= most {
			return
		}
	}
}

// checkCounted checks that the lines of every producer are there in order.
func checkCounted(t *testing.T, text string, producers, lines int) {
	t.Helper()
	next := make([]int, producers)
	for line := range strings.Lines(text) {
		var p, n int
		if _, err := fmt.Sscan(line, &p, &n); err != nil || next[p] != n {
			t.Fatalf("line %q, want number %d (%v)", line, next[p], err)
		}
		if want := fmt.Sprintf("%d %d %s\n", p, n, strings.Repeat("x", n%300)); line != want {
			t.Fatalf("line %q, want %q", line, want)
		}
		next[p]++
	}
	for p, n := range next {
		if n != lines {
			t.Errorf("producer %d: %d lines", p, n)
		}
	}
}

// untilFailing waits until the writer cannot write.
func untilFailing(w *Writer) {
	for w.Err() == nil {
		runtime.Gosched()
	}
}

func TestDirectoryInTheWay(t *testing.T) {
	dir := t.TempDir()
	alarms := filepath.Join(dir, alarm.AlarmsFile)
	w, done := start(t, dir, Options{})
	done.put(t, w, "e1\n", "a1\n")
	if err := errors.Join(os.Rename(alarms, alarms+".1"), os.Mkdir(alarms, 0o700)); err != nil {
		t.Skipf("the writer was faster, which looks every second: %v", err)
	}
	write(t, w, "e2\n", "a2\n")
	untilFailing(w)
	if err := os.Remove(alarms); err != nil {
		t.Fatal(err)
	}
	done.put(t, w, "", "a3\n")
	if got := contentOf(t, alarms+".1", alarms); got != "a1\na2\na3\n" {
		t.Errorf("lines %q", got)
	}
}

func TestWriterIsClosedTwiceAndByMany(t *testing.T) {
	w, _ := start(t, t.TempDir(), Options{})
	var closing sync.WaitGroup
	for range 4 {
		closing.Go(func() {
			if err := w.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	closing.Wait()
}

func BenchmarkWriter(b *testing.B) {
	for _, size := range []int{200, 2048} {
		b.Run(fmt.Sprint(size, "B"), func(b *testing.B) {
			w, _ := start(b, b.TempDir(), Options{})
			line := append(bytes.Repeat([]byte{'x'}, size-1), '\n')
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Write(b.Context(), batchOf(nil, line)); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Close(b.Context()); err != nil { // what was accepted is written
				b.Fatal(err)
			}
		})
	}
	// What the pipeline does: the lines of a batch of events at once.
	b.Run("batches", func(b *testing.B) {
		w, _ := start(b, b.TempDir(), Options{})
		events := bytes.Repeat(append(bytes.Repeat([]byte{'e'}, 84), '\n'), 512)
		alarms := bytes.Repeat(append(bytes.Repeat([]byte{'a'}, 1499), '\n'), 20)
		b.SetBytes(int64(len(events) + len(alarms)))
		b.ReportAllocs()
		for b.Loop() {
			if err := w.Write(b.Context(), batchOf(events, alarms)); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	})
}

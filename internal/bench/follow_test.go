package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Lines come once, whole and in order, however the file is written; a last line
// without an end does not come.
func TestFollowHandsOnWholeLines(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lines")
	ctx, cancel := context.WithCancel(t.Context())
	lines, ended := make(chan string), make(chan error)
	go func() {
		ended <- follow(ctx, name, func(_ time.Time, line []byte) { lines <- string(line) })
	}()
	want := func(texts ...string) {
		t.Helper()
		for _, text := range texts {
			if got := <-lines; got != text {
				t.Fatalf("line %.40q, want %.40q", got, text)
			}
		}
	}
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	long := strings.Repeat("x", 200_000)
	write("one\ntw")
	want("one")
	write("o\n\nfo")
	want("two", "")
	write("ur\n" + long + "\n" + long + "\n" + "not complete")
	want("four", long, long)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// What was written before the end comes, even if nobody has looked since.
func TestFollowLooksAtTheEnd(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(name, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var got []string
	if err := follow(ctx, name, func(_ time.Time, line []byte) { got = append(got, string(line)) }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("lines %q, want %q", got, want)
	}
	if err := follow(t.Context(), t.TempDir(), nil); err == nil {
		t.Error("no error for a directory")
	}
}

func TestFollowRefusesEndlessLines(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := follow(t.Context(), name, nil); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("error %v", err)
	}
}

func line(id string) []byte {
	return []byte(`{"alarm_id":"0123456789abcdef","stage":1,"event_id":"` + id + `"}`)
}

func TestWatcherSeesHowFarTheServerIs(t *testing.T) {
	t.Parallel()
	p, err := newPlan(Workload{}, 2)
	if err != nil {
		t.Fatal(err)
	}
	w := newWatcher(p)
	due := func(stream int, n uint64) (time.Time, bool) { return noon, stream == 1 }
	w.due.Store(&due)
	w.line(noon.Add(1*time.Second), line("00000000-0000-4000-8000-000000000005"))
	w.line(noon.Add(2*time.Second), line("00000000-0000-4000-8001-000000000007"))
	w.line(noon.Add(3*time.Second), line("00000000-0000-4000-8000-000000000003")) // late
	w.line(noon.Add(4*time.Second), line("00000001-0000-4000-8000-000000000009")) // not ours
	w.line(noon.Add(5*time.Second), []byte("short"))
	if first, second := w.seen[0].Load(), w.seen[1].Load(); first != 6 || second != 8 {
		t.Errorf("seen up to %d and %d", first, second)
	}
	if got := w.last(); !got.Equal(noon.Add(3 * time.Second)) {
		t.Errorf("the last line came at %v", got)
	}
	if w.latency.total != 1 || w.latency.most != 2*time.Second {
		t.Errorf("%d latencies, up to %v", w.latency.total, w.latency.most)
	}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	const patience = 10 * time.Second
	p, err := newPlan(Workload{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWatcher(p)
		enough := func() bool { return w.seen[0].Load() > 2 }
		begun := time.Now()
		go func() { // a slow server is not one that stands still
			for n := range 3 {
				<-time.After(patience - 1)
				w.line(time.Now(), line("00000000-0000-4000-8000-00000000000"+string(rune('0'+n))))
			}
		}()
		if err := w.await(t.Context(), patience, enough); err != nil || time.Since(begun) != 3*(patience-1) {
			t.Errorf("error %v after %v", err, time.Since(begun))
		}
		never := func() bool { return false }
		if err := w.await(t.Context(), patience, never); !errors.Is(err, errStalled) {
			t.Errorf("without lines: error %v", err)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if err := w.await(ctx, patience, never); !errors.Is(err, gone) {
			t.Errorf("at the end: error %v", err)
		}
	})
}

func BenchmarkWatcher(b *testing.B) {
	p, err := newPlan(Workload{}, 1)
	if err != nil {
		b.Fatal(err)
	}
	w, text := newWatcher(p), line("00000000-0000-4000-8000-000000000005")
	b.ReportAllocs()
	for b.Loop() {
		w.line(noon, text)
	}
}

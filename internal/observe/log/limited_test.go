package log_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"dsiem/internal/observe/log"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// book keeps what it is given, as "second level message attributes".
type book struct {
	mu    *sync.Mutex
	lines *[]string
	attrs string
}

func newBook() book { return book{mu: &sync.Mutex{}, lines: &[]string{}} }

func (b book) Enabled(context.Context, slog.Level) bool { return true }

func (b book) Handle(_ context.Context, r slog.Record) error {
	line := fmt.Sprintf("%d %s %s%s", r.Time.Unix(), r.Level, r.Message, b.attrs)
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	*b.lines = append(*b.lines, line)
	return nil
}

func (b book) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		b.attrs += " " + a.String()
	}
	return b
}

func (b book) WithGroup(name string) slog.Handler {
	b.attrs += " " + name + ":"
	return b
}

// say hands a record of a second to a handler.
func say(t testing.TB, h slog.Handler, second int64, level slog.Level, msg string, attrs ...slog.Attr) {
	t.Helper()
	r := slog.NewRecord(time.Unix(second, 0), level, msg, 0)
	r.AddAttrs(attrs...)
	if err := h.Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestLimitedWritesOneLinePerIntervalAndKey(t *testing.T) {
	b := newBook()
	l := log.NewLimited(b, log.LimitOptions{Keys: []string{"source"}})
	for second := int64(100); second <= 125; second++ {
		say(t, l, second, slog.LevelWarn, "lost", slog.Int64("n", second))
	}
	say(t, l, 125, slog.LevelWarn, "other")
	say(t, l, 125, slog.LevelError, "lost")
	say(t, l, 125, slog.LevelWarn, "lost", slog.String("source", "a"))
	say(t, l, 125, slog.LevelWarn, "lost", slog.String("source", "b"))
	say(t, l, 126, slog.LevelWarn, "lost", slog.String("source", "b"))
	of := slog.New(l).With("source", "c").Handler()
	say(t, of, 126, slog.LevelWarn, "lost")
	say(t, log.WithTarget(slog.New(l), "worker").Handler(), 126, slog.LevelWarn, "lost")
	say(t, slog.New(l).With("unnamed", "x").Handler(), 126, slog.LevelWarn, "lost")
	for range 3 {
		say(t, l, 126, slog.LevelInfo, "new backlog created") // never held back
	}
	want := []string{
		"100 WARN lost n=100", "110 WARN lost n=110 suppressed=9", "120 WARN lost n=120 suppressed=9",
		"125 WARN other", "125 ERROR lost", "125 WARN lost source=a", "125 WARN lost source=b",
		"126 WARN lost source=c", "126 WARN lost target=worker",
		"126 INFO new backlog created", "126 INFO new backlog created", "126 INFO new backlog created",
	}
	if diff := cmp.Diff(want, *b.lines); diff != "" {
		t.Fatalf("lines (-want +got):\n%s", diff)
	}
	*b.lines = nil

	sweep := func(second int64) []string {
		*b.lines = nil
		if err := l.Sweep(t.Context(), time.Unix(second, 0)); err != nil {
			t.Fatal(err)
		}
		return *b.lines
	}
	if got := sweep(129); len(got) != 0 {
		t.Errorf("before the interval is over: %q", got)
	}
	// The line of the record that came last stands for itself.
	if diff := cmp.Diff([]string{"130 WARN lost unnamed=x suppressed=5"}, sweep(130)); diff != "" {
		t.Errorf("sweep (-want +got):\n%s", diff)
	}
	say(t, l, 131, slog.LevelWarn, "lost")
	*b.lines = nil
	if err := l.Flush(t.Context(), time.Unix(132, 0)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"132 WARN lost source=b", "132 WARN lost"}, *b.lines); diff != "" {
		t.Errorf("flush (-want +got):\n%s", diff)
	}
	if err := l.Flush(t.Context(), time.Unix(133, 0)); err != nil || len(*b.lines) != 2 {
		t.Errorf("a second flush: %q, %v", *b.lines, err)
	}
}

func TestLimitedInGroups(t *testing.T) {
	b := newBook()
	l := log.NewLimited(b, log.LimitOptions{Keys: []string{"k"}, Interval: time.Second})
	g := slog.New(l).WithGroup("g").With("k", 1).WithGroup("").Handler()
	say(t, g, 1, slog.LevelWarn, "m", slog.Int("k", 1))
	say(t, g, 1, slog.LevelWarn, "m", slog.Int("k", 2)) // not the key attribute: it is g.k
	say(t, g, 2, slog.LevelWarn, "m")
	if diff := cmp.Diff([]string{"1 WARN m g: k=1 k=1", "2 WARN m g: k=1 suppressed=1"}, *b.lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	if !l.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("the next handler is not asked")
	}
}

// Whatever is logged and whenever it is swept: nothing is uncounted, and no
// key has two lines in an interval.
func TestLimitedCountsEveryLine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBook()
		l := log.NewLimited(b, log.LimitOptions{Keys: []string{"k"}, Interval: 5 * time.Second})
		var now int64
		said := 0
		for _, step := range rapid.SliceOf(rapid.IntRange(0, 9)).Draw(rt, "steps") {
			now += int64(step / 4)
			if step == 8 {
				_ = l.Sweep(t.Context(), time.Unix(now, 0))
				continue
			}
			say(t, l, now, slog.LevelWarn, "m", slog.Int("k", step%3))
			said++
		}
		checkIntervals(rt, *b.lines)
		_ = l.Flush(t.Context(), time.Unix(now, 0))
		counted := 0
		for _, line := range *b.lines {
			counted++
			if _, n, ok := strings.Cut(line, "suppressed="); ok {
				var held int
				_, _ = fmt.Sscan(n, &held)
				counted += held
			}
		}
		if counted != said {
			rt.Fatalf("%d lines logged, %d counted:\n%s", said, counted, strings.Join(*b.lines, "\n"))
		}
	})
}

func checkIntervals(rt *rapid.T, lines []string) {
	last := map[string]int64{}
	for _, line := range lines {
		var second int64
		var level, msg, key string
		_, _ = fmt.Sscan(line, &second, &level, &msg, &key)
		if before, ok := last[key]; ok && second-before < 5 {
			rt.Fatalf("%s twice in an interval:\n%s", key, strings.Join(lines, "\n"))
		}
		last[key] = second
	}
}

func TestLimitedIsBounded(t *testing.T) {
	b := newBook()
	l := log.NewLimited(b, log.LimitOptions{Keys: []string{"k"}})
	for n := range 5000 {
		say(t, l, 1, slog.LevelWarn, "m", slog.Int("k", n))
	}
	// 1024 keys of their own and one that the others share.
	if len(*b.lines) != 1025 {
		t.Errorf("%d lines", len(*b.lines))
	}
	*b.lines = nil
	say(t, l, 12, slog.LevelWarn, "m", slog.Int("k", 9000)) // room again
	if diff := cmp.Diff([]string{"12 WARN m k=9000"}, *b.lines); diff != "" {
		t.Errorf("later (-want +got):\n%s", diff)
	}
}

func TestLimitedFromManyGoroutines(t *testing.T) {
	b := newBook()
	l := log.NewLimited(b, log.LimitOptions{Interval: time.Hour})
	var done sync.WaitGroup
	for range 8 {
		done.Go(func() {
			for range 100 {
				say(t, l, 1, slog.LevelWarn, "m")
			}
		})
	}
	done.Wait()
	if err := l.Flush(t.Context(), time.Unix(2, 0)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1 WARN m", "2 WARN m suppressed=798"}, *b.lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

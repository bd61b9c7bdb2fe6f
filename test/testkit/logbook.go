package testkit

import (
	"bytes"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Logbook keeps the lines of a log, or of what a program prints. Its zero value
// is empty.
type Logbook struct {
	List[string]
	writing sync.Mutex
	rest    []byte // of a line that is not complete yet
}

// Write adds lines.
func (l *Logbook) Write(p []byte) (int, error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.rest = append(l.rest, p...)
	var lines []string
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte{'\n'})
		if !complete {
			break
		}
		lines, l.rest = append(lines, string(line)), rest
	}
	l.Add(lines...)
	return len(p), nil
}

// End says that nothing more is written: the last line is complete, and nobody
// waits for another one.
func (l *Logbook) End() {
	l.writing.Lock()
	defer l.writing.Unlock()
	if len(l.rest) > 0 {
		l.Add(string(l.rest))
		l.rest = nil
	}
	l.List.End()
}

// Logger returns a logger of all levels that writes here, without the time.
func (l *Logbook) Logger() *slog.Logger { return l.LoggerFrom(slog.LevelDebug) }

// LoggerFrom is Logger for lines from a level on.
func (l *Logbook) LoggerFrom(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// With returns the lines that contain all texts.
func (l *Logbook) With(texts ...string) []string { return with(l.All(), texts) }

func with(lines, texts []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) })
	})
}

// Wait waits for n lines that contain all texts.
func (l *Logbook) Wait(tb testing.TB, n int, texts ...string) {
	tb.Helper()
	if !l.Until(func(lines []string) bool { return len(with(lines, texts)) >= n }) {
		tb.Fatalf("no %d lines with %q in:\n%s", n, texts, l.Tail())
	}
}

// WaitAfter waits for a line that contains all texts, behind the first from
// lines. It returns the line, and how many lines it ends.
func (l *Logbook) WaitAfter(tb testing.TB, from int, texts ...string) (line string, next int) {
	tb.Helper()
	next = from
	if !l.Until(func(lines []string) bool {
		for ; next < len(lines); next++ {
			if line = lines[next]; len(with(lines[next:next+1], texts)) > 0 {
				next++
				return true
			}
		}
		return false
	}) {
		tb.Fatalf("no line with %q behind %d lines in:\n%s", texts, from, l.Tail())
	}
	return line, next
}

// Match waits for a line with a regular expression, and returns the text of its
// first group, or of all if it has none.
func (l *Logbook) Match(tb testing.TB, pattern string) string {
	tb.Helper()
	form, found := regexp.MustCompile(pattern), ""
	if !l.Until(func(lines []string) bool {
		for _, line := range lines {
			if m := form.FindStringSubmatch(line); m != nil {
				found = m[min(1, len(m)-1)]
				return true
			}
		}
		return false
	}) {
		tb.Fatalf("no line with %s in:\n%s", pattern, l.Tail())
	}
	return found
}

// String returns the lines so far.
func (l *Logbook) String() string { return text(l.All()) }

// Tail returns the beginning and the end of the lines so far.
func (l *Logbook) Tail() string {
	const most = 40
	lines := l.All()
	if left := len(lines) - 2*most; left > 0 {
		lines = slices.Replace(lines, most, most+left, fmt.Sprintf("… %d lines …", left))
	}
	return text(lines)
}

func text(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

package log_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"
	"unicode"
	"unicode/utf8"

	"dsiem/internal/observe/log"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var at = time.Date(2023, 3, 4, 6, 6, 8, 101002999, time.FixedZone("CET", 3600))

// logged returns what a logger writes for one record.
func logged(t testing.TB, o log.Options, level slog.Level, msg string, with func(*slog.Logger) *slog.Logger, attrs ...slog.Attr) string {
	t.Helper()
	var out bytes.Buffer
	o.Level = log.LevelTrace
	logger := slog.New(log.NewHandler(&out, o))
	if with != nil {
		logger = with(logger)
	}
	r := slog.NewRecord(at, level, msg, 0)
	r.AddAttrs(attrs...)
	if err := logger.Handler().Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func watchdogAttrs() []slog.Attr {
	return []slog.Attr{
		slog.Float64("eps", 0), slog.Int("queue_length", 0), slog.Float64("avg_proc_time_ms", 0),
		slog.Int("ttl_directives", 2), slog.Int("active_directives", 0), slog.Int("backlogs", 0),
	}
}

func inTarget(name string) func(*slog.Logger) *slog.Logger {
	return func(l *slog.Logger) *slog.Logger { return log.WithTarget(l, name) }
}

// The literal examples of docs/spec/interfaces.md §6.2.
func TestT55_TextLinesAreThoseOfTheSeed(t *testing.T) {
	for _, tt := range []struct {
		want  string
		level slog.Level
		msg   string
		with  func(*slog.Logger) *slog.Logger
		attrs []slog.Attr
	}{
		{
			want:  "2023-03-04T05:06:08.101002Z  INFO dsiem_backend: starting dsiem backend server with frontend http://frontend:8080 and message queue nats://dsiem-nats:4222\n",
			level: slog.LevelInfo,
			msg:   "starting dsiem backend server with frontend http://frontend:8080 and message queue nats://dsiem-nats:4222",
		},
		{
			want:  "2023-03-04T05:06:08.101002Z  INFO dsiem_backend::worker: listening for new events\n",
			level: slog.LevelInfo, msg: "listening for new events", with: inTarget("worker"),
		},
		{
			want:  "2023-03-04T05:06:08.101002Z  INFO dsiem_backend::watchdog: watchdog report eps=0.0 queue_length=0 avg_proc_time_ms=0.0 ttl_directives=2 active_directives=0 backlogs=0\n",
			level: slog.LevelInfo, msg: "watchdog report", with: inTarget("watchdog"), attrs: watchdogAttrs(),
		},
		{
			want:  "2023-03-04T05:06:08.101002Z DEBUG dsiem_backend::manager: received event directive.id=1 event.id=\"e1\"\n",
			level: slog.LevelDebug, msg: "received event", with: inTarget("manager"),
			attrs: []slog.Attr{slog.Group("directive", "id", 1), slog.Group("event", "id", "e1")},
		},
	} {
		if diff := cmp.Diff(tt.want, logged(t, log.Options{}, tt.level, tt.msg, tt.with, tt.attrs...)); diff != "" {
			t.Errorf("line (-want +got):\n%s", diff)
		}
	}
}

// The literal examples of docs/spec/interfaces.md §6.2.
func TestT56_JSONLinesAreThoseOfTheSeed(t *testing.T) {
	o := log.Options{JSON: true, Colour: true} // there are no colours in JSON
	got := logged(t, o, slog.LevelInfo, "watchdog report", inTarget("watchdog"), watchdogAttrs()...)
	want := `{"timestamp":"2023-03-04T05:06:08.101002Z","level":"INFO","fields":{"message":"watchdog report","eps":0.0,"queue_length":0,"avg_proc_time_ms":0.0,"ttl_directives":2,"active_directives":0,"backlogs":0},"target":"dsiem_backend::watchdog"}` + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seed (-want +got):\n%s", diff)
	}
	o.Root = "dsiem"
	got = logged(t, o, slog.LevelInfo, "watchdog report", inTarget("watchdog"),
		slog.Float64("eps", 7530.67), slog.Float64("avg_proc_time_ms", 0.006))
	want = `{"timestamp":"2023-03-04T05:06:08.101002Z","level":"INFO","fields":{"message":"watchdog report","eps":7530.67,"avg_proc_time_ms":0.006},"target":"dsiem::watchdog"}` + "\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("successor (-want +got):\n%s", diff)
	}
}

func TestLevelsHaveTheNamesOfTheReferences(t *testing.T) {
	for level, want := range map[slog.Level]string{
		log.LevelTrace: "TRACE", log.LevelTrace - 1: "TRACE", slog.LevelDebug: "DEBUG",
		slog.LevelInfo: " INFO", slog.LevelInfo + 1: " INFO", slog.LevelWarn: " WARN", slog.LevelError: "ERROR",
		slog.LevelError + 4: "ERROR",
	} {
		got := logged(t, log.Options{}, level, "m", nil)
		if got != "2023-03-04T05:06:08.101002Z "+want+" dsiem_backend: m\n" {
			t.Errorf("%d: %q", level, got)
		}
		got = logged(t, log.Options{JSON: true}, level, "m", nil)
		if !strings.Contains(got, `"level":"`+strings.TrimSpace(want)+`",`) {
			t.Errorf("%d: %q", level, got)
		}
	}
}

func TestLevelDecidesWhatIsWritten(t *testing.T) {
	var out strings.Builder
	var level slog.LevelVar
	logger := slog.New(log.NewHandler(&out, log.Options{Level: &level}))
	logger.Debug("hidden")
	level.Set(log.LevelTrace)
	logger.Log(t.Context(), log.LevelTrace, "shown")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "shown\n") {
		t.Errorf("wrote %q", got)
	}
	out.Reset()
	logger = slog.New(log.NewHandler(&out, log.Options{}))
	logger.Debug("hidden")
	logger.Info("shown")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "shown\n") {
		t.Errorf("by default: %q", got)
	}
}

type broken struct{}

func (*broken) String() string { panic("no value") }

type failing struct{}

func (failing) MarshalText() ([]byte, error) { return nil, errors.New("no text") }

func TestValues(t *testing.T) {
	address, err := url.Parse("nats://u:secret@host:4222")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		value      any
		text, json string
	}{
		{"", `""`, `""`},
		{`say "x"` + "\n\x1b[31m", `"say \"x\"\n\x1b[31m"`, `"say \"x\"\n\u001b[31m"`},
		{"<a> & ü\u2028", `"<a> & ü\u2028"`, "\"<a> & ü\u2028\""},
		{"\xff", `"\xff"`, "\"\ufffd\""},
		{-1, "-1", "-1"},
		{uint64(math.MaxUint64), "18446744073709551615", "18446744073709551615"},
		{true, "true", "true"},
		{0.0, "0.0", "0.0"},
		{math.Copysign(0, -1), "-0.0", "-0.0"},
		{2.0, "2.0", "2.0"},
		{0.1, "0.1", "0.1"},
		{-7530.67, "-7530.67", "-7530.67"},
		{0.00001, "0.00001", "0.00001"},
		{0.000001, "1e-6", "1e-6"},
		{1.5e-300, "1.5e-300", "1.5e-300"},
		{1e15, "1000000000000000.0", "1000000000000000.0"},
		{1e16, "1e16", "1e16"},
		{-1.25e100, "-1.25e100", "-1.25e100"},
		{math.NaN(), "NaN", "null"},
		{math.Inf(-1), "-Inf", "null"},
		{1500 * time.Millisecond, "1.5s", `"1.5s"`},
		{at, "2023-03-04T05:06:08.101002Z", `"2023-03-04T05:06:08.101002Z"`},
		{nil, "null", "null"},
		{io.ErrUnexpectedEOF, `"unexpected EOF"`, `"unexpected EOF"`},
		{netip.MustParseAddr("::1"), `"::1"`, `"::1"`},
		{address, `"nats://u:xxxxx@host:4222"`, `"nats://u:xxxxx@host:4222"`},
		{[]string{"a b", "<"}, `["a b","<"]`, `["a b","<"]`},
		{map[string]int{"b": 2, "a": 1}, `{"a":1,"b":2}`, `{"a":1,"b":2}`},
		{make(chan int), ``, ``}, // an error text; only its presence counts
		{(*broken)(nil), `"!PANIC: no value"`, `"!PANIC: no value"`},
		{failing{}, `"!ERROR: no text"`, `"!ERROR: no text"`},
	} {
		text := logged(t, log.Options{}, slog.LevelInfo, "m", nil, slog.Any("k", tt.value))
		jsonText := logged(t, log.Options{JSON: true}, slog.LevelInfo, "m", nil, slog.Any("k", tt.value))
		if tt.text == "" {
			if !strings.Contains(text, "!ERROR") || !strings.Contains(jsonText, "!ERROR") {
				t.Errorf("%T: %s%s", tt.value, text, jsonText)
			}
			continue
		}
		if want := "2023-03-04T05:06:08.101002Z  INFO dsiem_backend: m k=" + tt.text + "\n"; text != want {
			t.Errorf("%v\n got %s\nwant %s", tt.value, text, want)
		}
		if want := `{"timestamp":"2023-03-04T05:06:08.101002Z","level":"INFO","fields":{"message":"m","k":` +
			tt.json + `},"target":"dsiem_backend"}` + "\n"; jsonText != want {
			t.Errorf("%v\n got %s\nwant %s", tt.value, jsonText, want)
		}
		if !json.Valid([]byte(jsonText)) {
			t.Errorf("no JSON: %s", jsonText)
		}
	}
}

func TestAttributesOfLoggersComeFirst(t *testing.T) {
	with := func(l *slog.Logger) *slog.Logger {
		l = log.WithTarget(l.With("a", 1), "one")
		_ = l.With("b", 2) // a sibling must not show
		return log.WithTarget(l.With("c", 3).WithGroup("g").With("d", 4), "two").WithGroup("")
	}
	got := logged(t, log.Options{}, slog.LevelWarn, "m", with,
		slog.Int("e", 5), slog.Group("", slog.Int("f", 6)), slog.Group("empty"), slog.Attr{}, slog.Int("odd key", 7)) //nolint:sloglint // an odd key is what is tested
	want := "2023-03-04T05:06:08.101002Z  WARN dsiem_backend::two: m a=1 c=3 g.d=4 g.e=5 g.f=6 \"g.odd key\"=7\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
	got = logged(t, log.Options{}, slog.LevelWarn, "", func(l *slog.Logger) *slog.Logger {
		return log.WithTarget(log.WithTarget(l, "one"), "")
	})
	if want := "2023-03-04T05:06:08.101002Z  WARN dsiem_backend:\n"; got != want {
		t.Errorf("root target: %q", got)
	}
	got = logged(t, log.Options{JSON: true}, slog.LevelWarn, "m", nil, slog.String("message", "other"))
	if !strings.Contains(got, `{"message":"m","message_":"other"}`) {
		t.Errorf("the message has been replaced: %s", got)
	}
	var out bytes.Buffer
	log.WithTarget(slog.New(slog.NewTextHandler(&out, nil)), "worker").Info("m")
	if !strings.Contains(out.String(), "target=worker") {
		t.Errorf("other handlers: %s", out.String())
	}
}

func TestColours(t *testing.T) {
	got := logged(t, log.Options{Colour: true}, slog.LevelError, "m", inTarget("w"), slog.Int("k", 1))
	want := "\x1b[2m2023-03-04T05:06:08.101002Z\x1b[0m \x1b[31mERROR\x1b[0m \x1b[2mdsiem_backend::w:\x1b[0m m \x1b[3mk\x1b[0m\x1b[2m=\x1b[0m1\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

// oneByOne fails the test if a write is not exactly one line.
type oneByOne struct {
	t     *testing.T
	lines int
}

func (w *oneByOne) Write(p []byte) (int, error) {
	if bytes.IndexByte(p, '\n') != len(p)-1 || !json.Valid(p) {
		w.t.Errorf("a write that is not one line: %q", p)
	}
	w.lines++ // the race detector tells if writes overlap
	return len(p), nil
}

func TestEveryLineIsOneWrite(t *testing.T) {
	w := &oneByOne{t: t}
	logger := slog.New(log.NewHandler(w, log.Options{JSON: true}))
	var done sync.WaitGroup
	for i := range 8 {
		done.Go(func() {
			mine := log.WithTarget(logger, fmt.Sprint("part", i)).With("i", i)
			for n := range 200 {
				mine.Info("line", slog.Int("n", n), slog.String("text", strings.Repeat("x\n", n)))
			}
		})
	}
	done.Wait()
	if w.lines != 8*200 {
		t.Errorf("%d lines", w.lines)
	}
}

func TestErrorsOfTheWriterAreReturned(t *testing.T) {
	h := log.NewHandler(brokenWriter{}, log.Options{})
	if err := h.Handle(t.Context(), slog.NewRecord(at, slog.LevelInfo, "m", 0)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// anyText draws texts with everything that is dangerous in a log line.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"", "message", "a=b", "\x1b]0;t\a", "a\r\nERROR x", "\u202e", "\u0085", "\x7f"}))
}

func TestWhateverIsLoggedStaysOneLine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		msg, key, text := anyText().Draw(rt, "msg"), anyText().Draw(rt, "key"), anyText().Draw(rt, "text")
		attrs := []slog.Attr{slog.String(key, text), slog.Any("list", []string{text}), slog.Any("error", errors.New(text))}

		line := logged(t, log.Options{}, slog.LevelInfo, msg, inTarget(text), attrs...)
		body, ok := strings.CutSuffix(line, "\n")
		if !ok || !utf8.ValidString(line) || strings.ContainsFunc(body, func(r rune) bool { return !unicode.IsPrint(r) }) {
			rt.Fatalf("text line %q", line)
		}

		line = logged(t, log.Options{JSON: true}, slog.LevelInfo, msg, inTarget(text), attrs...)
		var got struct {
			Fields map[string]any `json:"fields"`
			Target string         `json:"target"`
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil || strings.IndexByte(line, '\n') != len(line)-1 {
			rt.Fatalf("JSON line %q: %v", line, err)
		}
		if !utf8.ValidString(msg) || !utf8.ValidString(key) || !utf8.ValidString(text) { // together they may be valid
			return
		}
		if got.Fields["message"] != msg || got.Fields["error"] != any(text) && key != "error" {
			rt.Fatalf("JSON line %q", line)
		}
		if want := strings.TrimSuffix("dsiem_backend::"+text, "::"); text != "" && got.Target != "dsiem_backend::"+text || text == "" && got.Target != want {
			rt.Fatalf("target %q", got.Target)
		}
	})
}

// The standard library's rules for handlers.
func TestHandlerKeepsTheRulesOfSlog(t *testing.T) {
	var out bytes.Buffer
	newHandler := func(*testing.T) slog.Handler {
		out.Reset()
		return log.NewHandler(&out, log.Options{JSON: true})
	}
	slogtest.Run(t, newHandler, func(t *testing.T) map[string]any {
		var got struct {
			Timestamp string         `json:"timestamp"`
			Level     string         `json:"level"`
			Fields    map[string]any `json:"fields"`
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		flat := map[string]any{slog.LevelKey: got.Level}
		if got.Timestamp != "" {
			flat[slog.TimeKey] = got.Timestamp
		}
		for key, value := range got.Fields {
			if key == "message" {
				key = slog.MessageKey
			}
			in := flat
			for {
				group, rest, ok := strings.Cut(key, ".")
				if !ok {
					break
				}
				if _, ok := in[group]; !ok {
					in[group] = map[string]any{}
				}
				in, key = in[group].(map[string]any), rest
			}
			in[key] = value
		}
		return flat
	})
}

func BenchmarkHandler(b *testing.B) {
	for name, o := range map[string]log.Options{"text": {}, "json": {JSON: true}} {
		b.Run(name, func(b *testing.B) {
			logger := log.WithTarget(slog.New(log.NewHandler(io.Discard, o)), "watchdog")
			attrs := watchdogAttrs()
			b.ReportAllocs()
			for b.Loop() {
				logger.LogAttrs(b.Context(), slog.LevelInfo, "watchdog report", attrs...)
			}
		})
	}
	b.Run("disabled", func(b *testing.B) {
		logger := slog.New(log.NewHandler(io.Discard, log.Options{}))
		b.ReportAllocs()
		for b.Loop() {
			logger.LogAttrs(b.Context(), slog.LevelDebug, "received event", slog.String("event_id", "e1"))
		}
	})
}

package log

import (
	"encoding"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Styles of the parts of a text line, as ANSI parameters.
const (
	dim    = "2"
	italic = "3"
)

func levelStyle(level slog.Level) string {
	switch {
	case level < slog.LevelDebug:
		return "35"
	case level < slog.LevelInfo:
		return "34"
	case level < slog.LevelWarn:
		return "32"
	case level < slog.LevelError:
		return "33"
	default:
		return "31"
	}
}

// line is a log line in the making.
type line struct {
	json   bool
	colour bool
	buf    []byte
}

// styled begins a part with a style, plainAgain ends it.
func (l *line) styled(style string) {
	if l.colour {
		l.buf = append(append(append(l.buf, "\x1b["...), style...), 'm')
	}
}

func (l *line) plainAgain() {
	if l.colour {
		l.buf = append(l.buf, "\x1b[0m"...)
	}
}

// time appends a time in the form of the references: UTC, microseconds.
func (l *line) time(t time.Time) {
	l.buf = t.UTC().AppendFormat(l.buf, "2006-01-02T15:04:05.000000Z")
}

// attr appends an attribute and what separates it from the one before.
func (l *line) attr(groups string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return // a handler ignores the zero attribute
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			groups += a.Key + "."
		}
		for _, member := range v.Group() {
			l.attr(groups, member)
		}
		return
	}
	if l.json {
		l.buf = append(l.buf, ',')
		l.quoted(fieldName(groups + a.Key))
		l.buf = append(l.buf, ':')
	} else {
		l.buf = append(l.buf, ' ')
		l.styled(italic)
		l.key(groups + a.Key)
		l.plainAgain()
		l.styled(dim)
		l.buf = append(l.buf, '=')
		l.plainAgain()
	}
	l.value(v)
}

// fieldName keeps an attribute from taking the key of the message.
func fieldName(key string) string {
	if key == "message" {
		return "message_"
	}
	return key
}

// key appends an attribute's key to a text line.
func (l *line) key(key string) {
	for _, r := range key {
		if r <= ' ' || r == '=' || r == '"' || r == utf8.RuneError || !strconv.IsPrint(r) {
			l.buf = strconv.AppendQuote(l.buf, key)
			return
		}
	}
	l.buf = append(l.buf, key...)
}

// value appends a resolved value that is no group.
func (l *line) value(v slog.Value) {
	switch v.Kind() {
	case slog.KindString:
		l.quoted(v.String())
	case slog.KindInt64:
		l.buf = strconv.AppendInt(l.buf, v.Int64(), 10)
	case slog.KindUint64:
		l.buf = strconv.AppendUint(l.buf, v.Uint64(), 10)
	case slog.KindFloat64:
		l.float(v.Float64())
	case slog.KindBool:
		l.buf = strconv.AppendBool(l.buf, v.Bool())
	case slog.KindDuration:
		l.bare(func() { l.buf = append(l.buf, v.Duration().String()...) })
	case slog.KindTime:
		l.bare(func() { l.time(v.Time()) })
	default:
		l.any(v.Any())
	}
}

// bare appends a text that needs quotes in JSON only.
func (l *line) bare(appendText func()) {
	if l.json {
		l.buf = append(l.buf, '"')
	}
	appendText()
	if l.json {
		l.buf = append(l.buf, '"')
	}
}

// float appends a number as the references do: shortest form, always with a
// fraction or an exponent.
func (l *line) float(f float64) {
	size := math.Abs(f)
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		if l.json {
			l.buf = append(l.buf, "null"...)
			return
		}
		l.buf = strconv.AppendFloat(l.buf, f, 'f', -1, 64)
	case f == 0 || size >= 1e-5 && size < 1e16:
		l.buf = strconv.AppendFloat(l.buf, f, 'f', -1, 64)
		if f == math.Trunc(f) {
			l.buf = append(l.buf, ".0"...)
		}
	default:
		l.buf = strconv.AppendFloat(l.buf, f, 'e', -1, 64)
		l.shortExponent()
	}
}

// shortExponent turns the exponent at the end of the line, as e+16 or e-07,
// into e16 or e-7.
func (l *line) shortExponent() {
	at := len(l.buf) - 1
	for l.buf[at] != 'e' {
		at--
	}
	digits := at + 2
	for l.buf[digits] == '0' {
		digits++
	}
	kept := at + 1
	if l.buf[at+1] == '-' {
		kept++
	}
	l.buf = append(l.buf[:kept], l.buf[digits:]...)
}

// any appends a value of any other type: as text if it has one, else as JSON.
func (l *line) any(v any) {
	start := len(l.buf)
	defer func() {
		if reason := recover(); reason != nil {
			l.buf = l.buf[:start]
			l.quoted(fmt.Sprintf("!PANIC: %v", reason))
		}
	}()
	switch v := v.(type) {
	case error:
		l.quoted(v.Error())
	case *url.URL:
		l.quoted(v.Redacted())
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		if err != nil {
			l.quoted("!ERROR: " + err.Error())
			return
		}
		l.quoted(string(text))
	case fmt.Stringer:
		l.quoted(v.String())
	default:
		text, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
		switch {
		case err != nil:
			l.quoted("!ERROR: " + err.Error())
		case l.json:
			l.buf = append(l.buf, text...)
		default:
			l.plain(string(text))
		}
	}
}

// quoted appends a text in quotes, everything escaped that could end a line or
// change how a terminal shows it.
func (l *line) quoted(text string) {
	if l.json {
		// The error tells of invalid UTF-8, which has been replaced.
		l.buf, _ = jsontext.AppendQuote(l.buf, text)
		return
	}
	l.buf = strconv.AppendQuote(l.buf, text)
}

// plain appends a text to a text line without quotes; what does not print is
// escaped.
func (l *line) plain(text string) {
	for len(text) > 0 {
		if b := text[0]; ' ' <= b && b <= '~' {
			l.buf, text = append(l.buf, b), text[1:]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		part := text[:size]
		text = text[size:]
		if strconv.IsPrint(r) && (r != utf8.RuneError || size > 1) {
			l.buf = append(l.buf, part...)
			continue
		}
		quoted := strconv.AppendQuote(l.buf, part)
		// Without the quotes around it.
		copy(quoted[len(l.buf):], quoted[len(l.buf)+1:len(quoted)-1])
		l.buf = quoted[:len(quoted)-2]
	}
}

package log

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// Handler writes records as lines of the seed's two formats
// (docs/spec/interfaces.md §6.2). Attributes in groups get the group's name and a
// dot before their own, in both formats. A line never contains a line break or
// another control character: they are escaped.
type Handler struct {
	out     *output
	json    bool
	colour  bool
	level   slog.Leveler
	root    string
	target  string
	groups  string // names of the open groups, each with a dot behind it
	context []byte // attributes of WithAttrs, as they stand in a line
}

var _ slog.Handler = (*Handler)(nil)

// output is what all handlers made from one share.
type output struct {
	mu   sync.Mutex
	w    io.Writer
	pool sync.Pool // of *line
}

// keepLine is the capacity in bytes up to which a line's memory is reused.
const keepLine = 16 << 10

// NewHandler returns a handler that writes one line per record to w, each with
// one Write. It is safe for concurrent use, as are handlers made from it.
func NewHandler(w io.Writer, o Options) *Handler {
	h := &Handler{
		out:    &output{w: w},
		json:   o.JSON,
		colour: o.Colour && !o.JSON,
		level:  o.Level,
		root:   cmp.Or(o.Root, DefaultRoot),
	}
	if h.level == nil {
		h.level = slog.LevelInfo
	}
	h.target = h.root
	return h
}

// Enabled reports whether lines of this level are written.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level.Level()
}

// WithAttrs returns a handler whose lines have these attributes as well.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	made := *h
	l := line{json: h.json, colour: h.colour, buf: slices.Clip(h.context)}
	for _, a := range attrs {
		if name, ok := a.Value.Any().(target); ok {
			made.target = h.root
			if name != "" {
				made.target += "::" + string(name)
			}
			continue
		}
		l.attr(h.groups, a)
	}
	made.context = l.buf
	return &made
}

// WithGroup returns a handler that puts further attributes into a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	made := *h
	made.groups += name + "."
	return &made
}

// Handle writes a record. Its error is that of the writer.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	l, ok := h.out.pool.Get().(*line)
	if !ok {
		l = &line{json: h.json, colour: h.colour}
	}
	l.buf = l.buf[:0]
	if h.json {
		h.jsonLine(l, &r)
	} else {
		h.textLine(l, &r)
	}
	h.out.mu.Lock()
	_, err := h.out.w.Write(l.buf)
	h.out.mu.Unlock()
	if cap(l.buf) <= keepLine {
		h.out.pool.Put(l)
	}
	return err
}

// textLine appends a line such as
//
//	2023-03-04T05:06:08.001002Z  INFO dsiem_backend::worker: listening for new events
func (h *Handler) textLine(l *line, r *slog.Record) {
	if !r.Time.IsZero() {
		l.styled(dim)
		l.time(r.Time)
		l.plainAgain()
		l.buf = append(l.buf, ' ')
	}
	l.styled(levelStyle(r.Level))
	l.buf = append(l.buf, levelName(r.Level)...)
	l.plainAgain()
	l.buf = append(l.buf, ' ')
	l.styled(dim)
	l.plain(h.target)
	l.buf = append(l.buf, ':')
	l.plainAgain()
	if r.Message != "" {
		l.buf = append(l.buf, ' ')
		l.plain(r.Message)
	}
	h.attrs(l, r)
	l.buf = append(l.buf, '\n')
}

// jsonLine appends a line such as
//
//	{"timestamp":"2023-03-04T05:06:08.001002Z","level":"INFO","fields":{"message":"listening for new events"},"target":"dsiem_backend::worker"}
func (h *Handler) jsonLine(l *line, r *slog.Record) {
	l.buf = append(l.buf, '{')
	if !r.Time.IsZero() {
		l.buf = append(l.buf, `"timestamp":"`...)
		l.time(r.Time)
		l.buf = append(l.buf, `",`...)
	}
	l.buf = append(l.buf, `"level":"`...)
	l.buf = append(l.buf, strings.TrimLeft(levelName(r.Level), " ")...)
	l.buf = append(l.buf, `","fields":{"message":`...)
	l.quoted(r.Message)
	h.attrs(l, r)
	l.buf = append(l.buf, `},"target":`...)
	l.quoted(h.target)
	l.buf = append(l.buf, "}\n"...)
}

func (h *Handler) attrs(l *line, r *slog.Record) {
	l.buf = append(l.buf, h.context...)
	r.Attrs(func(a slog.Attr) bool {
		l.attr(h.groups, a)
		return true
	})
}

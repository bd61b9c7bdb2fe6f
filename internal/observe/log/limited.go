package log

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// SuppressedKey is the attribute that says how many lines like this one were
// held back since the last one was written.
const SuppressedKey = "suppressed"

// maxLimitKeys bounds what a Limited remembers. Records beyond it share one
// key, so that a key made of outside data cannot fill the memory.
const maxLimitKeys = 1024

// LimitOptions says which lines a Limited holds back. The zero value lets
// through one line per ten seconds of every warning and error.
type LimitOptions struct {
	// Interval is the time between two lines of one key; 0 is 10 s.
	Interval time.Duration
	// From is the lowest level that is limited; nil is slog.LevelWarn.
	From slog.Leveler
	// Keys names attributes whose values keep records of the same message
	// apart, as "source". They count where they stand in the record itself or
	// in the logger's own attributes, not in groups.
	Keys []string
}

// Limited is a handler that writes at most one line per interval of what
// repeats, with the number of lines held back in the next one, as
// suppressed=41. What repeats is known by target, level, message and the
// attributes of LimitOptions.Keys.
//
// Time is that of the records, so a Limited reads no clock. It is safe for
// concurrent use.
type Limited struct {
	next  slog.Handler
	scope string // target and key attributes of WithAttrs
	group bool   // attributes of records are in a group now
	limit *limits
}

var _ slog.Handler = (*Limited)(nil)

// limits is what all handlers made from one share.
type limits struct {
	o      LimitOptions
	mu     sync.Mutex
	states map[limitKey]*limitState
}

// limitKey tells what repeats. The zero key is the one that is shared when
// there are too many.
type limitKey struct {
	scope, message, attrs string
	level                 slog.Level
}

type limitState struct {
	written time.Time
	held    int
	// The last record that was held back, and the handler it was for.
	last slog.Record
	next slog.Handler
}

// NewLimited returns a handler that passes on to next what is not held back.
func NewLimited(next slog.Handler, o LimitOptions) *Limited {
	o.Interval = cmp.Or(o.Interval, usualInterval)
	if o.From == nil {
		o.From = slog.LevelWarn
	}
	return &Limited{next: next, limit: &limits{o: o, states: map[limitKey]*limitState{}}}
}

// Enabled reports what the next handler does.
func (l *Limited) Enabled(ctx context.Context, level slog.Level) bool {
	return l.next.Enabled(ctx, level)
}

// WithAttrs returns a handler that shares what is remembered.
func (l *Limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	made := *l
	made.next = l.next.WithAttrs(attrs)
	if !l.group {
		var b strings.Builder
		b.WriteString(l.scope)
		for _, a := range attrs {
			if _, ok := a.Value.Any().(target); ok {
				appendKey(&b, a)
			} else {
				l.limit.appendKey(&b, a)
			}
		}
		made.scope = b.String()
	}
	return &made
}

// WithGroup returns a handler that shares what is remembered.
func (l *Limited) WithGroup(name string) slog.Handler {
	if name == "" {
		return l
	}
	made := *l
	made.next, made.group = l.next.WithGroup(name), true
	return &made
}

// Handle passes the record on or holds it back.
func (l *Limited) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < l.limit.o.From.Level() || r.Time.IsZero() {
		return l.next.Handle(ctx, r)
	}
	held, pass := l.limit.take(l.key(r), r, l.next)
	if !pass {
		return nil
	}
	return l.next.Handle(ctx, withHeld(r, held))
}

func (l *Limited) key(r slog.Record) limitKey {
	key := limitKey{scope: l.scope, message: r.Message, level: r.Level}
	if len(l.limit.o.Keys) == 0 || l.group {
		return key
	}
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		l.limit.appendKey(&b, a)
		return true
	})
	key.attrs = b.String()
	return key
}

// Sweep writes the line of every key whose interval is over at the time now
// and that has lines held back: the last of them, with the number of the
// others. It is for a regular report, so that a burst that ended shows its
// size. Keys that were quiet for an interval are forgotten.
func (l *Limited) Sweep(ctx context.Context, now time.Time) error {
	return writeHeld(ctx, now, l.limit.release(now, false))
}

// Flush writes what Sweep would, without regard to intervals. It is for the
// end of the program.
func (l *Limited) Flush(ctx context.Context, now time.Time) error {
	return writeHeld(ctx, now, l.limit.release(now, true))
}

func writeHeld(ctx context.Context, now time.Time, states []limitState) error {
	var err error
	for _, s := range states {
		s.last.Time = now
		err = errors.Join(err, s.next.Handle(ctx, withHeld(s.last, s.held-1)))
	}
	return err
}

// take decides about one record. It returns the number of records held back
// since the last one that passed.
func (l *limits) take(key limitKey, r slog.Record, next slog.Handler) (held int, pass bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.states[key]
	if s == nil && len(l.states) >= maxLimitKeys {
		l.forget(r.Time)
		if len(l.states) >= maxLimitKeys {
			key = limitKey{}
			s = l.states[key]
		}
	}
	switch {
	case s == nil:
		l.states[key] = &limitState{written: r.Time}
		return 0, true
	case r.Time.Sub(s.written) >= l.o.Interval:
		held = s.held
		*s = limitState{written: r.Time}
		return held, true
	default:
		s.held++
		s.last, s.next = r.Clone(), next
		return 0, false
	}
}

// forget removes the keys that were quiet for an interval.
func (l *limits) forget(now time.Time) {
	maps.DeleteFunc(l.states, func(_ limitKey, s *limitState) bool {
		return s.held == 0 && now.Sub(s.written) >= l.o.Interval
	})
}

// release returns, in the order of their last lines, the states that have lines
// held back, all or those whose interval is over, and begins their intervals
// anew.
func (l *limits) release(now time.Time, all bool) []limitState {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget(now)
	var due []limitState
	for _, s := range l.states {
		if s.held > 0 && (all || now.Sub(s.written) >= l.o.Interval) {
			due = append(due, *s)
			*s = limitState{written: now}
		}
	}
	slices.SortFunc(due, func(a, b limitState) int {
		return cmp.Or(a.last.Time.Compare(b.last.Time), cmp.Compare(a.last.Message, b.last.Message))
	})
	return due
}

// appendKey appends an attribute if it belongs to the key.
func (l *limits) appendKey(b *strings.Builder, a slog.Attr) {
	if slices.Contains(l.o.Keys, a.Key) {
		appendKey(b, a)
	}
}

func appendKey(b *strings.Builder, a slog.Attr) {
	b.WriteString(a.Key)
	b.WriteByte('=')
	b.WriteString(a.Value.Resolve().String())
	b.WriteByte(0)
}

func withHeld(r slog.Record, held int) slog.Record {
	if held == 0 {
		return r
	}
	r = r.Clone()
	r.AddAttrs(slog.Int(SuppressedKey, held))
	return r
}

// Package httpin takes events over HTTP: it reads a request's body in any
// of its forms, decides for the whole request whether its events are taken, and
// hands them over at once or not at all.
//
// A Handler owns its counters and the memory that requests share; a Batch
// belongs to whoever it was handed to. The package opens no port, knows no
// route, and never keeps an event, drops one without counting it, or lets one
// pass whose neighbour in the same request is refused (D41, D64).
//
// Source of the behaviour: spec/interfaces.md §3.2 to §3.4.
package httpin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/internal/observe/log"
)

const (
	defaultMaxBody = 10 << 20
	defaultWait    = 3 * time.Second

	defaultMaxMemory = 384 << 20
)

var (
	// ErrUnavailable is for Deliver to say that events cannot be taken now, but
	// may be later: NATS is away, or a queue is full. The sender
	// is told to try again (503).
	ErrUnavailable = errors.New("events cannot be taken now")
	// ErrTooLarge is for Deliver to say that these events can never be taken
	// together, or that one of them is too large (413).
	ErrTooLarge = errors.New("too large to be taken")
)

// Limiter decides how fast events may come.
type Limiter interface {
	// Take returns nil when n events may pass, also after a wait, and otherwise
	// an error: that of ctx, or any other one to refuse them (429).
	Take(ctx context.Context, n int) error
}

// Options are the settings of a Handler. Only Deliver must be given.
type Options struct {
	// Deliver takes over the events of one request: all of them, which nil
	// says, or none. It may wait until ctx ends, which is after Wait or when the
	// sender goes. It is called once per request, from many goroutines, and
	// never without events. Errors that are not ErrTooLarge, nor wrap it, count
	// as ErrUnavailable.
	//
	// The batch has at least one event, all valid and stamped with ConnID and
	// ReceivedAt. It belongs to Deliver until that returns: with nil, to the
	// receiver for ever; with an error, to the Handler again.
	Deliver func(ctx context.Context, b *event.Batch) error
	// Ready, if not nil, returns why nothing can be delivered now, as Deliver
	// would. It is asked before Limiter, so that no event waits or takes tokens in
	// vain.
	Ready func(ctx context.Context) error
	// Limiter is asked before Deliver; nil limits nothing. If it has a method
	// RetryAfter() time.Duration, senders are told that.
	Limiter Limiter
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// MaxBody is the size of the largest body in bytes, as sent and after
	// decompression; 10 MiB if 0 or less. A single event is limited by
	// event.MaxSize, too.
	MaxBody int64
	// MaxMemory is the memory in bytes that large bodies and the events in them
	// may take together until they are handed over; 384 MiB if 0 or less, and at
	// least what one of them needs. Others are refused then, and told to try again
	// (503).
	MaxMemory int64
	// Wait is the longest that Deliver may wait; 3 s if 0 or less.
	Wait time.Duration
	// Logger gets what is wrong with requests, at most one line of each kind in
	// ten seconds; nil is silence.
	Logger *slog.Logger
}

// Handler takes requests with events. Its methods may be called from any
// goroutine.
type Handler struct {
	o    Options
	log  *slog.Logger
	zstd *zstd.Decoder

	scratch, batches sync.Pool
	budget           budget
	conns            atomic.Uint64 // the last ConnID given
	counters         counters
	warnings         [len(statuses)]log.Limit // of log lines, one for each status
}

// New returns a Handler.
func New(o Options) *Handler {
	if o.Deliver == nil {
		o.Deliver = func(context.Context, *event.Batch) error { return ErrUnavailable }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	h := &Handler{
		o: o, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		zstd: newZstd(o.MaxBody),
	}
	// One body may have its raw form, twice that length when decompressed, and the
	// events.
	h.budget.limit = max(cmp.Or(max(o.MaxMemory, 0), defaultMaxMemory), (4+eventFactor)*max(o.MaxBody, zstdWindow))
	h.scratch.New = func() any { return new(scratch) }
	h.batches.New = func() any { return event.NewBatch(func(b *event.Batch) { h.batches.Put(b) }) }
	return h
}

// Events answers a POST of normalized events: one object, an array of objects,
// or many objects one after the other (JSON lines), of any Content-Type, plain
// or compressed by gzip or zstd. Which statuses there are, Stats says. Beyond
// what event.Decode wants, an event needs an event_id and a sensor that are not
// empty, as the references' frontends do (spec/interfaces.md §3.2).
func (h *Handler) Events(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, input.Normalized)
}

// SuricataEVE answers a POST of records of Suricata's eve.json, in the same
// forms. Records that are no alerts are skipped. See input.DecodeSuricata for
// the mapping; as there, an alert may be without a sensor.
func (h *Handler) SuricataEVE(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, input.SuricataEVE)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, format input.Format) {
	s := h.scratch.Get().(*scratch) // the pool holds nothing else
	if refused := h.take(r, format, s); refused != nil {
		h.answer(w, r, refused)
	} else {
		h.counters.request(http.StatusOK) // which is what net/http writes now
	}
	s.release(&h.budget)
	h.scratch.Put(s)
}

// take takes the events of a request, or returns why it does not. The refusal
// may alias the scratch memory.
func (h *Handler) take(r *http.Request, format input.Format, s *scratch) *refusal {
	body, refused := h.read(r, s)
	if refused != nil {
		return refused
	}
	if len(body) > firstRead && !s.hold(&h.budget, eventFactor*int64(len(body))) {
		return busy()
	}
	b := h.batches.Get().(*event.Batch) // the pool holds nothing else
	b.Size = len(body)
	if refused = h.decode(body, format, s, b); refused == nil && len(b.Events) > 0 {
		if refused = h.deliver(r, b); refused == nil {
			return nil // b is no longer ours
		}
	}
	b.Release()
	return refused
}

// decode reads the events of a body into b: all of them, or it returns why not.
// A body that cannot be parsed is refused for that reason even if an event
// before that place is invalid.
func (h *Handler) decode(body []byte, format input.Format, s *scratch, b *event.Batch) *refusal {
	if format == input.Normalized && isOneLine(body) {
		// Most bodies are one event, whose end nobody has to look for then. What is
		// wrong with others shows below.
		if _, refused := decodeOne(body, format, &s.event); refused == nil {
			add(b, &s.event, 1)
			return nil
		}
	}
	e := elements{body: body}
	var invalid *refusal // the first one
	valid, skipped := uint64(0), uint64(0)
	for e.next() {
		skip, refused := decodeOne(e.text, format, &s.event)
		switch {
		case refused == nil && skip:
			skipped++
		case refused == nil:
			valid++
			if invalid == nil {
				add(b, &s.event, len(body)/len(e.text))
			}
		case refused.status != http.StatusTeapot:
			refused.event = e.position()
			return h.reject(refused, valid)
		case invalid == nil:
			invalid = refused
			invalid.event = e.position()
		}
	}
	if e.rej != nil {
		invalid = rejected(e.rej, body)
		invalid.event = e.position()
	}
	if invalid != nil {
		return h.reject(invalid, valid)
	}
	h.counters.skipped.Add(skipped)
	return nil
}

// isOneLine reports whether a body is one line that begins as an object does.
func isOneLine(body []byte) bool {
	if len(body) == 0 || body[0] != '{' {
		return false
	}
	end := bytes.IndexByte(body, '\n')
	return end < 0 || end == len(body)-1
}

// reject counts the event for which a request is refused, and those that are
// valid but refused with it.
func (h *Handler) reject(refused *refusal, valid uint64) *refusal {
	if refused.incomplete {
		h.counters.incomplete.Add(1)
	} else {
		h.counters.rejected[refused.reason].Add(1)
	}
	h.counters.withheld.Add(valid)
	return refused
}

// decodeOne reads one event, or reports that it is to be skipped, or returns
// why the request is refused.
func decodeOne(text []byte, format input.Format, ev *event.Event) (skip bool, refused *refusal) {
	skip, rej := input.Decode(input.Record{Data: text}, format, ev)
	switch {
	case rej != nil:
		return false, rejected(rej, text)
	case skip || format != input.Normalized:
		return skip, nil
	case ev.ID == "":
		return false, incomplete("event_id", text)
	case ev.Sensor == "":
		return false, incomplete("sensor", text)
	}
	return false, nil
}

// firstEvents is the most events that a batch has room for before they are
// there.
const firstEvents = 1024

// add adds a copy of an event to a batch. expected is about how many there will be.
func add(b *event.Batch, ev *event.Event, expected int) {
	if len(b.Events) == 1 && cap(b.Events) < expected {
		b.Events = slices.Grow(b.Events, min(expected, firstEvents))
	}
	b.Events = append(b.Events, *ev)
}

// deliver stamps the events and hands them over, or returns why not. After nil
// b belongs to someone else.
func (h *Handler) deliver(r *http.Request, b *event.Batch) *refusal {
	n := len(b.Events)
	if h.o.Ready != nil {
		if err := h.o.Ready(r.Context()); err != nil {
			return h.unavailable(err, n)
		}
	}
	if h.o.Limiter != nil {
		if err := h.o.Limiter.Take(r.Context(), n); err != nil {
			return h.limited(r, err, n)
		}
	}
	h.stamp(b)
	ctx := newPatience(r.Context(), h.o.Wait)
	defer ctx.stop()
	switch err := h.o.Deliver(ctx, b); { //nolint:contextcheck // it is the request's with a deadline
	case err == nil:
		h.counters.accepted.Add(uint64(n))
		return nil
	case errors.Is(err, ErrTooLarge):
		h.counters.rejected[event.TooLarge].Add(uint64(n))
		return &refusal{status: http.StatusRequestEntityTooLarge, detail: "the events cannot be taken together", cause: err}
	default:
		return h.unavailable(err, n)
	}
}

// limited refuses n events for which there were no tokens.
func (h *Handler) limited(r *http.Request, err error, n int) *refusal {
	if r.Context().Err() != nil {
		return h.unavailable(err, n)
	}
	h.counters.limited.Add(uint64(n)) //nolint:gosec // a length
	return &refusal{status: http.StatusTooManyRequests, cause: err}
}

// unavailable refuses n events that cannot be handed over.
func (h *Handler) unavailable(err error, n int) *refusal {
	h.counters.unavailable.Add(uint64(n)) //nolint:gosec // a length
	return &refusal{status: http.StatusServiceUnavailable, cause: err}
}

// stamp sets what the frontend says about events: when they came, and as which
// ones of this process (spec/interfaces.md §3.4).
func (h *Handler) stamp(b *event.Batch) {
	now := h.o.Now().UnixNano()
	conn := h.conns.Add(uint64(len(b.Events))) - uint64(len(b.Events))
	for i := range b.Events {
		conn++
		b.Events[i].ConnID, b.Events[i].ReceivedAt = conn, now
	}
}

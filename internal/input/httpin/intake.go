// Package httpin takes events over HTTP: it reads a request's body in any
// of its forms, takes the records that are events, says which ones are not, and
// hands the events of a request over together or not at all.
//
// A Handler owns its counters and the memory that requests share; a Batch
// belongs to whoever it was handed to. The package opens no port, knows no
// route, and never keeps an event, drops one without counting it, or takes part of
// a request without saying which part, so that sending again makes none twice.
//
// Source of the behaviour: docs/spec/interfaces.md §3.2 to §3.4 (its checks D41 and
// D64), and decisions D34, D39, D40 and D42 of docs/spec/correlation.md.
package httpin

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
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

// ErrUnavailable is for Deliver to say that events cannot be taken now, but may be
// later: NATS is away, or a queue is full. The sender is told to try again (503).
var ErrUnavailable = errors.New("events cannot be taken now")

// OutageError is an ErrUnavailable whose text senders are told. It has no secrets.
type OutageError string

// Error returns what the sender is told after "Events cannot be taken now: ".
func (o OutageError) Error() string { return string(o) }

// Unwrap returns ErrUnavailable.
func (o OutageError) Unwrap() error { return ErrUnavailable }

// Limiter decides how fast events may come from each client. An error that has a method
// RetryAfter() time.Duration says what its client is told: that time, and its text.
type Limiter interface {
	// Limit returns the number of events that may come per second, 0 for any.
	Limit() int
	// Admit returns nil if a request of the client is to be read, or an error if it
	// would be refused (429) whatever is in it.
	Admit(client string) error
	// Take returns nil when n events may pass, also after a wait, and otherwise
	// an error: that of ctx, or any other one to refuse them (429).
	Take(ctx context.Context, client string, n int) error
}

// Options are the settings of a Handler. Only Deliver must be given.
type Options struct {
	// Deliver takes over the events of one request: all of them, which nil
	// says, or none. It may wait until ctx ends, which is after Wait or when the
	// sender goes. It is called once per request, from many goroutines, and
	// never without events. All errors count as ErrUnavailable.
	//
	// The batch has at least one event, all valid and stamped with ConnID and
	// ReceivedAt. It belongs to Deliver until that returns: with nil, to the
	// receiver for ever; with an error, to the Handler again.
	Deliver func(ctx context.Context, b *event.Batch) error
	// Ready, if not nil, returns why nothing can be delivered now, as Deliver
	// would. It is asked before Limiter, so that no event waits or takes tokens in
	// vain.
	Ready func(ctx context.Context) error
	// Limiter is asked before Deliver, and before a body that costs much is read; nil
	// limits nothing.
	Limiter Limiter
	// Client returns whose request it is. The result is valid as long as the request.
	// If nil, all are those of one client.
	Client func(*http.Request) string
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
	// MaxMessage, if not nil, returns the size in bytes of the largest message (see
	// event.PublishedSize) that Deliver can hand on now. An event that makes a larger one
	// is rejected by itself; it may be larger than the text it was read from.
	MaxMessage func() int
	// Rejected, if not nil, is told of the records of a request that are no events,
	// when the request is answered for good: of the first ones, so that a large body
	// does not cost more memory. The record is valid until it returns.
	Rejected func(record []byte, reason, detail string)
	// StartID tells the run of this node from all others. Events without an id get one
	// that is made of it (D34); a random number if 0.
	StartID uint64
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
	turns            turns
	conns            atomic.Uint64 // the last ConnID given
	ids              *event.IDs
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
		ids:  event.NewIDs(cmp.Or(o.StartID, rand.Uint64())), //nolint:gosec // it tells runs apart, it is no secret
	}
	// One body may have its raw form, twice that length when decompressed, and the
	// events.
	h.budget.limit = max(cmp.Or(max(o.MaxMemory, 0), defaultMaxMemory), (4+eventFactor)*max(o.MaxBody, zstdWindow))
	h.scratch.New = func() any { return new(scratch) }
	h.batches.New = func() any { return event.NewBatch(func(b *event.Batch) { h.batches.Put(b) }) }
	return h
}

// Events answers a POST of normalized events: one object, an array of objects, or
// many of both one after the other (JSON lines), of any Content-Type, plain or
// compressed by gzip or zstd. Which statuses there are, Stats says.
func (h *Handler) Events(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, input.Normalized)
}

// SuricataEVE answers a POST of records of Suricata's eve.json, in the same
// forms. Records that are no alerts are skipped. See input.DecodeSuricata for
// the mapping.
func (h *Handler) SuricataEVE(w http.ResponseWriter, r *http.Request) {
	h.serve(w, r, input.SuricataEVE)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, format input.Format) {
	s := h.scratch.Get().(*scratch) // the pool holds nothing else
	if refused := h.take(r, format, s); refused != nil {
		h.answer(w, r, refused)
	} else {
		h.counters.request(http.StatusOK)
		h.answerTaken(w, r, s)
	}
	h.endTurn(s)
	s.release(&h.budget)
	h.scratch.Put(s)
}

// take takes the events of a request, or returns why it does not. The refusal
// may alias the scratch memory.
func (h *Handler) take(r *http.Request, format input.Format, s *scratch) *refusal {
	whole, refused := allOrNothing(r.URL)
	if refused != nil {
		return refused
	}
	body, refused := h.read(r, s)
	if refused != nil {
		return refused
	}
	if len(body) > firstRead && !s.hold(&h.budget, eventFactor*int64(len(body))) {
		return busy()
	}
	b := h.batches.Get().(*event.Batch) // the pool holds nothing else
	b.Size = len(body)
	refused = h.decode(body, format, s, b)
	n := len(b.Events)
	if refused == nil && s.report.first != nil && (n == 0 || whole) {
		h.counters.withheld.Add(uint64(n))
		refused = s.report.first
	}
	if refused == nil && n > 0 {
		if refused = h.deliver(r, s, b); refused == nil {
			s.report.accepted = n
			h.tell(s)
			return nil // b is no longer ours
		}
	}
	b.Release()
	if refused == nil || refused == s.report.first { // the sender will not come again
		h.tell(s)
	}
	return refused
}

// allOrNothing reports whether a sender wants its request to be taken or refused as a
// whole (docs/spec/correlation.md D40).
func allOrNothing(url *url.URL) (bool, *refusal) {
	const key = "all_or_nothing"
	if url.RawQuery == "" {
		return false, nil
	}
	values := url.Query()[key]
	switch {
	case len(values) == 0:
		return false, nil
	case len(values) == 1 && values[0] == "": // it is there, that says enough
		return true, nil
	}
	whole, err := strconv.ParseBool(values[0])
	if err != nil || len(values) > 1 {
		return false, &refusal{status: http.StatusBadRequest, field: key, detail: "want true or false"}
	}
	return whole, nil
}

// The records of one request that are listed in the answer, and that Options.Rejected
// is told of.
const listed, told = 100, 1000

// report says what became of the records of one request.
type report struct {
	records  int // all of them, skipped ones too
	accepted int
	// first is the refusal for the first record that is rejected.
	first    *refusal
	count    int              // rejected records
	rejected []rejectedRecord // the first ones
}

// rejectedRecord is a record that is no event, and its place in the body from 0 on.
type rejectedRecord struct {
	index     int
	text      []byte
	rejection *event.Rejection
}

// reset empties the report, and lets go of what it refers to.
func (r *report) reset() {
	clear(r.rejected)
	*r = report{rejected: r.rejected[:0]}
}

// add adds a record. position is that of the refusal.
func (r *report) add(index, position int, text []byte, rej *event.Rejection) {
	if r.first == nil {
		r.first = rejected(rej, text)
		r.first.event = position
	}
	if r.count++; len(r.rejected) < told {
		r.rejected = append(r.rejected, rejectedRecord{index, text, rej})
	}
}

// tell tells of the rejected records.
func (h *Handler) tell(s *scratch) {
	if h.o.Rejected == nil {
		return
	}
	for _, r := range s.report.rejected {
		h.o.Rejected(r.text, r.rejection.Reason.String(), r.rejection.What())
	}
}

// decode reads the events of a body into b, and what is rejected into the report of s.
// It returns why the body cannot be read, if it is not well-formed: nothing of it is
// taken then, whatever is before that place.
func (h *Handler) decode(body []byte, format input.Format, s *scratch, b *event.Batch) *refusal {
	limit := math.MaxInt
	if h.o.MaxMessage != nil {
		limit = h.o.MaxMessage()
	}
	if format == input.Normalized && isOneLine(body) {
		// Most bodies are one event, whose end nobody has to look for then. What is
		// wrong with others shows below.
		if _, rej := decodeOne(body, format, limit, &s.event); rej == nil {
			add(b, &s.event, 1)
			return nil
		}
	}
	e := elements{body: body, headers: format == input.SuricataEVE}
	skipped := uint64(0)
	for e.next() && e.short <= mostShort {
		skip, rej := decodeOne(e.text, format, limit, &s.event)
		switch {
		case rej == nil && skip != 0:
			skipped++
		case rej == nil:
			add(b, &s.event, len(body)/len(e.text))
		case rej.Reason == event.BadJSON && !e.other && !e.deep:
			refused := rejected(rej, e.text)
			refused.event = e.position()
			return h.unreadable(refused, s, b)
		default:
			index := e.count - 1
			h.counters.rejected[rej.Reason].Add(1)
			s.report.add(index, e.position(), e.text, rej)
		}
	}
	if e.rej != nil {
		refused := rejected(e.rej, body)
		refused.event = e.position()
		return h.unreadable(refused, s, b)
	}
	h.counters.skipped.Add(skipped)
	s.report.records = e.count
	if e.short > mostShort {
		return h.tooManyShort(&e, s, b)
	}
	return nil
}

// A record shorter than shortestEvent cannot be an event, as the keys that each event
// needs are longer. More than mostShort of them in a body are no mistake in some of its
// records: nobody looks at what comes behind.
const (
	shortestEvent = 80
	mostShort     = 10_000
)

// tooManyShort refuses a body for the number of its records that cannot be events.
func (h *Handler) tooManyShort(e *elements, s *scratch, b *event.Batch) *refusal {
	h.counters.withheld.Add(uint64(len(b.Events)))
	s.report.first = &refusal{
		status: http.StatusTeapot, event: e.position(), text: e.text,
		detail: fmt.Sprintf("more than %d records have less than %d bytes, which no event has", mostShort, shortestEvent),
	}
	return s.report.first
}

// unreadable counts what is refused with a body that is not well-formed.
func (h *Handler) unreadable(refused *refusal, s *scratch, b *event.Batch) *refusal {
	if s.kind != "" && len(b.Events) == 0 {
		refused = rejected(&event.Rejection{Reason: event.BadEncoding, Detail: s.kind}, refused.text)
	}
	h.counters.rejected[refused.reason].Add(1)
	h.counters.withheld.Add(uint64(len(b.Events)))
	s.report.reset()
	s.report.first = refused
	s.report.rejected = append(s.report.rejected, rejectedRecord{
		text: refused.text, rejection: &event.Rejection{Reason: refused.reason, Field: refused.field, Detail: refused.detail},
	})
	return refused
}

// isOneLine reports whether a body is one line that begins as an object does.
func isOneLine(body []byte) bool {
	if len(body) == 0 || body[0] != '{' {
		return false
	}
	end := bytes.IndexByte(body, '\n')
	return end < 0 || end == len(body)-1
}

// decodeOne reads one event, or returns why it is skipped or rejected. limit is the
// size of the largest message.
func decodeOne(text []byte, format input.Format, limit int, ev *event.Event) (input.Skip, *event.Rejection) {
	skip, rej := input.Decode(input.Record{Data: text}, format, ev)
	// A text gets three times as long at most, if all of it has to be repaired, apart
	// from the keys and numbers that each message has.
	const growth, keys = 3, 1 << 10
	if rej != nil || skip != 0 || len(text) <= (limit-keys)/growth {
		return skip, rej
	}
	if size := event.PublishedSize(ev); size > limit {
		return 0, &event.Rejection{Reason: event.TooLarge, Detail: fmt.Sprintf("a message of %d bytes, the limit is %d", size, limit)}
	}
	return 0, nil
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
func (h *Handler) deliver(r *http.Request, s *scratch, b *event.Batch) *refusal {
	n := len(b.Events)
	if h.o.Ready != nil {
		if err := h.o.Ready(r.Context()); err != nil {
			return h.unavailable(err, n)
		}
	}
	if h.o.Limiter != nil {
		if err := h.o.Limiter.Take(r.Context(), h.client(r, s), n); err != nil {
			return h.limited(r, s, err, n)
		}
	}
	h.endTurn(s)
	withoutID, repaired := h.stamp(b)
	ctx := newPatience(r.Context(), h.o.Wait)
	defer ctx.stop()
	if err := h.o.Deliver(ctx, b); err != nil { //nolint:contextcheck // it is the request's with a deadline
		return h.unavailable(err, n)
	}
	h.counters.accepted.Add(uint64(n))
	h.counters.withoutID.Add(withoutID)
	h.counters.repaired.Add(repaired)
	return nil
}

// client returns whose request it is.
func (h *Handler) client(r *http.Request, s *scratch) string {
	if s.client == "" && h.o.Client != nil {
		s.client = h.o.Client(r)
	}
	return s.client
}

// limits reports whether the rate of events is limited.
func (h *Handler) limits() bool { return h.o.Limiter != nil && h.o.Limiter.Limit() > 0 }

// admit refuses a request that would be refused whatever is in it.
func (h *Handler) admit(r *http.Request, s *scratch) *refusal {
	if err := h.o.Limiter.Admit(h.client(r, s)); err != nil {
		return h.limited(r, s, err, 1)
	}
	return nil
}

// begin waits for the turn of a body among those of its client, and refuses it if the
// others have left a debt.
func (h *Handler) begin(r *http.Request, s *scratch) *refusal {
	if s.turn = h.turns.wait(r.Context(), h.client(r, s)); s.turn == nil {
		refused := h.limited(r, s, errTurns, 1)
		refused.detail = errTurns.Error()
		return refused
	}
	return h.admit(r, s)
}

// endTurn lets the next body of the client have its turn.
func (h *Handler) endTurn(s *scratch) {
	if s.turn != nil {
		h.turns.end(s.turn)
		s.turn = nil
	}
}

// limited refuses n events for which there were no tokens. n is 1 for a body that was
// not read.
func (h *Handler) limited(r *http.Request, s *scratch, err error, n int) *refusal {
	if r.Context().Err() != nil {
		return h.unavailable(err, n)
	}
	h.counters.limited.Add(uint64(n)) //nolint:gosec // a length
	refused := &refusal{status: http.StatusTooManyRequests, cause: err, client: s.client}
	if known, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		refused.detail, refused.after, refused.cause = known.Error(), known.RetryAfter(), nil
	}
	return refused
}

// unavailable refuses n events that cannot be handed over.
func (h *Handler) unavailable(err error, n int) *refusal {
	h.counters.unavailable.Add(uint64(n)) //nolint:gosec // a length
	refused := &refusal{status: http.StatusServiceUnavailable, cause: err}
	if outage, ok := errors.AsType[OutageError](err); ok {
		refused.detail = outage.Error()
	}
	return refused
}

// stamp sets what the frontend says about events: when they came, as which ones of
// this process (docs/spec/interfaces.md §3.4), and an id where the sender gave none
// (docs/spec/correlation.md D34). It returns how many these are, and how many had bad
// encoding.
func (h *Handler) stamp(b *event.Batch) (withoutID, repaired uint64) {
	now := h.o.Now().UnixNano()
	conn := h.conns.Add(uint64(len(b.Events))) - uint64(len(b.Events))
	for i := range b.Events {
		conn++
		ev := &b.Events[i]
		ev.ConnID, ev.ReceivedAt = conn, now
		if ev.ID == "" {
			ev.ID = h.ids.Next()
			withoutID++
		}
		if ev.Repaired > 0 {
			repaired++
		}
	}
	return withoutID, repaired
}

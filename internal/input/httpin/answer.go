package httpin

import (
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/event"
	"dsiem/internal/text"
)

// retryUnavailable is the number of seconds after which a sender may try again for
// which there is no message queue: as long as the queue takes to try again.
const retryUnavailable = "3"

// retryAfter returns the seconds after which a sender that was too fast may try
// again.
func (f *refusal) retryAfter() string {
	return strconv.Itoa(max(1, int(math.Ceil(f.after.Seconds()))))
}

// refusal is why a request is not taken.
type refusal struct {
	status int
	// event is the number of the event it is about, from 1; 0 for none.
	event int
	// reason, field and detail are those of the event's rejection.
	reason        event.Reason
	field, detail string

	// text is what is wrong, and cause why; both are for the log only.
	text  []byte
	cause error

	// client is whose events are refused because they come too fast, for the log, and
	// after is when it may send them again.
	client string
	after  time.Duration
}

// rejected returns the refusal of a request for an event that is rejected.
func rejected(rej *event.Rejection, text []byte) *refusal {
	refused := &refusal{
		status: http.StatusTeapot,
		reason: rej.Reason, field: rej.Field, detail: rej.Detail, text: text,
	}
	switch rej.Reason {
	case event.TooLarge:
		refused.status = http.StatusRequestEntityTooLarge
	case event.BadEncoding, event.BadJSON, event.DuplicateKey, event.BadType:
		refused.status = http.StatusBadRequest
	default:
	}
	return refused
}

// title says in a few words what a status means here (docs/spec/interfaces.md §3.3).
func title(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "Cannot parse the submitted event"
	case http.StatusTeapot:
		return "Not a valid event"
	case http.StatusRequestEntityTooLarge:
		return "Too large"
	case http.StatusUnsupportedMediaType:
		return "Unknown Content-Encoding"
	case http.StatusTooManyRequests:
		return "Too many requests"
	case http.StatusRequestTimeout:
		return "The body did not arrive in time"
	}
	return "Events cannot be taken now"
}

// Error returns what the sender is told, on one line.
func (f *refusal) Error() string {
	text := title(f.status)
	if f.event > 0 {
		text += ": event " + strconv.Itoa(f.event) + " of the body, counted from 1"
	}
	if f.reason != event.Accepted {
		text += ": " + f.reason.String()
	}
	if f.field != "" {
		text += ": " + f.field
	}
	if f.detail != "" {
		text += ": " + f.detail
	}
	return text
}

// appendJSON appends what the sender is told as a JSON object.
func (f *refusal) appendJSON(dst []byte) []byte {
	dst, _ = jsontext.AppendQuote(append(dst, `{"error":`...), f.Error()) // an error would be about U+FFFD
	dst = strconv.AppendInt(append(dst, `,"status":`...), int64(f.status), 10)
	if f.event > 0 {
		dst = strconv.AppendInt(append(dst, `,"event":`...), int64(f.event), 10)
	}
	if f.field != "" {
		dst, _ = jsontext.AppendQuote(append(dst, `,"field":`...), f.field)
	}
	return append(dst, '}')
}

// answerTaken says which records of a request were taken, if not all of them or if the
// client wants to know (docs/spec/correlation.md D40). Otherwise there is no body, as
// senders of the references expect.
func (h *Handler) answerTaken(w http.ResponseWriter, r *http.Request, s *scratch) {
	if s.report.count == 0 && !prefersJSON(r.Header) {
		return // net/http writes 200
	}
	if s.report.first != nil {
		h.warnOfRejected(r, &s.report)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(s.report.appendJSON(nil), '\n'))
}

// appendJSON appends the report as a JSON object.
func (r *report) appendJSON(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"accepted":`...), int64(r.accepted), 10)
	dst = append(dst, `,"rejected":[`...)
	shown := min(len(r.rejected), listed)
	for i := range r.rejected[:shown] {
		rejected := &r.rejected[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"index":`...), int64(rejected.index), 10)
		dst = append(append(dst, `,"reason":"`...), rejected.rejection.Reason.String()...)
		dst, _ = jsontext.AppendQuote(append(dst, `","detail":`...), rejected.rejection.What()) // an error would be about U+FFFD
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if more := r.count - shown; more > 0 {
		dst = strconv.AppendInt(append(dst, `,"not_listed":`...), int64(more), 10)
	}
	return append(dst, '}')
}

// answer tells the sender and the log why a request is refused.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, refused *refusal) {
	h.counters.request(refused.status)
	h.warn(r, refused)
	header := w.Header()
	switch refused.status {
	case http.StatusTooManyRequests:
		header.Set("Retry-After", refused.retryAfter())
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryUnavailable)
	case http.StatusUnsupportedMediaType:
		header.Set("Accept-Encoding", "gzip, zstd")
	}
	var text []byte
	if prefersJSON(r.Header) {
		header.Set("Content-Type", "application/json")
		text = refused.appendJSON(text)
	} else {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		text = append(text, refused.Error()...)
	}
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(refused.status)
	_, _ = w.Write(append(text, '\n')) //nolint:gosec // plain text or JSON, which nosniff keeps from being HTML
}

// prefersJSON reports whether a client names JSON as something it accepts, and
// does not like plain text more (RFC 9110 §12.5.1).
func prefersJSON(header http.Header) bool {
	var json, text quality
	for item := range strings.SplitSeq(strings.Join(header["Accept"], ","), ",") {
		name, parameters, _ := strings.Cut(item, ";")
		switch q := weight(parameters); strings.ToLower(strings.TrimSpace(name)) {
		case "application/json":
			json.set(q, 2)
		case "application/*":
			json.set(q, 1)
		case "text/plain":
			text.set(q, 2)
		case "text/*":
			text.set(q, 1)
		case "*/*":
			text.set(q, 0) // for JSON it has to be named
		}
	}
	return json.value > 0 && json.value >= text.value
}

// quality is how much a client likes a media type: what the most exact range
// says that it falls in.
type quality struct {
	value float64
	exact int
}

func (q *quality) set(value float64, exact int) {
	if exact >= q.exact {
		*q = quality{value, exact}
	}
}

// weight returns the q among parameters, 1 if there is none, 0 if it is none.
func weight(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(p), "="); ok && strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || q > 1 {
				return 0
			}
			return q
		}
	}
	return 1
}

// loggedText bounds what the log shows of a sender's text, in bytes, and loggedClient
// what of its name, in characters.
const loggedText, loggedClient = 200, 80

// warn logs the refusal of a request.
func (h *Handler) warn(r *http.Request, refused *refusal) {
	h.logRefusal(r, refused.status, refused)
}

// warnOfRejected logs that not all records of a request were taken, with the first
// one that was not.
func (h *Handler) warnOfRejected(r *http.Request, p *report) {
	h.logRefusal(r, http.StatusOK, p.first, slog.Int("rejected", p.count), slog.Int("records", p.records))
}

// logRefusal logs a refusal in a request that was answered with a status, unless there
// was one with this status just before, or it is for want of a sender.
func (h *Handler) logRefusal(r *http.Request, status int, refused *refusal, counts ...slog.Attr) {
	if r.Context().Err() != nil {
		return
	}
	w := &h.warnings[statusIndex(status)]
	if !w.Allow(time.Now()) {
		return
	}
	attrs := append([]slog.Attr{slog.String("peer", r.RemoteAddr)}, counts...)
	if refused.client != "" {
		attrs = append(attrs, slog.String("client", text.ClipRunes(refused.client, loggedClient)))
	}
	attrs = append(attrs, slog.String("error", refused.Error()))
	if refused.cause != nil {
		attrs = append(attrs, slog.Any("cause", refused.cause))
	}
	if refused.text != nil {
		attrs = append(attrs, slog.String("text", strconv.Quote(text.Clip(refused.text, loggedText))))
	}
	if n := w.LeftOut(); n > 0 {
		attrs = append(attrs, slog.Uint64("not_shown", n))
	}
	h.log.LogAttrs(r.Context(), slog.LevelWarn, logTitle(status), attrs...) //nolint:sloglint // one of the constants there
}

// logTitle returns the log message for a status; two are near the original's.
func logTitle(status int) string {
	switch status {
	case http.StatusOK:
		return "request taken, but some of its records were rejected"
	case http.StatusBadRequest:
		return "cannot parse normalizedEvent"
	case http.StatusTeapot:
		return "l337 or epic fail attempt detected, discarding"
	case http.StatusTooManyRequests:
		return "events refused, they come faster than the limit"
	case http.StatusServiceUnavailable:
		return "events refused, they cannot be taken now"
	}
	return "request with events refused"
}

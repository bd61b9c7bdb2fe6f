package httpin

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"dsiem/internal/event"
	"dsiem/internal/input"
)

const (
	// keptBody bounds the memory for a body that is kept for the next request.
	keptBody = 1 << 20
	// firstRead is the memory for a body whose sender has not sent it yet. What a
	// body needs beyond that counts against Options.MaxMemory.
	firstRead = 16 << 10
	// eventFactor is how much more memory the shortest events take than their
	// text.
	eventFactor = 4
	// zstdWindow is the window that decoders of the content encoding zstd have
	// to take, and the largest they need to (RFC 9659).
	zstdWindow = 8 << 20
)

// errTooLong says that a body is over the limit, errBusy that there is no memory
// for it now, errTurns that it had to wait for too long for others of its client.
var (
	errTooLong = errors.New("body too long")
	errBusy    = errors.New("too many large bodies at a time")
	errTurns   = errors.New("too many large bodies of this client at a time")
)

// budget is the memory that the bodies of all requests share.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take takes bytes, or reports that there are not that many.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

// scratch is the memory for one request.
type scratch struct {
	raw, body []byte // as sent, and after decompression
	kind      string // what the body is by its first bytes, if it turns out to be no text
	held      int64  // taken from the budget
	client    string // whose request it is, if anybody wanted to know
	turn      *line  // of the body, if it costs much
	event     event.Event
	report    report
	source    bytes.Reader
	gzip      gzip.Reader
}

// release lets go of the request, and of memory that is too large to keep.
func (s *scratch) release(b *budget) {
	b.used.Add(-s.held)
	s.held = 0
	if cap(s.raw) > keptBody {
		s.raw = nil
	}
	if cap(s.body) > keptBody {
		s.body = nil
	}
	s.event = event.Event{}
	s.kind, s.client = "", ""
	s.report.reset()
	s.source.Reset(nil)
}

// newZstd returns a decoder for bodies of a size. It needs memory only while it
// works, on as many bodies at a time as there are processors.
func newZstd(maxBody int64) *zstd.Decoder {
	d, _ := zstd.NewReader(nil, // No option is out of its range.
		zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(zstdWindow),
		// A frame with a window of the full size must pass, however small it is.
		zstd.WithDecoderMaxMemory(uint64(max(maxBody, zstdWindow))))
	return d
}

// read returns the body of a request without its encoding, or why it is
// refused. The body is valid until the scratch memory is used again.
func (h *Handler) read(r *http.Request, s *scratch) ([]byte, *refusal) {
	decompress, ok := h.decompressor(r.Header)
	if !ok {
		return nil, &refusal{status: http.StatusUnsupportedMediaType, detail: "want gzip, zstd or none"}
	}
	if r.ContentLength > h.o.MaxBody {
		return nil, h.tooLong()
	}
	// What a small body costs is known before it is read; its events show the rest.
	costly := h.limits() && (decompress != nil || r.ContentLength < 0 || r.ContentLength > firstRead)
	if costly {
		if refused := h.admit(r, s); refused != nil {
			h.discard(r)
			return nil, refused
		}
	}
	s.raw = slices.Grow(s.raw[:0], int(min(max(r.ContentLength, 0), firstRead)))
	var err error
	switch s.raw, err = h.readAll(s, s.raw, r.Body); {
	case errors.Is(err, errTooLong):
		return nil, h.tooLong()
	case errors.Is(err, errBusy):
		return nil, busy()
	case err != nil:
		return nil, unread(err)
	}
	_ = r.Body.Close() // at its end; otherwise net/http looks for more of it
	if costly {
		if refused := h.begin(r, s); refused != nil {
			return nil, refused
		}
	}
	return h.unpack(decompress, s)
}

// discard reads a body that is refused, so that its sender, who may not look for an
// answer before all is sent, gets it and keeps the connection; unless the sender asks
// first.
func (h *Handler) discard(r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, h.o.MaxBody)
	}
}

// unpack returns the text of a body that has been read, or why it is refused.
// decompress is nil if it is not compressed.
func (h *Handler) unpack(decompress func(*scratch) error, s *scratch) ([]byte, *refusal) {
	if decompress == nil {
		return h.text(s.raw, s)
	}
	switch err := decompress(s); {
	case errors.Is(err, errTooLong), errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, h.tooLong()
	case errors.Is(err, errBusy):
		return nil, busy()
	case errors.Is(err, input.ErrTrailing):
		return nil, h.badEncoding(err.Error(), s)
	case err != nil:
		return nil, h.badEncoding("damaged compression: "+err.Error(), s)
	}
	return h.text(s.body, s)
}

// text returns the text of a body: NUL bytes are no part of it, wherever they are, as
// in a file (docs/spec/correlation.md D42).
func (h *Handler) text(body []byte, s *scratch) ([]byte, *refusal) {
	if bytes.HasPrefix(body, []byte("\xff\xfe")) || bytes.HasPrefix(body, []byte("\xfe\xff")) {
		return nil, h.badEncoding("UTF-16, want UTF-8", s)
	}
	s.kind = kindOf(body)
	if bytes.IndexByte(body, 0) < 0 {
		return body, nil
	}
	return slices.DeleteFunc(body, func(c byte) bool { return c == 0 }), nil
}

// kindOf says what a body is that begins as no text does, "" for most. It may be text
// even so: a header of syslog may begin with anything.
func kindOf(body []byte) string {
	if len(body) == 0 || body[0] == '{' || body[0] == '[' {
		return ""
	}
	if name := input.PackedWith(body); name != "" {
		return "it is compressed with " + name + ", which no Content-Encoding says"
	}
	if name := input.OtherKind(body); name != "" {
		return "it is " + name + ", which is not read: want gzip or zstd with a Content-Encoding, or none"
	}
	return ""
}

// badEncoding refuses a body of which nothing can be read.
func (h *Handler) badEncoding(detail string, s *scratch) *refusal {
	refused := rejected(&event.Rejection{Reason: event.BadEncoding, Detail: detail}, s.raw)
	h.counters.rejected[event.BadEncoding].Add(1)
	return refused
}

// decompressor returns what turns raw into body, nil if nothing does, or false
// for an encoding that is not known.
func (h *Handler) decompressor(header http.Header) (func(*scratch) error, bool) {
	encodings := header["Content-Encoding"]
	if len(encodings) == 0 {
		return nil, true
	}
	switch strings.ToLower(strings.TrimSpace(strings.Join(encodings, ","))) {
	case "", "identity":
		return nil, true
	case "gzip", "x-gzip":
		return h.gunzip, true
	case "zstd":
		return h.unzstd, true
	}
	return nil, false
}

// gunzip decompresses all members of gzip data.
func (h *Handler) gunzip(s *scratch) error {
	s.body = s.body[:0]
	s.source.Reset(s.raw)
	for member := 0; s.source.Len() > 0; member++ {
		var err error
		if member > 0 {
			err = input.NextGzip(&s.source)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = s.gzip.Reset(&s.source)
		}
		if err == nil {
			s.gzip.Multistream(false) // the library takes some damaged headers for the end
			s.body, err = h.readAll(s, s.body, &s.gzip)
		}
		if err != nil {
			return noEOF(err)
		}
	}
	return nil
}

// unzstd decompresses all frames of zstd data.
func (h *Handler) unzstd(s *scratch) error {
	// How much it will be shows only afterwards.
	if !s.hold(&h.budget, max(h.o.MaxBody, zstdWindow)) {
		return errBusy
	}
	body, err := h.zstd.DecodeAll(s.raw, s.body[:0])
	if errors.Is(err, zstd.ErrMagicMismatch) || errors.Is(err, io.ErrUnexpectedEOF) { // there may be padding
		body, err = h.unzstdPadded(s)
	}
	if err != nil {
		return noEOF(err)
	}
	s.body = body
	if int64(len(body)) > h.o.MaxBody {
		return errTooLong
	}
	return nil
}

// unzstdPadded is DecodeAll for what has NUL bytes behind its frames.
func (h *Handler) unzstdPadded(s *scratch) ([]byte, error) {
	if !s.hold(&h.budget, int64(len(s.raw))) {
		return nil, errBusy
	}
	s.source.Reset(s.raw)
	frames, err := io.ReadAll(input.ZstdFrames(bufio.NewReader(&s.source)))
	if err != nil {
		return nil, err
	}
	return h.zstd.DecodeAll(frames, s.body[:0])
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// hold takes memory from the budget until the scratch memory is released.
func (s *scratch) hold(b *budget, n int64) bool {
	ok := b.take(n)
	if ok {
		s.held += n
	}
	return ok
}

// readAll appends what a reader has to dst, up to the length of the largest body
// and not much more.
func (h *Handler) readAll(s *scratch, dst []byte, r io.Reader) ([]byte, error) {
	const least = 512
	counted := int64(firstRead)
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, max(least, len(dst)))
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		for ; int64(len(dst)) > counted; counted *= 2 { // as its memory does
			if !s.hold(&h.budget, counted) {
				return dst, errBusy
			}
		}
		switch {
		case int64(len(dst)) > h.o.MaxBody:
			return dst, errTooLong
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}

func (h *Handler) tooLong() *refusal { return tooLong(h.o.MaxBody) }

// busy refuses a body for which there is no memory now.
func busy() *refusal {
	return &refusal{status: http.StatusServiceUnavailable, detail: errBusy.Error(), cause: errBusy}
}

// tooLong refuses a body over the limit.
func tooLong(limit int64) *refusal {
	return &refusal{
		status: http.StatusRequestEntityTooLarge,
		detail: "the limit is " + strconv.FormatInt(limit, 10) + " bytes, also after decompression",
	}
}

// unread refuses a body that did not arrive.
func unread(err error) *refusal {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLong(large.Limit)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return &refusal{status: http.StatusRequestTimeout, cause: err}
	}
	return &refusal{status: http.StatusBadRequest, detail: "the body did not arrive as announced", cause: err}
}

package confdist

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
)

// errFull is the error of an upload for which there is no memory now.
var errFull = errors.New("too many uploads at once")

// upload returns the size and the ETag of the new file.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, name string) (size int, tag string, no *refusal) {
	s.patience(w, r)
	body := &counted{from: http.MaxBytesReader(w, r.Body, s.o.MaxSize), held: &s.held, limit: 2 * s.o.MaxSize}
	defer body.release()
	if r.ContentLength > s.o.MaxSize {
		return 0, "", notReceived(w, &http.MaxBytesError{Limit: s.o.MaxSize})
	}
	content, err := io.ReadAll(body)
	if err != nil {
		return 0, "", notReceived(w, err)
	}
	if err := s.check(name, content); err != nil {
		return 0, "", invalid(err)
	}
	s.patience(w, r) // for the answer: a check takes its time
	tag, no = s.replace(r.Header, name, content)
	return len(content), tag, no
}

// invalid returns the answer to a change that the engine's loader does not like.
func invalid(err error) *refusal {
	return &refusal{status: http.StatusTeapot, text: badContent + strings.TrimRight(err.Error(), "\n") + "\n"}
}

// notReceived returns the answer to a body that did not arrive. The rest of it
// is not waited for.
func notReceived(w http.ResponseWriter, err error) *refusal {
	w.Header().Set("Connection", "close")
	no := &refusal{status: http.StatusBadRequest, text: badBody + ": the body ended early\n", cause: err}
	large, isLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case isLarge:
		no.status, no.text = http.StatusRequestEntityTooLarge, fmt.Sprintf("%s: the body is larger than %d bytes\n", badBody, large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		no.status, no.text = http.StatusRequestTimeout, badBody+": the body did not arrive in time\n"
	case errors.Is(err, errFull):
		no.status, no.text = http.StatusServiceUnavailable, badBody+": "+errFull.Error()+"\n"
	}
	return no
}

// counted is the body of an upload. What has arrived counts against what all
// uploads together may hold in memory, until it is released.
type counted struct {
	from  io.Reader
	held  *atomic.Int64 // by all
	limit int64
	own   int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.own += int64(n)
	if c.held.Add(int64(n)) > c.limit {
		return 0, errFull
	}
	return n, err
}

func (c *counted) release() {
	c.held.Add(-c.own)
	c.own = 0
}

// Package server has the HTTP server of a node: it serves routes, each to whoever
// may use it, counts their answers, and keeps away clients that nobody wants: times
// and sizes of requests, the number of connections, and what foreign pages make a
// browser send.
//
// It keeps no state but these counts and that of a listener and its connections.
// Which routes there are, and who may use them, others decide.
//
// Source of the requirements: docs/spec/interfaces.md §9.
package server

import (
	"bytes"
	"log"
	"log/slog"
	"net/http"
	"time"
)

// Limits of the server (docs/spec/interfaces.md §9, slow clients).
const (
	headerTime = 10 * time.Second // and a TLS handshake
	readTime   = 30 * time.Second // a whole request
	writeTime  = time.Minute      // an answer, from the end of the header on
	idleTime   = 2 * time.Minute  // between two requests
	maxHeader  = 8 << 10          // bytes
)

// New returns a server that does not wait for slow clients: a request
// has 10 s for its header, of 8 KiB at most, and 30 s in all, its answer must
// be gone within a minute after the header, and a connection without request is
// closed after 2 minutes. ReadWithin gives single routes more. What goes wrong
// with connections is logged with constant messages, so that a logger that holds
// back repetitions can do so; a nil logger is silence.
func New(handler http.Handler, logger *slog.Logger) *http.Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(&errorLog{logger}, "", 0),
	}
}

// ReadWithin returns a handler whose requests may take d to arrive, from the end
// of their header on, and whose answers must be gone a minute after that. It is
// for large uploads, and for answers that take long.
//
// A response writer between the server and this handler must have an Unwrap
// method; otherwise the server's own, shorter times stay.
func ReadWithin(d time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control, now := http.NewResponseController(w), time.Now()
		// They fail if the connection is gone, which reading will show, or if
		// the writer has no deadlines. Without a body the server has taken its
		// own away already, and waits for the client to leave: another one would
		// look like that, and end the request's context.
		if r.Body != nil && r.Body != http.NoBody {
			_ = control.SetReadDeadline(now.Add(d))
		}
		_ = control.SetWriteDeadline(now.Add(d + writeTime))
		next.ServeHTTP(w, r)
	})
}

// errorLog takes the lines of an http.Server.
type errorLog struct{ log *slog.Logger }

// Write logs one line. The server says what it is about in the text only.
func (l *errorLog) Write(line []byte) (int, error) {
	text := slog.String("error", string(bytes.TrimSpace(line)))
	switch {
	case bytes.HasPrefix(line, []byte("http: panic serving")):
		l.log.Error("an HTTP request failed, this is a mistake in the program", text)
	case !bytes.HasPrefix(line, []byte("http: TLS handshake error")):
		l.log.Warn("error serving HTTP", text)
	case bytes.HasSuffix(bytes.TrimSpace(line), []byte(": EOF")):
		// Somebody only looked whether the port is open.
		l.log.Debug("TLS handshake not begun", text)
	default:
		l.log.Warn("error in a TLS handshake", text)
	}
	return len(line), nil
}

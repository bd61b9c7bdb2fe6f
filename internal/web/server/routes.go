package server

import (
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Route is one thing that a node answers. R is the type of rights, whose zero
// value is the right to what everybody may have.
type Route[R comparable] struct {
	// Pattern is a method and a path, as http.ServeMux has them.
	Pattern string
	// Name is the route's name in metrics, which several may share.
	Name string
	// Right is what a caller needs.
	Right   R
	Handler http.Handler
}

// Routes serves routes, each to whoever may use it, and counts the answers by
// their names. protect returns a handler that passes to another one the requests
// of callers with a right. All else is 404, or 405 for another method.
//
// Handlers must not use their writer when they have returned.
func Routes[R comparable](routes []Route[R], protect func(R, http.Handler) http.Handler, reg prometheus.Registerer) http.Handler {
	names := make([]string, len(routes))
	for i := range routes {
		names[i] = routes[i].Name
	}
	requests := newRequests(reg, names)
	mux := http.NewServeMux()
	var everybody R
	for i := range routes {
		r := &routes[i]
		h := r.Handler
		if r.Right != everybody {
			h = protect(r.Right, h)
		}
		mux.Handle(r.Pattern, counted(requests.route(r.Name), h))
	}
	return mux
}

// counted counts the answers of a handler.
func counted(count *answers, next http.Handler) http.Handler {
	writers := sync.Pool{New: func() any { return new(answerWriter) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := writers.Get().(*answerWriter) // the pool holds nothing else
		*answer = answerWriter{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(answer, r)
		code := answer.code
		*answer = answerWriter{}
		writers.Put(answer)
		count.count(code)
	})
}

// answerWriter remembers the status of an answer.
type answerWriter struct {
	http.ResponseWriter

	code    int
	written bool
}

// WriteHeader writes and remembers the final status.
func (w *answerWriter) WriteHeader(code int) {
	if !w.written && (code >= http.StatusOK || code == http.StatusSwitchingProtocols) {
		w.code, w.written = code, true
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController find the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

package telemetry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of the server. Profiles are streamed for up to profileTime.
const (
	requestTime = 10 * time.Second
	scrapeTime  = 5 * time.Second // answered before the connection's time is up
	profileTime = 2 * time.Minute
	idleTime    = time.Minute
	stopTime    = time.Second
	maxHeader   = 16 << 10
	maxScrapes  = 4
)

// Check is one thing that must hold before the program can do its work, as
// "nats". Ready returns nil or why it does not hold, without secrets: it is
// shown to whoever asks. It answers from memory, or gives up when its context
// ends.
type Check struct {
	Name  string
	Ready func(context.Context) error
}

// ServerOptions says what a Server serves.
type ServerOptions struct {
	// Address is where to listen, as "127.0.0.1:9090".
	Address string
	// Checks are what /readyz asks, in this order.
	Checks []Check
	// CheckTime bounds all checks together; 0 is 2 s.
	CheckTime time.Duration
	// Gatherer is what /metrics shows; without it there is no such path.
	Gatherer prometheus.Gatherer
	// Pprof adds /debug/pprof/.
	Pprof bool
	// Logger gets what goes wrong while serving; nil is none.
	Logger *slog.Logger
}

// Server serves health, readiness, metrics and profiles for operators
// (--metrics-address). It has no authentication: listen on loopback or a
// protected network.
//
//	GET /healthz       200 while the program is alive
//	GET /readyz        200 or 503, with the state of every check as JSON
//	GET /metrics       Prometheus
//	GET /debug/pprof/  profiles, only if enabled
type Server struct {
	o        ServerOptions
	listener net.Listener
	http     *http.Server
}

// Listen returns a Server that listens already, so that a port in use is an
// error at the start. Run serves, or Close gives the port back.
func Listen(ctx context.Context, o ServerOptions) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.CheckTime = cmp.Or(o.CheckTime, 2*time.Second)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listening for metrics: %w", err)
	}
	s := &Server{o: o, listener: listener}
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: requestTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      requestTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	if o.Pprof {
		s.http.WriteTimeout = profileTime
	}
	return s, nil
}

// Addr returns the address it listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close gives the port back if Run is never called.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until the end of ctx, then lets requests end for up to a second.
// It returns nil after that, or why it could not go on.
func (s *Server) Run(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving metrics: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	err := s.http.Shutdown(grace)
	if err != nil {
		err = s.http.Close() // whoever is still connected was told to go
	}
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	if err != nil {
		return fmt.Errorf("closing the metrics server: %w", err)
	}
	return nil
}

// Handler returns the routes.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.alive)
	mux.HandleFunc("GET /readyz", s.ready)
	if s.o.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(s.o.Gatherer, promhttp.HandlerOpts{
			ErrorLog:            slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelWarn),
			ErrorHandling:       promhttp.ContinueOnError,
			MaxRequestsInFlight: maxScrapes,
			Timeout:             scrapeTime,
		}))
	}
	if s.o.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// health is the body of /healthz and /readyz.
type health struct {
	Status string        `json:"status"` // "ok" or "not ready"
	Checks []checkResult `json:"checks,omitempty"`
}

type checkResult struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
}

func (s *Server) alive(w http.ResponseWriter, _ *http.Request) {
	s.answer(w, http.StatusOK, health{Status: "ok"})
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), s.o.CheckTime)
	defer cancel()
	body, code := health{Status: "ok"}, http.StatusOK
	for _, check := range s.o.Checks {
		result := checkResult{Name: check.Name, Ready: true}
		if err := check.Ready(ctx); err != nil {
			result.Ready, result.Error = false, err.Error()
			body.Status, code = "not ready", http.StatusServiceUnavailable
		}
		body.Checks = append(body.Checks, result)
	}
	s.answer(w, code, body)
}

func (s *Server) answer(w http.ResponseWriter, code int, body health) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.o.Logger.Debug("health answer not delivered", slog.Any("error", err))
	}
}

package diagnostics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of the server. Profiles are streamed for up to profileTime.
const (
	requestTime = 10 * time.Second
	profileTime = 2 * time.Minute
	idleTime    = time.Minute
	stopTime    = time.Second
	maxHeader   = 8 << 10
	// maxConnections is the number of clients at a time; more wait.
	maxConnections = 64
)

// Server serves Diagnostics at an address of its own (--metrics-address). It has
// no authentication beside Options.Protect: listen on loopback or a protected network.
//
//	GET /healthz       200 while the program is alive
//	GET /readyz        200 or 503, with the state of every check as JSON
//	GET /metrics       Prometheus, only with a Gatherer
//	GET /debug/vars/   the original's variables, only if there are some
//	GET /debug/pprof/  profiles, only if enabled
type Server struct {
	o           Options
	diagnostics *Diagnostics
	listener    net.Listener
	http        *http.Server
}

// Listen returns a Server that listens already at an address, as
// "127.0.0.1:9090", so that a port in use is an error at the start. Run serves.
func Listen(ctx context.Context, address string, o Options) (*Server, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for metrics: %w", err)
	}
	s := &Server{o: o, listener: netutil.LimitListener(listener, maxConnections), diagnostics: New(o)}
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

// Handler returns the routes, behind Options.Protect.
func (s *Server) Handler() http.Handler {
	d, mux := s.diagnostics, http.NewServeMux()
	mux.HandleFunc("GET /healthz", d.Healthz)
	mux.HandleFunc("GET /readyz", d.Readyz)
	if s.o.Gatherer != nil {
		mux.HandleFunc("GET /metrics", d.Metrics)
	}
	if s.o.Variables != nil {
		mux.Handle("GET /debug/vars", http.RedirectHandler("/debug/vars/", http.StatusMovedPermanently))
		mux.HandleFunc("GET /debug/vars/{$}", d.Vars)
	}
	if s.o.Pprof {
		mux.Handle("GET /debug/pprof", http.RedirectHandler(pprofPath, http.StatusMovedPermanently))
		mux.HandleFunc("GET "+pprofPath, d.Pprof)
	}
	if s.o.Protect != nil {
		return s.o.Protect(mux)
	}
	return mux
}

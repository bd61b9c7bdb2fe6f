package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"dsiem/internal/event"
)

const (
	// defaultMaxPayload leaves room around the largest event: what a frontend
	// publishes is longer than what it received, by members that were not there
	// and by trace headers.
	defaultMaxPayload = 2 * event.MaxSize
	// pendingPayloads is how many of the largest payloads may wait for a slow
	// client of the server before it is cut off.
	pendingPayloads = 64

	// startTimeout is the longest that a server may take until it listens.
	startTimeout = 10 * time.Second
)

// ServerOptions describe the NATS server that a node is itself. The zero
// value is one for this process only.
type ServerOptions struct {
	// Name is what the server calls itself; characters other than ASCII letters,
	// digits, '.', '_' and '-' are replaced. The default is "dsiem".
	Name string
	// Listen is where clients connect over TCP: host:port, or a URL,
	// nats://user:password@host:port, if they must log in, with at most 256
	// bytes for each. Special characters in user and password must be
	// percent-encoded. Without a host it is all addresses of IPv4, without a
	// port 4222; port 0 or -1 is any free one. With tls:// a certificate must be
	// there. The default is nowhere: only connections of this process
	// (Options.Server).
	Listen string
	// CertFile and KeyFile are the server's certificate and key, in PEM. With
	// them clients must use TLS. CAFile holds certificates, in PEM; with it a
	// client needs a certificate that one of them signed. Without Listen there
	// is no use for them.
	CertFile, KeyFile, CAFile string
	// MaxPayload is the size of the largest message, in bytes, at most 8 MiB.
	// The default is 2 MiB, which holds every event (event.MaxSize).
	MaxPayload int
	// Logger gets where the server listens and what goes wrong, and at level
	// debug what the server itself finds worth telling; nil is silence. No line
	// holds a password, user or token.
	Logger *slog.Logger
}

// Server is an embedded NATS server: core NATS only, without persistence and
// without a monitoring port. It handles no signals. Close it, after the
// connections to it. Its methods may be called from any goroutine.
type Server struct {
	log   *slog.Logger
	o     ServerOptions
	login login
	ns    *server.Server
	addr  string                     // of the listener, "" if there is none
	tls   atomic.Pointer[tls.Config] // for new connections

	closing sync.Once
	closed  chan struct{}
}

// StartServer starts a server. It returns when clients can connect, or why they
// never will: a malformed address, a port in use, a certificate that cannot be
// read. No error holds a password, user or token.
func StartServer(o ServerOptions) (*Server, error) {
	s := &Server{log: o.Logger, o: o, closed: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.start(); err != nil {
		return nil, fmt.Errorf("starting the message queue: %w", err)
	}
	if s.addr == "" {
		return s, nil
	}
	s.log.Info("message queue listening", "address", s.addr,
		"login", s.login.user != "", "tls", o.CertFile != "", "client_certificates", o.CAFile != "")
	if s.login.user == "" && o.CAFile == "" {
		s.log.Warn("message queue takes events and overload signals from everybody who can reach it", "address", s.addr)
	}
	return s, nil
}

func (s *Server) start() error {
	options, login, err := s.o.serverOptions()
	if err != nil {
		return err
	}
	s.login = login
	if options.TLSConfig != nil {
		// The library's own way to reload would cut all connections.
		s.tls.Store(options.TLSConfig.Clone())
		options.TLSConfig.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.tls.Load(), nil }
	}
	if s.ns, err = server.NewServer(options); err != nil {
		return err
	}
	log := newServerLog(s.log)
	s.ns.SetLogger(log, s.log.Enabled(context.Background(), slog.LevelDebug), false)
	s.ns.Start() // returns when it listens, or cannot
	err = log.started()
	if err == nil && !s.ns.ReadyForConnections(startTimeout) {
		err = errors.New("it does not get ready")
	}
	if err != nil {
		s.ns.Shutdown()
		s.ns.WaitForShutdown()
		return err
	}
	if addr := s.ns.Addr(); addr != nil {
		s.addr = addr.String()
	}
	return nil
}

// Addr returns host and port of the listener, "" if there is none.
func (s *Server) Addr() string { return s.addr }

// Reload reads the certificate files again, for connections from then on;
// those that exist stay. If a file is bad the server keeps what it had, and the
// error says why.
func (s *Server) Reload() error {
	options, _, err := s.o.serverOptions()
	if err != nil {
		return fmt.Errorf("reloading the certificates of the message queue: %w", err)
	}
	s.tls.Store(options.TLSConfig)
	return nil
}

// Close ends the listener and all connections and waits until all is ended.
// What has been published and lies in the server is sent on first, as far as
// clients take it within a tenth of a second. If the context ends first, Close
// returns its error, and the server ends later. A second call waits too.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Do(func() {
		go func() {
			defer close(s.closed)
			s.ns.Shutdown()
			s.ns.WaitForShutdown()
		}()
	})
	select {
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the message queue: %w", context.Cause(ctx))
	}
}

// Package natstest gives tests a real NATS server on the loopback interface,
// which can be stopped and started again on its port.
package natstest

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"dsiem/test/testkit"
)

// Options describe a server. The zero value is one that lets everybody in.
type Options struct {
	// User and Password are what clients must log in with.
	User, Password string
	// Token is a token to log in with instead.
	Token string
	// TLS makes the server speak TLS only, with a certificate for localhost and
	// 127.0.0.1 from an authority of its own.
	TLS bool
	// ClientCerts makes it ask for a client certificate of that authority.
	ClientCerts bool
	// Configure, if not nil, sets whatever else the server needs.
	Configure func(*server.Options)
}

// Server is a NATS server that ends with its test.
type Server struct {
	tb        testing.TB
	o         Options
	port      int // 0 before the first start
	authority *testkit.Authority
	srv       *server.Server
}

// Start starts a server on a free port.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s := &Server{tb: tb, o: o}
	if o.TLS || o.ClientCerts {
		s.authority = testkit.NewAuthority(tb)
	}
	tb.Cleanup(s.Stop)
	s.Restart()
	return s
}

// Reserve returns a server that is not started: its URL is known, and nothing
// answers there until Restart.
func Reserve(tb testing.TB, o Options) *Server {
	tb.Helper()
	s := Start(tb, o)
	s.Stop()
	return s
}

// The ports of FreePort: systems give none of these to who asks for any.
const firstPort, lastPort = 10_000, 29_999

// FreePort returns a TCP port of the loopback interface that nobody uses, and
// that no other test gets which asks the system for a free port: a server may
// stop and come back there.
func FreePort(tb testing.TB) int {
	tb.Helper()
	var config net.ListenConfig
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1) //nolint:gosec // no secret
		listener, err := config.Listen(tb.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		testkit.Check(tb, listener.Close())
		return port
	}
	tb.Fatal("there is no free port")
	return 0
}

// Restart starts the server on the port it had before.
func (s *Server) Restart() {
	s.tb.Helper()
	if s.port == 0 {
		s.port = FreePort(s.tb)
	}
	port := s.port
	for deadline := time.Now().Add(testkit.Patience); ; {
		srv, err := server.NewServer(s.options(port))
		if err != nil {
			s.tb.Fatalf("starting a NATS server: %v", err)
		}
		srv.Start()
		if srv.ReadyForConnections(time.Second) {
			s.srv = srv
			s.port = srv.Addr().(*net.TCPAddr).Port
			return
		}
		// Another process may hold the port for a moment.
		srv.Shutdown()
		srv.WaitForShutdown()
		if time.Now().After(deadline) {
			s.tb.Fatalf("the NATS server does not get ready on port %d", port)
		}
	}
}

// Stop ends the server and its connections. It does nothing if it has ended.
func (s *Server) Stop() {
	if s.srv != nil {
		s.srv.Shutdown()
		s.srv.WaitForShutdown()
		s.srv = nil
	}
}

// Address returns the host and port, without credentials.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL returns the URL for clients, with credentials if the server wants any.
func (s *Server) URL() string {
	u := url.URL{Scheme: "nats", Host: s.Address()}
	if s.authority != nil {
		u.Scheme = "tls"
	}
	switch {
	case s.o.Token != "":
		u.User = url.User(s.o.Token)
	case s.o.User != "":
		u.User = url.UserPassword(s.o.User, s.o.Password)
	}
	// A comma would end this server in a list.
	return strings.ReplaceAll(u.String(), ",", "%2C")
}

// CAFile returns a PEM file with the certificate of the authority that signed
// the server's, for Options with TLS.
func (s *Server) CAFile() string { return s.authority.CAFile() }

// ClientCert returns PEM files with a certificate of that authority for a
// client, and its key.
func (s *Server) ClientCert() (certFile, keyFile string) { return s.authority.ClientCert() }

// Client returns a plain client of the server that ends with the test. It does
// not come back when the server stops: ask for another.
func (s *Server) Client() *nats.Conn {
	s.tb.Helper()
	options := []nats.Option{nats.NoReconnect(), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}
	if s.authority != nil {
		options = append(options, nats.RootCAs(s.CAFile()), nats.ClientCert(s.ClientCert()))
	}
	nc, err := nats.Connect(s.URL(), options...)
	if err != nil {
		s.tb.Fatalf("connecting to the NATS server: %v", err)
	}
	s.tb.Cleanup(nc.Close)
	return nc
}

// Publish sends messages and returns when the server has them.
func (s *Server) Publish(subject string, payloads ...string) {
	s.tb.Helper()
	nc := s.Client()
	defer nc.Close()
	for _, p := range payloads {
		if err := nc.Publish(subject, []byte(p)); err != nil {
			s.tb.Fatalf("publishing to %s: %v", subject, err)
		}
	}
	if err := nc.FlushTimeout(testkit.Patience); err != nil {
		s.tb.Fatalf("publishing to %s: %v", subject, err)
	}
}

// WaitForSubscribers returns when the server has at least n subscriptions of a
// subject. A node that subscribed before the server was restarted is not
// subscribed again at once.
func (s *Server) WaitForSubscribers(subject string, n int) {
	s.tb.Helper()
	testkit.Eventually(s.tb, fmt.Sprintf("%d subscribers of %s", n, subject), func() bool {
		subs, err := s.srv.Subsz(&server.SubszOptions{Subscriptions: true, Test: subject})
		testkit.Check(s.tb, err)
		return len(subs.Subs) >= n
	})
}

func (s *Server) options(port int) *server.Options {
	o := &server.Options{
		Host:          "127.0.0.1",
		Port:          port,
		NoLog:         true,
		NoSigs:        true,
		Username:      s.o.User,
		Password:      s.o.Password,
		Authorization: s.o.Token,
	}
	if s.authority != nil {
		o.TLS = true
		o.TLSTimeout = testkit.Patience.Seconds()
		o.TLSConfig = &tls.Config{
			Certificates: []tls.Certificate{s.authority.Server()},
			MinVersion:   tls.VersionTLS12,
		}
		if s.o.ClientCerts {
			o.TLSVerify = true
			o.TLSConfig.ClientAuth = tls.RequireAndVerifyClientCert
			o.TLSConfig.ClientCAs = s.authority.Pool()
		}
	}
	if s.o.Configure != nil {
		s.o.Configure(o)
	}
	return o
}

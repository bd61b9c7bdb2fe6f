package bus_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"dsiem/internal/bus"
	"dsiem/internal/event"
	"dsiem/test/testkit"
)

// serve starts a server that ends with the test, after its connections.
func serve(t *testing.T, o bus.ServerOptions) (*bus.Server, *testkit.Logbook) {
	t.Helper()
	log := new(testkit.Logbook)
	o.Logger = log.Logger()
	s, err := bus.StartServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(t, s) })
	return s, log
}

func end(t *testing.T, s *bus.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Patience)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
}

// inside connects without a network.
func inside(t *testing.T, s *bus.Server, change func(*bus.Options)) *bus.Conn {
	t.Helper()
	o, _ := options("")
	o.Server = s
	if change != nil {
		change(&o)
	}
	return connect(t, o)
}

// carries makes sure that events and signals pass between a server's process
// and a connection from outside.
func carries(t *testing.T, s *bus.Server, o bus.Options) {
	t.Helper()
	frontend, backend := inside(t, s, nil), connect(t, o)
	in, signals := subscribe(t, backend), make(chan bool, 1)
	if err := frontend.SubscribeOverload(t.Context(), func(overloaded bool) { signals <- overloaded }); err != nil {
		t.Fatal(err)
	}
	publish(t, frontend, "hello")
	in.want(t, "hello")
	if err := backend.PublishOverload(true); err != nil {
		t.Fatal(err)
	}
	testkit.Equal(t, testkit.Receive(t, signals), true)
}

func TestAServerForTheProcessOnly(t *testing.T) {
	s, log := serve(t, bus.ServerOptions{})
	if s.Addr() != "" {
		t.Errorf("it listens on %s", s.Addr())
	}
	o, connLog := options("")
	o.Server = s
	carries(t, s, o)
	connLog.Wait(t, 1, "successfully connected to message queue", "url=nats://in-process")
	if lines := log.With("message queue listening"); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
}

func TestOwnEventsComeBackUnlessTold(t *testing.T) {
	s, _ := serve(t, bus.ServerOptions{})
	for _, noEcho := range []bool{false, true} {
		c := inside(t, s, func(o *bus.Options) { o.NoEcho = noEcho })
		in, other := subscribe(t, c), subscribe(t, inside(t, s, nil))
		publish(t, c, "own")
		publish(t, inside(t, s, nil), "other's")
		other.want(t, "own", "other's")
		if !noEcho {
			in.want(t, "own")
		}
		in.want(t, "other's")
	}
}

func TestAServerWithoutLogin(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "nats://127.0.0.1:-1", "nats://localhost:0/"} {
		s, log := serve(t, bus.ServerOptions{Listen: listen})
		o, _ := options("nats://" + s.Addr())
		carries(t, s, o)
		log.Wait(t, 1, "level=INFO", "message queue listening", s.Addr(), "login=false", "tls=false")
		log.Wait(t, 1, "level=WARN", "from everybody who can reach it")
	}
}

// passwords are what could become something else in a configuration.
var passwords = []string{
	"secret", `a"b`, `a'b`, "a\nb", "\r\n", "$HOME", "$2a$", "{", "}", "[x]", "a#b", "a//b", `\`, `\"`, `\x41`, "a;b", "a:b", "a=b",
	"include ./x", "true", "12345", "1k", "(", ")\n", " ", "\t", "päss wörd", "日本", "\x00", "%s%d", "a,b@c/d?e", `"}; http_port: 1 #`,
	strings.Repeat("\x01", 256),
}

func TestALogin(t *testing.T) {
	for i, password := range passwords {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			user := fmt.Sprintf("u%d%s", i, passwords[len(passwords)-2-i%4])
			login := url.UserPassword(user, password).String()
			s, log := serve(t, bus.ServerOptions{Listen: "nats://" + login + "@127.0.0.1:0"})
			at := func(login string) bus.Options {
				o, _ := options("nats://" + strings.ReplaceAll(login, ",", "%2C") + "@" + s.Addr())
				return o
			}
			carries(t, s, at(login))
			log.Wait(t, 1, "level=INFO", "message queue listening", "login=true")

			for _, wrong := range []string{
				url.UserPassword(user, password+"x").String(), url.UserPassword(user+"x", password).String(),
				url.UserPassword(user, "").String(), "token",
			} {
				o := at(wrong)
				turnedAway(t, o)
			}
			turnedAway(t, bus.Options{URL: "nats://" + s.Addr()})
			log.Wait(t, 1, "level=WARN", "message queue server reports", "authentication error", `User \"***\"`)
			if lines := append(log.With(fmt.Sprintf("u%d", i)), log.With("level=ERROR")...); len(lines) > 0 {
				t.Errorf("the log shows the user: %q", lines)
			}
			if lines := log.With("level=WARN", "Plaintext"); len(lines) > 0 {
				t.Errorf("%q", lines)
			}
		})
	}
}

// turnedAway makes sure that a server does not let a connection in.
func turnedAway(t *testing.T, o bus.Options) {
	t.Helper()
	log := new(testkit.Logbook)
	o.Logger = log.Logger()
	unreachable(t, bus.Options{URL: o.URL, Retry: 1, Timeout: testkit.Patience, Logger: o.Logger}, log, "Authorization Violation")
}

func TestTheLogDoesNotShowSecrets(t *testing.T) {
	s, log := serve(t, bus.ServerOptions{Listen: "nats://n0body:s3cret@127.0.0.1:0"})
	o, _ := options("nats://n0body:s3cret@" + s.Addr())
	shut(t, connect(t, o))
	log.Wait(t, 1, "Client connection closed", "user:***")
	turnedAway(t, bus.Options{URL: "nats://n0body2:s3cret2@" + s.Addr()})
	turnedAway(t, bus.Options{URL: "nats://s3cret3@" + s.Addr()})
	log.Wait(t, 1, "authentication error", `User \"***\"`)
	for _, secret := range []string{"n0body", "s3cret"} {
		if lines := log.With(secret); len(lines) > 0 {
			t.Errorf("the log shows a secret: %q", lines)
		}
	}
}

func TestAServerWithTLS(t *testing.T) {
	authority := testkit.NewAuthority(t)
	cert, key := authority.ServerCert()
	s, log := serve(t, bus.ServerOptions{Listen: "nats://u:p@127.0.0.1:0", CertFile: cert, KeyFile: key})
	log.Wait(t, 1, "message queue listening", "tls=true", "client_certificates=false")
	for _, scheme := range []string{"tls", "nats"} {
		o, _ := options(scheme + "://u:p@" + s.Addr())
		o.CAFile = authority.CAFile()
		carries(t, s, o)
	}
	o, clientLog := options("tls://u:p@" + s.Addr())
	unreachable(t, o, clientLog, "certificate signed by unknown authority")
}

func TestAServerThatWantsClientCertificates(t *testing.T) {
	authority := testkit.NewAuthority(t)
	cert, key := authority.ServerCert()
	s, log := serve(t, bus.ServerOptions{Listen: "127.0.0.1:0", CertFile: cert, KeyFile: key, CAFile: authority.CAFile()})
	log.Wait(t, 1, "message queue listening", "tls=true", "client_certificates=true")
	o, clientLog := options("tls://" + s.Addr())
	o.CAFile = authority.CAFile()
	unreachable(t, o, clientLog, "certificate required")
	stranger := testkit.NewAuthority(t)
	o.CertFile, o.KeyFile = stranger.ClientCert()
	unreachable(t, o, clientLog, "remote error: tls")
	o.CertFile, o.KeyFile = authority.ClientCert()
	carries(t, s, o)
	if lines := log.With("from everybody"); len(lines) > 0 {
		t.Errorf("%q", lines)
	}
}

// certificate returns the serial number of the certificate that a server shows.
func certificate(t *testing.T, s *bus.Server, authority *testkit.Authority) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 4096)); err != nil { // INFO
		t.Fatal(err)
	}
	session := tls.Client(conn, &tls.Config{RootCAs: authority.Pool(), ServerName: "localhost"})
	if err := session.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return session.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestCertificatesAreReloaded(t *testing.T) {
	authority := testkit.NewAuthority(t)
	cert, key := authority.ServerCert()
	s, _ := serve(t, bus.ServerOptions{Listen: "nats://u:p@127.0.0.1:0", CertFile: cert, KeyFile: key})
	o, log := options("tls://u:p@" + s.Addr())
	o.CAFile = authority.CAFile()
	in := subscribe(t, connect(t, o))
	frontend := inside(t, s, nil)
	before := certificate(t, s, authority)

	newCert, newKey := authority.ServerCert()
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	after := certificate(t, s, authority)
	if before == after {
		t.Errorf("it still shows certificate %s", after)
	}
	if err := os.WriteFile(cert, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil || !strings.Contains(err.Error(), "reloading the certificates of the message queue: ") {
		t.Errorf("got error %v", err)
	}
	testkit.Equal(t, certificate(t, s, authority), after)
	publish(t, frontend, "hello")
	in.want(t, "hello")
	if lines := log.With("Disconnected"); len(lines) > 0 {
		t.Errorf("a connection was lost: %q", lines)
	}
}

func TestEveryEventFits(t *testing.T) {
	s, _ := serve(t, bus.ServerOptions{})
	c := inside(t, s, nil)
	in := subscribe(t, c)
	largest := strings.Repeat("x", 2*event.MaxSize)
	publish(t, c, largest)
	testkit.Equal(t, testkit.Receive(t, in), largest)
	if err := c.PublishEvents(t.Context(), texts(largest+"x")); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("got error %v", err)
	}
	small, _ := serve(t, bus.ServerOptions{MaxPayload: 10})
	if err := inside(t, small, nil).PublishEvents(t.Context(), texts("12345678901")); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("got error %v", err)
	}
}

func TestAServerThatCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	authority := testkit.NewAuthority(t)
	cert, key := authority.ServerCert()
	_, otherKey := authority.ServerCert()
	garbage := write(t, "garbage", "not what you think")
	missing := filepath.Join(t.TempDir(), "missing")
	const some = "nats://u:s3cret@127.0.0.1:0"
	for name, c := range map[string]struct {
		o    bus.ServerOptions
		want string
	}{
		"port in use":       {bus.ServerOptions{Listen: "nats://u:s3cret@" + taken.Addr().String()}, "address already in use"},
		"foreign address":   {bus.ServerOptions{Listen: "192.0.2.1:0"}, "cannot assign requested address"},
		"cert missing":      {bus.ServerOptions{Listen: some, CertFile: missing, KeyFile: key}, "no such file"},
		"cert garbage":      {bus.ServerOptions{Listen: some, CertFile: garbage, KeyFile: key}, "PEM"},
		"key of another":    {bus.ServerOptions{Listen: some, CertFile: cert, KeyFile: otherKey}, "private key does not match public key"},
		"CA missing":        {bus.ServerOptions{Listen: some, CertFile: cert, KeyFile: key, CAFile: missing}, "no such file"},
		"CA garbage":        {bus.ServerOptions{Listen: some, CertFile: cert, KeyFile: key, CAFile: garbage}, "ca certificate"},
		"cert without key":  {bus.ServerOptions{Listen: some, CertFile: cert}, "must be given together"},
		"CA without cert":   {bus.ServerOptions{Listen: some, CAFile: cert}, "need a certificate of the server"},
		"TLS without cert":  {bus.ServerOptions{Listen: "tls://u:s3cret@127.0.0.1:0"}, "needs a certificate"},
		"payload too large": {bus.ServerOptions{MaxPayload: 8<<20 + 1}, "largest payload"},
		"payload negative":  {bus.ServerOptions{MaxPayload: -1}, "largest payload"},
		"scheme":            {bus.ServerOptions{Listen: "http://u:s3cret@h:1"}, "neither nats:// nor tls://"},
		"path":              {bus.ServerOptions{Listen: "nats://h:1/x"}, "or a path"},
		"query":             {bus.ServerOptions{Listen: "nats://h:1?s3cret"}, "or a path"},
		"port too large":    {bus.ServerOptions{Listen: "h:65536"}, "between 0 and 65535"},
		"port no number":    {bus.ServerOptions{Listen: "u:s3cret@h:x"}, "no address to listen on"},
		"list":              {bus.ServerOptions{Listen: "nats://u:s3cret@h:1,nats://h:2"}, "no address to listen on"},
		"bad escape":        {bus.ServerOptions{Listen: "nats://u:s3cret%zz@h:1"}, "percent-encode"},
		"no password":       {bus.ServerOptions{Listen: "nats://s3cret@127.0.0.1:0"}, "must be given together"},
		"empty password":    {bus.ServerOptions{Listen: "nats://s3cret:@127.0.0.1:0"}, "must be given together"},
		"no user":           {bus.ServerOptions{Listen: "nats://:s3cret@127.0.0.1:0"}, "must be given together"},
		"password too long": {bus.ServerOptions{Listen: "nats://u:s3cret" + strings.Repeat("x", 251) + "@127.0.0.1:0"}, "256 bytes"},
		"not UTF-8":         {bus.ServerOptions{Listen: "nats://u:s3cret%ff@127.0.0.1:0"}, "UTF-8"},
		"hash":              {bus.ServerOptions{Listen: "nats://u:$2a$11$s3cret@127.0.0.1:0"}, "bcrypt"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := bus.StartServer(c.o)
			if err == nil {
				end(t, s)
			}
			if err == nil || !strings.HasPrefix(err.Error(), "starting the message queue: ") || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got error %v, want one with %q", err, c.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("it shows the password: %v", err)
			}
		})
	}
}

func TestClosingAServer(t *testing.T) {
	s, _ := serve(t, bus.ServerOptions{Listen: "127.0.0.1:0"})
	o, log := options("nats://" + s.Addr())
	c := connect(t, o)
	in := subscribe(t, c)
	publish(t, inside(t, s, nil), "last")
	end(t, s)
	in.want(t, "last") // It was in the server's hands.
	log.Wait(t, 1, "Disconnected from NATS server")
	l, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	l.Close()
	end(t, s)
	if c.Connected() {
		t.Error("it is still connected")
	}
}

func TestConnectingInTheProcessToAServerThatHasEnded(t *testing.T) {
	s, _ := serve(t, bus.ServerOptions{})
	end(t, s)
	o, log := options("")
	o.Server = s
	unreachable(t, o, log, "in-process connection")
}

func TestTheNameOfAServer(t *testing.T) {
	s, _ := serve(t, bus.ServerOptions{Name: "node 1 \"x\"\n", Listen: "127.0.0.1:0"})
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	info := make([]byte, 4096)
	n, err := conn.Read(info)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(info[:n]), `"server_name":"node-1--x--"`) {
		t.Errorf("%s", info[:n])
	}
}

// FuzzQuote makes sure that a value in a configuration is that value and
// nothing else.
func FuzzQuote(f *testing.F) {
	for _, p := range passwords {
		f.Add(p)
	}
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, value string) {
		parse := func(text string) *server.Options {
			o := &server.Options{}
			if err := o.ProcessConfigString("host: " + text + "\nport: 1\n"); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return o
		}
		got := parse(bus.Quote(value))
		if got.Host != value {
			t.Errorf("%q became %q", value, got.Host)
		}
		got.Host = "h"
		if want := parse("h"); !reflect.DeepEqual(got, want) {
			t.Errorf("%q changed other values", value)
		}
	})
}

func TestTheLogOfAServer(t *testing.T) {
	log := new(testkit.Logbook)
	l := bus.NewServerLog(log.Logger())
	l.Fatalf("no %s", "start")
	if lines := log.With(); len(lines) > 0 {
		t.Errorf("logged what is returned: %q", lines)
	}
	l.Noticef("Server is %s", "ready")
	l.Warnf("Plaintext passwords detected, use nkeys or bcrypt")
	l.Debugf("debug")
	l.Tracef("CONNECT {\"pass\":\"s3cret\"}")
	testkit.Equal(t, len(log.With("level=DEBUG", "message queue server reports")), 3)
	l.Noticef("%s - Slow Consumer Detected: MaxPending of %d Exceeded", "127.0.0.1:1 - cid:1", 10)
	log.Wait(t, 1, "level=WARN", "Slow Consumer Detected: MaxPending of 10 Exceeded")
	l.Errorf("cid:1 - authentication error - %s", `User "s3cret \" s3cret"`)
	log.Wait(t, 1, "level=WARN", "authentication error - User")
	l.Errorf("%s", strings.Repeat("ä", 1000))
	for range 100 {
		l.Warnf("flood")
	}
	testkit.Equal(t, len(log.With("level=WARN")), 10)
	for _, line := range log.With() {
		if len(line) > 700 || strings.Contains(line, "s3cret") {
			t.Errorf("%s", line)
		}
	}

	quiet := new(testkit.Logbook)
	l = bus.NewServerLog(slog.New(slog.NewTextHandler(quiet, nil)))
	l.Debugf("debug")
	l.Noticef("notice")
	testkit.Equal(t, len(quiet.With()), 0)
}

func TestAFailedWriteEndsAConnection(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	if err := ours.SetWriteDeadline(start); err != nil { // long ago
		t.Fatal(err)
	}
	if n, err := bus.Wire(ours).Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d, %v", n, err)
	}
	if err := ours.SetWriteDeadline(start); err == nil {
		t.Error("the connection is still open")
	}
}

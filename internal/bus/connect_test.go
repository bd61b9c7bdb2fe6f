package bus_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

func TestT48TheServerIsRestarted(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	o.ReportInterval = 10 * time.Millisecond
	c := connect(t, o)
	in := subscribe(t, c)
	s.Publish(bus.EventsSubject, "before")
	in.want(t, "before")

	s.Stop()
	log.Wait(t, 1, "level=INFO", "Disconnected from NATS server", "reason=EOF")
	if c.Connected() {
		t.Error("a lost connection counts as connected")
	}
	log.Wait(t, 1, "level=WARN", "error from message queue, reconnecting", "connection refused")
	if err := c.PublishOverload(true); err != nil {
		t.Error(err)
	}
	s.Restart()
	log.Wait(t, 1, "level=INFO", "Reconnected to NATS server", s.Address())
	s.WaitForSubscribers(bus.EventsSubject, 1)
	s.Publish(bus.EventsSubject, "after")
	in.want(t, "after")
	stats := c.Stats()
	stats.Pending = 0 // The subscriber may be about to return.
	testkit.Equal(t, stats, bus.Stats{Connected: true, Disconnects: 1, Reconnects: 1, Received: 2})
}

func TestT49TheServerComesLater(t *testing.T) {
	s := natstest.Reserve(t, natstest.Options{})
	o, log := options(s.URL())
	connected := make(chan *bus.Conn, 1)
	go func() {
		c, err := bus.Connect(t.Context(), o)
		if err != nil {
			t.Error(err)
		}
		connected <- c
	}()
	log.Wait(t, 1, "level=WARN", "error from message queue, reconnecting", "no servers available", "connection refused", "attempt=1 ", "retry_in=5ms")
	log.Wait(t, 1, "attempt=3 ")
	s.Restart()
	c := testkit.Receive(t, connected)
	defer shut(t, c)
	log.Wait(t, 1, "level=INFO", "successfully connected to message queue", "nats://"+s.Address())
	in := subscribe(t, c)
	s.Publish(bus.EventsSubject, "hello")
	in.want(t, "hello")
}

func TestItTriesEveryThreeSeconds(t *testing.T) {
	s := natstest.Reserve(t, natstest.Options{})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour+time.Second)
		defer cancel()
		log := new(testkit.Logbook)
		_, err := bus.Connect(ctx, bus.Options{URL: s.URL(), Logger: log.Logger()})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v", err)
		}
		if n := len(log.With("level=WARN", "retry_in=3s")); n != 1201 {
			t.Errorf("it tried %d times in an hour", n)
		}
	})
}

func TestT50ServerLists(t *testing.T) {
	locked := natstest.Start(t, natstest.Options{User: "u", Password: "p"})
	open := natstest.Start(t, natstest.Options{})
	list := locked.URL() + "," + open.URL()
	o, _ := options(list)
	connect(t, o)

	down := natstest.Reserve(t, natstest.Options{})
	for _, list := range []string{
		down.URL() + "," + open.URL(),
		" " + down.URL() + " , ," + open.URL() + "/,",
		down.Address() + "," + open.Address(),
		"nats://u:p@" + down.Address() + "," + open.Address(),
	} {
		o, _ := options(list)
		works(t, open, o)
	}
	o, log := options(down.URL() + "," + locked.URL())
	works(t, locked, o)
	if lines := log.With("u:p"); len(lines) > 0 {
		t.Errorf("the log shows the password: %q", lines)
	}
}

func TestTheNextServerOfTheListTakesOver(t *testing.T) {
	first, second := natstest.Start(t, natstest.Options{}), natstest.Start(t, natstest.Options{})
	o, log := options(first.URL() + "," + second.URL())
	in := subscribe(t, connect(t, o))
	used, other := first, second
	if len(log.With("successfully connected", second.Address())) > 0 {
		used, other = second, first
	}
	used.Stop()
	other.WaitForSubscribers(bus.EventsSubject, 1)
	other.Publish(bus.EventsSubject, "hello")
	in.want(t, "hello")
}

func TestD27Credentials(t *testing.T) {
	const password = "s3cr=t/&?@,ö"
	for name, o := range map[string]natstest.Options{
		"user":  {User: "n0body", Password: password},
		"token": {Token: password},
	} {
		t.Run(name, func(t *testing.T) {
			s := natstest.Start(t, o)
			right, log := options(s.URL())
			works(t, s, right)

			wrong, wrongLog := options(strings.Replace(s.URL(), "s3cr", "s3cret", 1))
			unreachable(t, wrong, wrongLog, "Authorization Violation")
			wrongLog.Wait(t, 1, "nats://***@"+s.Address())
			for _, secret := range []string{"n0body", "s3cr", "ö", "%C3"} {
				if lines := append(log.With(secret), wrongLog.With(secret)...); len(lines) > 0 {
					t.Errorf("the log shows a secret: %q", lines)
				}
			}
		})
	}
}

// fickle refuses clients after the first: as many as it says.
type fickle struct {
	mu              sync.Mutex
	asked, refusals int
}

func (f *fickle) Check(server.ClientAuthentication) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.asked == 1 || f.asked > 1+f.refusals
}

func TestAPasswordThatIsPutRightLater(t *testing.T) {
	// The library would give up after two refusals.
	f := &fickle{refusals: 4}
	s := natstest.Start(t, natstest.Options{Configure: func(o *server.Options) { o.CustomClientAuthentication = f }})
	o, log := options(s.URL())
	in := subscribe(t, connect(t, o))
	s.Stop()
	s.Restart()
	s.WaitForSubscribers(bus.EventsSubject, 1)
	log.Wait(t, 1, "level=WARN", "authorization violation")
	s.Publish(bus.EventsSubject, "hello")
	in.want(t, "hello")
}

func TestTLS(t *testing.T) {
	s := natstest.Start(t, natstest.Options{TLS: true})
	for _, scheme := range []string{"tls", "nats"} {
		o, _ := options(scheme + "://" + s.Address())
		o.CAFile = s.CAFile()
		works(t, s, o)
	}
	stranger := natstest.Start(t, natstest.Options{TLS: true})
	for _, ca := range []string{"", stranger.CAFile()} {
		o, log := options(s.URL())
		o.CAFile = ca
		unreachable(t, o, log, "certificate signed by unknown authority")
	}
	plain := natstest.Start(t, natstest.Options{})
	o, log := options("tls://" + plain.Address())
	unreachable(t, o, log, "secure connection not available")
}

func TestClientCertificates(t *testing.T) {
	s := natstest.Start(t, natstest.Options{TLS: true, ClientCerts: true})
	o, log := options(s.URL())
	o.CAFile = s.CAFile()
	unreachable(t, o, log, "certificate required")
	o.CertFile, o.KeyFile = s.ClientCert()
	works(t, s, o)
}

// unreachable makes sure that connecting fails for a reason, again and again,
// until its context ends.
func unreachable(t *testing.T, o bus.Options, log *testkit.Logbook, reason string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		_, err := bus.Connect(ctx, o)
		failed <- err
	}()
	log.Wait(t, 1, "level=WARN", reason)
	log.Wait(t, 1, "attempt=2 ")
	cancel()
	if err := testkit.Receive(t, failed); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
}

func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) (key nkeys.KeyPair, public string) {
	t.Helper()
	key, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err = key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key, public
}

func TestAnNKeyFile(t *testing.T) {
	user, public := newKey(t, nkeys.CreateUser)
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	s := natstest.Start(t, natstest.Options{Configure: func(o *server.Options) {
		o.Nkeys = []*server.NkeyUser{{Nkey: public}}
	}})
	o, log := options(s.URL())
	unreachable(t, o, log, "Authorization Violation")
	o.NKeyFile = write(t, "user.nk", string(seed))
	subscribe(t, connect(t, o))
}

func TestACredsFile(t *testing.T) {
	operator, operatorID := newKey(t, nkeys.CreateOperator)
	account, accountID := newKey(t, nkeys.CreateAccount)
	user, userID := newKey(t, nkeys.CreateUser)
	encode := func(c jwt.Claims, key nkeys.KeyPair) string {
		text, err := c.Encode(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	creds, err := jwt.FormatUserConfig(encode(jwt.NewUserClaims(userID), account), seed)
	if err != nil {
		t.Fatal(err)
	}
	s := natstest.Start(t, natstest.Options{Configure: func(o *server.Options) {
		o.TrustedKeys = []string{operatorID}
		resolver := &server.MemAccResolver{}
		if err := resolver.Store(accountID, encode(jwt.NewAccountClaims(accountID), operator)); err != nil {
			t.Error(err)
		}
		o.AccountResolver = resolver
	}})
	o, log := options(s.URL())
	unreachable(t, o, log, "Authorization Violation")
	o.CredsFile = write(t, "user.creds", string(creds))
	subscribe(t, connect(t, o))
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOptionsThatCanNeverWorkAreAnErrorAtOnce(t *testing.T) {
	garbage := write(t, "garbage", "not what you think")
	missing := filepath.Join(t.TempDir(), "missing")
	for name, c := range map[string]struct {
		o    bus.Options
		want string
	}{
		"no server":        {bus.Options{}, "no server is given"},
		"empty list":       {bus.Options{URL: " , "}, "no server is given"},
		"no host":          {bus.Options{URL: "nats://"}, "not a valid URL"},
		"wrong scheme":     {bus.Options{URL: "nats://h,http://u:s3cret@h"}, `server 2 in "nats://h,http://***@h" has a scheme`},
		"bad password":     {bus.Options{URL: "nats://u:s3cret%zz@h"}, `server 1 in "nats://***@h" is not a valid URL`},
		"raw comma":        {bus.Options{URL: "nats://u:s3c,ret@h"}, `server 1 in "nats://***@h" is not a valid URL`},
		"creds missing":    {bus.Options{CredsFile: missing}, "no such file"},
		"creds garbage":    {bus.Options{CredsFile: garbage}, "creds file " + garbage},
		"nkey missing":     {bus.Options{NKeyFile: missing}, "no such file"},
		"nkey garbage":     {bus.Options{NKeyFile: garbage}, "nkey file " + garbage},
		"creds and nkey":   {bus.Options{CredsFile: garbage, NKeyFile: garbage}, "exclude each other"},
		"CA missing":       {bus.Options{CAFile: missing}, "no such file"},
		"CA garbage":       {bus.Options{CAFile: garbage}, "failed to parse root certificate"},
		"cert garbage":     {bus.Options{CertFile: garbage, KeyFile: garbage}, "error loading client certificate"},
		"cert without key": {bus.Options{CertFile: garbage}, "must be given together"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.o.URL == "" && !strings.Contains(c.want, "no server") {
				c.o.URL = "nats://127.0.0.1:1"
			}
			_, err := bus.Connect(t.Context(), c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3c") {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
}

// mute listens and never says a word. It reports each connection.
func mute(t *testing.T, address string) (url string, accepted <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	visits := make(chan struct{}, 1000)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			visits <- struct{}{}
		}
	}()
	return "nats://" + l.Addr().String(), visits
}

func TestASignalEndsConnecting(t *testing.T) {
	url, accepted := mute(t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(t.Context())
	o, _ := options(url)
	o.Timeout = time.Hour
	failed := make(chan error, 1)
	go func() {
		_, err := bus.Connect(ctx, o)
		failed <- err
	}()
	testkit.Receive(t, accepted)
	cancel()
	if err := testkit.Receive(t, failed); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
}

func TestCloseDoesNotWaitForAReconnect(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, log := options(s.URL())
	o.Timeout = time.Hour
	c, err := bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	in := subscribe(t, c)
	s.Publish(bus.EventsSubject, "last")
	in.want(t, "last")
	s.Stop()
	_, accepted := mute(t, s.Address())
	log.Wait(t, 1, "Disconnected from NATS server")
	testkit.Receive(t, accepted) // It is connecting now, and would for an hour.
	shut(t, c)
	if c.Connected() {
		t.Error("a closed connection counts as connected")
	}
	testkit.Receive(t, c.Closed())
}

func TestTheEndOfTheContextOfConnectIsNotTheEndOfTheConnection(t *testing.T) {
	s := natstest.Start(t, natstest.Options{})
	o, _ := options(s.URL())
	ctx, cancel := context.WithCancel(t.Context())
	c, err := bus.Connect(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, c)
	cancel()
	in := subscribe(t, c)
	s.Publish(bus.EventsSubject, "hello")
	in.want(t, "hello")
}

// hangUp is an answer of fake.
const hangUp = "hang up"

// fake is a server for one client that does what real ones do not. It answers
// each line of the client, after the greeting, with what answer returns, or
// hangs up.
func fake(t *testing.T, answer func(line string) string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var server sync.WaitGroup
	server.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "INFO {\"server_id\":\"x\",\"version\":\"2.0.0\",\"max_payload\":1048576}\r\n")
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			text := answer(lines.Text())
			if text == hangUp {
				return
			}
			fmt.Fprint(conn, text)
		}
	})
	t.Cleanup(func() {
		l.Close()
		server.Wait()
	})
	return "nats://" + l.Addr().String()
}

func TestAnEndThatNoReconnectHealsIsReported(t *testing.T) {
	hangUp := make(chan struct{})
	o, log := options(fake(t, func(line string) string {
		switch {
		case line == "PING":
			return "PONG\r\n"
		case strings.HasPrefix(line, "PUB"):
			<-hangUp
			return "-ERR 'We Are Closed'\r\n"
		}
		return ""
	}))
	c := connect(t, o)
	if err := c.PublishOverload(true); err != nil {
		t.Fatal(err)
	}
	close(hangUp)
	testkit.Receive(t, c.Closed())
	log.Wait(t, 1, "level=ERROR", "message queue ended the connection for good", "We Are Closed")
	if c.Connected() {
		t.Error("it counts as connected")
	}
}

func TestAServerThatNoLongerAnswersTakesHalfTheTimeToDrain(t *testing.T) {
	pings := 0
	o, _ := options(fake(t, func(line string) string {
		if line != "PING" {
			return ""
		}
		switch pings++; pings {
		case 1: // connect
			return "PONG\r\n"
		case 2: // subscribe
			return "MSG dsiem_events 1 5\r\nhello\r\nPONG\r\n"
		}
		return ""
	}))
	c, err := bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	b := block(t, c, 10)
	close(b.allow)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.Drain(ctx); err != nil {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Error("it took all the time there was")
	}
	testkit.Equal(t, testkit.Receive(t, b.began), "hello")
	if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v for signals that may not have been sent", err)
	}
}

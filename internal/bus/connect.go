package bus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"dsiem/internal/observe/log"
)

const (
	// A connection that a firewall forgot is noticed after pingInterval times
	// maxPings, not after the minutes that the library takes.
	pingInterval = 20 * time.Second
	maxPings     = 2

	// inProcessURL is what the library takes for the place of a server in this
	// process, and what logs show.
	inProcessURL = "nats://in-process"
)

// Connect connects to NATS. It tries until it succeeds or the
// context ends, with a warning for each failed attempt (docs/spec/interfaces.md
// §4.5); only options that can never work — a malformed URL, an unreadable file
// — are an error at once. The context does not limit the life of the
// connection. No error and no log line holds a password or token.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	o = o.withDefaults()
	c := &Conn{
		log:        o.Logger,
		timeout:    o.Timeout,
		dialer:     newDialer(ctx, o.Timeout),
		publisher:  newPublisher(o.FrontendID),
		arrivals:   newArrivals(time.Now()),
		warnings:   log.Limit{Burst: warningBurst, Per: o.ReportInterval},
		closed:     make(chan struct{}),
		stopReport: make(chan struct{}),
	}
	options, err := c.options(&o)
	if err == nil {
		c.nc, err = c.dial(ctx, &o, options)
	}
	if err != nil {
		c.dialer.cut()
		return nil, fmt.Errorf("connecting to the message queue: %w", err)
	}
	c.publisher.start(c, o.NumberInterval)
	c.log.Info("successfully connected to message queue", "url", log.Redact(c.nc.ConnectedUrl()))
	c.reporter.Go(func() { c.reports(o.ReportInterval) })
	return c, nil
}

// dial tries to connect until it succeeds or the context ends.
func (c *Conn) dial(ctx context.Context, o *Options, options nats.Options) (*nats.Conn, error) {
	c.isUp() // From here on the callbacks know.
	release := context.AfterFunc(ctx, c.dialer.cut)
	attempt := 0
	nc, err := backoff.Retry(ctx, func() (*nats.Conn, error) {
		attempt++
		nc, err := options.Connect()
		if cause := c.dialer.lastError(); cause != nil && errors.Is(err, nats.ErrNoServers) {
			err = fmt.Errorf("%w: %w", err, cause)
		}
		return nc, err
	}, backoff.WithBackOff(backoff.NewConstantBackOff(o.Retry)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, wait time.Duration) {
			c.log.Warn("error from message queue, reconnecting",
				"error", advise(err), "url", log.Redact(o.URL), "attempt", attempt, "retry_in", wait)
		}))
	if !release() && err == nil {
		c.closing.Store(true)
		nc.Close()
		return nil, context.Cause(ctx)
	}
	return nc, err
}

// options returns the library's options for ours.
func (c *Conn) options(o *Options) (nats.Options, error) {
	options := nats.GetDefaultOptions()
	set := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(o.Timeout),
		nats.SetCustomDialer(c.dialer),
		nats.SkipHostLookup(), // The dialer does it, and can be cancelled.
		nats.MaxReconnects(-1),
		nats.ReconnectWait(o.ReconnectWait),
		nats.ReconnectJitter(o.ReconnectWait/10, o.ReconnectWait/2),
		nats.IgnoreAuthErrorAbort(), // A password may be put right on the server.
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.FlusherTimeout(o.Timeout),
		nats.ReconnectBufSize(-1), // What cannot be sent now is an error now.
		nats.DisconnectErrHandler(c.onDisconnect),
		nats.ReconnectHandler(c.onReconnect),
		nats.ErrorHandler(c.onError),
		nats.ClosedHandler(c.onClosed),
	}
	if o.NoEcho {
		set = append(set, nats.NoEcho())
	}
	place, err := c.place(o)
	if err != nil {
		return options, err
	}
	options.Servers = place.servers
	for _, apply := range append(set, place.set...) {
		if err := apply(&options); err != nil {
			return options, err
		}
	}
	return options, nil
}

// place is where to connect.
type place struct {
	servers []string
	set     []nats.Option
}

// place returns where to connect and what to show there.
func (c *Conn) place(o *Options) (place, error) {
	if s := o.Server; s != nil {
		p := place{servers: []string{inProcessURL}, set: []nats.Option{nats.InProcessServer(inProcess{c.dialer, s})}}
		if s.login.user != "" {
			p.set = append(p.set, nats.UserInfo(s.login.user, s.login.password))
		}
		return p, nil
	}
	servers, err := servers(o.URL)
	if err != nil {
		return place{}, err
	}
	set, err := secrets(o)
	return place{servers, set}, err
}

// secrets returns the library's options for keys and certificates.
func secrets(o *Options) (set []nats.Option, err error) {
	if o.CredsFile != "" && o.NKeyFile != "" {
		return nil, errors.New("a creds file and an nkey file exclude each other")
	}
	if o.CredsFile != "" {
		if err := checkCreds(o.CredsFile); err != nil {
			return nil, fmt.Errorf("creds file %s: %w", o.CredsFile, err)
		}
		set = append(set, nats.UserCredentials(o.CredsFile))
	}
	if o.NKeyFile != "" {
		nkey, err := nats.NkeyOptionFromSeed(o.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nkey file %s: %w", o.NKeyFile, err)
		}
		set = append(set, nkey)
	}
	if o.CAFile != "" {
		set = append(set, nats.RootCAs(o.CAFile))
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("a client certificate and its key must be given together")
	}
	if o.CertFile != "" {
		set = append(set, nats.ClientCert(o.CertFile, o.KeyFile))
	}
	return set, nil
}

// checkCreds finds out at once what the library would only find at each
// attempt to connect.
func checkCreds(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if _, err := nkeys.ParseDecoratedJWT(content); err != nil {
		return err
	}
	key, err := nkeys.ParseDecoratedUserNKey(content)
	if err != nil {
		return err
	}
	key.Wipe()
	return nil
}

// servers splits a list of servers and checks each.
func servers(list string) ([]string, error) {
	var out []string
	for server := range strings.SplitSeq(list, ",") {
		server = strings.TrimSpace(server)
		if server == "" {
			continue
		}
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		out = append(out, server)
		// The parser's own error would show the password.
		u, err := url.Parse(server)
		switch {
		case err != nil || u.Hostname() == "":
			return nil, fmt.Errorf("server %d in %q is not a valid URL; write nats://host:4222, and percent-encode special characters in a password",
				len(out), log.Redact(list))
		case u.Scheme != "nats" && u.Scheme != "tls":
			return nil, fmt.Errorf("server %d in %q has a scheme that is neither nats:// nor tls://; write nats://HOST:4222 in --msq", len(out), log.Redact(list))
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no server is given")
	}
	return out, nil
}

func (c *Conn) onDisconnect(_ *nats.Conn, err error) {
	c.isDown()
	if c.closing.Load() {
		return
	}
	c.disconnects.Add(1)
	c.log.Info("Disconnected from NATS server", "reason", reason(err))
}

func (c *Conn) onReconnect(nc *nats.Conn) {
	c.publisher.largest.Store(nc.MaxPayload())
	c.publisher.silenced.Store(false)
	c.isUp()
	c.reconnects.Add(1)
	c.log.Info("Reconnected to NATS server", "url", log.Redact(nc.ConnectedUrl()))
	c.sendOverload()
}

// onError takes errors that belong to no call. Dropped messages are counted in
// the subscription and reported with their number.
func (c *Conn) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrSlowConsumer) && !c.numbersDenied(err) && c.warnings.Allow(time.Now()) {
		c.log.Warn("error from message queue", "error", err)
	}
}

func (c *Conn) onClosed(nc *nats.Conn) {
	c.isDown()
	if !c.closing.Load() {
		c.log.Error("message queue ended the connection for good, events that waited are lost", "error", reason(nc.LastError()))
	}
	close(c.closed)
}

func reason(err error) string {
	if err == nil {
		return "unknown"
	}
	return err.Error()
}

package bus

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nats-io/nats-server/v2/server"

	"dsiem/internal/observe/log"
)

const (
	defaultServerName = "dsiem"
	defaultPort       = "4222"
	anyHost           = "0.0.0.0"

	// maxLogin is the longest user or password, in bytes. Both must fit into
	// the line of 4 KiB in which a client logs in, where JSON may make six bytes
	// of one.
	maxLogin = 256

	// maxMaxPayload is where the library begins to warn.
	maxMaxPayload = 8 << 20
)

var (
	noServerName = regexp.MustCompile(`[^A-Za-z0-9._-]`)
	// hashed is how the server recognizes a password as the hash of one.
	hashed = regexp.MustCompile(`^\$2[abxy]\$\d{2}\$`)
)

// login is what clients must log in with; without user they need not.
type login struct{ user, password string }

// listenAddress is where a server listens; without host it does not.
type listenAddress struct {
	host, port string
	tls        bool // asked for by the scheme
}

// serverOptions returns the library's options for ours. They are made from a
// configuration text, the only form in which the library checks all of them.
func (o *ServerOptions) serverOptions() (*server.Options, login, error) {
	if err := o.check(); err != nil {
		return nil, login{}, err
	}
	address, login, err := parseListen(o.Listen)
	if err != nil {
		return nil, login, err
	}
	if address.tls && o.CertFile == "" {
		return nil, login, fmt.Errorf("%q needs a certificate", log.Redact(o.Listen))
	}
	options := &server.Options{NoSigs: true, NoLog: true, DontListen: address.host == ""}
	if err := options.ProcessConfigString(o.configuration(address, login)); err != nil {
		return nil, login, err
	}
	return options, login, nil
}

func (o *ServerOptions) check() error {
	switch {
	case (o.CertFile == "") != (o.KeyFile == ""):
		return errors.New("a certificate and its key must be given together")
	case o.CAFile != "" && o.CertFile == "":
		return errors.New("client certificates need a certificate of the server")
	case o.MaxPayload < 0 || o.MaxPayload > maxMaxPayload:
		return fmt.Errorf("the largest payload must be between 1 byte and %d, not %d", maxMaxPayload, o.MaxPayload)
	}
	return nil
}

// configuration returns the text of the server's configuration.
func (o *ServerOptions) configuration(address listenAddress, login login) string {
	maxPayload := cmp.Or(o.MaxPayload, defaultMaxPayload)
	name := noServerName.ReplaceAllString(cmp.Or(o.Name, defaultServerName), "-")
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %s\n", quote(name))
	fmt.Fprintf(&b, "max_payload: %d\nmax_pending: %d\n", maxPayload, max(maxPayload, defaultMaxPayload)*pendingPayloads)
	fmt.Fprintf(&b, "ping_interval: %s\nping_max: %d\n", quote(pingInterval.String()), maxPings)
	if address.host == "" {
		return b.String()
	}
	fmt.Fprintf(&b, "host: %s\nport: %s\n", quote(address.host), address.port)
	if login.user != "" {
		fmt.Fprintf(&b, "authorization {\nuser: %s\npassword: %s\n}\n", quote(login.user), quote(login.password))
	}
	if o.CertFile != "" {
		fmt.Fprintf(&b, "tls {\ncert_file: %s\nkey_file: %s\ntimeout: 5\n", quote(o.CertFile), quote(o.KeyFile))
		if o.CAFile != "" {
			fmt.Fprintf(&b, "ca_file: %s\nverify: true\n", quote(o.CAFile))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// quote returns a text as a string of the server's configuration. All but the
// most harmless characters are escaped: the language knows variables, includes
// and comments, and what it takes for one is up to the library.
func quote(text string) string {
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 2+4*len(text))
	b = append(b, '"')
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			b = append(b, c)
		} else {
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		}
	}
	return string(append(b, '"'))
}

// parseListen takes ServerOptions.Listen apart.
func parseListen(listen string) (listenAddress, login, error) {
	if listen == "" {
		return listenAddress{}, login{}, nil
	}
	text := listen
	if !strings.Contains(text, "://") {
		text = "nats://" + text
	}
	if rest, ok := strings.CutSuffix(strings.TrimSuffix(text, "/"), ":-1"); ok {
		text = rest + ":0" // A URL knows no negative port.
	}
	u, err := url.Parse(text)
	if err != nil { // The parser's own error would show the password.
		return listenAddress{}, login{}, fmt.Errorf("%q is no address to listen on; write host:port or nats://user:password@host:port, and percent-encode special characters in a password",
			log.Redact(listen))
	}
	if u.Scheme != "nats" && u.Scheme != "tls" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return listenAddress{}, login{}, fmt.Errorf("%q is no address to listen on: it has a scheme that is neither nats:// nor tls://, or a path", log.Redact(listen))
	}
	address, err := listenOn(u)
	if err != nil {
		return listenAddress{}, login{}, fmt.Errorf("%q is no address to listen on: %w", log.Redact(listen), err)
	}
	login, err := loginOf(u)
	if err != nil {
		return listenAddress{}, login, fmt.Errorf("%q: %w", log.Redact(listen), err)
	}
	return address, login, nil
}

func listenOn(u *url.URL) (listenAddress, error) {
	a := listenAddress{host: cmp.Or(u.Hostname(), anyHost), port: cmp.Or(u.Port(), defaultPort), tls: u.Scheme == "tls"}
	port, err := strconv.ParseUint(a.port, 10, 16)
	if err != nil {
		return a, errors.New("the port is not between 0 and 65535")
	}
	if port == 0 {
		a.port = strconv.Itoa(server.RANDOM_PORT)
	}
	if strings.ContainsAny(a.host, ":") && net.ParseIP(a.host) == nil && !strings.Contains(a.host, "%") {
		return a, errors.New("the host is no IPv6 address")
	}
	return a, nil
}

// loginOf returns what clients have to log in with. It refuses what the server
// would take and then let nobody in with.
func loginOf(u *url.URL) (login, error) {
	if u.User == nil {
		return login{}, nil
	}
	password, given := u.User.Password()
	l := login{user: u.User.Username(), password: password}
	switch {
	case l.user == "" || !given || password == "":
		return login{}, errors.New("user and password must be given together")
	case len(l.user) > maxLogin || len(password) > maxLogin:
		return login{}, fmt.Errorf("user and password may have %d bytes each", maxLogin)
	case !utf8.ValidString(l.user) || !utf8.ValidString(password):
		return login{}, errors.New("user and password must be UTF-8")
	case hashed.MatchString(password):
		return login{}, errors.New("the password looks like a bcrypt hash, write the password itself")
	}
	return l, nil
}

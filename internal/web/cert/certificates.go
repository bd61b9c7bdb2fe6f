// Package cert holds the certificate and key of a server, and reads them again
// when their files change.
//
// Certificates own what they read and are safe for concurrent use. They keep
// what they have when new files are bad, and never serve, verify or make a
// certificate.
package cert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"dsiem/internal/watch"
)

const (
	// expirySoon is how long before its end a certificate is warned about, and
	// expiryInterval the time between two warnings.
	expirySoon     = 14 * 24 * time.Hour
	expiryInterval = 24 * time.Hour
)

// Certificates hold the certificate of a server, with its chain, and its key. A
// nil Certificates is a server without TLS.
type Certificates struct {
	log      *slog.Logger
	certFile string
	keyFile  string
	watch    watch.Watch
	current  atomic.Pointer[tls.Certificate]

	// The last warning about the expiry, and when it was. They belong to Run.
	warning string
	warned  time.Time
}

// Load reads a certificate, followed by those that lead to its
// authority, and its key, in PEM. It returns nil if both names are empty. It
// fails if the two do not belong together; a certificate that has expired is
// used, with a warning, for it may be the clock that is wrong.
func Load(certFile, keyFile string, logger *slog.Logger) (*Certificates, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil //nolint:nilnil // a nil Certificates is a server without TLS
	case keyFile == "":
		return nil, errors.New("loading the TLS certificate: there is a certificate file but no key file")
	case certFile == "":
		return nil, errors.New("loading the TLS certificate: there is a key file but no certificate file")
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	c := &Certificates{log: logger, certFile: certFile, keyFile: keyFile}
	c.watch = watch.Watch{Files: []string{certFile, keyFile}, Apply: c.apply, Reject: c.reject}
	if err := c.watch.Load(); err != nil {
		return nil, fmt.Errorf("loading the TLS certificate: %w", err)
	}
	return c, nil
}

// apply takes a new pair into use.
func (c *Certificates) apply(contents [][]byte) error {
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return fmt.Errorf("%s and %s: %w", c.certFile, c.keyFile, err)
	}
	c.current.Store(&pair)
	c.log.Info("TLS certificate loaded", "file", c.certFile, "subject", pair.Leaf.Subject.String(), "names", pair.Leaf.DNSNames,
		"not_before", pair.Leaf.NotBefore, "not_after", pair.Leaf.NotAfter)
	if info, err := os.Stat(c.keyFile); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o006 != 0 {
		c.log.Warn("every user of this machine can read or change the TLS key; take these permissions away",
			"file", c.keyFile, "mode", fmt.Sprintf("%#o", info.Mode().Perm()))
	}
	c.warning = ""
	c.checkExpiry()
	return nil
}

// reject logs why changed files are not used.
func (c *Certificates) reject(err error) {
	c.log.Error("error reloading the TLS certificate, the old one stays", "error", err, "not_after", c.NotAfter())
}

// checkExpiry warns about a certificate that clients will not take, or soon will
// not: when that begins, and once a day.
func (c *Certificates) checkExpiry() {
	now, leaf := time.Now(), c.current.Load().Leaf
	var warning string
	switch {
	case now.After(leaf.NotAfter):
		warning = "the TLS certificate has expired"
	case now.Before(leaf.NotBefore):
		warning = "the TLS certificate is not valid yet"
	case leaf.NotAfter.Sub(now) < expirySoon:
		warning = "the TLS certificate expires soon"
	}
	if warning == c.warning && now.Sub(c.warned) < expiryInterval {
		return
	}
	c.warning, c.warned = warning, now
	if warning != "" {
		c.log.Warn(warning, "file", c.certFile, "not_before", leaf.NotBefore, "not_after", leaf.NotAfter) //nolint:sloglint // one of three constants
	}
}

// TLSConfig returns the settings of a server that uses the certificate: TLS 1.2
// and newer, HTTP/2 and HTTP/1.1. New connections get a new certificate as soon
// as it is loaded. It is nil if c is.
func (c *Certificates) TLSConfig() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}

// NotAfter returns the time until which the certificate is valid, zero without
// one.
func (c *Certificates) NotAfter() time.Time {
	if c == nil {
		return time.Time{}
	}
	return c.current.Load().Leaf.NotAfter
}

// Run reads the files again within two seconds after their content has changed,
// until the end of ctx, and warns once a day of a certificate that expires
// within 14 days. Files that do not belong together, as when one of them is
// new, change nothing, and are logged once if they stay so. It always returns
// nil.
func (c *Certificates) Run(ctx context.Context) error {
	if c == nil {
		<-ctx.Done()
		return nil
	}
	c.watch.Run(ctx, c.checkExpiry)
	return nil
}

// Reload looks at once whether the files have changed. Nil Certificates have none.
func (c *Certificates) Reload() {
	if c != nil {
		c.watch.Poll()
	}
}

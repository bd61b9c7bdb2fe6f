package cert_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/web/cert"
	"dsiem/internal/web/server"
	"dsiem/test/testkit"
)

// client returns a client that trusts an authority and makes a connection for
// each request.
func client(a *testkit.Authority, versions ...uint16) *http.Client {
	config := &tls.Config{RootCAs: a.Pool()}
	for _, v := range versions {
		config.MinVersion, config.MaxVersion = v, v
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
}

// pairFiles names the files of a certificate and its key.
func pairFiles(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	return filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
}

// listen starts a server of server.New over TLS until the end of the test.
func listen(t *testing.T, certs *cert.Certificates, logger *slog.Logger) (url string) {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := server.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s", r.Proto, tls.VersionName(r.TLS.Version))
	}), logger)
	srv.TLSConfig = certs.TLSConfig()
	ended := make(chan error, 1)
	go func() { ended <- srv.ServeTLS(server.LimitConnections(l, 100), "", "") }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return "https://" + l.Addr().String()
}

// fetch returns the body of an answer and the name of the server's certificate.
func fetch(ctx context.Context, client *http.Client, url string) (body, name string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), resp.TLS.PeerCertificates[0].Subject.CommonName, err
}

func TestServerSpeaksTLSAndFollowsItsCertificate(t *testing.T) {
	t.Parallel()
	a := testkit.NewAuthority(t)
	certFile, keyFile := pairFiles(t)
	chain, key := a.ServerPEM("first", time.Hour)
	testkit.WriteFile(t, certFile, chain)
	testkit.WriteFile(t, keyFile, key)
	log := new(testkit.Logbook)
	certs, err := cert.Load(certFile, keyFile, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, certs)
	url := listen(t, certs, log.Logger())

	for version, want := range map[uint16]string{tls.VersionTLS12: "HTTP/2.0 TLS 1.2", tls.VersionTLS13: "HTTP/2.0 TLS 1.3"} {
		if body, name, err := fetch(t.Context(), client(a, version), url); body != want || name != "first" || err != nil {
			t.Errorf("%s: %q from %q, %v", tls.VersionName(version), body, name, err)
		}
	}
	old := client(a)
	old.Transport = &http.Transport{TLSClientConfig: client(a).Transport.(*http.Transport).TLSClientConfig, DisableKeepAlives: true}
	if body, _, err := fetch(t.Context(), old, url); body != "HTTP/1.1 TLS 1.3" || err != nil {
		t.Errorf("HTTP/1.1: %q, %v", body, err)
	}
	if body, _, err := fetch(t.Context(), client(a, tls.VersionTLS11), url); err == nil {
		t.Errorf("TLS 1.1: %q", body)
	}
	log.Wait(t, 1, "level=WARN", `msg="error in a TLS handshake"`, "unsupported versions")

	// The files come one after the other, and requests never fail meanwhile.
	chain, key = a.ServerPEM("second", time.Hour)
	testkit.WriteFile(t, certFile, chain)
	testkit.WriteFile(t, keyFile, key)
	by, name := client(a), ""
	testkit.Eventually(t, "the new certificate is used", func() bool {
		var err error
		if _, name, err = fetch(t.Context(), by, url); err != nil {
			t.Fatal(err)
		}
		return name == "second"
	})
	if n := len(log.With("level=INFO", "TLS certificate loaded")); n != 2 {
		t.Errorf("loaded %d times", n)
	}
	if lines := log.With("level=ERROR"); len(lines) > 0 {
		t.Errorf("logged %q", lines)
	}
}

func TestBadCertificatesChangeNothing(t *testing.T) {
	t.Parallel()
	certFile, keyFile := pairFiles(t)
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewAuthority(t)
		chain, key := a.ServerPEM("first", 90*24*time.Hour)
		testkit.WriteFile(t, certFile, chain)
		testkit.WriteFile(t, keyFile, key)
		log := new(testkit.Logbook)
		certs, err := cert.Load(certFile, keyFile, log.Logger())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Run(t, certs)
		config := certs.TLSConfig()
		name := func() string {
			pair, err := config.GetCertificate(nil)
			if err != nil {
				t.Fatal(err)
			}
			return pair.Leaf.Subject.CommonName
		}
		if end := certs.NotAfter(); !end.Equal(time.Now().Add(90 * 24 * time.Hour).Truncate(time.Second)) {
			t.Errorf("valid until %v", end)
		}
		newCert, newKey := a.ServerPEM("second", 10*24*time.Hour)
		testkit.Pass(time.Second)
		for i, step := range []struct{ cert, key, name, problem string }{
			{newCert, key, "first", "private key does not match public key"},
			{newCert[:100], newKey, "first", "failed to find any PEM data in certificate input"},
			{newCert, "", "first", "failed to find any PEM data in key input"},
			{chain, key, "first", ""},
			{newCert, newKey, "second", ""},
		} {
			testkit.WriteFile(t, certFile, step.cert)
			testkit.WriteFile(t, keyFile, step.key)
			before := len(log.With("level=ERROR"))
			testkit.Pass(10 * time.Second)
			if name() != step.name {
				t.Errorf("step %d: %s is in use", i, name())
			}
			lines := log.With("level=ERROR")[before:]
			if step.problem == "" && len(lines) > 0 || step.problem != "" && (len(lines) != 1 ||
				!strings.Contains(lines[0], "error reloading the TLS certificate, the old one stays") || !strings.Contains(lines[0], step.problem)) {
				t.Errorf("step %d: logged %q", i, lines)
			}
		}
		if lines := log.With("PRIVATE KEY"); len(lines) > 0 || len(log.With(strings.TrimSpace(key[40:80]))) > 0 {
			t.Errorf("the log shows the key: %q", lines)
		}
	})
}

func TestExpiryIsToldInTime(t *testing.T) {
	t.Parallel()
	certFile, keyFile := pairFiles(t)
	synctest.Test(t, func(t *testing.T) {
		a := testkit.NewAuthority(t)
		chain, key := a.ServerPEM("server", (14*24+1)*time.Hour)
		testkit.WriteFile(t, certFile, chain)
		testkit.WriteFile(t, keyFile, key)
		log := new(testkit.Logbook)
		certs, err := cert.Load(certFile, keyFile, log.Logger())
		if err != nil {
			t.Fatal(err)
		}
		testkit.Run(t, certs)
		for i, wait := range []time.Duration{59 * time.Minute, 2 * time.Minute, time.Hour} {
			testkit.Pass(wait)
			if lines := log.With("level=WARN", "the TLS certificate expires soon", "tls.crt"); len(lines) != min(i, 1) {
				t.Errorf("%v: warnings %q", time.Now(), lines)
			}
		}
	})
}

func TestLoadCertificatesNeedsAPairThatBelongsTogether(t *testing.T) {
	t.Parallel()
	a := testkit.NewAuthority(t)
	chain, key := a.ServerPEM("one", time.Hour)
	_, otherKey := a.ServerPEM("two", time.Hour)
	oldCert, oldKey := a.ServerPEM("old", -time.Hour)
	certFile, keyFile := pairFiles(t)
	for _, c := range []struct{ cert, key, problem, warning string }{
		{chain, key, "", "the TLS certificate expires soon"},
		{oldCert, oldKey, "", "the TLS certificate has expired"},
		{chain, otherKey, "private key does not match public key", ""},
		{key, chain, "failed to find certificate PEM data in certificate input, but did find a private key", ""},
		{chain, "", "failed to find any PEM data in key input", ""},
		{"x", key, "failed to find any PEM data in certificate input", ""},
		{strings.Replace(chain, "\n", "\nAAAA", 1), key, "x509: malformed certificate", ""},
	} {
		testkit.WriteFile(t, certFile, c.cert)
		testkit.WriteFile(t, keyFile, c.key)
		log := new(testkit.Logbook)
		certs, err := cert.Load(certFile, keyFile, log.Logger())
		switch {
		case c.problem != "":
			if err == nil || !strings.HasPrefix(err.Error(), "loading the TLS certificate: ") || !strings.Contains(err.Error(), c.problem) || certs != nil {
				t.Errorf("error %v, want %s", err, c.problem)
			}
		case err != nil || len(log.With("level=WARN", c.warning)) != 1:
			t.Errorf("error %v, want the warning %q in %q", err, c.warning, log.With())
		}
	}
	testkit.WriteFile(t, certFile, chain)
	testkit.WriteFile(t, keyFile, key)
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	log := new(testkit.Logbook)
	if _, err := cert.Load(certFile, keyFile, log.Logger()); err != nil || len(log.With("level=WARN", "every user of this machine", "tls.key")) != 1 {
		t.Errorf("a key that everybody can read: %v, %q", err, log.With())
	}
	if _, err := cert.Load(certFile, keyFile+"x", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no key file: %v", err)
	}
	for _, names := range [][2]string{{certFile, ""}, {"", keyFile}} {
		if _, err := cert.Load(names[0], names[1], nil); err == nil || !strings.Contains(err.Error(), " but no ") {
			t.Errorf("%q: %v", names, err)
		}
	}
}

func TestNoCertificatesAreNoTLS(t *testing.T) {
	t.Parallel()
	certs, err := cert.Load("", "", nil)
	if certs != nil || err != nil || certs.TLSConfig() != nil || !certs.NotAfter().IsZero() {
		t.Errorf("%v, %v", certs, err)
	}
	testkit.Run(t, certs)
}

// What a server says about its connections, as log lines.
func TestServerLogsInTheLogger(t *testing.T) {
	t.Parallel()
	log := new(testkit.Logbook)
	srv := server.New(nil, log.Logger())
	for _, c := range []struct{ in, want string }{
		{"http: TLS handshake error from 10.0.0.1:5: EOF\n", `level=DEBUG msg="TLS handshake not begun" error="http: TLS handshake error from 10.0.0.1:5: EOF"`},
		{"http: TLS handshake error from 10.0.0.1:5: remote error: tls: bad certificate\n", `level=WARN msg="error in a TLS handshake" error=`},
		{"http: panic serving 10.0.0.1:5: x\ngoroutine 1\n", `level=ERROR msg="an HTTP request failed, this is a mistake in the program" error="http: panic serving 10.0.0.1:5: x\ngoroutine 1"`},
		{"http: Accept error: too many open files; retrying in 5ms\n", `level=WARN msg="error serving HTTP" error="http: Accept error`},
	} {
		if err := srv.ErrorLog.Output(1, c.in); err != nil {
			t.Error(err)
		}
		lines := log.With()
		if last := lines[len(lines)-1]; !strings.Contains(last, c.want) {
			t.Errorf("%q is logged as %s", c.in, last)
		}
	}
	if silent := server.New(nil, nil).ErrorLog; silent == nil || silent.Writer() == os.Stderr {
		t.Error("without a logger it is not silent")
	}
}

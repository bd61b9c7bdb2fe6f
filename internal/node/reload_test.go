package node

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dsiem/internal/sample"
	"dsiem/test/testkit"
)

// commonName returns the name in the certificate of a server with an address.
// greeting is whether the server says a line before TLS begins.
func commonName(t *testing.T, a *testkit.Authority, address string, greeting bool) string {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	testkit.Check(t, err)
	defer conn.Close()
	if greeting {
		_, err := bufio.NewReader(conn).ReadString('\n')
		testkit.Check(t, err)
	}
	secured := tls.Client(conn, &tls.Config{RootCAs: a.Pool(), ServerName: "localhost"})
	testkit.Check(t, secured.HandshakeContext(t.Context()))
	return secured.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// Rights and certificates that have changed are in use when Reload returns.
func TestReloadTakesChangedFilesIntoUseAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := testkit.NewAuthority(t)
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	certify := func(name string) {
		certText, keyText := authority.ServerPEM(name, time.Hour)
		testkit.WriteFile(t, cert, certText)
		testkit.WriteFile(t, key, keyText)
	}
	certify("first")
	o := &Options{
		Mode: ModeStandalone, Node: "node", ConfigDir: filepath.Join(dir, "configs"), LogDir: filepath.Join(dir, "logs"), MaxQueue: 1,
		HTTP:   HTTPOptions{Address: "127.0.0.1", MaxBody: 10 << 20, CertFile: cert, KeyFile: key},
		Listen: NATSListenOptions{URL: "127.0.0.1:0", CertFile: cert, KeyFile: key}, Version: "test", Fsync: "never", Out: io.Discard,
		Statuses: []string{"Open"}, Tags: []string{"Identified Threat"},
	}
	protected(t, o)
	_, err := sample.Write(o.ConfigDir)
	testkit.Check(t, err)
	n := New(o)
	testkit.Check(t, n.Start(t.Context()))
	t.Cleanup(func() { testkit.Check(t, n.Stop(context.Background())) })

	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool()}, DisableKeepAlives: true}}
	want := func(name string, metrics int) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL()+"/metrics", http.NoBody)
		testkit.Check(t, err)
		request.Header.Set("Authorization", "Bearer "+readersToken)
		answer, err := client.Do(request)
		testkit.Check(t, err)
		defer answer.Body.Close()
		if answer.StatusCode != metrics {
			t.Errorf("/metrics: status %d, want %d", answer.StatusCode, metrics)
		}
		testkit.Equal(t, commonName(t, authority, n.frontend.listener.Addr().String(), false), name)
		testkit.Equal(t, commonName(t, authority, n.nats.Addr(), true), name)
	}
	want("first", http.StatusForbidden)
	certify("second")
	testkit.WriteFile(t, o.HTTP.AuthFile, strings.Replace(readersRights, "config-read", "diagnostics", 1))
	n.Reload()
	want("second", http.StatusOK)
}

// A node without such files has nothing to read again.
func TestReloadOfABackendDoesNothing(t *testing.T) {
	t.Parallel()
	New(&Options{Mode: ModeBackend, Out: io.Discard}).Reload()
}

package natstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a certificate authority for one test. Its certificates are for
// localhost and the loopback addresses.
type Authority struct {
	tb     testing.TB
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	server tls.Certificate
	file   string // of cert
	serial int64
}

// NewAuthority returns an authority that nobody trusts yet.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{tb: tb, key: newKey(tb)}
	template := a.template("bustest authority")
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign
	template.BasicConstraintsValid = true
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	check(tb, err)
	a.cert, err = x509.ParseCertificate(der)
	check(tb, err)
	a.file = writePEM(tb, "ca.pem", "CERTIFICATE", der)
	a.server = a.sign(x509.ExtKeyUsageServerAuth)
	return a
}

func (a *Authority) template(name string) *x509.Certificate {
	a.serial++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

// CAFile returns a PEM file with the authority's certificate.
func (a *Authority) CAFile() string { return a.file }

// ServerCert returns PEM files with a new certificate for a server, and its key.
func (a *Authority) ServerCert() (certFile, keyFile string) {
	a.tb.Helper()
	return a.files("server", a.sign(x509.ExtKeyUsageServerAuth))
}

// ClientCert returns PEM files with a new certificate for a client, and its key.
func (a *Authority) ClientCert() (certFile, keyFile string) {
	a.tb.Helper()
	return a.files("client", a.sign(x509.ExtKeyUsageClientAuth))
}

// sign makes a certificate for localhost.
func (a *Authority) sign(usage x509.ExtKeyUsage) tls.Certificate {
	a.tb.Helper()
	key := newKey(a.tb)
	template := a.template("localhost")
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	check(a.tb, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *Authority) files(name string, cert tls.Certificate) (certFile, keyFile string) {
	a.tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	check(a.tb, err)
	return writePEM(a.tb, name+".pem", "CERTIFICATE", cert.Certificate[0]),
		writePEM(a.tb, name+"-key.pem", "PRIVATE KEY", der)
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(tb, err)
	return key
}

func writePEM(tb testing.TB, name, kind string, der []byte) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), name)
	check(tb, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

package testkit

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
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Authority is a certificate authority for one test. Its certificates are for
// localhost and the loopback addresses.
type Authority struct {
	tb     testing.TB
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	serial int64
	file   func() string // writes cert, once
}

// day is how long certificates are valid whose time is of no interest.
const day = 24 * time.Hour

// NewAuthority returns an authority that nobody trusts yet.
func NewAuthority(tb testing.TB) *Authority {
	tb.Helper()
	a := &Authority{tb: tb}
	template := a.template("authority", 100*day)
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign
	template.BasicConstraintsValid = true
	var der []byte
	der, a.key = a.sign(template)
	var err error
	a.cert, err = x509.ParseCertificate(der)
	Check(tb, err)
	a.file = sync.OnceValue(func() string { return a.write("ca.pem", encode("CERTIFICATE", der)) })
	return a
}

func (a *Authority) template(name string, life time.Duration) *x509.Certificate {
	a.serial++
	now := time.Now()
	end := now.Add(life)
	begin := now.Add(-time.Hour)
	if life < 0 {
		begin = end.Add(-time.Hour)
	}
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, NotBefore: begin, NotAfter: end,
	}
}

// sign makes a certificate, which signs itself if there is none yet.
func (a *Authority) sign(template *x509.Certificate) (der []byte, key *ecdsa.PrivateKey) {
	a.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Check(a.tb, err)
	parent, by := a.cert, a.key
	if parent == nil {
		parent, by = template, key
	}
	der, err = x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
	Check(a.tb, err)
	return der, key
}

// issue makes a certificate for localhost.
func (a *Authority) issue(name string, life time.Duration, usage x509.ExtKeyUsage) tls.Certificate {
	a.tb.Helper()
	template := a.template(name, life)
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	der, key := a.sign(template)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Pool returns the authority alone, for those who trust it.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// CAFile returns a PEM file with the authority's certificate.
func (a *Authority) CAFile() string { return a.file() }

// Server returns a new certificate for a server, with its key.
func (a *Authority) Server() tls.Certificate {
	a.tb.Helper()
	return a.issue("localhost", day, x509.ExtKeyUsageServerAuth)
}

// ServerPEM returns a new certificate for a server, and its key. It has a common
// name and ends after a time, which may be over.
func (a *Authority) ServerPEM(name string, life time.Duration) (cert, key string) {
	a.tb.Helper()
	return a.pem(a.issue(name, life, x509.ExtKeyUsageServerAuth))
}

// ServerCert returns PEM files with a new certificate for a server, and its key.
func (a *Authority) ServerCert() (certFile, keyFile string) {
	a.tb.Helper()
	return a.files("server", a.Server())
}

// ClientCert returns PEM files with a new certificate for a client, and its key.
func (a *Authority) ClientCert() (certFile, keyFile string) {
	a.tb.Helper()
	return a.files("client", a.issue("localhost", day, x509.ExtKeyUsageClientAuth))
}

func (a *Authority) files(name string, pair tls.Certificate) (certFile, keyFile string) {
	a.tb.Helper()
	cert, key := a.pem(pair)
	return a.write(name+".pem", cert), a.write(name+"-key.pem", key)
}

func (a *Authority) pem(pair tls.Certificate) (cert, key string) {
	a.tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	Check(a.tb, err)
	return encode("CERTIFICATE", pair.Certificate[0]), encode("PRIVATE KEY", der)
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (a *Authority) write(name, text string) (file string) {
	a.tb.Helper()
	file = filepath.Join(a.tb.TempDir(), name)
	WriteFile(a.tb, file, text)
	return file
}

package bus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/nats-io/nats.go"
)

// advise returns why a server was not reached, with what an operator can do about it.
func advise(err error) error {
	_, isPlain := errors.AsType[tls.RecordHeaderError](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, isAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, isNetwork := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return fmt.Errorf("%w; put the right user and password into --msq or DSIEM_MSQ, or use --nats-creds or --nats-nkey", err)
	case isPlain, errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("%w; the server speaks no TLS: write nats:// in --msq, or give the server a certificate", err)
	case errors.Is(err, nats.ErrSecureConnRequired):
		return fmt.Errorf("%w; write tls:// in --msq", err)
	case isAuthority:
		return fmt.Errorf("%w; name the certificate of its authority with --nats-ca", err)
	case isCertificate:
		return fmt.Errorf("%w; correct the certificate of the server, or the name in --msq", err)
	case isNetwork:
		return fmt.Errorf("%w; start the NATS server, or correct --msq", err)
	}
	return err
}

package confdist

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// adviceOf returns what an operator can do about a status with which a frontend
// refuses.
func adviceOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "; put a name and a password or token that the frontend knows into --frontend, as in http://NAME:TOKEN@HOST:PORT"
	case http.StatusForbidden:
		return "; give the user the right config-read at the frontend"
	case http.StatusBadRequest:
		return "; if the frontend has a certificate, write https:// in --frontend"
	case http.StatusNotFound:
		return "; correct the address in --frontend"
	}
	if status >= http.StatusInternalServerError {
		return "; the log of the frontend says why"
	}
	return ""
}

// advise returns an error of a request with what an operator can do about it.
func advise(err error) error {
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, isNetwork := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%w; write http:// in --frontend", err)
	case isCertificate:
		return fmt.Errorf("%w; let this machine trust who has issued it, as with the variable SSL_CERT_FILE, or correct the name in --frontend", err)
	case isNetwork:
		return fmt.Errorf("%w; start the frontend, or correct --frontend", err)
	}
	return err
}

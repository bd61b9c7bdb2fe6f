// Package fetch has what requests to other machines have in common: look-ups and
// downloads ask one server and nobody else, and nothing that a server answers can
// bring a key of the request into a log.
//
// It keeps no state and makes no requests itself.
package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// maxHeader is the size in bytes of the header of an answer, beyond which it is none.
const maxHeader = 64 << 10

// Transport returns a transport that uses the proxies of the environment and reads
// answers with headers of a bounded size. Its owner may change it before it is used,
// and calls CloseIdleConnections at the end.
func Transport() *http.Transport {
	return &http.Transport{Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: maxHeader}
}

// Direct returns a client like the given one, on the same connections, that follows
// no redirect: a redirect is the answer. Another machine would get the address that
// was asked for as the Referer, with the keys in it, and would choose which machine
// of this network is asked.
func Direct(client *http.Client) *http.Client {
	direct := *client
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &direct
}

// Status returns the text of an HTTP status, and for a redirect that it is not
// followed.
func Status(code int) string {
	text := strconv.Itoa(code)
	if name := http.StatusText(code); name != "" {
		text += " " + name
	}
	if code >= http.StatusMultipleChoices && code < http.StatusBadRequest && code != http.StatusNotModified {
		text += "; redirects are not followed, so give the address that it leads to"
	}
	return text
}

// errNoAnswer stands for errors with what a server sent, which may be anything, also
// the request with its keys.
var errNoAnswer = errors.New("no valid HTTP answer; check the scheme, the port and the proxy of the address")

// Cause returns an error of a request, or of reading its answer, as it may be shown:
// without the URL, which may hold a key, and without anything of the answer.
func Cause(err error) error {
	if err == nil {
		return nil
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, http.ErrSchemeMismatch} {
		if errors.Is(err, known) {
			return known
		}
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return errNoAnswer
}

package enrich

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"dsiem/internal/fetch"
	"dsiem/internal/jsonfile"
)

// The marks in a URL.
const (
	ipMark   = "${ip}"
	portMark = "${port}"
)

// NewClient returns a client for Load that keeps as many idle connections to
// each server as an Enricher of the given concurrency can use; 0 means the
// default. Its requests end with their context. The owner calls
// CloseIdleConnections at the end.
func NewClient(concurrency int) *http.Client {
	transport := fetch.Transport()
	transport.MaxIdleConnsPerHost = cmp.Or(max(concurrency, 0), defaultConcurrency)
	transport.IdleConnTimeout = 90 * time.Second
	return &http.Client{Transport: transport}
}

// endpoint is a web service that is asked with a GET request.
type endpoint struct {
	client *http.Client
	url    string // with marks
}

// openEndpoint reads the key url, in which the marks should stand. Problems do not
// quote it, for they are logged and it may hold a key.
func openEndpoint(s *jsonfile.Scope, client *http.Client, marks ...string) endpoint {
	text := s.NonEmpty("url")
	if text == "" {
		return endpoint{}
	}
	offset := s.Object.Get("url").Offset
	sample := strings.NewReplacer(ipMark, "192.0.2.1", portMark, "80").Replace(text)
	u, err := url.Parse(sample)
	switch {
	case err != nil:
		s.Errorf(offset, "url", "it is not a URL: %s", malformed(err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		s.Errorf(offset, "url", "it must start with http:// or https:// and a host name")
	}
	for _, mark := range marks {
		switch n := strings.Count(text, mark); {
		case n == 0:
			s.Warnf(jsonfile.URLPlaceholder, offset, "url", "there is no %s, so every request is the same", mark)
		case n > 1:
			s.Warnf(jsonfile.URLPlaceholder, offset, "url", "only the first %s is replaced, not all %d", mark, n)
		}
	}
	return endpoint{client: fetch.Direct(client), url: strings.Clone(text)}
}

// maxBody is the longest answer that is read, in bytes.
const maxBody = 1 << 20

// get asks about a term and returns the HTTP status and the body. The first of
// each mark is replaced by the canonical text, as it is (§9.1). Redirects are not
// followed. Errors show neither the URL, which may hold a key, nor the answer.
func (e *endpoint) get(ctx context.Context, term Term) (status int, body []byte, err error) {
	target := strings.Replace(e.url, ipMark, term.Addr.String(), 1)
	target = strings.Replace(target, portMark, strconv.Itoa(int(term.Port)), 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return 0, nil, fmt.Errorf("making the request: it is not a URL: %s", malformed(err))
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("asking: %w", fetch.Cause(err))
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("reading the answer: %w", fetch.Cause(err))
	case len(body) > maxBody:
		return 0, nil, fmt.Errorf("%w: longer than %d bytes", ErrAnswer, maxBody)
	}
	return resp.StatusCode, body, nil
}

// malformed says what is wrong with a URL, without quoting more of it than an
// escape of three bytes: of a password that is not escaped, a part may stand
// anywhere.
func malformed(err error) string {
	if escape, ok := errors.AsType[url.EscapeError](err); ok {
		return escape.Error()
	}
	return "a part of it is malformed; percent-encode special characters"
}

// badStatus returns the error of an HTTP status. A status of the server's own
// trouble, or of too many requests, is a failure of the service; any other is
// about the term (E2).
func badStatus(status int) error {
	text := fetch.Status(status)
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		return fmt.Errorf("the service answered %s", text)
	}
	return fmt.Errorf("%w: %s", ErrAnswer, text)
}

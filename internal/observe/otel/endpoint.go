package otel

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"dsiem/internal/text"
)

const (
	// defaultPort is that of OTLP/gRPC.
	defaultPort = "4317"
	// maxShown is how much of what was given an error shows, in bytes.
	maxShown = 64
)

// endpoint is where a collector listens.
type endpoint struct {
	hostPort string
	tls      bool
}

// String returns the endpoint as a URL. It holds no secret.
func (e endpoint) String() string {
	if e.tls {
		return "https://" + e.hostPort
	}
	return "http://" + e.hostPort
}

// parseEndpoint reads the URL of a collector. Errors do not show more of it
// than they must.
func parseEndpoint(given string) (endpoint, error) {
	if given == "" {
		given = DefaultEndpoint
	}
	if strings.Contains(given, "@") {
		return endpoint{}, errors.New("user name and password are not supported, want http://host:port or https://host:port")
	}
	u, err := url.Parse(given)
	if err != nil {
		if cause, ok := errors.AsType[*url.Error](err); ok {
			err = cause.Err // the rest repeats what was given
		}
		return endpoint{}, fmt.Errorf("%w, want http://host:port or https://host:port", err)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "":
		return endpoint{}, fmt.Errorf("%q does not begin with http:// or https://", text.Clip(given, maxShown))
	case u.Hostname() == "":
		return endpoint{}, errors.New("no host, want http://host:port or https://host:port")
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "":
		return endpoint{}, errors.New("something follows the port, want http://host:port or https://host:port")
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return endpoint{}, fmt.Errorf("port %s is not in 1 to 65535", text.Clip(port, maxShown))
	}
	return endpoint{hostPort: net.JoinHostPort(u.Hostname(), port), tls: u.Scheme == "https"}, nil
}

// dial returns a connection that is made when it is needed first, and again
// whenever it breaks.
func (e endpoint) dial(o *Options) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if e.tls {
		transport = credentials.NewTLS(&tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12})
	}
	// A collector that was away for long is found again soon.
	wait := backoff.DefaultConfig
	wait.MaxDelay = 10 * time.Second
	// With the scheme no host name is taken for one, as "unix" would be.
	target := url.URL{Scheme: "dns", Path: "/" + e.hostPort}
	agent := "dsiem"
	if o.Version != "" {
		agent += "/" + o.Version
	}
	return grpc.NewClient(target.String(),
		grpc.WithTransportCredentials(transport),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: wait, MinConnectTimeout: 5 * time.Second}),
		grpc.WithDisableServiceConfig(),
		grpc.WithUserAgent(agent),
		grpc.WithUnaryInterceptor(noteRefusal),
	)
}

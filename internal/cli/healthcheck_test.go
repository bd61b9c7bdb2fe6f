package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/cli/options"
	"dsiem/test/testkit"
)

// answering serves an answer as a node does and returns its address and the path that
// was asked for last.
func answering(t *testing.T, server func(http.Handler) *httptest.Server, status int, body string) (host, port string, asked *string) {
	t.Helper()
	asked = new(string)
	s := server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = r.Method + " " + r.URL.Path
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Hostname(), u.Port(), asked
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	const notReady = `{"status":"not ready","checks":[{"name":"files","ready":true},{"name":"nats","ready":false,"error":"not connected"},` +
		`{"name":"config","ready":false,"error":"no\u001b[31m directive"}]}`
	mention := regexp.MustCompile(`(^|[=:p])PORT$`) // not the end of DSIEM_PORT=1
	for name, tt := range map[string]struct {
		p       options.Program
		args    []string // =PORT and :PORT stand for that of the node
		environ []string
		server  func(http.Handler) *httptest.Server
		status  int
		body    string
		code    int
		asked   string
		said    string
	}{
		"standalone": {
			p: dsiem, environ: []string{"DSIEM_PORT=PORT"}, status: 200, body: `{"status":"ok"}`,
			asked: "GET /readyz", said: "http://127.0.0.1:PORT/readyz: 200 OK\n",
		},
		"all addresses": {
			p: dsiem, args: []string{"--address=0.0.0.0", "-pPORT"}, environ: []string{"DSIEM_PORT=1"}, status: 200,
			asked: "GET /readyz", said: "http://127.0.0.1:PORT/readyz: 200 OK\n",
		},
		"alive": {
			p: frontend, args: []string{"--live", "--tcp-port", "PORT"}, status: 200,
			asked: "GET /healthz", said: "http://127.0.0.1:PORT/healthz: 200 OK\n",
		},
		"frontend by mode": {
			p: dsiem, environ: []string{"DSIEM_MODE=cluster-frontend", "DSIEM_ADDRESS=127.0.0.1", "DSIEM_PORT=PORT", "DSIEM_METRICS_ADDRESS=:1", "DSIEM_OTHER=x"},
			status: 200, asked: "GET /readyz", said: "http://127.0.0.1:PORT/readyz: 200 OK\n",
		},
		"backend": {
			p: backend, environ: []string{"DSIEM_METRICS_ADDRESS=:PORT", "DSIEM_PORT=1"}, status: 200,
			asked: "GET /readyz", said: "http://127.0.0.1:PORT/readyz: 200 OK\n",
		},
		"backend by mode": {
			p: dsiem, args: []string{"--mode=cluster-backend", "--metrics-address=localhost:PORT"}, status: 200,
			asked: "GET /readyz", said: "http://localhost:PORT/readyz: 200 OK\n",
		},
		"TLS": {
			p: dsiem, args: []string{"--port=PORT"}, environ: []string{"DSIEM_TLS_CERT=cert.pem"}, server: httptest.NewTLSServer, status: 200,
			asked: "GET /readyz", said: "https://127.0.0.1:PORT/readyz: 200 OK\n",
		},
		"TLS of a backend's neighbour": {
			p: backend, args: []string{"--metrics-address=127.0.0.1:PORT", "--tls-cert=cert.pem"}, status: 200,
			asked: "GET /readyz", said: "http://127.0.0.1:PORT/readyz: 200 OK\n",
		},
		"TLS expected": {
			p: dsiem, args: []string{"--port=PORT", "--tls-cert=cert.pem"}, status: 200, code: exitFailed,
			said: "dsiem: asking https://127.0.0.1:PORT/readyz: http: server gave HTTP response to HTTPS client\n",
		},
		"not ready": {
			p: frontend, args: []string{"--port=PORT"}, status: 503, body: notReady, code: exitFailed, asked: "GET /readyz",
			said: "dsiem-frontend: asking http://127.0.0.1:PORT/readyz: 503 Service Unavailable: nats: not connected; config: no [31m directive\n",
		},
		"another server": {
			p: dsiem, args: []string{"--port=PORT"}, status: 404, body: "404 page\nnot found" + strings.Repeat(".", 500), code: exitFailed, asked: "GET /readyz",
			said: "dsiem: asking http://127.0.0.1:PORT/readyz: 404 Not Found: 404 page not found" + strings.Repeat(".", 200-18) + "…\n",
		},
		"another language": {
			p: dsiem, args: []string{"--port=PORT"}, status: 404, body: "x" + strings.Repeat("é", 500), code: exitFailed, asked: "GET /readyz",
			said: "dsiem: asking http://127.0.0.1:PORT/readyz: 404 Not Found: x" + strings.Repeat("é", 99) + "…\n",
		},
		"no words": {
			p: dsiem, args: []string{"--port=PORT"}, status: 500, code: exitFailed, asked: "GET /readyz",
			said: "dsiem: asking http://127.0.0.1:PORT/readyz: 500 Internal Server Error\n",
		},
		"elsewhere": {
			p: dsiem, args: []string{"--port=PORT"}, status: 302, code: exitFailed, asked: "GET /readyz",
			said: "dsiem: asking http://127.0.0.1:PORT/readyz: 302 Found\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.server == nil {
				tt.server = httptest.NewServer
			}
			_, port, asked := answering(t, tt.server, tt.status, tt.body)
			args := append([]string{"healthcheck"}, tt.args...)
			environ := slices.Clone(tt.environ)
			for _, texts := range [][]string{args, environ} {
				for i := range texts {
					texts[i] = mention.ReplaceAllString(texts[i], "${1}"+port)
				}
			}
			o := runAs(t, tt.p, args, environ)
			said := strings.ReplaceAll(tt.said, "PORT", port)
			if got := o.out + o.err; o.code != tt.code || got != said || (o.out == "") != (tt.code != exitDone) {
				t.Errorf("exit code %d, want %d\n%s%s", o.code, tt.code, o.out, o.err)
			}
			if *asked != tt.asked {
				t.Errorf("asked for %q, want %q", *asked, tt.asked)
			}
		})
	}
}

// TestHealthcheckIPv6 asks a node that listens on all addresses of version 6.
func TestHealthcheckIPv6(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Skip("there is no IPv6: ", err)
	}
	_, port, asked := answering(t, func(h http.Handler) *httptest.Server {
		s := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h}}
		s.Start()
		return s
	}, 200, "")
	o := runAs(t, dsiem, []string{"healthcheck", "--address=::", "--port=" + port}, nil)
	if want := "http://[::1]:" + port + "/readyz: 200 OK\n"; o.code != exitDone || o.out != want || *asked == "" {
		t.Errorf("exit code %d\n%s%s", o.code, o.out, o.err)
	}
}

// TestHealthcheckOfNobody: a node that is not there is not healthy.
func TestHealthcheckOfNobody(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	o := runAs(t, dsiem, []string{"healthcheck", "--port=" + port}, nil)
	if o.code != exitFailed || !strings.HasPrefix(o.err, "dsiem: asking http://127.0.0.1:"+port+"/readyz: dial tcp ") {
		t.Errorf("exit code %d\n%s%s", o.code, o.out, o.err)
	}
}

// TestHealthcheckTime: a node that does not answer in time is not healthy.
func TestHealthcheckTime(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(reached)
		<-release
	}))
	defer s.Close()
	defer close(release)
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	late := errors.New("it is late")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-reached
		cancel(late)
	}()
	if answer, err := ask(ctx, target); answer != "" || !errors.Is(err, context.Canceled) && !errors.Is(err, late) {
		t.Errorf("%q, %v", answer, err)
	}
}

// TestHealthcheckTarget: what cannot be asked, and what is asked for nodes that
// are not at loopback.
func TestHealthcheckTarget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p    options.Program
		args string
		code int
		err  string
	}{
		{backend, "", exitFailed, "dsiem-backend: a backend answers at its --metrics-address only, and there is none\n"},
		{backend, "--metrics-address=9090", exitFailed, "reading --metrics-address: address 9090: missing port in address"},
		{backend, "--metrics-address=:0", exitFailed, "the node serves at a port that nobody knows before"},
		{dsiem, "--port=0", exitFailed, "the node serves at a port that nobody knows before"},
		{dsiem, "--port=x", exitUsage, `--port: "x" is not possible`},
		{dsiem, "--timeout=0", exitUsage, `--timeout: "0" is not possible`},
		{dsiem, "--node=b0", exitUsage, "unknown flag --node"},
		{dsiem, "http://fe", exitUsage, `unexpected argument "http://fe"; healthcheck has flags only`},
	} {
		o := runAs(t, tt.p, append([]string{"healthcheck"}, strings.Fields(tt.args)...), nil)
		if o.code != tt.code || !strings.Contains(o.err, tt.err) || o.out != "" {
			t.Errorf("%s %s: exit code %d\n%s%s", tt.p.Called, tt.args, o.code, o.out, o.err)
		}
	}
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true, "localhost": true,
		"10.0.0.1": false, "::": false, "localhost.example": false, "fe.example": false, "": false,
	} {
		if got := trust(host).InsecureSkipVerify; got != want {
			t.Errorf("%q: any certificate will do is %t", host, got)
		}
	}
}

// TestHealthcheckHelp shows the options that say where the node is, and stands
// before and after the command.
func TestHealthcheckHelp(t *testing.T) {
	t.Parallel()
	for _, p := range everyProgram() {
		o := runAs(t, p, []string{"healthcheck", "--help"}, nil)
		if o.code != exitDone || o.err != "" {
			t.Errorf("%s: exit code %d\n%s", p.Called, o.code, o.err)
		}
		testkit.Golden(t, filepath.Join("testdata", "serve", "healthcheck-"+p.Called+".txt"), o.out)
	}
	for _, args := range []string{"--timeout 3 healthcheck", "--live healthcheck --port 0", "healthcheck --timeout=1m"} {
		o := runAs(t, backend, strings.Fields(args), nil)
		if o.code != exitFailed || !strings.Contains(o.err, "--metrics-address") {
			t.Errorf("%s: exit code %d\n%s", args, o.code, o.err)
		}
	}
}

package acceptance

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"dsiem/test/testkit"
)

// listening is where a node with HTTP says it is found.
var listening = regexp.MustCompile(`(?:Server mode standalone|starting dsiem frontend server) listening on (\S+)`)

// address returns host and port of a node's HTTP service.
func (n *node) address() string {
	n.t.Helper()
	match := listening.FindStringSubmatch(n.says(" listening on "))
	if match == nil {
		n.t.Fatal("the address of the HTTP service is not in the log")
	}
	return match[1]
}

// answer is what a node answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// formType is the Content-Type of curl -d.
const formType = "Content-Type: application/x-www-form-urlencoded"

// ask makes a request and does not follow redirects. Headers are lines without
// their end.
func (n *node) ask(method, path, body string, headers ...string) answer {
	n.t.Helper()
	return askURL(n.t, http.DefaultTransport, method, "http://"+n.address()+path, body, headers...)
}

func askURL(t testing.TB, by http.RoundTripper, method, url, body string, headers ...string) answer {
	t.Helper()
	a, err := tryURL(t, by, method, url, body, headers...)
	testkit.Check(t, err)
	return a
}

// tryURL is askURL for requests that may get no answer.
func tryURL(t testing.TB, by http.RoundTripper, method, url, body string, headers ...string) (answer, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := by.RoundTrip(request)
	if err != nil {
		return answer{}, err
	}
	return read(response)
}

// read reads the rest of an answer.
func read(response *http.Response) (answer, error) {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, err
}

// post posts events as curl does.
func (n *node) post(body string) answer {
	n.t.Helper()
	return n.ask(http.MethodPost, "/events", body, formType)
}

// takesPosted posts events and wants them to be taken.
func (n *node) takesPosted(events ...string) {
	n.t.Helper()
	body := strings.Join(events, ",")
	if len(events) != 1 {
		body = "[" + body + "]"
	}
	n.wantTaken200(n.post(body))
}

// wantTaken200 checks the answer to events that are taken: 200, and nothing
// else.
func (n *node) wantTaken200(a answer) {
	n.t.Helper()
	if a.status != http.StatusOK || a.body != "" {
		n.t.Fatalf("the events are answered %d %q, want 200 and no body", a.status, a.body)
	}
}

// dial connects to a node's HTTP service. The connection ends with the test,
// and nothing on it may take longer than anything may.
func (n *node) dial() net.Conn {
	n.t.Helper()
	return dialAddress(n.t, n.address())
}

func dialAddress(t testing.TB, address string) net.Conn {
	t.Helper()
	var dialer net.Dialer
	c, err := dialer.DialContext(t.Context(), "tcp", address)
	testkit.Check(t, err)
	t.Cleanup(func() { _ = c.Close() })
	testkit.Check(t, c.SetDeadline(time.Now().Add(testkit.Patience)))
	return c
}

// raw sends a request as it stands, over a connection of its own, and returns
// the answer. The lines of its header are told apart by one line feed.
func (n *node) raw(header, body string) answer {
	n.t.Helper()
	c := n.dial()
	_, err := io.WriteString(c, strings.ReplaceAll(header, "\n", "\r\n")+"\r\n\r\n"+body)
	testkit.Check(n.t, err)
	return readAnswer(n.t, bufio.NewReader(c))
}

// readAnswer reads one answer from a connection.
func readAnswer(t testing.TB, r *bufio.Reader) answer {
	t.Helper()
	a, err := tryAnswer(r)
	testkit.Check(t, err)
	return a
}

// tryAnswer is readAnswer for goroutines, and for answers that may not come.
func tryAnswer(r *bufio.Reader) (answer, error) {
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return answer{}, err
	}
	return read(response)
}

// frontends are the ways to run a frontend.
var frontends = []invocation{{"dsiem-frontend", nil}, {"dsiem", []string{"--mode=cluster-frontend"}}}

// startFrontend starts a frontend, whichever of the two programs it is, and
// waits until it takes events.
func (i invocation) startFrontend(h *home, nats string, flags ...string) *node {
	h.t.Helper()
	return h.startReady(setup{role: frontendRole, program: i.program, nats: nats, flags: append(flags, i.flags...)})
}

// startStandalone starts a standalone node with directives, and waits until it
// takes events.
func startStandalone(t testing.TB, directives string, flags ...string) *node {
	t.Helper()
	return newHome(t, configs(t, "", directives)).startReady(setup{role: standaloneRole, flags: flags})
}

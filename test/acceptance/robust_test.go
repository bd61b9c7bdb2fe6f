package acceptance

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"dsiem/test/testkit"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	testkit.Check(t, err)
	testkit.Check(t, w.Close())
	return b.String()
}

func zstandard(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	testkit.Check(t, err)
	return string(w.EncodeAll([]byte(text), nil))
}

// Bodies in every form, good and bad.
func TestCompressedBodies(t *testing.T) {
	t.Parallel()
	const limit = 4 << 10
	for _, i := range startIntakes(t, "--max-body=4KiB") {
		published := 0
		bomb := strings.Repeat(theEvent+"\n", 1+limit/len(theEvent))
		for _, c := range []struct {
			name, encoding, body string
			want                 int
		}{
			{"gzip", "gzip", gzipped(t, theEvent), 200},
			{"x-gzip", "x-gzip", gzipped(t, theEvent), 200},
			{"zstd", "zstd", zstandard(t, theEvent), 200},
			{"identity", "identity", theEvent, 200},
			{"no gzip", "gzip", theEvent, 400},
			{"half of gzip", "gzip", gzipped(t, theEvent)[:60], 400},
			{"damaged gzip", "gzip", strings.Replace(gzipped(t, theEvent), "\x1f\x8b", "\x1f\x8c", 1), 400},
			{"no zstd", "zstd", theEvent, 400},
			{"gzip of nothing", "gzip", gzipped(t, ""), 400},
			{"unknown", "br", theEvent, 415},
			{"bomb of gzip", "gzip", gzipped(t, bomb), 413},
			{"bomb of zstd", "zstd", zstandard(t, bomb), 413},
			{"more than the limit", "identity", bomb, 413},
			{"not compressed although it says so", "", gzipped(t, theEvent), 400},
		} {
			a := i.ask(http.MethodPost, "/events", c.body, "Content-Encoding: "+c.encoding)
			if a.status != c.want {
				t.Errorf("%s is answered %d %s, want %d", c.name, a.status, a.body, c.want)
			}
			if c.want == 200 {
				published++
			}
		}
		i.wantPublished(published)
	}
}

// A body over the limit is refused before it has been read, whether or not its
// size is announced.
func TestOversizedBody(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		wantAnswer(t, "an announced body", i.raw("POST /events HTTP/1.1\nHost: d\nConnection: close\nContent-Length: 10485761", ""), 413, "Too large")
		c := i.dial()
		_, err := io.WriteString(c, "POST /events HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n")
		testkit.Check(t, err)
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat(" ", 1<<20))
		go func() {
			for err == nil { // without end
				_, err = io.WriteString(c, chunk)
			}
		}()
		wantAnswer(t, "a body without end", readAnswer(t, bufio.NewReader(c)), 413, "Too large")
		large := strings.Replace(theEvent, `"title":"t"`, `"title":"`+strings.Repeat("t", 1<<20)+`"`, 1)
		wantAnswer(t, "an event that is too large", i.post(large), 413, "Too large")
		i.takesPosted(theEvent)
		i.wantPublished(1)
	}
}

// A client that sends its header byte by byte is not waited for; nor is one that
// says nothing at all. Others are not kept waiting.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll)
	begun := time.Now()
	silent, slow := n.dial(), n.dial()
	_, err := io.WriteString(silent, "P")
	testkit.Check(t, err)
	go func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for _, b := range []byte("POST /events HTTP/1.1\r\nHost: d\r\nX-Slow: " + strings.Repeat("x", 1000)) {
			if _, err := slow.Write([]byte{b}); err != nil {
				return
			}
			<-tick.C
		}
	}()
	n.takesPosted(ev{id: "e1"}.String())
	for name, c := range map[string]net.Conn{"silent": silent, "slow": slow} {
		answer, err := io.ReadAll(c)
		if errors.Is(err, os.ErrDeadlineExceeded) || bytes.Contains(answer, []byte(" 200 ")) {
			t.Errorf("the %s client is answered %q, error %v", name, answer, err)
		}
	}
	if took := time.Since(begun); took < 5*time.Second {
		t.Errorf("the clients were cut off after %v", took)
	}
	n.takesPosted(ev{id: "e2"}.String())
	n.stop()
	wantEvents(t, n, "1:e1", "1:e2")
}

// A client that leaves in the middle of its request takes nothing with it.
func TestClientsThatLeave(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		for _, length := range []int{0, 1, len(theEvent) - 1} {
			c := i.dial()
			_, err := fmt.Fprintf(c, "POST /events HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", len(theEvent), theEvent[:length])
			testkit.Check(t, err)
			testkit.Check(t, c.(*net.TCPConn).CloseWrite())
			if a := readAnswer(t, bufio.NewReader(c)); a.status != 400 {
				t.Errorf("%d bytes of an event are answered %d %s", length, a.status, a.body)
			}
		}
		i.takesPosted(theEvent)
		i.wantPublished(1)
	}
}

// A thousand clients at once: as many as may be connected are served, the others
// wait their turn, and none loses an event.
func TestThousandConnections(t *testing.T) {
	t.Parallel()
	const clients, most = 1000, 800
	n := startStandalone(t, takeAll, "--max-eps=0", fmt.Sprint("--max-connections=", most), diagnostics)
	address := n.address()
	answered, at := make(chan net.Conn, clients), time.Now()
	var done sync.WaitGroup
	for i := range clients {
		c := dialAddress(t, address)
		// They come in any order, and an event from before its backlog is not taken.
		body := ev{id: fmt.Sprint("e", i), src: fmt.Sprint("10.0.1.", i%250), at: at}.String()
		// At once, because the server does not wait for a request for long.
		_, err := fmt.Fprintf(c, "POST /events HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		testkit.Check(t, err)
		done.Go(func() {
			a, err := tryAnswer(bufio.NewReader(c))
			if err != nil || a.status != 200 {
				t.Errorf("client %d is answered %d %s, error %v", i, a.status, a.body, err)
			}
			answered <- c
		})
	}
	served := make([]net.Conn, most)
	for i := range served {
		served[i] = <-answered
	}
	if open := n.metrics()["dsiem_http_connections"]; open != most {
		t.Errorf("%v connections are open, want %d", open, most)
	}
	select {
	case <-answered:
		t.Errorf("more than %d clients are served at a time", most)
	default:
	}
	for _, c := range served {
		testkit.Check(t, c.Close())
	}
	done.Wait()
	testkit.Eventually(t, "every event is in the file", func() bool { return countLines(t, n.eventsFile()) >= clients })
	n.stop()
	if got := times(t, n.eventsFile()); len(got) != clients || countLines(t, n.eventsFile()) != clients {
		t.Errorf("%d events in %d lines, want %d", len(got), countLines(t, n.eventsFile()), clients)
	}
}

// Requests one behind the other on a connection are answered in their order.
func TestPipelinedRequests(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll, "--max-eps=0")
	c := n.dial()
	var all strings.Builder
	const requests = 100
	for i := range requests {
		body := ev{id: fmt.Sprint("e", i)}.String()
		if i%10 == 9 {
			body = "{}"
		}
		fmt.Fprintf(&all, "POST /events HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	go func() { _, _ = io.WriteString(c, all.String()) }() // the answers will tell
	r := bufio.NewReader(c)
	for i := range requests {
		want := 200
		if i%10 == 9 {
			want = 418
		}
		if a := readAnswer(t, r); a.status != want {
			t.Fatalf("request %d is answered %d, want %d", i, a.status, want)
		}
	}
	n.stop()
	if got := countLines(t, n.eventsFile()); got != requests-requests/10 {
		t.Errorf("%d events taken", got)
	}
}

// Whatever a body holds, it is answered, in one of the ways that there are, and
// 200 means that its events are there.
func TestRandomBodies(t *testing.T) {
	t.Parallel()
	i := startIntakes(t, "--max-eps=0")[0]
	random := rand.New(rand.NewPCG(3, 5))
	pieces := []string{`{`, `}`, `[`, `]`, `,`, `"`, `\`, ` `, "\n", "null", "0", "-1", "1e999", `"event_id"`, `:`, "\x00", "\xff", "é", theEvent, `{}`, `"plugin_id":""`}
	c := i.dial()
	r := bufio.NewReader(c)
	taken, count := 0, map[int]int{}
	for range scaled(3000) {
		body := []byte(theEvent)
		if random.IntN(3) == 0 {
			body = []byte("[" + theEvent + "," + theEvent + "]")
		}
		for range random.IntN(4) {
			at, piece := random.IntN(len(body)+1), pieces[random.IntN(len(pieces))]
			end := min(len(body), at+random.IntN(8))
			body = append(append(append([]byte{}, body[:at]...), piece...), body[end:]...)
		}
		testkit.Check(t, c.SetDeadline(time.Now().Add(testkit.Patience))) // for each, not for all
		_, err := fmt.Fprintf(c, "POST /events HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		testkit.Check(t, err)
		a := readAnswer(t, r)
		count[a.status]++
		switch a.status {
		case 200, 400, 418:
		default:
			t.Errorf("%q is answered %d %s", body, a.status, a.body)
		}
		if messages := len(i.published.All()); a.status == 200 {
			taken = messages
		} else if messages != taken {
			t.Fatalf("%q is answered %d, and %d messages are published", body, a.status, messages-taken)
		}
		if a.header.Get("Connection") == "close" {
			c = i.dial()
			r.Reset(c)
		}
	}
	t.Logf("answers by status: %v", count)
	if count[200] == 0 || count[400] == 0 || count[418] == 0 {
		t.Error("some answers were never given")
	}
	i.stop()
}

// D46, D47: an address that cannot be used is an error, and nothing is left
// running.
func TestAddressesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	first := startStandalone(t, takeAll)
	_, port, err := net.SplitHostPort(first.address())
	testkit.Check(t, err)
	for _, r := range []role{frontendRole, standaloneRole} {
		for flag, says := range map[string]string{"--port=" + port: "address already in use", "--address=203.0.113.7": "cannot assign requested address"} {
			newHome(t, sampleFiles(t)).start(setup{role: r, flags: []string{flag}}).wantWritten(1, "starting the HTTP server", says)
		}
		newHome(t, sampleFiles(t)).start(setup{role: r, flags: []string{"--address=nowhere"}}).wantWritten(2, "not a valid IP address")
		newHome(t, sampleFiles(t)).start(setup{role: r, flags: []string{"--min-eps=6", "--max-eps=5"}}).wantWritten(1, "minEPS must be <= than maxEPS")
	}
	first.takesPosted(ev{id: "e1"}.String())
	newHome(t, sampleFiles(t)).start(setup{role: standaloneRole, flags: []string{"--nats-listen=" + first.address()}}).wantWritten(1, "starting the message queue")
}

// D46: an address of IP version 6 is served, or the program ends where there is
// none.
func TestIPv6(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	probe, noIPv6 := config.Listen(t.Context(), "tcp", "[::1]:0")
	for _, r := range []role{frontendRole, standaloneRole} {
		n := newHome(t, sampleFiles(t)).start(setup{role: r, flags: []string{"--address=::1"}})
		if noIPv6 != nil {
			n.wantWritten(1, "starting the HTTP server")
			continue
		}
		if !strings.HasPrefix(n.address(), "[::1]:") {
			t.Errorf("it listens on %s", n.address())
		}
		wantAnswer(t, "the list", n.ask(http.MethodGet, "/config/", ""), 200, "{")
	}
	if noIPv6 == nil {
		testkit.Check(t, probe.Close())
	}
}

// The check of a container finds the node by the node's own flags.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	standalone := startStandalone(t, takeAll)
	front := frontends[0].startFrontend(newHome(t, nil), server.URL())
	back := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{diagnostics}})
	at := func(n *node) []string {
		host, port, err := net.SplitHostPort(n.address())
		testkit.Check(t, err)
		return []string{"healthcheck", "--address=" + host, "--port=" + port}
	}
	address := diagnosticsAddress.FindStringSubmatch(back.says("diagnostics server listening"))[1]
	ask := map[string][]string{"dsiem": at(standalone), "dsiem-frontend": at(front), "dsiem-backend": {"healthcheck", "--metrics-address=" + address}}
	healthy := func(program string, code int, says string, flags ...string) {
		t.Helper()
		newHome(t, nil).call(program, nil, append(ask[program], flags...)...).wantWritten(code, says)
	}
	for program := range ask {
		healthy(program, 0, "200 OK")
		healthy(program, 0, "200 OK", "--live")
	}
	server.Stop()
	for _, n := range []*node{front, back} {
		n.says("Disconnected from NATS server")
	}
	for _, program := range []string{"dsiem-frontend", "dsiem-backend"} {
		healthy(program, 1, "nats: not connected")
		healthy(program, 0, "200 OK", "--live")
	}
	standalone.stop()
	healthy("dsiem", 1, "refused")
	healthy("dsiem", 1, "refused", "--live")
}

// The event rate, over a websocket.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll, "--websocket")
	c := n.dial()
	_, err := io.WriteString(c, "GET /eps/ HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	testkit.Check(t, err)
	r := bufio.NewReader(c)
	response, err := http.ReadResponse(r, nil)
	testkit.Check(t, err)
	defer response.Body.Close()
	if response.StatusCode != 101 || response.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("answer %d %v", response.StatusCode, response.Header)
	}
	for range 2 {
		head := make([]byte, 2)
		_, err = io.ReadFull(r, head)
		testkit.Check(t, err)
		text := make([]byte, head[1])
		_, err = io.ReadFull(r, text)
		testkit.Check(t, err)
		if head[0] != 0x81 || !strings.HasPrefix(string(text), `{"eps":`) || !strings.HasSuffix(string(text), "}\n") {
			t.Errorf("frame %x %q", head, text)
		}
	}
	wantAnswer(t, "a node without the flag", startStandalone(t, takeAll).ask(http.MethodGet, "/eps/", ""), 404, "")
}

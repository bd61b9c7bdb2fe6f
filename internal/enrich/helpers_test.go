package enrich_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/enrich"
	"dsiem/internal/jsonfile"
	"dsiem/test/testkit"
)

// start runs an Enricher until the end of the test.
func start(t testing.TB, o enrich.Options) *enrich.Enricher {
	t.Helper()
	e := enrich.New(o)
	testkit.Run(t, e)
	return e
}

// ask submits a request and waits for its result.
func ask(e *enrich.Enricher, req enrich.Request) enrich.Result {
	result := make(chan enrich.Result, 2)
	e.Submit(req, func(r enrich.Result) { result <- r })
	return <-result
}

// intel is a request for addresses.
func intel(addresses ...string) enrich.Request {
	a := &alarm.Alarm{ID: "a"}
	for _, text := range addresses {
		a.SrcIPs = append(a.SrcIPs, netip.MustParseAddr(text))
	}
	return enrich.Request{Alarm: a}
}

// vuln is a request for one address with a port.
func vuln(address string, port uint16) enrich.Request {
	return enrich.Request{Alarm: &alarm.Alarm{ID: "a", Rules: []alarm.Rule{{From: "ANY", To: address, PortFrom: "ANY", PortTo: "ANY"}}}, LastDstPort: port}
}

// show returns findings as one text.
func show(hits []alarm.Hit) string {
	out := make([]string, 0, len(hits))
	for _, h := range hits {
		out = append(out, h.Provider+" "+h.Term+" "+h.Result)
	}
	return strings.Join(out, " | ")
}

// server is an HTTP server that counts requests by path and query.
type server struct {
	*httptest.Server
	mu    sync.Mutex
	count map[string]int
}

// serve starts a server on loopback, or inside a bubble on pipes, which keep to
// its clock.
func serve(t testing.TB, client *http.Client, handler http.HandlerFunc) *server {
	t.Helper()
	s := &server{count: map[string]int{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.count[r.RequestURI]++
		s.mu.Unlock()
		handler(w, r)
	}))
	if pipes, ok := client.Transport.(*http.Transport); ok && pipes.DialContext != nil {
		s.Listener.Close()
		l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		s.Listener = l
		pipes.DialContext = l.dial
	}
	s.Start()
	t.Cleanup(func() {
		client.CloseIdleConnections()
		s.Close()
	})
	return s
}

func (s *server) asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.count)
}

// answers handles requests with a body for each path and query, else 404.
func answers(bodies map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.RequestURI]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, body)
	}
}

// pipeClient returns a client for one server on pipes.
func pipeClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, net.ErrClosed
	}}}
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8081} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// services loads services as a site configures them.
func services(t testing.TB, client *http.Client, file, content string) []enrich.Service {
	t.Helper()
	var report jsonfile.Report
	load := enrich.LoadVuln
	if strings.HasPrefix(file, "intel_") {
		load = enrich.LoadIntel
	}
	loaded := load([]*jsonfile.File{jsonfile.NewFile(file, []byte(content))}, client, &report)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return loaded
}

func wise(t testing.TB, client *http.Client, url string) []enrich.Service {
	t.Helper()
	return services(t, client, "intel_wise.json",
		fmt.Sprintf(`{"intel_sources":[{"name":"Wise","plugin":"Wise","type":"IP","enabled":true,"config":"{ \"url\" : \"%s/ip/${ip}\" }"}]}`, url))
}

func nesd(t testing.TB, client *http.Client, url string) []enrich.Service {
	t.Helper()
	return services(t, client, "vuln_nessus.json",
		fmt.Sprintf(`{"vuln_sources":[{"name":"Nessus","plugin":"Nesd","type":"IP-Port","enabled":true,"config":"{ \"url\" : \"%s/?ip=${ip}&port=${port}\" }"}]}`, url))
}

// client returns a client on loopback.
func client() *http.Client { return enrich.NewClient(0) }

// fake is a source by hand.
type fake struct {
	answer func(ctx context.Context, term string) ([]alarm.Hit, error)

	mu    sync.Mutex
	count map[string]int
}

func (f *fake) Lookup(ctx context.Context, term enrich.Term) ([]alarm.Hit, error) {
	f.mu.Lock()
	if f.count == nil {
		f.count = map[string]int{}
	}
	f.count[term.String()]++
	f.mu.Unlock()
	return f.answer(ctx, term.String())
}

func (f *fake) asked() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.count)
}

func (f *fake) intel(name string) enrich.Service {
	return enrich.Service{Name: name, Kind: enrich.Intel, Source: f}
}

// knows answers every term with one finding.
func knows(_ context.Context, term string) ([]alarm.Hit, error) {
	return []alarm.Hit{{Provider: "Fake", Term: term, Result: "bad"}}, nil
}

// outcomes counts what is observed, by service and outcome.
type outcomes struct {
	mu    sync.Mutex
	count map[string]int
}

func (o *outcomes) observe(s *enrich.Service, outcome enrich.Outcome, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count == nil {
		o.count = map[string]int{}
	}
	o.count[s.Name+" "+string(outcome)]++
}

func (o *outcomes) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := []string{}
	for _, k := range slices.Sorted(maps.Keys(o.count)) {
		out = append(out, fmt.Sprint(k, " ", o.count[k]))
	}
	return strings.Join(out, ", ")
}

// desk is an alarm writer: it adds lines, starts their look-ups and writes
// what the outbox gives it.
type desk struct {
	enricher *enrich.Enricher
	box      *enrich.Outbox
	mail     chan letter
	missing  int
	lines    []*alarm.Alarm
	at       []time.Duration // since the start
	start    time.Time
}

type letter struct {
	ticket enrich.Ticket
	result enrich.Result
}

func newDesk(e *enrich.Enricher) *desk {
	return &desk{
		enricher: e, mail: make(chan letter, 1000), start: time.Now(),
		box: enrich.NewOutbox(enrich.OutboxOptions{Wait: 2 * time.Second}),
	}
}

func (d *desk) write(lines []*alarm.Alarm) {
	for _, l := range lines {
		d.lines = append(d.lines, l)
		d.at = append(d.at, time.Since(d.start))
	}
}

// completes is a stage that completes: its line waits for look-ups.
func (d *desk) completes(req enrich.Request) {
	ticket, lines := d.box.Add(time.Now(), req.Alarm, true)
	d.write(lines)
	d.missing++
	d.enricher.Submit(req, func(r enrich.Result) { d.mail <- letter{ticket, r} })
}

// changes is a line without look-ups.
func (d *desk) changes(a *alarm.Alarm) {
	_, lines := d.box.Add(time.Now(), a, false)
	d.write(lines)
}

// settle waits for all results and lines.
func (d *desk) settle() {
	for d.missing > 0 || d.box.Held() > 0 {
		due := time.NewTimer(time.Hour)
		if at, ok := d.box.Next(); ok {
			due.Reset(time.Until(at))
		}
		select {
		case l := <-d.mail:
			d.missing--
			d.write(d.box.Resolve(time.Now(), l.ticket, l.result))
		case <-due.C:
			d.write(d.box.Tick(time.Now()))
		}
		due.Stop()
	}
}

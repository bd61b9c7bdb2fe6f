package node

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"dsiem/internal/live"
	"dsiem/internal/sample"
	"dsiem/internal/web/auth"
	"dsiem/internal/web/diagnostics"
)

// openAPI returns docs/openapi.yaml, which must be valid.
func openAPI(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join("..", "..", "docs", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	doc.Servers = nil // it is about any node
	return doc
}

// TestOpenAPIHasAllRoutes compares the document with the routes of a frontend
// that has all options, in both directions: paths, methods and rights.
func TestOpenAPIHasAllRoutes(t *testing.T) {
	t.Parallel()
	o := &Options{Mode: ModeStandalone, Out: io.Discard, PProf: true, HTTP: HTTPOptions{WritableConfig: true, WebSocket: true}}
	mux, rights := http.NewServeMux(), map[string]auth.Right{}
	for _, r := range routes(New(o).frontend, http.NotFoundHandler(), diagnostics.New(diagnostics.Options{})) {
		rights[r.Pattern] = r.Right
		mux.Handle(r.Pattern, http.NotFoundHandler())
	}
	documented := map[string]bool{}
	for path, item := range openAPI(t).Paths.Map() {
		for method, operation := range item.Operations() {
			request, err := http.NewRequestWithContext(t.Context(), method, examplePath(t, path, item, operation), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			_, pattern := mux.Handler(request)
			right, known := rights[pattern]
			if !known {
				t.Errorf("%s %s: there is no such route", method, path)
				continue
			}
			documented[pattern] = true
			if got := documentedRight(t, operation); got != right.String() {
				t.Errorf("%s %s wants the right %s, the document says %s", method, path, right, got)
			}
		}
	}
	for pattern := range rights {
		if !documented[pattern] {
			t.Errorf("%s is not in the document", pattern)
		}
	}
}

// examplePath puts examples in the place of the parameters of a path.
func examplePath(t *testing.T, path string, item *openapi3.PathItem, operation *openapi3.Operation) string {
	t.Helper()
	for _, p := range slices.Concat(item.Parameters, operation.Parameters) {
		if p.Value.In != openapi3.ParameterInPath {
			continue
		}
		example := p.Value.Example
		if examples := p.Value.Schema.Value.Examples; example == nil && len(examples) > 0 {
			example = examples[0]
		}
		if example == nil {
			t.Fatalf("%s: %s has no example", path, p.Value.Name)
		}
		path = strings.ReplaceAll(path, "{"+p.Value.Name+"}", fmt.Sprint(example))
	}
	return path
}

// documentedRight returns the right that an operation wants: of a token, or of a
// password.
func documentedRight(t *testing.T, operation *openapi3.Operation) string {
	t.Helper()
	if operation.Security == nil {
		t.Errorf("%s does not say which right it wants", operation.OperationID)
		return ""
	}
	var wanted []string
	for _, requirement := range *operation.Security {
		for scheme, names := range requirement {
			wanted = append(wanted, scheme+" "+strings.Join(names, ","))
		}
	}
	if len(wanted) == 0 {
		return auth.Right(0).String()
	}
	slices.Sort(wanted)
	right, isPassword := strings.CutPrefix(wanted[0], "password ")
	if len(wanted) != 2 || !isPassword || wanted[1] != "token "+right {
		t.Errorf("%s wants %q", operation.OperationID, wanted)
	}
	return right
}

// exchange is a request, and the status that must answer it.
type exchange struct {
	method, path string
	header       map[string]string
	body         string
	want         int
}

// TestAnswersAreAsDocumented compares the answers of running nodes with the
// document.
func TestAnswersAreAsDocumented(t *testing.T) {
	t.Parallel()
	event, err := os.ReadFile(filepath.Join("..", "..", "docs", "examples", "event.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]struct {
		change    func(*testing.T, *Options)
		exchanges []exchange
	}{
		"events":        {nothingElse, eventExchanges(string(event))},
		"configuration": {nothingElse, configExchanges()},
		"diagnostics":   {nothingElse, diagnosticExchanges(string(event))},
		"limited": {func(_ *testing.T, o *Options) {
			o.MaxEPS, o.MinEPS, o.HTTP.MaxBody = 1, 1, 64<<10
		}, []exchange{
			{"POST", "/events", asJSON(), "[" + strings.Repeat(string(event)+",", 40) + string(event) + "]", 200},
			{"POST", "/events", asJSON(), string(event), 429}, // more than a second's worth is owed
			{"POST", "/events", nil, string(event), 429},
			{"POST", "/events", asJSON(), strings.Repeat(" ", 65<<10), 413},
		}},
		"protected": {protected, []exchange{
			{"POST", "/events", nil, string(event), 401},
			{"POST", "/events", withToken("wrong"), string(event), 401},
			{"POST", "/events", withToken(readersToken), string(event), 403},
			{"GET", "/config/", withToken(readersToken), "", 200},
			{"DELETE", "/config/assets_demo.json", withToken(readersToken), "", 403},
			{"GET", "/metrics", nil, "", 401},
			{"GET", "/readyz", nil, "", 200},
		}},
		"frontend": {frontendWithoutQueue, []exchange{
			{"POST", "/events", asJSON(), string(event), 503},
			{"POST", "/events/", nil, string(event), 503},
			{"GET", "/readyz", nil, "", 503},
			{"GET", "/healthz", nil, "", 200},
			{"GET", "/status", nil, "", 200},
			{"GET", "/debug/vars/", nil, "", 200},
			{"GET", "/config/", nil, "", 200},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDocumented(t, of.change)
			for _, e := range of.exchanges {
				d.check(t, e)
			}
		})
	}
}

func nothingElse(*testing.T, *Options) {}

// readersToken is the token of a user who may read the configuration, readersRights
// the file that says so, with the token's SHA-256.
const (
	readersToken  = "a-token-for-this-test"
	readersRights = `{"users": [{"name": "reader", "rights": ["config-read"],` +
		` "token_sha256": "e08776580a868d78862c276a13636ff07ea12d17b6a061389a2cf5f16478c8b4"}]}`
)

func protected(t *testing.T, o *Options) {
	t.Helper()
	o.HTTP.AuthFile = filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(o.HTTP.AuthFile, []byte(readersRights), 0o600); err != nil {
		t.Fatal(err)
	}
}

func frontendWithoutQueue(_ *testing.T, o *Options) {
	o.Mode, o.NATS = ModeFrontend, "nats://127.0.0.1:1" // where nobody listens
}

func asJSON() map[string]string {
	return map[string]string{"Accept": "application/json", "Content-Type": "application/json"}
}

func withToken(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

func eventExchanges(event string) []exchange {
	const (
		record = `{"event_type": "alert", "timestamp": "2026-01-01T09:00:00.000000+0000", "src_ip": "192.0.2.7", "dest_ip": "10.20.10.22",` +
			` "proto": "TCP", "alert": {"signature_id": 2001219, "signature": "ET SCAN", "category": "Attempted Information Leak"}}`
		flow = `{"event_type": "flow", "src_ip": "192.0.2.7"}`
	)
	array := "[" + event + "," + event + "]"
	lines := strings.ReplaceAll(event, "\n", "") + "\n" + strings.ReplaceAll(event, "\n", "") + "\n"
	return []exchange{
		{"POST", "/events", asJSON(), event, 200},
		{"POST", "/events/", asJSON(), array, 200},
		{"POST", "/events", map[string]string{"Content-Type": "application/x-ndjson"}, lines, 200},
		{"POST", "/events/suricata-eve", asJSON(), record, 200},
		{"POST", "/events/suricata-eve", asJSON(), "[" + record + "," + flow + "]", 200},
		{"POST", "/events", asJSON(), "not json", 400},
		{"POST", "/events", nil, "not json", 400},
		{"POST", "/events", map[string]string{"Content-Encoding": "gzip"}, "no gzip", 400},
		{"POST", "/events", asJSON(), "{}", 418},
		{"POST", "/events", nil, "{}", 418},
		{"POST", "/events", map[string]string{"Accept": "application/json"}, "[" + event + ", {}]", 200},
		{"POST", "/events", nil, "[" + event + ", {}, 7]", 200},
		{"POST", "/events", nil, event + strings.Repeat("{}", 200), 200},
		{"POST", "/events?all_or_nothing=true", asJSON(), "[" + event + ", {}]", 418},
		{"POST", "/events?all_or_nothing", asJSON(), "[" + event + ", {}]", 418},
		{"POST", "/events?all_or_nothing=x", nil, event, 400},
		{"POST", "/events/suricata-eve", asJSON(), `{"event_type": "alert", "src_ip": "192.0.2.7"}`, 418},
		{"POST", "/events", map[string]string{"Content-Encoding": "br"}, event, 415},
		{"POST", "/events", map[string]string{"Sec-Fetch-Site": "cross-site"}, event, 403},
	}
}

func configExchanges() []exchange {
	const (
		file    = "/config/assets_new.json"
		content = `{"assets": [{"name": "a", "cidr": "10.0.0.0/8", "value": 1}]}`
		none    = `{"assets": []}`
	)
	onlyNew := map[string]string{"If-None-Match": "*", "Content-Type": "application/json"}
	return []exchange{
		{"GET", "/config", nil, "", 200},
		{"GET", "/config/", nil, "", 200},
		{"GET", "/config/dsiem_config.json", nil, "", 200},
		{"GET", "/config/assets_demo.json", nil, "", 200},
		{"GET", file, nil, "", 400},
		{"GET", file, asJSON(), "", 400},
		{"GET", "/config/new.exe", nil, "", 418},
		{"POST", file, map[string]string{"Origin": "http://evil.example"}, content, 403},
		{"GET", file, nil, "", 400}, // it is not there
		{"POST", file, onlyNew, content, 201},
		{"POST", file, onlyNew, content, 412},
		{"POST", file, map[string]string{"If-Match": `"another"`, "Accept": "application/json"}, content, 412},
		{"GET", file, nil, "", 200},
		{"GET", file, map[string]string{"If-None-Match": `"4b4d4c7f26e3f47b1e1b3f2e44ed7b5c9d29ec35fb3d37f1ea8bd6c5d4e0a1f0"`}, "", 200},
		{"GET", file, map[string]string{"If-None-Match": "*"}, "", 304},
		{"GET", file, map[string]string{"Range": "bytes=0-3"}, "", 206},
		{"GET", file, map[string]string{"Range": "bytes=900-"}, "", 416},
		{"POST", file, asJSON(), none, 418},
		{"POST", file, map[string]string{"Content-Type": "application/json"}, none, 418},
		{"POST", "/config/notes.json", nil, "not json", 418},
		{"POST", "/config/dsiem_config.json", nil, "{}", 403},
		{"DELETE", file, map[string]string{"If-Match": `"another"`}, "", 412},
		{"DELETE", file, map[string]string{"Sec-Fetch-Site": "cross-site"}, "", 403},
		{"DELETE", file, nil, "", 200},
		{"DELETE", file, nil, "", 400},
		{"DELETE", "/config/new.exe", asJSON(), "", 418},
	}
}

func diagnosticExchanges(event string) []exchange {
	return []exchange{
		{"POST", "/events", nil, event, 200}, // for an alarm on the status page
		{"GET", "/healthz", nil, "", 200},
		{"GET", "/readyz", nil, "", 200},
		{"GET", "/metrics", nil, "", 200},
		{"GET", "/metrics", map[string]string{"Accept": "application/openmetrics-text"}, "", 200},
		{"GET", "/debug/vars", nil, "", 301},
		{"GET", "/debug/vars/", nil, "", 200},
		{"GET", "/debug/pprof", nil, "", 301},
		{"GET", "/debug/pprof/", nil, "", 200},
		{"GET", "/debug/pprof/heap", nil, "", 200},
		{"GET", "/debug/pprof/goroutine?debug=1", nil, "", 200},
		{"GET", "/debug/pprof/none", nil, "", 404},
		{"GET", "/eps", nil, "", 301},
		{"GET", "/eps/", nil, "", 426},
		{"GET", "/", nil, "", 200},
		{"GET", "/status", nil, "", 200},
		{"GET", "/status/{asset}", nil, "", 200},
		{"GET", "/status/none.css", nil, "", 404},
		{"GET", "/ui", nil, "", 301},
		{"GET", "/ui/index.html", nil, "", 200},
		{"GET", "/ui/index.html", map[string]string{"If-None-Match": "*"}, "", 304},
		{"GET", "/ui/none.js", nil, "", 404},
	}
}

// documented is a running node and the document.
type documented struct {
	url    string
	client *http.Client
	doc    *openapi3.T
	// played has an element when a backend has played events.
	played chan struct{}
}

// newDocumented starts a standalone node with the sample configuration, a web UI
// and all options.
func newDocumented(t *testing.T, change func(*testing.T, *Options)) *documented {
	t.Helper()
	dir := t.TempDir()
	o := &Options{
		Mode: ModeStandalone, Node: "node", ConfigDir: filepath.Join(dir, "configs"), LogDir: filepath.Join(dir, "logs"), MaxQueue: 25_000,
		Statuses: []string{"Open", "In-Progress", "Closed"}, Tags: []string{"Identified Threat", "False Positive", "Valid Threat"},
		HTTP: HTTPOptions{Address: "127.0.0.1", MaxBody: 10 << 20}, HoldDuration: time.Second, Version: "test", Fsync: "never", Out: io.Discard,
	}
	o.Engine.Status, o.Engine.Tag = o.Statuses[0], o.Tags[0]
	o.PProf, o.HTTP.WritableConfig, o.HTTP.WebSocket, o.HTTP.WebDir = true, true, true, filepath.Join(dir, "web")
	if _, err := sample.Write(o.ConfigDir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(o.HTTP.WebDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.HTTP.WebDir, "index.html"), []byte("<!doctype html><title>UI</title>"), 0o600); err != nil {
		t.Fatal(err)
	}
	change(t, o)
	d := &documented{doc: openAPI(t), played: make(chan struct{}, 1), client: &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	t.Cleanup(d.client.CloseIdleConnections)
	o.Observers = []live.Observer{listener{played: d.played}}
	d.start(t, New(o))
	return d
}

// listener waits for events that are played.
type listener struct {
	live.Silent

	played chan<- struct{}
}

// Played implements live.Observer.
func (l listener) Played(*live.Played) {
	select {
	case l.played <- struct{}{}:
	default:
	}
}

// start runs a node until the end of the test. It returns when the node takes
// requests and, if it can, events.
func (d *documented) start(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	d.url = n.URL()
	if n.backend == nil {
		return
	}
	select {
	case <-n.Ready():
	case <-n.Failed():
		t.Fatal("the node has ended")
	}
}

var assetName = regexp.MustCompile(`status/status\.[0-9a-f]+\.css`)

// check sends a request and compares the answer with the document. A request
// that is taken must be as documented, too.
func (d *documented) check(t *testing.T, e exchange) {
	t.Helper()
	if strings.HasSuffix(e.path, "{asset}") {
		page := d.send(t, exchange{method: http.MethodGet, path: "/"})
		e.path = "/" + string(assetName.Find(page.body))
	}
	what := fmt.Sprintf("%s %s %v %.60q", e.method, e.path, e.header, e.body)
	answer := d.send(t, e)
	if answer.status != e.want {
		t.Errorf("%s: status %d, want %d: %s", what, answer.status, e.want, answer.body)
		return
	}
	if strings.HasPrefix(e.path, "/events") && e.want == http.StatusOK {
		<-d.played
	}
	route, params := d.route(answer.request)
	if route == nil {
		t.Errorf("%s is not in the document", what)
		return
	}
	request := answer.request.Clone(t.Context())
	request.Body = io.NopCloser(strings.NewReader(e.body))
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	if request.Header.Get("Content-Type") == "application/json" && e.want < http.StatusMultipleChoices {
		if err := openapi3filter.ValidateRequest(t.Context(), input); err != nil {
			t.Errorf("%s: it was taken, and is not as documented: %v", what, err)
		}
	}
	kind, _, _ := mime.ParseMediaType(answer.header.Get("Content-Type"))
	checked := []string{"application/json", "text/plain", ""}
	err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: answer.status, Header: answer.header, Body: io.NopCloser(bytes.NewReader(answer.body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true,
			// Where nothing was rejected there may be no body, which a document cannot say.
			ExcludeResponseBody: !slices.Contains(checked, kind) || len(answer.body) == 0 && strings.HasPrefix(e.path, "/events"),
		},
	})
	if err != nil {
		t.Errorf("%s: the answer is not as documented: %v\n%s", what, err, answer.body)
	}
	documented := route.Operation.Responses.Status(e.want)
	if documented == nil { // the library does not look at all of them
		t.Errorf("%s: status %d is not in the document", what, e.want)
		return
	}
	if content := documented.Value.Content; len(answer.body) > 0 && len(content) > 0 && content.Get(kind) == nil {
		t.Errorf("%s: the answer is %s, the document has %v", what, cmp.Or(kind, "of no type"), slices.Sorted(maps.Keys(content)))
	}
}

// route returns what the document has about a request, nil if nothing. Unlike the
// routers of the library it tells /config from /config/.
func (d *documented) route(r *http.Request) (*routers.Route, map[string]string) {
	for _, path := range d.doc.Paths.InMatchingOrder() { // those without parameters come first
		params, ok := paramsOf(path, r.URL.Path)
		item := d.doc.Paths.Value(path)
		if operation := item.GetOperation(r.Method); ok && operation != nil {
			return &routers.Route{Spec: d.doc, Path: path, PathItem: item, Method: r.Method, Operation: operation}, params
		}
	}
	return nil, nil
}

// paramsOf returns the parameters of a path that the document has, if it is the
// one that was asked for.
func paramsOf(path, asked string) (map[string]string, bool) {
	parts, given := strings.Split(path, "/"), strings.Split(asked, "/")
	if len(parts) != len(given) {
		return nil, false
	}
	params := map[string]string{}
	for i, part := range parts {
		name, isParam := strings.CutPrefix(strings.TrimSuffix(part, "}"), "{")
		switch {
		case isParam && given[i] != "":
			params[name] = given[i]
		case isParam || part != given[i]:
			return nil, false
		}
	}
	return params, true
}

// reply is the answer to a request.
type reply struct {
	request *http.Request
	status  int
	header  http.Header
	body    []byte
}

// send sends a request and returns the answer.
func (d *documented) send(t *testing.T, e exchange) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), e.method, d.url+e.path, strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range e.header {
		request.Header.Set(name, value)
	}
	answer, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{request, answer.StatusCode, answer.Header, body}
}

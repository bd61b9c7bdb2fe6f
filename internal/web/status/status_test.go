package status_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"dsiem/internal/web/status"

	"github.com/google/go-cmp/cmp"
)

// page is a status page behind a server, as an app registers it.
func page(t *testing.T, source func() status.Status) *httptest.Server {
	t.Helper()
	handler := status.Page(source)
	mux := http.NewServeMux()
	for _, pattern := range []string{"GET /{$}", "GET /status", "GET /status/"} {
		mux.Handle(pattern, handler)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// answer is an answer without its body.
type answer struct {
	StatusCode int
	Header     http.Header
}

// get returns the answer to GET with a few headers (name, value, …), and its
// body. It follows no redirect.
func get(t *testing.T, url string, headers ...string) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header}, string(body)
}

func standalone() status.Status {
	start := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	return status.Status{
		Mode: "standalone", Node: "siem-1", Version: "1.2.3", Started: start, UptimeSeconds: 93_784,
		EPS:      &status.EPS{Now: 1234, Limit: 5000, Overloaded: true},
		Queue:    &status.Queue{Length: 17, Limit: 25_000},
		Events:   &status.Events{Received: 1_234_567, Dropped: 89},
		NATS:     &status.NATS{Connected: true},
		Backlogs: &status.Backlogs{Live: 4321, Active: 7, Directives: 230},
		Configuration: &status.Configuration{
			Loaded: "0123456789abcdef", Stored: "fedcba9876543210", Pending: true, LeftOut: 1002,
			LeftOutList: []status.LeftOut{{File: "directives_a.json", Directive: "directive 12"}, {File: "directives_b.json"}},
		},
		Alarms: []status.Alarm{
			{Time: start.Add(time.Minute), ID: "aB3dE6gH9jK2mN5p", Title: "Ping flood (10.0.0.1 to 10.0.0.2)", Risk: 9, Class: "High"},
			{Time: start.In(time.FixedZone("CET", 3600)), ID: "b", Title: "Port scan", Risk: 3, Class: "Medium"},
		},
		Links: status.Links{Ready: true, Metrics: true, Config: true, UI: true},
	}
}

func frontend() status.Status {
	return status.Status{
		Mode: "cluster-frontend", Version: "1.2.3",
		EPS: &status.EPS{}, Events: &status.Events{}, NATS: &status.NATS{}, Links: status.Links{Ready: true},
	}
}

// missing returns the texts that are not in a body.
func missing(body string, texts ...string) []string {
	var m []string
	for _, text := range texts {
		if !strings.Contains(body, text) {
			m = append(m, text)
		}
	}
	return m
}

// present returns the texts that are in a body.
func present(body string, texts ...string) []string {
	var p []string
	for _, text := range texts {
		if strings.Contains(body, text) {
			p = append(p, text)
		}
	}
	return p
}

func TestPageShowsAStandaloneNode(t *testing.T) {
	t.Parallel()
	server := page(t, standalone)
	resp, body := get(t, server.URL+"/")
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if m := missing(body,
		"<title>Dsiem standalone siem-1</title>", "version 1.2.3", ">1 d 2 h<",
		">1,234<", ">of 5,000<", ">Overloaded, the limit falls<", `<section class="card alert" data-alert="eps.overloaded">`,
		">17<", ">of 25,000<", `max="25000" high="20000" optimum="0" value="17"`,
		">89<", ">1,234,567<", `<section class="card alert" data-alert="events.dropped">`, ">Events were lost<",
		">Connected<", `<section class="card" data-alert="nats.connected" data-alert-if="false">`,
		">4,321<", ">230</span> directives",
		`<section class="card alert">`, ">Another one is stored<", ">0123456789abcdef<", ">fedcba9876543210<", "because of errors: 1,002<",
		"<li><bdi>directive 12</bdi> of <code>directives_a.json</code></li>", "<li><code>directives_b.json</code></li>",
		`<time datetime="2024-02-29T12:01:00Z">2024-02-29 12:01:00</time>`, `<time datetime="2024-02-29T12:00:00Z">`,
		`<span class="class high">High</span>`, "<bdi>Ping flood (10.0.0.1 to 10.0.0.2)</bdi>",
		`<a href="ui/#/data/alarm-detail/aB3dE6gH9jK2mN5p"><code>aB3dE6gH9jK2mN5p</code></a>`,
		`<p id="no-alarms" hidden>`,
		`href="readyz"`, `href="metrics"`, `href="config/"`, `href="ui/"`,
	); m != nil {
		t.Errorf("missing %q in:\n%s", m, body)
	}
	if strings.Index(body, "Ping flood") > strings.Index(body, "Port scan") {
		t.Error("the order of the alarms was changed")
	}
}

func TestPageLeavesOutWhatAModeDoesNotHave(t *testing.T) {
	t.Parallel()
	server := page(t, frontend)
	_, body := get(t, server.URL+"/")
	if p := present(body, "backlogs", "Waiting events", "alarms", `href="metrics"`, `href="config/"`, `href="ui/"`, "node "); p != nil {
		t.Errorf("a frontend shows %q in:\n%s", p, body)
	}
	if m := missing(body, ">no limit<", "hidden></meter>", ">No event was lost<", ">Not overloaded<",
		`<section class="card" data-alert="events.dropped">`,
		`<section class="card alert" data-alert="nats.connected"`, ">Not connected<", `href="readyz"`); m != nil {
		t.Errorf("missing %q in:\n%s", m, body)
	}
	_, body = get(t, server.URL+"/status")
	want := `{"role":"cluster-frontend","version":"1.2.3","started":"0001-01-01T00:00:00Z","uptime_seconds":0,` +
		`"eps":{"now":0,"limit":0,"overloaded":false},"events":{"received":0,"dropped":0},"nats":{"connected":false},` +
		`"links":{"ready":true,"metrics":false,"config":false,"ui":false}}` + "\n"
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestPageShowsTheConfiguration(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		is      status.Configuration
		shows   []string
		doesNot []string
	}{
		{
			status.Configuration{Loaded: "aa", Stored: "aa"},
			[]string{`<section class="card" data-alert="configuration.pending">`, ">Loaded as stored<"},
			[]string{"Left out", "<ul>"},
		},
		{
			status.Configuration{Loaded: "aa", Stored: "bb", Pending: true},
			[]string{`<section class="card alert" data-alert="configuration.pending">`, ">Another one is stored<"},
			nil,
		},
		{status.Configuration{Stored: "bb"}, []string{"Stored <code", ">bb<"}, []string{"Loaded", "configuration.loaded"}}, // a frontend's
	} {
		server := page(t, func() status.Status { return status.Status{Configuration: &c.is} })
		_, body := get(t, server.URL+"/")
		if m, p := missing(body, c.shows...), present(body, c.doesNot...); m != nil || p != nil {
			t.Errorf("%+v: missing %q, too much %q in:\n%s", c.is, m, p, body)
		}
	}
}

func TestPageWithoutAlarmsSoFar(t *testing.T) {
	t.Parallel()
	server := page(t, func() status.Status { return status.Status{Alarms: status.NewRecent(0).List()} })
	_, body := get(t, server.URL+"/")
	if m := missing(body, `<p id="no-alarms">No alarm since the start.</p>`, `aria-labelledby="alarms-title" hidden>`); m != nil {
		t.Errorf("missing %q in:\n%s", m, body)
	}
	if _, body = get(t, server.URL+"/status"); !strings.Contains(body, `"alarms":[],`) {
		t.Errorf("status: %s", body)
	}
}

func TestStatusIsItsOwnJSON(t *testing.T) {
	t.Parallel()
	server := page(t, standalone)
	resp, body := get(t, server.URL+"/status")
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || got != "application/json; charset=utf-8" {
		t.Errorf("%d %s", resp.StatusCode, got)
	}
	var got status.Status
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(standalone(), got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestStatusIsReadPerRequest(t *testing.T) {
	t.Parallel()
	n := int64(0)
	server := page(t, func() status.Status {
		n++
		return status.Status{UptimeSeconds: n}
	})
	for _, want := range []string{`"uptime_seconds":1,`, `"uptime_seconds":2,`} {
		resp, body := get(t, server.URL+"/status")
		if !strings.Contains(body, want) || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("no %s in %s, %v", want, body, resp.Header)
		}
	}
}

// Titles, ids and even classes may be an attacker's.
func TestPageEscapesWhatItShows(t *testing.T) {
	t.Parallel()
	const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	server := page(t, func() status.Status {
		return status.Status{
			Mode: evil, Node: evil, Version: evil, Links: status.Links{UI: true},
			Configuration: &status.Configuration{LeftOut: 1, LeftOutList: []status.LeftOut{{File: evil, Directive: evil}}},
			Alarms: []status.Alarm{
				{Title: evil, ID: evil, Class: evil},
				{Title: "broken \xff\xfe text", ID: "javascript:alert(1)", Class: `high" onclick="alert(1)`},
			},
		}
	})
	_, body := get(t, server.URL+"/")
	if p := present(body, "<script>", "<img src=x", `onclick="`, `'><img`, "\xff", `href="javascript`); p != nil {
		t.Errorf("%q in:\n%s", p, body)
	}
	if m := missing(body, "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;", `<span class="class none">`, "broken \uFFFD text",
		`<a href="ui/#/data/alarm-detail/%3cscript%3e`); m != nil {
		t.Errorf("missing %q in:\n%s", m, body)
	}
	_, body = get(t, server.URL+"/status")
	if !json.Valid([]byte(body)) || strings.Contains(body, "<") {
		t.Errorf("status: %s", body)
	}
}

// What the page does with a status is in the script: it may make text, never
// markup, and no code out of data.
func TestScriptMakesTextOnly(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("page/status.js")
	if err != nil {
		t.Fatal(err)
	}
	if p := present(string(script), "innerHTML", "outerHTML", "insertAdjacent", "document.write", "DOMParser", "setHTML",
		"createContextualFragment", "srcdoc", "eval", "Function(", "setAttribute", "javascript:", "http:", "https:"); p != nil {
		t.Errorf("the script uses %q", p)
	}
	if m := missing(string(script), "textContent", "encodeURIComponent(alarm.id)", `fetch("status"`); m != nil {
		t.Errorf("the script does not use %q", m)
	}
	links := regexp.MustCompile(`\.(?:href|src)\s*=.*`).FindAllString(string(script), -1)
	if diff := cmp.Diff([]string{".href = `ui/#/data/alarm-detail/${encodeURIComponent(alarm.id)}`;"}, links); diff != "" {
		t.Errorf("links that the script makes (-want +got):\n%s", diff)
	}
}

// The script writes into the elements of the page, whose data attributes name
// members of the status and functions of the script.
func TestScriptFindsWhatThePageHas(t *testing.T) {
	t.Parallel()
	server := page(t, standalone)
	_, body := get(t, server.URL+"/")
	_, text := get(t, server.URL+"/status")
	var status map[string]any
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("page/status.js")
	if err != nil {
		t.Fatal(err)
	}
	attributes := regexp.MustCompile(`data-(text|meter|limit|alert|as)="([^"]+)"`).FindAllStringSubmatch(body, -1)
	const want = 39
	if len(attributes) != want {
		t.Errorf("%d attributes, want %d: %q", len(attributes), want, attributes)
	}
	for _, attribute := range attributes {
		kind, value := attribute[1], attribute[2]
		if kind == "as" {
			if !regexp.MustCompile(`(?m)^    ` + value + `[,:]`).Match(script) {
				t.Errorf("the script has no format %q", value)
			}
			continue
		}
		var at any = status
		for name := range strings.SplitSeq(value, ".") {
			members, _ := at.(map[string]any)
			at = members[name]
		}
		if at == nil {
			t.Errorf("the status has no %q", value)
		}
	}
	for _, id := range []string{"notice", "alarms", "no-alarms"} {
		if !strings.Contains(body, `id="`+id+`"`) || !strings.Contains(string(script), `getElementById("`+id+`")`) {
			t.Errorf("page and script do not share %q", id)
		}
	}
}

func TestPageObeysAStrictContentPolicy(t *testing.T) {
	t.Parallel()
	server := page(t, standalone)
	resp, body := get(t, server.URL+"/")
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"X-Content-Type-Options": "nosniff",
		"Referrer-Policy":        "no-referrer",
		"Cache-Control":          "no-store",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	// Inline code and style would not work, and nothing may come from elsewhere.
	if found := regexp.MustCompile(`<style|style=|<script>|<script [^>]*>[^<]| on\w+=|(?:src|href)="(?:/|\w+:)`).FindAllString(body, -1); found != nil {
		t.Errorf("%q in:\n%s", found, body)
	}
	for _, name := range []string{"page/status.css", "page/status.js", "page/icon.svg"} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(content), `xmlns="http://www.w3.org/2000/svg"`, "", 1) // a name, no address
		if found := regexp.MustCompile(`url\(|@import|//[a-z]+\.`).FindAllString(text, -1); found != nil {
			t.Errorf("%s loads %q", name, found)
		}
	}
}

func TestPageIsAccessible(t *testing.T) {
	t.Parallel()
	_, body := get(t, page(t, standalone).URL+"/")
	if m := missing(body, `<html lang="en">`, `<main>`, `<nav aria-label="`, `role="status"`, `<th scope="col">`, `alt=""`,
		`tabindex="0" role="region" aria-labelledby="alarms-title"`, `name="viewport"`, "<noscript>"); m != nil {
		t.Errorf("missing %q", m)
	}
	if meters, labels := strings.Count(body, "<meter"), strings.Count(body, "<meter aria-label="); meters != 2 || labels != meters {
		t.Errorf("%d meters, %d labels", meters, labels)
	}
}

func TestAssetsAreKeptForEver(t *testing.T) {
	t.Parallel()
	server := page(t, standalone)
	_, body := get(t, server.URL+"/")
	urls := regexp.MustCompile(`"(status/[\w.]+)"`).FindAllStringSubmatch(body, -1)
	kinds := map[string]string{}
	for _, match := range urls {
		url := match[1]
		if !regexp.MustCompile(`^status/\w+\.[0-9a-f]{12}\.\w+$`).MatchString(url) {
			t.Errorf("%s has no hash", url)
		}
		resp, content := get(t, server.URL+"/"+url)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "max-age=31536000, immutable" || content == "" {
			t.Errorf("%s: %d %v", url, resp.StatusCode, resp.Header)
		}
		kinds[url[strings.LastIndex(url, ".")+1:]] = resp.Header.Get("Content-Type")
	}
	want := map[string]string{"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	for _, path := range []string{"/status/", "/status/status.css", "/status/status.000000000000.css", "/status/status.html", "/favicon.ico"} {
		if resp, _ := get(t, server.URL+path); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestPageShowsTwentyAlarmsAndTheBeginningOfTitles(t *testing.T) {
	t.Parallel()
	alarms := make([]status.Alarm, 30)
	for i := range alarms {
		alarms[i] = status.Alarm{Title: strings.Repeat("€", 1000)}
	}
	server := page(t, func() status.Status { return status.Status{Alarms: alarms} })
	_, body := get(t, server.URL+"/status")
	var got status.Status
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Alarms) != status.ShownAlarms || got.Alarms[0].Title != strings.Repeat("€", 100)+"…" {
		t.Errorf("%d alarms, the first is %q", len(got.Alarms), got.Alarms[0].Title)
	}
	if _, body := get(t, server.URL+"/"); strings.Count(body, "<bdi>") != status.ShownAlarms {
		t.Errorf("%d rows", strings.Count(body, "<bdi>"))
	}
	if alarms[0].Title != strings.Repeat("€", 1000) {
		t.Error("the source's alarms were changed")
	}
}

func TestUptimeHasTwoUnits(t *testing.T) {
	t.Parallel()
	for in, want := range map[int64]string{
		-5: "0 s", 0: "0 s", 59: "59 s", 60: "1 min 0 s", 3599: "59 min 59 s", 3600: "1 h 0 min",
		86_399: "23 h 59 min", 86_400: "1 d 0 h", 86_400*1234 + 3*3600: "1,234 d 3 h",
	} {
		_, body := get(t, page(t, func() status.Status { return status.Status{UptimeSeconds: in} }).URL+"/")
		if !strings.Contains(body, `data-as="uptime">`+want+"<") {
			t.Errorf("%d s is not shown as %q", in, want)
		}
	}
}

func TestStatusThatCannotBeEncoded(t *testing.T) {
	t.Parallel()
	server := page(t, func() status.Status { return status.Status{Started: time.Unix(1<<40, 0)} })
	if resp, body := get(t, server.URL+"/status"); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func BenchmarkPage(b *testing.B) {
	handler := status.Page(standalone)
	for _, path := range []string{"/", "/status"} {
		b.Run(path, func(b *testing.B) {
			req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
			b.ReportAllocs()
			for b.Loop() {
				rec := httptest.NewRecorder()
				handler.ServeHTTP(rec, req)
				if rec.Code != http.StatusOK {
					b.Fatal(rec.Code)
				}
			}
		})
	}
}

package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/web/server"
	"dsiem/test/testkit"
)

func TestForeignPagesCannotChangeAnything(t *testing.T) {
	t.Parallel()
	h := server.NewBrowsers([]string{"dsiem.example"}, nil).Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, c := range []struct {
		who, method, site, origin string
		want                      int
	}{
		{"curl or Logstash", http.MethodPost, "", "", 200},
		{"curl or Logstash", http.MethodDelete, "", "", 200},
		{"the user, by hand", http.MethodPost, "none", "", 200},
		{"our page", http.MethodPost, "same-origin", "http://dsiem.example:8080", 200},
		{"our page over plain HTTP", http.MethodPost, "", "http://dsiem.example:8080", 200},
		{"another site", http.MethodPost, "cross-site", "https://evil.example", 403},
		{"another site", http.MethodDelete, "cross-site", "https://evil.example", 403},
		{"another host of the domain", http.MethodPost, "same-site", "https://www.example", 403},
		{"another site over plain HTTP", http.MethodPost, "", "http://evil.example", 403},
		{"another port over plain HTTP", http.MethodPost, "", "http://dsiem.example:5601", 403},
		{"a page without origin", http.MethodPost, "", "null", 403},
		{"another site that reads", http.MethodGet, "cross-site", "https://evil.example", 200},
	} {
		r := httptest.NewRequest(c.method, "http://dsiem.example:8080/config/a.json", http.NoBody)
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s, %s: %d, want %d", c.who, c.method, w.Code, c.want)
		}
		if refused := w.Code == 403; refused != strings.Contains(w.Body.String(), "a page of another site") {
			t.Errorf("%s, %s: the answer is %q", c.who, c.method, w.Body.String())
		}
	}
}

// askAs asks for / under a Host, with a header.
func askAs(b *server.Browsers, host string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Host, r.Header = host, header
	w := httptest.NewRecorder()
	b.Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return w
}

// A browser is answered under names that nobody elsewhere can point to the node.
func TestNamesForBrowsers(t *testing.T) {
	t.Parallel()
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	b := server.NewBrowsers([]string{"siem.example.com", "XN--SM-BJA.example."}, nil)
	for _, c := range []struct {
		want  int
		hosts []string
	}{
		{200, []string{
			"127.0.0.1:8080", "192.0.2.7", "[::1]:8080", "[::1]", "[fe80::1%25eth0]:8080", "[fe80::1%25eth0.evil.example]", "[::ffff:192.0.2.7]:80",
			"localhost:8080", "LOCALHOST", "localhost.", "siem", "siem:8080", own, own + ":8080", strings.ToUpper(own) + ".",
			"siem.local", "a.b.internal:8080", "siem.lan", "siem.default.svc:8080", "siem.default.svc.cluster.local.",
			"siem.example.com", "SIEM.Example.com:8080", "siem.example.com.", "siem.example.com.:8080", "xn--sm-bja.example",
		}},
		{403, []string{
			"evil.example", "evil.example:8080", "evil.example.", "127.0.0.1.evil.example", "localhost.evil.example", "local.evil.example",
			"evillocal.example", "www.siem.example.com", "example.com", "siem.example.com.evil.example", "siem.example.com..", "svc.example",
			"[evil.example]:8080", "1.2.3.4.5",
		}},
	} {
		for _, host := range c.hosts {
			if w := askAs(b, host, http.Header{"Accept-Language": {"en"}}); w.Code != c.want {
				t.Errorf("%q is answered %d, want %d", host, w.Code, c.want)
			}
			if w := askAs(b, host, http.Header{"User-Agent": {"curl/8"}, "Accept": {"*/*"}}); w.Code != http.StatusOK {
				t.Errorf("a program that asks %q is answered %d", host, w.Code)
			}
		}
	}
}

// What browsers and programs send, as Chromium and Node.js do.
func TestBrowsersAreKnownByTheirHeaders(t *testing.T) {
	t.Parallel()
	b := server.NewBrowsers(nil, nil)
	for _, c := range []struct {
		who    string
		header http.Header
		want   int
	}{
		{"curl", http.Header{"User-Agent": {"curl/8.0"}, "Accept": {"*/*"}}, 200},
		{"a program that says it is a browser", http.Header{"User-Agent": {"Mozilla/5.0"}, "Accept-Encoding": {"gzip, deflate"}}, 200},
		{"fetch of Node.js", http.Header{"Accept-Language": {"*"}, "Sec-Fetch-Mode": {"cors"}, "User-Agent": {"node"}}, 200},
		{"a page that is opened over plain HTTP", http.Header{"Upgrade-Insecure-Requests": {"1"}, "Accept-Language": {"en-US,en;q=0.9"}}, 403},
		{"a script that wants no Referer and no language", http.Header{"Accept-Language": {""}}, 403},
		{"a script that looks like a program", http.Header{"Accept-Language": {"*"}}, 403},
		{"a script", http.Header{"Referer": {"http://evil.example/"}}, 403},
		{"a script that posts", http.Header{"Origin": {"http://evil.example"}}, 403},
		{"a script over TLS", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}}, 403},
	} {
		if w := askAs(b, "evil.example", c.header); w.Code != c.want {
			t.Errorf("%s is answered %d, want %d", c.who, w.Code, c.want)
		}
	}
}

func TestRefusedBrowsersAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	var lines testkit.Logbook
	b := server.NewBrowsers(nil, lines.Logger())
	b.Register(reg)
	for range 3 {
		w := askAs(b, strings.Repeat("x", 100)+".evil.example", http.Header{"Referer": {"http://evil.example/"}})
		if !strings.Contains(w.Body.String(), "--host-names") {
			t.Errorf("the answer is %q", w.Body.String())
		}
	}
	r := httptest.NewRequest(http.MethodPost, "http://localhost/", http.NoBody)
	r.Header.Set("Origin", "http://evil.example")
	b.Protect(nil).ServeHTTP(httptest.NewRecorder(), r)
	want := []string{
		`dsiem_http_browser_refused_total{reason="host_name"} 3`,
		`dsiem_http_browser_refused_total{reason="other_site"} 1`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
	if got := lines.With("request of a browser refused"); len(got) != 2 || strings.Contains(fmt.Sprint(got), strings.Repeat("x", 81)) {
		t.Errorf("the log is %q, want one line for each reason", got)
	}
}

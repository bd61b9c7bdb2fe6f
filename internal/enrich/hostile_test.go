package enrich_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/enrich"
	"dsiem/internal/jsonfile"
	"dsiem/test/testkit"
)

// withKeys puts keys into the URL of a server: as a user and a password, in the path
// and in the query.
func withKeys(url string) (keyed string, keys []string) {
	return strings.Replace(url, "://", "://us3r:passw0rd@", 1) + "/pathk3y/?key=queryk3y&of=",
		[]string{"us3r", "passw0rd", "pathk3y", "queryk3y", "dXMzcjpwYXNzdzByZA=="}
}

// wantNoKey complains about keys in a text that others may see.
func wantNoKey(t *testing.T, what, text string, keys []string) {
	t.Helper()
	for _, key := range keys {
		if strings.Contains(text, key) {
			t.Errorf("%s shows the key %s: %s", what, key, text)
		}
	}
}

// say answers a request with text instead of HTTP.
func say(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(text))
	_ = conn.Close()
}

// A redirect is no answer: the keys go nowhere else, in no header either, and nothing
// else in the network is asked on behalf of the source.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			client := client()
			other := serve(t, client, func(w http.ResponseWriter, r *http.Request) {
				t.Errorf("another host was asked, with %v", r.Header)
				fmt.Fprint(w, `[{field: "threat", len: 7, value: "botnet"}]`)
			})
			s := serve(t, client, func(w http.ResponseWriter, r *http.Request) {
				if referer := r.Header.Get("Referer"); referer != "" {
					t.Errorf("the request has the Referer %s", referer)
				}
				http.Redirect(w, r, other.URL+"/", status)
			})
			url, keys := withKeys(s.URL)
			log := new(testkit.Logbook)
			e := start(t, enrich.Options{Services: wise(t, client, url), Logger: log.Logger()})
			if got := ask(e, intel("8.8.8.8")); len(got.Intel) > 0 {
				t.Errorf("found %v", got.Intel)
			}
			if len(log.With("look-ups failed", fmt.Sprint(status), "redirects are not followed")) != 1 {
				t.Errorf("the log is %s", log)
			}
			wantNoKey(t, "the log", log.String(), keys)
		})
	}
}

// Whatever a server sends back, the request that it answers among it, no key comes
// into an error, and so into no log.
func TestErrorsOfLookupsShowNoKey(t *testing.T) {
	t.Parallel()
	echo := func(r *http.Request) string { return r.RequestURI + " " + r.Header.Get("Authorization") }
	for name, handler := range map[string]http.HandlerFunc{
		"no HTTP":    func(w http.ResponseWriter, r *http.Request) { say(w, "GET "+echo(r)+"\r\n\r\n") },
		"bad status": func(w http.ResponseWriter, r *http.Request) { say(w, "HTTP/1.1 "+echo(r)+"\r\n\r\n") },
		"bad header": func(w http.ResponseWriter, r *http.Request) { say(w, "HTTP/1.1 200 OK\r\n"+echo(r)+"\r\n\r\n") },
		"bad length": func(w http.ResponseWriter, r *http.Request) {
			say(w, "HTTP/1.1 200 OK\r\nContent-Length: "+echo(r)+"\r\n\r\n")
		},
		"bad chunks": func(w http.ResponseWriter, r *http.Request) {
			say(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+echo(r)+"\r\n")
		},
		"bad redirect": func(w http.ResponseWriter, r *http.Request) {
			say(w, "HTTP/1.1 302 Found\r\nLocation: http://%zz/"+echo(r)+"\r\n\r\n")
		},
		"bad JSON":   func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `[{%q:{%q:[}]`, echo(r), echo(r)) },
		"other JSON": func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `[{"cve":{%q:%q}}]`, echo(r), echo(r)) },
		"status":     func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), http.StatusForbidden) },
		"endless head": func(w http.ResponseWriter, r *http.Request) {
			say(w, "HTTP/1.1 200 OK\r\nX: "+strings.Repeat(echo(r), 1<<14))
		},
		"break": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"gone":  nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := client()
			s := serve(t, client, handler)
			if handler == nil {
				s.Close()
			}
			url, keys := withKeys(s.URL)
			for _, service := range append(wise(t, client, url), nesd(t, client, url)...) {
				_, err := service.Lookup(t.Context(), enrich.Term{Addr: netip.MustParseAddr("8.8.8.8"), Port: 80})
				switch {
				case err == nil && service.Kind == enrich.Intel && name == "other JSON": // a list, of nothing that Wise knows
					continue
				case err == nil:
					t.Errorf("%s takes it for an answer", service.Name)
					continue
				}
				wantNoKey(t, "the error", err.Error(), keys)
			}
		})
	}
}

// An answer without end costs no more than one of the largest size.
func TestAnAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	client := client()
	s := serve(t, client, func(w http.ResponseWriter, r *http.Request) {
		for text := []byte(strings.Repeat(" ", 1<<16)); r.Context().Err() == nil; {
			if _, err := w.Write(text); err != nil {
				return
			}
		}
	})
	for _, service := range append(wise(t, client, s.URL), nesd(t, client, s.URL)...) {
		_, err := service.Lookup(t.Context(), enrich.Term{Addr: netip.MustParseAddr("8.8.8.8"), Port: 80})
		if !errors.Is(err, enrich.ErrAnswer) || !strings.Contains(err.Error(), "longer than 1048576 bytes") {
			t.Errorf("%s: got error %v", service.Name, err)
		}
	}
}

// An answer that never stops arriving, a byte a second, ends with the time of the
// look-up.
func TestAnAnswerThatTrickles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := pipeClient()
		s := serve(t, client, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, " ")
				_ = http.NewResponseController(w).Flush()
				<-time.After(time.Second)
			}
		})
		var seen outcomes
		e := start(t, enrich.Options{Services: wise(t, client, s.URL), Budget: time.Hour}.Observed(seen.observe))
		begin := time.Now()
		ask(e, intel("8.8.8.8"))
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("took %s", took)
		}
		wantText(t, "outcomes", &seen, "Wise abandoned 1")
	})
}

// What is wrong with the configuration of a source is logged at each start: not with
// its keys.
func TestProblemsOfSourcesShowNoKey(t *testing.T) {
	t.Parallel()
	for _, config := range []string{
		`{\"url\":\"ftp://us3r:passw0rd@x/pathk3y/${ip}?key=queryk3y\"}`,
		`{\"url\":\"x/pathk3y/${ip}?key=queryk3y\"}`,
		`{\"url\":\"http://us3r:passw0rd/1@x/${ip}?key=queryk3y\"}`,
		`{\"url\":\"http://us3r:pass%w0rd@x/${ip}?key=queryk3y\"}`,
		`{\"url\":\"http://x/pathk3y%zz/${ip}?key=queryk3y\"}`,
		`{\"url\":\"http://x/?key=queryk3y\"}`,
		`{\"url\":\"http://x/${ip}?key=queryk3y\"`,
		`queryk3y`,
		`[\"queryk3y\"]`,
	} {
		var report jsonfile.Report
		text := `{"intel_sources":[{"name":"Wise","plugin":"Wise","enabled":true,"config":"` + config + `"}]}`
		enrich.LoadIntel([]*jsonfile.File{jsonfile.NewFile("intel_a.json", []byte(text))}, client(), &report)
		if len(report.Problems) == 0 {
			t.Errorf("%s has no problem", config)
		}
		for i := range report.Problems {
			wantNoKey(t, "a problem", report.Problems[i].Error(), []string{"us3r", "passw0rd", "pass%", "w0rd", "pathk3y", "queryk3y"})
		}
	}
}

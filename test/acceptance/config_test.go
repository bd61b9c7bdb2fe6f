package acceptance

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dsiem/test/testkit"
)

// frontend serves configuration files. Names with a nil content are listed, and
// answered with status 500.
func frontend(t *testing.T, configs files) string {
	t.Helper()
	return changingFrontend(t, func() files { return configs })
}

// changingFrontend is a frontend whose files may become others.
func changingFrontend(t *testing.T, configs func() files) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config/{$}", func(w http.ResponseWriter, _ *http.Request) {
		type entry struct {
			Filename string `json:"filename"`
		}
		var list struct {
			Files []entry `json:"files"`
		}
		for name := range configs() {
			list.Files = append(list.Files, entry{name})
		}
		_ = json.NewEncoder(w).Encode(list)
	})
	mux.HandleFunc("GET /config/{name}", func(w http.ResponseWriter, r *http.Request) {
		content, ok := configs()[r.PathValue("name")]
		if !ok || content == nil {
			http.Error(w, "Error reading config directory", http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(content)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// offered are the files of T24 for node dsiem-backend-1, with those of others.
func offered(t *testing.T) files {
	t.Helper()
	own := configs(t, "", takeAll)
	other := configs(t, "", "directive id=77\n"+takeAll)
	const assets, directives = "assets_scenario.json", "directives_scenario.json"
	return files{
		"directives_dsiem-backend-1_a.json":  own[directives],
		"directives_dsiem-backend-10_a.json": other[directives],
		"assets_a.json":                      own[assets],
		"intel_a.json":                       []byte(`{"intel_sources":[]}`),
		"vuln_a.json":                        []byte(`{"vuln_sources":[]}`),
		"kingdom.json":                       []byte(`{}`),
	}
}

// names returns the names in a folder, which need not exist, but for hidden
// ones.
func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		testkit.Check(t, err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// T27: the slash at the end of the URL is trimmed.
func TestT24_T27_DownloadsItsOwnFiles(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	for _, slash := range []string{"", "/"} {
		h := newHome(t, nil)
		n := h.startReady(setup{nats: server.URL(), flags: []string{"--frontend=" + frontend(t, offered(t)) + slash}})
		want := []string{"assets_a.json", "directives_dsiem-backend-1_a.json", "intel_a.json", "vuln_a.json"}
		if got := names(t, h.configs); !slices.Equal(got, want) {
			t.Errorf("downloaded %q, want %q", got, want)
		}
		if len(n.said("1 directives found and loaded")) != 1 {
			t.Error("other directives than its own are loaded")
		}
		n.stop()
	}
}

// A file that cannot be downloaded changes nothing, is tried again, and a signal
// ends the waiting at once.
func TestT25_FailedDownloadReplacesNothing(t *testing.T) {
	t.Parallel()
	h := newHome(t, configs(t, "", takeAll))
	before := contents(t, h.configs)
	offer := offered(t)
	offer["vuln_a.json"] = nil
	n := h.start(setup{flags: []string{"--frontend=" + frontend(t, offer)}})
	_, next := n.saysAfter(0, "WARN", "error downloading config, retrying")
	n.saysAfter(next, "WARN", "error downloading config, retrying")
	took := n.stop()
	if after := contents(t, h.configs); !equalFiles(before, after) {
		t.Errorf("files %q became %q", keys(before), keys(after))
	}
	if took > 2*time.Second {
		t.Errorf("the end took %v", took)
	}
}

// A frontend that does not answer at all does not keep a signal waiting.
func TestT25_SilentFrontend(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	asked := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	n := newHome(t, nil).start(setup{flags: []string{"--frontend=" + server.URL}})
	<-asked
	if took := n.stop(); took > 2*time.Second {
		t.Errorf("the end took %v", took)
	}
}

// The diagnostics server is there before the configuration is, and says so.
func TestDiagnosticsOpenBeforeTheDownload(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	n := newHome(t, nil).start(setup{flags: []string{"--frontend=" + server.URL, diagnostics}})
	<-asked
	if got := n.get("/healthz"); got != http.StatusOK {
		t.Errorf("/healthz: %d, want 200", got)
	}
	const starting = `"ready":false,"error":"the node is starting"}`
	want := `{"status":"not ready","checks":[{"name":"nats",` + starting + `,{"name":"memory","ready":true},{"name":"configuration",` + starting +
		`,{"name":"alarm_files",` + starting + `],"configuration":{"pending":false,"left_out":0}}` + "\n"
	if status, body := n.fetch("/readyz"); status != http.StatusServiceUnavailable || body != want {
		t.Errorf("/readyz: %d %s, want 503 %s", status, body, want)
	}
	if got := n.metrics()["dsiem_config_outdated"]; got != 0 {
		t.Errorf("the configuration that is not there is outdated: %v", got)
	}
	if got := n.get("/debug/vars/"); got != http.StatusOK {
		t.Errorf("/debug/vars/: %d, want 200", got)
	}
	n.stop()
}

// wantOutdated waits for a backend that starts with what it downloaded once, and checks
// that it says so.
func (n *node) wantOutdated(why string) {
	n.t.Helper()
	n.takesEvents()
	n.says("WARN", "starting with the last good configuration", "restart this backend", why)
	if got := len(n.said("1 directives found and loaded")); got != 1 {
		n.t.Errorf("directives are loaded %d times", got)
	}
	status, body := n.fetch("/readyz")
	if status != http.StatusOK || !strings.Contains(body, `"name":"configuration","ready":true,"note":"the last good one, downloaded 2`) || !strings.Contains(body, why) {
		n.t.Errorf("/readyz: %d %s", status, body)
	}
	if got := n.metrics()["dsiem_config_outdated"]; got != 1 {
		n.t.Errorf("dsiem_config_outdated is %v, want 1", got)
	}
}

// A frontend that is down, or has what nobody can load, does not keep a backend from
// starting with what it had from it before.
func TestLastGoodConfiguration(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, nil)
	offer := offered(t)
	var served atomic.Value
	serve := func() { served.Store(maps.Clone(offer)) }
	serve()
	url := changingFrontend(t, func() files { return served.Load().(files) })
	s := setup{nats: server.URL(), flags: []string{"--frontend=" + url, diagnostics}}
	n := h.startReady(s)
	if got := n.metrics()["dsiem_config_outdated"]; got != 0 {
		t.Errorf("dsiem_config_outdated is %v, want 0", got)
	}
	n.stop()
	before := contents(t, h.configs)

	const own = "directives_dsiem-backend-1_a.json"
	good := offer[own]
	offer[own], offer["assets_b.json"] = []byte(`{"directives":[{"id":1}]}`), offer["assets_a.json"]
	serve()
	n = h.start(s)
	n.wantOutdated("loading directives: cannot load any directive")
	n.says("ERROR", "configuration problem=", own+":1:")
	n.stop()
	offer[own] = nil
	serve()
	n = h.start(s)
	n.says("WARN", "error downloading config, retrying")
	n.wantOutdated("status 500")
	n.stop()
	if after := contents(t, h.configs); !equalFiles(before, after) {
		t.Errorf("files %q became %q", keys(before), keys(after))
	}

	offer[own] = good
	serve()
	n = h.startReady(s)
	if got := n.metrics()["dsiem_config_outdated"]; got != 0 {
		t.Errorf("dsiem_config_outdated is %v, want 0", got)
	}
	n.stop()
	if got := keys(contents(t, h.configs)); !slices.Contains(got, "assets_b.json") {
		t.Errorf("files %q", got)
	}
}

// Without an earlier download what cannot be loaded ends the start, in the references'
// words, and leaves nothing behind.
func TestFirstConfigurationThatCannotBeLoaded(t *testing.T) {
	t.Parallel()
	h := newHome(t, nil)
	offer := offered(t)
	offer["directives_dsiem-backend-1_a.json"] = []byte(`{"directives":[{"id":1}]}`)
	n := h.start(setup{flags: []string{"--frontend=" + frontend(t, offer)}})
	n.exit(1)
	n.says("ERROR", "error loading directives: cannot load any directive")
	if got := names(t, h.configs); len(got) > 0 {
		t.Errorf("files %q", got)
	}
}

// contents returns the files of a folder by name, but for hidden ones.
func contents(t *testing.T, dir string) files {
	t.Helper()
	all := files{}
	for _, name := range names(t, dir) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		testkit.Check(t, err)
		all[name] = content
	}
	return all
}

func keys(f files) (names []string) {
	for name := range f {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func equalFiles(a, b files) bool {
	return slices.Equal(keys(a), keys(b)) &&
		!slices.ContainsFunc(keys(a), func(name string) bool { return string(a[name]) != string(b[name]) })
}

func TestT26_NamesCannotLeaveTheFolder(t *testing.T) {
	t.Parallel()
	h := newHome(t, nil)
	offer := offered(t)
	for _, evil := range []string{"assets_/../../evil.json", "../assets_evil.json", `assets_..\..\evil.json`} {
		offer[evil] = []byte(`{}`)
	}
	n := h.startReady(setup{nats: startNATS(t).URL(), flags: []string{"--frontend=" + frontend(t, offer)}})
	n.stop()
	testkit.Check(t, filepath.WalkDir(filepath.Dir(h.configs), func(path string, _ os.DirEntry, err error) error {
		if strings.Contains(path, "evil") {
			t.Errorf("%s was written", path)
		}
		return err
	}))
}

// Files that the frontend does not list any more are removed, others stay.
func TestDownloadRemovesWhatItBrought(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, nil)
	offer := offered(t)
	h.startReady(setup{nats: server.URL(), flags: []string{"--frontend=" + frontend(t, offer)}}).stop()
	testkit.Check(t, os.WriteFile(filepath.Join(h.configs, "assets_mine.json"), offer["assets_a.json"], 0o600))
	delete(offer, "vuln_a.json")
	h.startReady(setup{nats: server.URL(), flags: []string{"--frontend=" + frontend(t, offer)}}).stop()
	want := []string{"assets_a.json", "assets_mine.json", "directives_dsiem-backend-1_a.json", "intel_a.json"}
	if got := names(t, h.configs); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// Exit codes of docs/spec/interfaces.md §5.7 for starts that fail.
func TestExitCodesOfFailedStarts(t *testing.T) {
	t.Parallel()
	good := configs(t, "", takeAll)
	const assets, directives = "assets_scenario.json", "directives_scenario.json"
	var config net.ListenConfig
	taken, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	testkit.Check(t, err)
	t.Cleanup(func() { taken.Close() })
	for name, c := range map[string]struct {
		configs files
		flags   []string
		code    int
		says    string
	}{
		"no directive":        {files{assets: good[assets]}, nil, 1, "cannot load any directive"},
		"no asset":            {files{directives: good[directives]}, nil, 1, "cannot load any asset"},
		"bad directive":       {configs(t, "", "r1 from=10.0.0.1/24 rel10"), nil, 1, "10.0.0.1/24"},
		"risk bounds":         {good, []string{"--med_risk_min", "1"}, 1, "reading med_risk_min and med_risk_max"},
		"NATS URL":            {good, []string{"--msq=http://127.0.0.1"}, 1, "neither nats:// nor tls://"},
		"frontend URL":        {good, []string{"--frontend=ftp://127.0.0.1"}, 1, "downloading config"},
		"metrics port in use": {good, []string{"--metrics-address=" + taken.Addr().String()}, 1, "address already in use"},
		"unknown flag":        {good, []string{"--no-such-flag"}, 2, "no-such-flag"},
		"bad value":           {good, []string{"--max-eps=many"}, 2, "max-eps"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, c.configs)
			n := h.start(setup{flags: c.flags})
			n.exit(c.code)
			if said := append(n.said(c.says), n.err.With(c.says)...); len(said) == 0 {
				t.Errorf("it does not say %q", c.says)
			}
		})
	}
}

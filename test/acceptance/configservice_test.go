package acceptance

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// settingsName is the file for the web UI.
const settingsName = "dsiem_config.json"

// rights of a node to change configuration.
const writable = "--writable-config"

// startServices starts a node of each kind that serves configuration, with the
// same files. They need no NATS for that.
func startServices(t *testing.T, files files, flags ...string) (all []*node) {
	t.Helper()
	for _, i := range frontends {
		h := newHome(t, files)
		all = append(all, h.start(setup{role: frontendRole, program: i.program, flags: append(slices.Clone(flags), i.flags...)}))
	}
	h := newHome(t, files)
	return append(all, h.start(setup{role: standaloneRole, flags: flags}))
}

// sampleFiles is a configuration that a node can start with.
func sampleFiles(t *testing.T) files {
	t.Helper()
	all := configs(t, "", takeAll)
	all["intel_a.json"] = []byte(`{"intel_sources":[]}`)
	// D68: order, large numbers and form are the operator's.
	all["kingdom.json"] = []byte("{ \"z\":1,\r\n\t\"a\": 12345678901234567890123, \"z\": 1.0e2 }\n\n")
	return all
}

// wantAnswer checks an answer, whose body must begin with a text.
func wantAnswer(t *testing.T, what string, a answer, status int, begin string) {
	t.Helper()
	if a.status != status || !strings.HasPrefix(a.body, begin) {
		t.Errorf("%s is answered %d %q, want %d %q", what, a.status, a.body, status, begin)
	}
}

// listed returns the names in the list of files.
func listed(t *testing.T, body string) (names []string) {
	t.Helper()
	var list struct {
		Files []struct{ Filename string }
	}
	testkit.Check(t, json.Unmarshal([]byte(body), &list))
	for _, f := range list.Files {
		names = append(names, f.Filename)
	}
	return names
}

func TestT13_ListOfFiles(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t)) {
		// D48: nothing is listed that cannot be had.
		for _, other := range []string{"notes.txt", ".hidden.json", "a b.json"} {
			testkit.Check(t, os.WriteFile(filepath.Join(n.configs, other), []byte("{}"), 0o600))
		}
		testkit.Check(t, os.Mkdir(filepath.Join(n.configs, "folder.json"), 0o700))
		a := n.ask(http.MethodGet, "/config/", "")
		want := []string{"assets_scenario.json", "directives_scenario.json", settingsName, "intel_a.json", "kingdom.json"}
		if a.status != 200 || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("answer %d, %s", a.status, a.header.Get("Content-Type"))
		}
		if diff := cmp.Diff(want, listed(t, a.body)); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	}
}

func TestT14_ListWithoutSlash(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t)) {
		if with, without := n.ask(http.MethodGet, "/config/", ""), n.ask(http.MethodGet, "/config", ""); without.status != 200 || with.body != without.body {
			t.Errorf("answer %d %s, want that with a slash, %s", without.status, without.body, with.body)
		}
		if a := n.ask(http.MethodHead, "/config/", ""); a.status != 200 || a.body != "" {
			t.Errorf("HEAD is answered %d %q", a.status, a.body)
		}
	}
}

func TestT15_FilesAsTheyAre(t *testing.T) {
	t.Parallel()
	all := sampleFiles(t)
	for _, n := range startServices(t, all) {
		for name, content := range all {
			if a := n.ask(http.MethodGet, "/config/"+name, ""); a.status != 200 || a.body != string(content) {
				t.Errorf("%s is answered %d %q, want %q", name, a.status, a.body, content)
			}
		}
	}
}

func TestT16_MissingFile(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t)) {
		wantAnswer(t, "a missing file", n.ask(http.MethodGet, "/config/nope.json", ""), http.StatusBadRequest, "cannot open nope.json")
	}
}

// D49: the dot before json is a dot.
func TestT17_InvalidNames(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t), writable) {
		for _, name := range []string{"foo.exe", "_.json", "test.json.foo", "..dot.json", ".json", "a.b.json", "foojson", "fooXjson", "a%20b.json", "%c3%a4.json", "-a.json"} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
				a := n.ask(method, "/config/"+name, "{}")
				wantAnswer(t, method+" "+name, a, http.StatusTeapot, "Not a valid filename, should be in any_N4m3")
			}
		}
	}
}

// Paths as no client library sends them.
func TestT18_PathsOutOfTheFolder(t *testing.T) {
	t.Parallel()
	const secret = "the content of another file"
	for _, n := range startServices(t, sampleFiles(t), writable) {
		outside := filepath.Join(filepath.Dir(n.configs), "secret.json")
		testkit.Check(t, os.WriteFile(outside, []byte(secret), 0o600))
		testkit.Check(t, os.Mkdir(filepath.Join(n.configs, "dir"), 0o700))
		testkit.Check(t, os.WriteFile(filepath.Join(n.configs, "dir", "json"), []byte(secret), 0o600))
		testkit.Check(t, os.Symlink(outside, filepath.Join(n.configs, "link.json")))
		encoded := strings.ReplaceAll(outside, "/", "%2f")
		for _, path := range []string{
			"/config/..%2f..%2fetc%2fpasswd", "/config/..%2Fsecret.json", "/config/%2e%2e%2fsecret.json", "/config/%2e%2e/secret.json",
			"/config/../secret.json", "/config/./../secret.json", "/config//../secret.json", `/config/..\secret.json`, "/config/..%5csecret.json",
			"/config/" + encoded, "/config/" + outside, "/config/dir%2Fjson", "/config/dir/json", "/config/..%252fsecret.json",
			"/config/secret.json%00.json", "/config/link.json", "/ui/../config/../secret.json", "/ui/..%2fsecret.json", "//config/..%2fsecret.json",
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
				a := n.raw(fmt.Sprintf("%s %s HTTP/1.1\nHost: d\nConnection: close\nContent-Length: 2", method, path), "{}")
				if link := path == "/config/link.json"; !link && (a.status < 300 || a.status >= 500) || strings.Contains(a.body, secret) || strings.Contains(a.body, "root:") {
					t.Errorf("%s %s is answered %d %.200s", method, path, a.status, a.body)
				}
			}
		}
		content, err := os.ReadFile(outside)
		testkit.Check(t, err)
		if string(content) != secret {
			t.Errorf("the other file is now %q", content)
		}
		if a := n.raw("GET /config/..%2f..%2fetc%2fpasswd HTTP/1.1\nHost: d\nConnection: close", ""); a.status != 404 && a.status != 418 {
			t.Errorf("the way to /etc/passwd is answered %d, want 404 or 418", a.status)
		}
	}
}

func TestT19_PutIsNotThere(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {writable}} {
		for _, n := range startServices(t, sampleFiles(t), flags...) {
			a := n.ask(http.MethodPut, "/config/a.json", "{}")
			if a.status != http.StatusMethodNotAllowed || !strings.Contains(a.header.Get("Allow"), "GET") {
				t.Errorf("PUT is answered %d, Allow %q", a.status, a.header.Get("Allow"))
			}
			if exists(filepath.Join(n.configs, "a.json")) {
				t.Error("the file is there")
			}
		}
	}
}

func TestT20_ReadOnly(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t)) {
		n.address() // the settings are written
		before := contents(t, n.configs)
		for _, method := range []string{http.MethodPost, http.MethodDelete} {
			a := n.ask(method, "/config/assets_a.json", `{"assets":[{"name":"a","cidr":"10.0.0.0/8","value":1}]}`)
			if a.status != http.StatusMethodNotAllowed || !strings.Contains(a.header.Get("Allow"), "GET") {
				t.Errorf("%s is answered %d, Allow %q", method, a.status, a.header.Get("Allow"))
			}
		}
		if a := n.ask(http.MethodDelete, "/config/assets_scenario.json", ""); a.status != http.StatusMethodNotAllowed {
			t.Errorf("DELETE of a file is answered %d", a.status)
		}
		if after := contents(t, n.configs); !equalFiles(before, after) {
			t.Errorf("files %q became %q", keys(before), keys(after))
		}
	}
}

const oneAsset = `{"assets":[{"name":"a","cidr":"10.0.0.0/8","value":1}]}`

func TestT21_Upload(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t), writable) {
		a := n.ask(http.MethodPost, "/config/assets_x.json", oneAsset, formType)
		wantAnswer(t, "an upload", a, http.StatusCreated, "File assets_x.json uploaded successfully\n")
		name := filepath.Join(n.configs, "assets_x.json")
		content, err := os.ReadFile(name)
		testkit.Check(t, err)
		info, err := os.Stat(name)
		testkit.Check(t, err)
		if string(content) != oneAsset || info.Mode().Perm() != 0o600 {
			t.Errorf("the file is %q with mode %v", content, info.Mode())
		}
		if a := n.ask(http.MethodGet, "/config/assets_x.json", ""); a.status != 200 || a.body != oneAsset {
			t.Errorf("it is handed out as %d %q", a.status, a.body)
		}
		if !slices.Contains(listed(t, n.ask(http.MethodGet, "/config/", "").body), "assets_x.json") {
			t.Error("it is not listed")
		}
	}
}

// §2.3, D50: nothing gets in that a backend cannot load.
func TestT22_RefusedUploads(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t), writable) {
		n.address() // the settings are written
		before := contents(t, n.configs)
		for _, c := range []struct{ name, body, says string }{
			{"assets_scenario.json", `{"assets":[]}`, "content doesn't have a valid entry"},
			{"assets_scenario.json", `{}`, "content doesn't have a valid entry"},
			{"directives_scenario.json", `{"directives":[]}`, "content doesn't have a valid entry"},
			{"intel_a.json", `{"intel_sources":[]}`, "content doesn't have a valid entry"},
			{"vuln_a.json", `{"vuln_sources":[]}`, "content doesn't have a valid entry"},
			{"assets_scenario.json", `{"assets":[{"name":"a","cidr":"10.0.0.0/88","value":1}]}`, "10.0.0.0/88"},
			{"directives_scenario.json", `{"directives":[{}]}`, "directives_scenario.json:1:"},
			{"assets_scenario.json", oneAsset[:20], "not valid JSON"},
			{"other.json", "not json", "not valid JSON"},
		} {
			a := n.ask(http.MethodPost, "/config/"+c.name, c.body)
			wantAnswer(t, c.name+" "+c.body, a, http.StatusTeapot, "Invalid content detected, parsing error message is: ")
			if !strings.Contains(a.body, c.says) {
				t.Errorf("%s %s is answered %q, want %q in it", c.name, c.body, a.body, c.says)
			}
		}
		a := n.raw("POST /config/assets_a.json HTTP/1.1\nHost: d\nConnection: close\nContent-Length: 104857601", "")
		wantAnswer(t, "a file of more than 100 MiB", a, http.StatusRequestEntityTooLarge, "")
		if a := n.ask(http.MethodPost, "/config/"+settingsName, `{"status":[],"tags":[]}`); a.status < 400 {
			t.Errorf("the settings are changed: %d %s", a.status, a.body)
		}
		if after := contents(t, n.configs); !equalFiles(before, after) {
			t.Errorf("files %q became %q", keys(before), keys(after))
		}
	}
}

// What the folder would be counts, as a node would load it: a backend its own files
// of a frontend's folder, a standalone node all.
func TestChangesAreCheckedWithTheFolder(t *testing.T) {
	t.Parallel()
	all := sampleFiles(t)
	same := string(all["directives_scenario.json"])
	const refused, stored = "Invalid content detected, parsing error message is: ", "File "
	for _, n := range startServices(t, all, writable) {
		n.address() // the settings are written
		before := contents(t, n.configs)
		otherNode := stored
		if n.role == standaloneRole {
			otherNode = refused
		}
		for _, c := range []struct{ method, name, body, begin, says string }{
			{"DELETE", "assets_scenario.json", "", refused, "there is no asset file"},
			{"POST", "directives_n1_a.json", same, otherNode, ""},
			{"POST", "directives_n2_a.json", same, otherNode, ""},
			{"POST", "directives_n1_b.json", same, refused, "this id is already used by the directive at directives_"},
			{"POST", "assets_new.json", oneAsset, stored, "Running nodes do not have it yet"},
			{"POST", "notes.json", "{}", stored + "notes.json uploaded successfully\n", ""},
			{"DELETE", "assets_scenario.json", "", "", ""},
			{"POST", "assets_scenario.json", string(all["assets_scenario.json"]), stored, ""},
			{"DELETE", "assets_new.json", "", "", ""},
			{"DELETE", "notes.json", "", "", ""},
		} {
			a := n.ask(c.method, "/config/"+c.name, c.body)
			status := map[string]int{refused: http.StatusTeapot, "": http.StatusOK}[c.begin]
			if status == 0 {
				status = http.StatusCreated
			}
			wantAnswer(t, fmt.Sprintf("%s %s of a %v", c.method, c.name, n.role), a, status, c.begin)
			if !strings.Contains(a.body, c.says) {
				t.Errorf("%s %s is answered %q, want %q in it", c.method, c.name, a.body, c.says)
			}
		}
		for _, name := range []string{"directives_n1_a.json", "directives_n2_a.json"} {
			if n.role == frontendRole {
				wantAnswer(t, "DELETE of "+name, n.ask(http.MethodDelete, "/config/"+name, ""), http.StatusOK, "")
			}
		}
		if after := contents(t, n.configs); !equalFiles(before, after) {
			t.Errorf("files %q became %q", keys(before), keys(after))
		}
	}
}

// loadedConfiguration is what a node says of its configuration.
type loadedConfiguration struct {
	Loaded, Stored string
	Pending        bool
	LeftOut        int                 `json:"left_out"`
	LeftOutList    []map[string]string `json:"left_out_list"`
}

// configuration returns what a node says of its configuration, which must be the same
// in /readyz, on the page and in the metrics.
func (n *node) configuration() loadedConfiguration {
	n.t.Helper()
	var ready, page struct{ Configuration loadedConfiguration }
	for path, to := range map[string]any{"/readyz": &ready, "/status": &page} {
		a := n.ask(http.MethodGet, path, "")
		if a.status != http.StatusOK {
			n.t.Errorf("%s is answered %d", path, a.status)
		}
		testkit.Check(n.t, json.Unmarshal([]byte(a.body), to))
	}
	if diff := cmp.Diff(ready, page); diff != "" {
		n.t.Errorf("/readyz -, /status +:\n%s", diff)
	}
	c := ready.Configuration
	m := parseMetrics(n.t, n.ask(http.MethodGet, "/metrics", "").body)
	want := metrics{
		`dsiem_config_info{hash="` + c.Stored + `",state="stored"}`: 1, `dsiem_config_left_out`: float64(c.LeftOut),
		`dsiem_config_info{hash="` + c.Loaded + `",state="loaded"}`: 1, `dsiem_config_pending`: 0,
	}
	if c.Pending {
		want["dsiem_config_pending"] = 1
	}
	for _, o := range c.LeftOutList {
		want[`dsiem_config_left_out_info{directive="`+o["directive"]+`",file="`+o["file"]+`"}`] = 1
	}
	for name, value := range want {
		if got, found := m[name]; !found || got != value {
			n.t.Errorf("%s is %v, want %v", name, got, value)
		}
	}
	return c
}

// A node says whether what it has loaded is what is stored, whoever stores it, and
// what it has left out.
func TestLoadedAndStoredConfiguration(t *testing.T) {
	t.Parallel()
	all := sampleFiles(t)
	all["directives_x.json"] = []byte(`{"directives":[{"id":77,"name":"x"}]}`)
	h := newHome(t, all)
	n := h.startReady(setup{role: standaloneRole, flags: []string{writable, "--skip-invalid"}})
	begin := n.configuration()
	if begin.Loaded == "" || begin.Loaded != begin.Stored || begin.Pending || begin.LeftOut != 1 ||
		!cmp.Equal(begin.LeftOutList, []map[string]string{{"file": "directives_x.json", "directive": "directive 77"}}) {
		t.Errorf("at the start it is %+v", begin)
	}
	n.ask(http.MethodPost, "/config/assets_x.json", oneAsset)
	changed := n.configuration()
	if changed.Loaded != begin.Loaded || changed.Stored == begin.Stored || !changed.Pending {
		t.Errorf("after an upload it is %+v, was %+v", changed, begin)
	}
	n.ask(http.MethodDelete, "/config/assets_x.json", "")
	if got := n.configuration(); !cmp.Equal(got, begin) {
		t.Errorf("when that is taken back it is %+v, was %+v", got, begin)
	}
	testkit.Check(t, os.Remove(filepath.Join(n.configs, "directives_x.json")))
	if got := n.configuration(); !got.Pending || got.LeftOut != 1 {
		t.Errorf("after the file is removed it is %+v", got)
	}
	n.stop()
	again := h.startReady(setup{role: standaloneRole, flags: []string{writable}})
	if got := again.configuration(); got.Pending || got.LeftOut != 0 || got.Loaded == begin.Loaded {
		t.Errorf("after a start it is %+v", got)
	}
}

func TestT23_DeleteTwice(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t), writable) {
		n.ask(http.MethodPost, "/config/assets_x.json", oneAsset)
		wantAnswer(t, "the first deletion", n.ask(http.MethodDelete, "/config/assets_x.json", ""), http.StatusOK, "")
		if exists(filepath.Join(n.configs, "assets_x.json")) {
			t.Error("the file is still there")
		}
		wantAnswer(t, "the second deletion", n.ask(http.MethodDelete, "/config/assets_x.json", ""), http.StatusBadRequest, "cannot delete assets_x.json")
	}
}

// D11: the settings are served although they cannot be written. Root writes
// wherever it likes, so something is in the way instead.
func TestT28_FolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil  func(h *home)
		folder setup
	}{
		"the default folder cannot be made": {func(h *home) {
			testkit.Check(h.t, os.RemoveAll(h.configs))
			testkit.Check(h.t, os.WriteFile(h.configs, nil, 0o600))
		}, setup{defaultFolders: true}},
		"the file cannot be replaced": {func(h *home) {
			testkit.Check(h.t, os.MkdirAll(filepath.Join(h.configs, settingsName, "full"), 0o700))
			testkit.Check(h.t, os.Chmod(h.configs, 0o500))
			h.t.Cleanup(func() { testkit.Check(h.t, os.Chmod(h.configs, 0o700)) })
		}, setup{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startNATS(t)
			for _, i := range frontends {
				h := newHome(t, sampleFiles(t))
				c.spoil(h)
				s := c.folder
				s.role, s.program, s.nats, s.flags = frontendRole, i.program, server.URL(), i.flags
				n := h.startReady(s)
				n.says("WARN", "settings for the web UI not written")
				if a := n.ask(http.MethodGet, "/config/"+settingsName, ""); a.status != 200 || !strings.Contains(a.body, "In-Progress") {
					t.Errorf("the settings are answered %d %s", a.status, a.body)
				}
				n.takesPosted(theEvent)
				n.stop()
			}
		})
	}
}

// D51: nothing of the settings but these two lists leaves the node, and so it
// is for T7, too: a list from the environment.
func TestT29_T07_SettingsForTheWebUI(t *testing.T) {
	t.Parallel()
	flags := []string{"--msq=nats://user:secret-p@127.0.0.1:1", "--status=New,Done"}
	for _, n := range append(startServices(t, sampleFiles(t), flags...), newHome(t, sampleFiles(t)).start(setup{
		role: frontendRole, env: []string{"DSIEM_STATUS=New,Done", "DSIEM_MSQ=nats://user:secret-p@127.0.0.1:1"},
	})) {
		a := n.ask(http.MethodGet, "/config/"+settingsName, "")
		written, err := os.ReadFile(filepath.Join(n.configs, settingsName))
		testkit.Check(t, err)
		for _, text := range []string{a.body, string(written)} {
			var settings map[string][]string
			testkit.Check(t, json.Unmarshal([]byte(text), &settings))
			want := map[string][]string{
				"status": {"New", "Done"},
				"tags":   {"Identified Threat", "False Positive", "Valid Threat", "Security Incident"},
			}
			if diff := cmp.Diff(want, settings); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		}
		if got := n.said("secret-p"); len(got) > 0 {
			t.Errorf("the password is in the log: %q", got)
		}
	}
}

// The first alarm of a standalone node has the first status.
func TestT07_FirstStatusOfAStandaloneNode(t *testing.T) {
	t.Parallel()
	h := newHome(t, configs(t, "", takeAll))
	n := h.startReady(setup{role: standaloneRole, env: []string{"DSIEM_STATUS=New,Done", "DSIEM_TAGS=Valid Threat,Identified Threat"}})
	n.takesPosted(ev{id: "e1"}.String())
	n.takes("e1")
	n.stop()
	if a := n.alarms(); len(a) == 0 || a[0].Status != "New" || a[0].Tag != "Valid Threat" {
		t.Errorf("alarms %+v", a)
	}
}

// Backends download from real frontends, of both programs and of a standalone
// node, what is for them.
func TestT24_T27_DownloadFromRealFrontends(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	for _, n := range startServices(t, withoutSources(t)) {
		h := newHome(t, nil)
		b := h.startReady(setup{nats: server.URL(), flags: []string{"--frontend=http://" + n.address() + "/"}})
		want := []string{"assets_a.json", "directives_dsiem-backend-1_a.json"}
		if got := names(t, h.configs); !slices.Equal(got, want) {
			t.Errorf("downloaded %q, want %q", got, want)
		}
		b.stop()
		n.stop()
	}
}

// withoutSources are the files of T24 that a standalone node can start with.
func withoutSources(t *testing.T) files {
	t.Helper()
	all := offered(t)
	delete(all, "intel_a.json")
	delete(all, "vuln_a.json")
	delete(all, "kingdom.json")
	return all
}

// Whatever a name is made of, it is answered as the rule wants, nothing else is
// handed out, and no name is a failure of the node.
func TestRandomNames(t *testing.T) {
	t.Parallel()
	valid := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*\.json$`)
	parts := []string{
		"a", "Z", "0", "_", "-", ".", "..", ".json", "json", "JSON", "%2e", "%2E%2e", "%2f", "%5c", "%00", "%0a", "%20", "%25", "%c3%a4",
		"assets_scenario", "directives_scenario.json", "~", "*", "'", "\"", "|", ":", "+", "=", "@", "[", "%ff", "\\",
	}
	n := startServices(t, sampleFiles(t))[0]
	random := rand.New(rand.NewPCG(7, 11))
	c := n.dial()
	r := bufio.NewReader(c)
	for range scaled(3000) {
		var escaped strings.Builder
		for range 1 + random.IntN(6) {
			escaped.WriteString(parts[random.IntN(len(parts))])
		}
		_, err := fmt.Fprintf(c, "GET /config/%s HTTP/1.1\r\nHost: d\r\n\r\n", escaped.String())
		testkit.Check(t, err)
		a := readAnswer(t, r)
		decoded := unescaped(escaped.String())
		want := 418
		switch {
		case valid.MatchString(decoded) && exists(filepath.Join(n.configs, decoded)):
			want = 200
		case valid.MatchString(decoded):
			want = 400
		}
		if a.status == 301 || a.status == 307 || decoded == "/" { // the path was cleaned, or is that of the list
			continue
		}
		if a.status != want && (want != 418 || a.status != 400 && a.status != 404) {
			t.Errorf("%s is answered %d %.100s, want %d", escaped.String(), a.status, a.body, want)
		}
		if a.header.Get("Connection") == "close" { // a request that is none
			c = n.dial()
			r.Reset(c)
		}
	}
}

// unescaped returns what percent signs stand for, "" if that is nothing.
func unescaped(text string) string {
	request, err := http.NewRequest(http.MethodGet, "http://d/"+text, http.NoBody)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(request.URL.Path, "/")
}

// What is left of the web UI's folder is served, and nothing else of it.
func TestStaticFiles(t *testing.T) {
	t.Parallel()
	web := t.TempDir()
	const esconfig = `{"elasticsearch":"http://a:9200","kibana":"http://b:5601"}`
	for name, content := range map[string]string{"index.html": "<p>index</p>", "assets/config/esconfig.json": esconfig, "assets/a.js": "1"} {
		testkit.Check(t, os.MkdirAll(filepath.Dir(filepath.Join(web, name)), 0o700))
		testkit.Check(t, os.WriteFile(filepath.Join(web, name), []byte(content), 0o600))
	}
	for _, n := range startServices(t, sampleFiles(t), "--web-dir="+web) {
		wantAnswer(t, "the UI", n.ask(http.MethodGet, "/ui/", ""), 200, "<p>index</p>")
		wantAnswer(t, "esconfig.json", n.ask(http.MethodGet, "/ui/assets/config/esconfig.json", ""), 200, esconfig)
		if a := n.ask(http.MethodGet, "/ui", ""); a.status != 301 || a.header.Get("Location") != "/ui/" {
			t.Errorf("/ui is answered %d, Location %q", a.status, a.header.Get("Location"))
		}
		if a := n.ask(http.MethodGet, "/ui/assets/", ""); a.status == 200 || strings.Contains(a.body, "a.js") {
			t.Errorf("the folder is listed: %d %s", a.status, a.body)
		}
		wantAnswer(t, "nothing", n.ask(http.MethodGet, "/nothing", ""), 404, "")
	}
}

// The file of a node that cannot read it is not handed out as something else.
func TestFolderOfConfigurationIsGone(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t)) {
		n.ask(http.MethodGet, "/config/", "")
		testkit.Check(t, os.RemoveAll(n.configs))
		wantAnswer(t, "the list", n.ask(http.MethodGet, "/config/", ""), http.StatusInternalServerError, "Error reading config directory")
		wantAnswer(t, "a file", n.ask(http.MethodGet, "/config/assets_scenario.json", ""), http.StatusBadRequest, "cannot open assets_scenario.json")
		testkit.Check(t, os.MkdirAll(n.configs, 0o700))
		wantAnswer(t, "the list of an empty folder", n.ask(http.MethodGet, "/config/", ""), 200, "{")
	}
}

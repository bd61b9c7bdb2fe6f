//go:build unix

package deploy

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// cluster is what an Elasticsearch is like.
type cluster struct {
	password string // "" if security is off
	notYet   int    // requests that come too early
	refuse   string // a path that is refused
}

// elasticsearch answers as far as setup.sh asks.
type elasticsearch struct {
	mu sync.Mutex
	cluster
	puts map[string]map[string]any // bodies by path
}

// ServeHTTP implements http.Handler.
func (e *elasticsearch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	user, password, _ := r.BasicAuth()
	switch {
	case e.notYet > 0:
		e.notYet--
		http.Error(w, "not yet", http.StatusServiceUnavailable)
	case e.password != "" && (user != "elastic" || password != e.password):
		http.Error(w, `{"error":"unauthorized"}`, http.StatusUnauthorized)
	case r.URL.Path == "/_security/_authenticate" && e.password == "":
		http.Error(w, `{"error":"security is off"}`, http.StatusInternalServerError)
	case r.Method == http.MethodPut && r.URL.Path == e.refuse:
		http.Error(w, `{"error":"refused here"}`, http.StatusBadRequest)
	case r.Method == http.MethodPut:
		body := map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "no JSON", http.StatusBadRequest)
			return
		}
		e.puts[r.URL.Path] = body
		_, _ = io.WriteString(w, `{"acknowledged":true}`)
	default:
		_, _ = io.WriteString(w, "{}")
	}
}

// setUp runs setup.sh against a server, with each shell and each curl there is.
func setUp(t *testing.T, is cluster, env map[string]string, then func(t *testing.T, e *elasticsearch, output string, err error)) {
	t.Helper()
	self, err := os.Executable()
	testkit.Check(t, err)
	clients := map[string]string{"our curl": self}
	if installed, err := exec.LookPath("curl"); err == nil {
		clients["curl"] = installed
	}
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		for name, client := range clients {
			e := &elasticsearch{cluster: is, puts: map[string]map[string]any{}}
			s := httptest.NewServer(e)
			defer s.Close()
			bin := t.TempDir()
			testkit.Check(t, os.Symlink(client, filepath.Join(bin, "curl")))
			testkit.Check(t, os.WriteFile(filepath.Join(bin, "sleep"), []byte("#!/bin/sh\n"), 0o755))
			line := slices.Concat(shell, []string{repository + "/deploy/elk/setup.sh"})
			cmd := exec.Command(line[0], line[1:]...)
			cmd.Env = []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "TMPDIR=" + bin, "ELASTICSEARCH_URL=" + s.URL + "/", "GORACE=atexit_sleep_ms=0"}
			for _, variable := range slices.Sorted(maps.Keys(env)) {
				cmd.Env = append(cmd.Env, variable+"="+env[variable])
			}
			out, err := cmd.CombinedOutput()
			then(t, e, string(out), err)
			if left, globErr := filepath.Glob(bin + "/tmp*"); globErr != nil || len(left) > 0 {
				t.Errorf("%s: left behind: %v %v", name, left, globErr)
			}
			if t.Failed() {
				t.Logf("%s: %s", name, out)
			}
		}
	})
}

// wantTemplates wants all index templates at the server, as they are in the files.
func wantTemplates(t *testing.T, e *elasticsearch) {
	t.Helper()
	names, err := filepath.Glob(templatesDir + "/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no templates: %v", err)
	}
	for _, name := range names {
		var want map[string]any
		testkit.Check(t, json.Unmarshal([]byte(readFile(t, name)), &want))
		path := "/_index_template/" + strings.TrimSuffix(filepath.Base(name), ".json")
		if diff := cmp.Diff(want, e.puts[path]); diff != "" {
			t.Errorf("%s: want - got +:\n%s", path, diff)
		}
	}
}

func TestSetupWithoutSecurity(t *testing.T) {
	t.Parallel()
	setUp(t, cluster{notYet: 3}, nil, func(t *testing.T, e *elasticsearch, output string, err error) {
		t.Helper()
		if err != nil || !strings.HasSuffix(output, "setup: done\n") {
			t.Errorf("%v", err)
		}
		wantTemplates(t, e)
		if len(e.puts) != 4 {
			t.Errorf("%d things installed", len(e.puts))
		}
	})
}

func TestSetupWithSecurity(t *testing.T) {
	t.Parallel()
	const elastic, kibana, logstash = `el"as\tic $(id) 'x`, `ki"ba\na`, "log\tstash"
	env := map[string]string{"ELASTIC_PASSWORD": elastic, "KIBANA_PASSWORD": kibana, "LOGSTASH_PASSWORD": logstash}
	setUp(t, cluster{password: elastic}, env, func(t *testing.T, e *elasticsearch, output string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%v", err)
		}
		wantTemplates(t, e)
		if got := e.puts["/_security/user/kibana_system/_password"]["password"]; got != kibana {
			t.Errorf("the password of kibana_system is %q", got)
		}
		want := map[string]any{"password": logstash, "roles": []any{"dsiem_relay"}, "full_name": "Relay of Dsiem"}
		if diff := cmp.Diff(want, e.puts["/_security/user/logstash"]); diff != "" {
			t.Errorf("the user logstash: want - got +:\n%s", diff)
		}
		if role := e.puts["/_security/role/dsiem_relay"]; role == nil {
			t.Error("there is no role")
		}
		for _, secret := range []string{elastic, kibana, logstash} {
			if strings.Contains(output, secret) {
				t.Error("a password is in the output")
			}
		}
	})
}

func TestSetupSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	all := map[string]string{"ELASTIC_PASSWORD": "e", "KIBANA_PASSWORD": "k", "LOGSTASH_PASSWORD": "l"}
	for name, c := range map[string]struct {
		server cluster
		env    map[string]string
		want   string
	}{
		"no password":         {cluster{password: "e"}, nil, "ELASTIC_PASSWORD is not it"},
		"a wrong password":    {cluster{password: "x"}, all, "ELASTIC_PASSWORD is not it"},
		"a password too few":  {cluster{password: "e"}, map[string]string{"ELASTIC_PASSWORD": "e"}, "set ELASTIC_PASSWORD, KIBANA_PASSWORD and LOGSTASH_PASSWORD"},
		"a template refused":  {cluster{refuse: "/_index_template/siem_events"}, nil, "cannot install the index template siem_events: status 400: {\"error\":\"refused here\"}"},
		"it does not come up": {cluster{notYet: 1000}, map[string]string{"SETUP_PATIENCE": "6"}, "does not answer at http://127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			setUp(t, c.server, c.env, func(t *testing.T, _ *elasticsearch, output string, err error) {
				t.Helper()
				if err == nil || !strings.Contains(output, c.want) || strings.Contains(output, "setup: done") {
					t.Errorf("%v, want %q", err, c.want)
				}
			})
		})
	}
}

// The index patterns that the web UI links to have these ids (docs/spec/tools.md §5.8).
func TestDataViewsOfKibana(t *testing.T) {
	t.Parallel()
	want := map[string]string{"siem_alarms": "siem_alarms", "siem_alarm_events": "siem_alarm_events-*", "siem_events": "siem_events-*"}
	got := map[string]string{}
	for line := range strings.Lines(readFile(t, repository+"/deploy/elk/kibana/data-views.ndjson")) {
		var view struct {
			ID, Type   string
			Attributes struct{ Title, TimeFieldName, FieldFormatMap string }
		}
		testkit.Check(t, json.Unmarshal([]byte(line), &view))
		got[view.ID] = view.Attributes.Title
		if view.Type != "index-pattern" || view.Attributes.TimeFieldName != "@timestamp" {
			t.Errorf("%+v", view)
		}
		if formats := view.Attributes.FieldFormatMap; formats != "" && !json.Valid([]byte(formats)) {
			t.Errorf("%s: no JSON: %s", view.ID, formats)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want - got +:\n%s", diff)
	}
}

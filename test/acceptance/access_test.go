package acceptance

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// user is a user in an auth file, with what the user knows.
type user struct {
	name, secret string
	entry        json.RawMessage
}

var (
	madeToken = regexp.MustCompile(`(?m)^token: (\S+)$`)
	userEntry = regexp.MustCompile(`(?m)^ *(\{"name":.*\})`)
)

// newUser makes a user with a token, as an operator does.
func newUser(t *testing.T, name string, rights ...string) user {
	t.Helper()
	n := newHome(t, nil).call("dsiem", nil, "secret", "--name="+name, "--rights="+strings.Join(rights, ","))
	n.exit(0)
	said := n.Log.String()
	token, entry := madeToken.FindStringSubmatch(said), userEntry.FindStringSubmatch(said)
	if token == nil || entry == nil {
		t.Fatalf("dsiem secret says %s", said)
	}
	return user{name, token[1], json.RawMessage(entry[1])}
}

// newUserWithPassword makes a user with a password.
func newUserWithPassword(t *testing.T, name, password string, rights ...string) user {
	t.Helper()
	h := newHome(t, nil)
	file := filepath.Join(h.configs, "password")
	testkit.Check(t, os.WriteFile(file, []byte(password+"\n"), 0o600))
	n := h.startShell(`exec "$0" secret --password --name=`+name+` --rights=`+strings.Join(rights, ",")+` <"$1"`, file)
	n.exit(0)
	entry := userEntry.FindStringSubmatch(n.Log.String())
	if entry == nil {
		t.Fatalf("dsiem secret says %s", n.written())
	}
	return user{name, password, json.RawMessage(entry[1])}
}

// bearer is the header of a user with a token.
func (u user) bearer() string { return "Authorization: Bearer " + u.secret }

// basic is the header of a user with a password, or with a token in its place.
func (u user) basic() string {
	request, _ := http.NewRequest(http.MethodGet, "/", http.NoBody)
	request.SetBasicAuth(u.name, u.secret)
	return "Authorization: " + request.Header.Get("Authorization")
}

// authFile writes an auth file. It takes the place of another one at once.
func authFile(t *testing.T, name string, anonymous []string, users ...user) {
	t.Helper()
	content := struct {
		Users     []json.RawMessage `json:"users"`
		Anonymous []string          `json:"anonymous,omitempty"`
	}{Anonymous: anonymous}
	for _, u := range users {
		content.Users = append(content.Users, u.entry)
	}
	text, err := json.Marshal(content)
	testkit.Check(t, err)
	testkit.Check(t, os.WriteFile(name+".new", text, 0o600))
	testkit.Check(t, os.Rename(name+".new", name))
}

// Each right opens what it is for and nothing else; nobody gets in without.
func TestRights(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "auth.json")
	sender := newUser(t, "logstash", "intake")
	reader := newUser(t, "backend", "config-read")
	writer := newUserWithPassword(t, "alice", "correct horse", "config-write", "config-read")
	watcher := newUser(t, "prometheus", "diagnostics")
	all := newUser(t, "root", "all")
	authFile(t, file, nil, sender, reader, writer, watcher, all)
	for _, n := range startServices(t, sampleFiles(t), "--auth-file="+file, writable) {
		if n.role == standaloneRole {
			n.takesEvents()
		}
		taken := 200 // the frontends have no NATS
		if n.role == frontendRole {
			taken = 503
		}
		for _, r := range []struct {
			method, path, body string
			ok                 int
			who                []string
		}{
			{"POST", "/events", ev{id: "e1"}.String(), taken, []string{"logstash", "root"}},
			{"POST", "/events/suricata-eve", "", 400, []string{"logstash", "root"}},
			{"GET", "/config/", "", 200, []string{"backend", "alice", "root"}},
			{"GET", "/config/assets_scenario.json", "", 200, []string{"backend", "alice", "root"}},
			{"POST", "/config/assets_x.json", oneAsset, 201, []string{"alice", "root"}},
			{"DELETE", "/config/nope.json", "", 400, []string{"alice", "root"}},
			{"GET", "/metrics", "", 200, []string{"prometheus", "root"}},
			{"GET", "/status", "", 200, []string{"prometheus", "root"}},
			{"GET", "/debug/vars/", "", 200, []string{"prometheus", "root"}},
		} {
			what := r.method + " " + r.path
			a := n.ask(r.method, r.path, r.body)
			if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s of nobody is answered %d", what, a.status)
			}
			wantAnswer(t, what+" with a wrong token", n.ask(r.method, r.path, r.body, "Authorization: Bearer wrong"), http.StatusUnauthorized, "")
			for _, u := range []user{sender, reader, writer, watcher, all} {
				header, want := u.bearer(), http.StatusForbidden
				if u.name == writer.name {
					header = u.basic()
				}
				if slices.Contains(r.who, u.name) {
					want = r.ok
				}
				wantAnswer(t, what+" of "+u.name, n.ask(r.method, r.path, r.body, header), want, "")
			}
		}
		wantAnswer(t, "/healthz of nobody", n.ask("GET", "/healthz", ""), 200, "")
		if a := n.ask("GET", "/config/", "", reader.basic()); a.status != 200 {
			t.Errorf("a token as a password is answered %d", a.status)
		}
		n.stop()
		for _, secret := range []string{sender.secret, writer.secret, all.secret, "Bearer"} {
			if got := n.said(secret); len(got) > 0 {
				t.Errorf("a secret is in the log: %q", got)
			}
		}
	}
}

// A file with the key of a service is handed out with the right to read only, to
// nobody who has all the other rights, and by no other way. Without an auth file
// backends get it as ever.
func TestKeysOfServicesNeedConfigRead(t *testing.T) {
	t.Parallel()
	const key = "k3y-0f-a-paid-service"
	all := sampleFiles(t)
	all["intel_a.json"] = []byte(`{"intel_sources":[{"name":"w","type":"Wise","enabled":true,"plugin":"Wise","config":"{\"url\":\"http://127.0.0.1:1/` + key + `/${ip}\"}"}]}`)
	file := filepath.Join(t.TempDir(), "auth.json")
	reader, others := newUser(t, "backend", "config-read"), newUser(t, "others", "intake", "config-write", "diagnostics")
	authFile(t, file, []string{"intake", "config-write", "diagnostics"}, reader, others)
	open := startServices(t, all, writable)
	closed := startServices(t, all, writable, "--auth-file="+file)
	for i, n := range closed {
		for _, path := range []string{
			"/config/intel_a.json", "/config/intel_a.json?x=1", "/config/%69ntel_a.json", "/config/", "/status", "/metrics", "/debug/vars/", "/readyz",
		} {
			for who, headers := range map[string][]string{
				"a caller without credentials": nil, "a user with the other rights": {others.bearer()}, "an editor": {others.basic(), "Range: bytes=0-1000"},
			} {
				if a := n.ask(http.MethodGet, path, "", headers...); strings.Contains(a.body, key) || strings.HasPrefix(path, "/config/") && a.status/100 != 4 {
					t.Errorf("%s gets %d %s of %s", who, a.status, a.body, path)
				}
			}
		}
		// What is said about another file, or about one that is refused, has no key in it.
		for name, body := range map[string]string{"intel_b.json": `{"intel_sources":[]}`, "intel_a.json": "not json"} {
			if a := n.ask(http.MethodPost, "/config/"+name, body); a.status != http.StatusTeapot || strings.Contains(a.body, key) {
				t.Errorf("an upload of %s is answered %d %s", name, a.status, a.body)
			}
		}
		for _, a := range []answer{n.ask(http.MethodGet, "/config/intel_a.json", "", reader.bearer()), open[i].ask(http.MethodGet, "/config/intel_a.json", "")} {
			if a.status != http.StatusOK || a.body != string(all["intel_a.json"]) {
				t.Errorf("who may read the file gets %d %s", a.status, a.body)
			}
		}
		if said := n.said(key); len(said) > 0 {
			t.Errorf("the log has the key: %q", said)
		}
	}
}

// Another auth file is in effect soon, without a restart; one with mistakes is
// not, and the node does not start with one.
func TestAuthFileIsReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "auth.json")
	before, after := newUser(t, "old", "config-read"), newUser(t, "new", "config-read")
	authFile(t, file, nil, before)
	n := newHome(t, sampleFiles(t)).start(setup{role: frontendRole, flags: []string{"--auth-file=" + file}})
	wantAnswer(t, "the old user", n.ask("GET", "/config/", "", before.bearer()), 200, "")
	wantAnswer(t, "the new user", n.ask("GET", "/config/", "", after.bearer()), 401, "")
	authFile(t, file, []string{"diagnostics"}, after)
	testkit.Eventually(t, "the new user may read", func() bool { return n.ask("GET", "/config/", "", after.bearer()).status == 200 })
	wantAnswer(t, "the old user", n.ask("GET", "/config/", "", before.bearer()), 401, "")
	wantAnswer(t, "nobody's diagnostics", n.ask("GET", "/metrics", ""), 200, "")
	testkit.Check(t, os.WriteFile(file, []byte(`{"users": oops}`), 0o600))
	n.says("ERROR", "error reloading access rights, the old ones stay")
	wantAnswer(t, "the new user", n.ask("GET", "/config/", "", after.bearer()), 200, "")
	n.stop()
	failed := newHome(t, sampleFiles(t)).start(setup{role: frontendRole, flags: []string{"--auth-file=" + file}})
	failed.wantWritten(1, "loading access rights", "auth.json:1:")
}

// A backend downloads with the user and password, or token, in its URL, which
// the log does not have.
func TestDownloadWithCredentials(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	file := filepath.Join(t.TempDir(), "auth.json")
	u := newUser(t, "backend", "config-read")
	authFile(t, file, nil, u)
	n := newHome(t, withoutSources(t)).start(setup{role: frontendRole, flags: []string{"--auth-file=" + file}})
	b := newHome(t, nil).startReady(setup{nats: server.URL(), flags: []string{fmt.Sprintf("--frontend=http://%s:%s@%s", u.name, u.secret, n.address())}})
	b.stop()
	if got := b.said(u.secret); len(got) > 0 {
		t.Errorf("the token is in the log: %q", got)
	}
	refused := newHome(t, nil).start(setup{nats: server.URL(), flags: []string{"--frontend=http://" + n.address()}})
	refused.says("WARN", "error downloading config, retrying", "401")
	refused.stop()
}

// A page of another site that makes a browser send something gets nowhere.
func TestOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	for _, n := range startServices(t, sampleFiles(t), writable) {
		for path, body := range map[string]string{"/events": theEvent, "/config/assets_x.json": oneAsset} {
			wantAnswer(t, path+" from another site", n.ask("POST", path, body, "Sec-Fetch-Site: cross-site"), http.StatusForbidden, "")
		}
		if exists(filepath.Join(n.configs, "assets_x.json")) {
			t.Error("the upload was taken")
		}
	}
}

// trusting returns a client that trusts an authority alone.
func trusting(t *testing.T, a *testkit.Authority) *http.Transport {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Pool(), MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// copyFile gives a file the content of another one, at once.
func copyFile(t *testing.T, to, from string) {
	t.Helper()
	content, err := os.ReadFile(from)
	testkit.Check(t, err)
	testkit.Check(t, os.WriteFile(to+".new", content, 0o600))
	testkit.Check(t, os.Rename(to+".new", to))
}

// A new certificate is in use soon, without a restart; plain HTTP is not served
// beside it.
func TestTLS(t *testing.T) {
	t.Parallel()
	first, second := testkit.NewAuthority(t), testkit.NewAuthority(t)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	use := func(a *testkit.Authority) {
		newCert, newKey := a.ServerCert()
		copyFile(t, key, newKey)
		copyFile(t, cert, newCert)
	}
	use(first)
	n := startStandalone(t, takeAll, "--tls-cert="+cert, "--tls-key="+key)
	url := "https://" + n.address()
	n.wantTaken200(askURL(t, trusting(t, first), "POST", url+"/events", ev{id: "e1"}.String()))
	if _, err := tryURL(t, trusting(t, second), "GET", url+"/config/", ""); err == nil {
		t.Error("the certificate is trusted by whom it should not be")
	}
	if a, err := tryURL(t, &http.Transport{}, "POST", "http://"+n.address()+"/events", ev{id: "e2"}.String()); err == nil && a.status < 400 {
		t.Errorf("plain HTTP is answered %d", a.status)
	}
	use(second)
	testkit.Eventually(t, "the new certificate is used", func() bool {
		a, err := tryURL(t, trusting(t, second), "POST", url+"/events", ev{id: "e3"}.String())
		return err == nil && a.status == 200
	})
	n.stop()
	if got := times(t, n.eventsFile()); got["e1"] != 1 || got["e2"] != 0 || got["e3"] != 1 {
		t.Errorf("events taken %v", got)
	}
}

// A certificate that cannot be used is an error at the start.
func TestTLSWithABadCertificate(t *testing.T) {
	t.Parallel()
	certOfOne, _ := testkit.NewAuthority(t).ServerCert()
	_, keyOfAnother := testkit.NewAuthority(t).ServerCert()
	for _, flags := range [][]string{
		{"--tls-cert=" + certOfOne, "--tls-key=" + keyOfAnother},
		{"--tls-cert=" + certOfOne, "--tls-key=/no/such/file"},
	} {
		newHome(t, sampleFiles(t)).start(setup{role: frontendRole, flags: flags}).wantWritten(1, "loading the TLS certificate")
	}
	newHome(t, sampleFiles(t)).start(setup{role: frontendRole, flags: []string{"--tls-cert=" + certOfOne}}).wantWritten(2, "belong together")
}

// The message queue over TLS, with a password: a server of its own for a
// frontend and a backend, and that of a standalone node for another one.
func TestMessageQueueOverTLS(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.Options{TLS: true, User: "u", Password: "secret-p"})
	front := frontends[0].startFrontend(newHome(t, nil), server.URL(), "--nats-ca="+server.CAFile())
	back := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{"--nats-ca=" + server.CAFile()}})
	front.takesPosted(ev{id: "e1"}.String())
	back.takes("e1")

	authority := testkit.NewAuthority(t)
	cert, key := authority.ServerCert()
	one := startStandalone(t, takeAll, "--nats-listen=nats://u:secret-p@127.0.0.1:0", "--nats-listen-cert="+cert, "--nats-listen-key="+key)
	remote := newHome(t, configs(t, "", takeAll)).startReady(setup{
		nats: "tls://u:secret-p@" + one.queueAddress(), flags: []string{"--nats-ca=" + authority.CAFile()},
	})
	one.takesPosted(ev{id: "e2"}.String())
	remote.takes("e2")
	one.takes("e2")
	stranger := newHome(t, configs(t, "", takeAll)).start(setup{nats: "tls://u:secret-p@" + one.queueAddress()})
	stranger.says("WARN", "error from message queue, reconnecting", "certificate")
	for _, n := range []*node{front, back, remote, one, stranger} {
		n.stop()
		if got := n.said("secret-p"); len(got) > 0 {
			t.Errorf("the password is in the log: %q", got)
		}
	}
}

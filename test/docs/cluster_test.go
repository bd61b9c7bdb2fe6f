package docs

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

const clusterPage = "docs/cluster.md"

// TestClusterRun runs the cluster of docs/cluster.md: its commands, on a NATS
// server that has the users of docs/security.md. It sends the page's event,
// makes the frontend hear of an overload, takes NATS away and gives it back.
func TestClusterRun(t *testing.T) {
	t.Parallel()
	p, users := pageNamed(t, clusterPage), natsUsers(t)
	const observer = "observer" // of the test
	nats := natstest.Start(t, natstest.Options{User: observer, Password: observer, Configure: func(o *server.Options) {
		o.Users = append(slices.Clone(users), &server.User{Username: observer, Password: observer})
		o.Username, o.Password = "", ""
	}})
	messages, numbers := nats.Collect(bus.EventsSubject), nats.Collect(bus.NumbersSubject)
	c := startCluster(t, p, nats, users)
	ev := only(t, p, "event").text

	c.send(t, ev, http.StatusOK)
	firstLine(t, filepath.Join(c.dir, "backend0", "logs", "siem_alarms.json"))
	if diff := cmp.Diff(anyTime(only(t, p, "message").text), anyTime(messages.Wait(1)[0])); diff != "" {
		t.Errorf("message: documented - real +:\n%s", diff)
	}
	documented := anyTime(only(t, p, "number").text)
	testkit.Eventually(t, "the frontend says "+documented, func() bool {
		return slices.ContainsFunc(numbers.All(), func(text string) bool { return anyTime(text) == documented })
	})
	nats.Publish(bus.OverloadSubject, "true")
	c.frontend.says(t, `(Received overload status change)`)

	nats.Stop()
	c.frontend.says(t, `(Disconnected from NATS server)`)
	status, text := c.ask(t, http.MethodGet, "/readyz", "")
	if diff := cmp.Diff(compact(t, only(t, p, "readyz").text), compact(t, withoutHashes(text))); status != http.StatusServiceUnavailable || diff != "" {
		t.Errorf("/readyz: status %d, documented - real +:\n%s", status, diff)
	}
	c.send(t, ev, http.StatusServiceUnavailable)
	nats.Restart()
	c.frontend.says(t, `(Reconnected to NATS server)`)
	c.send(t, ev, http.StatusOK)

	_, shown := c.ask(t, http.MethodGet, "/metrics", "")
	checkMetrics(t, p, shown)
	checkFrontendReport(t, c.frontend)
	for _, b := range p.blocks {
		if b.kind == "log" {
			c.frontend.logs(t, b.text)
		}
	}
	c.frontend.stop(t)
	c.backend.stop(t)
}

// natsUsers returns the users of the NATS server in docs/security.md, whose
// configuration the server must accept.
func natsUsers(t *testing.T) []*server.User {
	t.Helper()
	text := only(t, pageNamed(t, securityPage), "nats").text
	cert, key := testkit.NewAuthority(t).ServerCert()
	text = strings.NewReplacer("nats.pem", cert, "nats.key", key,
		"$FRONTEND_PASSWORD", "frontends-password", "$BACKEND_PASSWORD", "backends-password").Replace(text)
	o := &server.Options{}
	if err := o.ProcessConfigString(text); err != nil {
		t.Fatalf("%s: %v", securityPage, err)
	}
	if len(o.Users) == 0 || o.TLSConfig == nil {
		t.Fatalf("%s: %d users, TLS %v", securityPage, len(o.Users), o.TLSConfig != nil)
	}
	return o.Users
}

// cluster is a frontend and a backend.
type cluster struct {
	dir, url          string
	frontend, backend *running
}

// startCluster starts the frontend and the backend of a page with its
// configuration, as its commands say, at other addresses.
func startCluster(t *testing.T, p *page, nats *natstest.Server, users []*server.User) *cluster {
	t.Helper()
	c := &cluster{dir: t.TempDir()}
	var commands string
	for _, b := range p.blocks {
		switch {
		case b.words["file"] != "":
			path := filepath.Join(c.dir, filepath.FromSlash(b.words["file"]))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case b.lang == "sh" && strings.HasPrefix(b.text, "nats-server"):
			commands = b.text
		}
	}
	for line := range strings.Lines(commands) {
		words := strings.Fields(line)
		switch words[0] {
		case "dsiem-frontend":
			c.frontend = c.start(t, words, natsURL(nats, users, "frontend"))
			c.url = "http://127.0.0.1:" + c.frontend.says(t, listensAt)
			c.frontend.says(t, `(frontend started)`)
		case "dsiem-backend":
			c.backend = c.start(t, words, natsURL(nats, users, "backend"))
			c.backend.says(t, `(backend started)`)
		}
	}
	if c.frontend == nil || c.backend == nil {
		t.Fatalf("%s does not show how to start a frontend and a backend", p.name)
	}
	return c
}

func natsURL(nats *natstest.Server, users []*server.User, name string) string {
	i := slices.IndexFunc(users, func(u *server.User) bool { return u.Username == name })
	return "nats://" + name + ":" + users[i].Password + "@" + nats.Address()
}

func (c *cluster) start(t *testing.T, words []string, msq string) *running {
	t.Helper()
	elsewhere := strings.NewReplacer("nats://127.0.0.1:4222", msq, "http://127.0.0.1:8080", c.url,
		"--port=8080", "--port=0", "127.0.0.1:9090", "127.0.0.1:0")
	args := slices.Clone(words[1:])
	for i := range args {
		args[i] = elsewhere.Replace(args[i])
	}
	return start(t, t, c.dir, []string{"DSIEM_ADDRESS=127.0.0.1"}, words[0], args...)
}

// ask sends a request to the frontend and returns the status and the body of the
// answer.
func (c *cluster) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	return testkit.Send(t, method, c.url+path, body)
}

// send sends events and checks the status of the answer.
func (c *cluster) send(t *testing.T, events string, want int) {
	t.Helper()
	if status, text := c.ask(t, http.MethodPost, "/events", events); status != want {
		t.Errorf("/events: status %d, want %d: %s", status, want, text)
	}
}

var (
	receivedAt = regexp.MustCompile(`"(rcvd_time|idle_seconds)":\d+`)
	startOf    = regexp.MustCompile(`("frontend_id":"[^/"]*/)[a-z0-9]{12}"`)
)

// anyTime returns a message without the time when it was received or since when the
// frontend is idle, and without the start of the frontend.
func anyTime(message string) string {
	return startOf.ReplaceAllString(receivedAt.ReplaceAllString(strings.TrimSpace(message), `"$1":0`), `${1}start"`)
}

var reportField = regexp.MustCompile(` ([a-z_]+)=`)

// checkFrontendReport compares the table of the fields of a frontend's report
// with a report.
func checkFrontendReport(t *testing.T, frontend *running) {
	t.Helper()
	var want []string
	for _, m := range reportField.FindAllStringSubmatch(frontend.says(t, `watchdog report(.*)`), -1) {
		want = append(want, m[1])
	}
	if diff := cmp.Diff(want, firstColumn(t, clusterPage, "Field of a frontend's report")); diff != "" {
		t.Errorf("fields of a report: real - documented +:\n%s", diff)
	}
}

// TestMetricPackages checks that the package that a table names declares the metric.
func TestMetricPackages(t *testing.T) {
	t.Parallel()
	for _, table := range tablesOf(t, "Metric") {
		column := slices.Index(table.header, "Package")
		if column < 0 {
			t.Errorf("%s: the table of metrics has no column of packages", table.heading)
			continue
		}
		for _, row := range table.rows {
			texts := literals(t, plain(row[column]))
			for _, name := range codeOf(row[0]) {
				if !slices.Contains(texts, name) {
					t.Errorf("%s does not declare %s", row[column], name)
				}
			}
		}
	}
}

var metricForm = regexp.MustCompile(`^(dsiem_[a-z_]+)(?:\{.*\})?$`)

// TestMetricNames checks that the metrics that pages name are in a table of
// metrics.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	known := []string{bus.EventsSubject, bus.OverloadSubject, bus.NumbersSubject, "dsiem_backend", "dsiem_entrypoint"} // which look the same
	for _, table := range tablesOf(t, "Metric") {
		for _, row := range table.rows {
			known = append(known, codeOf(row[0])...)
		}
	}
	for _, p := range pages(t) {
		for _, code := range p.code {
			if m := metricForm.FindStringSubmatch(code); m != nil && !slices.Contains(known, m[1]) {
				t.Errorf("%s: there is no metric %s", p.name, m[1])
			}
		}
	}
}

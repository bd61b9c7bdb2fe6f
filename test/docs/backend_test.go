package docs

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"dsiem/internal/bus"
	"dsiem/internal/jsonfile"
	"dsiem/internal/observe/watchdog"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
	"dsiem/test/testkit/programs"
)

const backendPage = "docs/backend.md"

// TestBackendRun runs a real backend: it downloads the files of docs/backend.md
// from a frontend, takes the page's events from a NATS server and asks services
// that answer as the page says. Its log, findings, health and metrics must be
// what the page shows.
func TestBackendRun(t *testing.T) {
	t.Parallel()
	p := pageNamed(t, backendPage)
	frontend := httptest.NewServer(frontendOf(t, p, servicesOf(t, p)))
	t.Cleanup(frontend.Close)
	nats := natstest.Start(t, natstest.Options{})
	dir := t.TempDir()
	b := start(t, t, dir, nil, "dsiem-backend", "serve", "--node=backend0", "--frontend="+frontend.URL, "--msq="+nats.URL(), "--intel-private-ip",
		"--config-dir="+filepath.Join(dir, "configs"), "--log-dir="+filepath.Join(dir, "logs"), "--metrics-address=127.0.0.1:0")
	url := "http://" + b.says(t, `diagnostics server listening address="([^"]+)"`)
	b.says(t, `(watchdog report)`)
	b.says(t, `(backend started)`)
	// Events of another day would open backlogs whose time is up.
	fresh := eventTime.ReplaceAllString(only(t, p, "events").text, `"timestamp":"`+time.Now().UTC().Format(time.RFC3339)+`"`)
	nats.Publish(bus.EventsSubject, strings.Split(strings.TrimSpace(fresh), "\n")...)
	line := firstLine(t, filepath.Join(dir, "logs", "siem_alarms.json"))
	if diff := cmp.Diff(compact(t, only(t, p, "readyz").text), compact(t, withoutHashes(testkit.Get(t, url+"/readyz")))); diff != "" {
		t.Errorf("/readyz: documented - real +:\n%s", diff)
	}
	checkMetrics(t, p, testkit.Get(t, url+"/metrics"))
	b.stop(t)
	for _, block := range p.blocks {
		if block.kind == "log" {
			b.logs(t, block.text)
		}
	}
	var findings, alarm map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal([]byte(only(t, p, "findings").text), &findings), json.Unmarshal([]byte(line), &alarm)); err != nil {
		t.Fatal(err)
	}
	for key, want := range findings {
		if diff := cmp.Diff(compact(t, string(want)), compact(t, string(alarm[key]))); diff != "" {
			t.Errorf("%s: documented - real +:\n%s", key, diff)
		}
	}
}

// withoutHashes puts "..." in the place of the hashes of a configuration, as the pages
// have it.
func withoutHashes(text string) string { return configHash.ReplaceAllString(text, `"$1":"..."`) }

var configHash = regexp.MustCompile(`"(loaded|stored)":"[0-9a-f]{16}"`)

var eventTime = regexp.MustCompile(`"timestamp":"[^"]*"`)

// only returns the one block of a kind.
func only(t *testing.T, p *page, kind string) *block {
	t.Helper()
	var found []*block
	for _, b := range p.blocks {
		if b.kind == kind {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d blocks of kind %s", p.name, len(found), kind)
	}
	return found[0]
}

// servicesOf answers as Wise and Nesd do on the page, about the addresses of its
// findings.
func servicesOf(t *testing.T, p *page) (url string) {
	t.Helper()
	wise, nesd := only(t, p, "wise").text, only(t, p, "nesd").text
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := "no vulnerability found\n"
		switch {
		case r.URL.Path == "/ip/198.51.100.23":
			answer = wise
		case strings.HasPrefix(r.URL.Path, "/ip/"):
			answer = "[]"
		case r.URL.RawQuery == "ip=10.0.0.22&port=22":
			answer = nesd
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// frontendOf serves the configuration files of the page, with the services'
// real address in them.
func frontendOf(t *testing.T, p *page, services string) http.Handler {
	t.Helper()
	files := map[string]string{}
	var list []any
	for _, b := range p.blocks {
		if slices.Contains([]string{"assets", "directives", "intel", "vuln"}, b.kind) {
			name := path.Base(b.words["file"])
			files[name] = strings.NewReplacer("http://wise:8081", services, "http://nesd:8081", services).Replace(b.text)
			list = append(list, object{"filename": name})
		}
	}
	listed := encode(t, object{"files": list})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config/{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(listed) })
	mux.HandleFunc("GET /config/{name}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, files[r.PathValue("name")])
	})
	return mux
}

// firstLine waits for the first line of a file.
func firstLine(t *testing.T, name string) string {
	t.Helper()
	return testkit.Eventually(t, "a line in "+filepath.Base(name), func() string {
		content, err := os.ReadFile(name)
		line, _, complete := strings.Cut(string(content), "\n")
		if err != nil || !complete {
			return ""
		}
		return line
	})
}

var (
	metricType = regexp.MustCompile(`(?m)^# TYPE (dsiem_\w+) `)
	labelName  = regexp.MustCompile(`([a-z_]+)="`)
)

// checkMetrics compares the table of metrics with what a node shows: all names,
// and the labels of each. They must follow the conventions of Prometheus.
func checkMetrics(t *testing.T, p *page, shown string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(shown)).Lint()
	testkit.Check(t, err)
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	documented, realLabels := map[string]string{}, map[string]string{}
	for _, table := range p.tables {
		if table.header[0] != "Metric" {
			continue
		}
		for _, row := range table.rows {
			for name := range strings.SplitSeq(row[0], ", ") {
				documented[plain(name)] = sorted(codeOf(row[1]))
			}
		}
	}
	for _, m := range metricType.FindAllStringSubmatch(shown, -1) {
		sample := regexp.MustCompile(`(?m)^` + m[1] + `(?:_bucket)?(?:\{([^\n]*)\})? `).FindStringSubmatch(shown)
		if sample == nil {
			t.Errorf("%s has no value", m[1])
			continue
		}
		var labels []string
		for _, l := range labelName.FindAllStringSubmatch(sample[1], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		realLabels[m[1]] = sorted(labels)
	}
	if diff := cmp.Diff(realLabels, documented); diff != "" {
		t.Errorf("metrics and labels: real - documented +:\n%s", diff)
	}
}

// codeOf returns the texts between backquotes.
func codeOf(cell string) []string {
	var out []string
	for _, m := range codeForm.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	return out
}

func sorted(words []string) string {
	slices.Sort(words)
	return strings.Join(words, " ")
}

// TestWatchdogFields compares the table of the report's fields with a report.
func TestWatchdogFields(t *testing.T) {
	t.Parallel()
	var want []string
	for _, a := range (watchdog.Report{Dropped: 1}).Attrs() {
		want = append(want, a.Key)
	}
	got := firstColumn(t, backendPage, "Field of the report")
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("real - documented +:\n%s", diff)
	}
}

// TestSourceKeys checks the table of the keys of a source: those of the examples,
// and which of them are needed.
func TestSourceKeys(t *testing.T) {
	t.Parallel()
	p := pageNamed(t, backendPage)
	for _, kind := range []string{"intel", "vuln"} {
		example := only(t, p, kind).text
		keys := slices.Sorted(maps.Keys(element(t, decode(t, example), kind+"_sources", 0)))
		documented := firstColumn(t, backendPage, "Key of a source")
		slices.Sort(documented)
		if diff := cmp.Diff(keys, documented); diff != "" {
			t.Errorf("%s: example - table +:\n%s", kind, diff)
		}
		for _, row := range tablesOf(t, "Key of a source")[0].rows {
			o := decode(t, example)
			delete(element(t, o, kind+"_sources", 0), plain(row[0]))
			report := &jsonfile.Report{}
			loadSources(kind, jsonfile.NewFile("f", encode(t, o)), report)
			if got := report.Count(jsonfile.Error) > 0; got != (row[1] == "yes") {
				t.Errorf("%s without %s: an error is %v, the table says %q", kind, row[0], got, row[1])
			}
		}
	}
}

// TestBackendSettings compares the settings that docs/backend.md picks out with
// the page that is made from the table of options, and their defaults with what
// the program says.
func TestBackendSettings(t *testing.T) {
	t.Parallel()
	variables := map[string]string{}
	for _, table := range pageNamed(t, optionsPage).tables {
		for _, row := range table.rows {
			if flags := codeOf(row[0]); len(flags) > 0 {
				variables[flags[0]] = row[1]
			}
		}
	}
	defaults := defaultsOf(t, "dsiem-backend")
	const header = "Backend flag"
	for _, table := range tablesOf(t, header) {
		for _, row := range table.rows {
			flag := plain(row[0])
			if !slices.Contains(codeOf(variables[flag]), plain(row[1])) || defaults[flag] != plain(row[2]) {
				t.Errorf("%s is really %s, by default %q", row, variables[flag], defaults[flag])
			}
		}
	}
	if n := len(tablesOf(t, header)); n != 1 {
		t.Errorf("%d tables %q", n, header)
	}
}

var (
	helpEntry   = regexp.MustCompile(`(?m)^ {2,6}(?:-[a-zA-Z], )?--(?:\[no-\])?([a-z0-9-]+)`)
	helpDefault = regexp.MustCompile(`Default: (.*?)\. \[`)
)

// defaultsOf returns what the help of serve says of the defaults of flags. That
// of a switch is not shown if it is off.
func defaultsOf(t *testing.T, program string) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), programs.Path(t, program), "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	defaults, text := map[string]string{}, string(out)
	entries := helpEntry.FindAllStringSubmatchIndex(text, -1)
	for i, at := range entries {
		end := len(text)
		if i+1 < len(entries) {
			end = entries[i+1][0]
		}
		entry := strings.Join(strings.Fields(text[at[0]:end]), " ")
		flag, value := "--"+text[at[2]:at[3]], ""
		if !strings.Contains(strings.Split(text[at[0]:end], "\n")[0], "=") {
			value = "false"
		}
		if m := helpDefault.FindStringSubmatch(entry); m != nil {
			value = m[1]
		}
		defaults[flag] = value
	}
	return defaults
}

var variableForm = regexp.MustCompile(`^(DSIEM_[A-Z_]+)(?:=|$)`)

// TestVariables checks that the variables that pages name exist: as settings of
// serve, or in what is in deploy/.
func TestVariables(t *testing.T) {
	t.Parallel()
	known := deployVariables(t)
	for _, table := range pageNamed(t, optionsPage).tables {
		for _, row := range table.rows {
			known = append(known, codeOf(row[1])...)
		}
	}
	for _, p := range pages(t) {
		texts := slices.Clone(p.code)
		for _, b := range p.blocks {
			if b.lang == "sh" || b.lang == "console" {
				texts = append(texts, strings.Fields(b.text)...)
			}
		}
		for _, text := range texts {
			if m := variableForm.FindStringSubmatch(text); m != nil && m[1] != "DSIEM_" && !slices.Contains(known, m[1]) {
				t.Errorf("%s: there is no variable %s", p.name, m[1])
			}
		}
	}
}

// deployVariables returns the variables that files in deploy/ use.
func deployVariables(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(root, "deploy"), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		found = append(found, anyVariable.FindAllString(string(content), -1)...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var anyVariable = regexp.MustCompile(`DSIEM_[A-Z_]+`)

// TestLogLines checks that the log lines in tables stand in the code, part by
// part between "...".
func TestLogLines(t *testing.T) {
	t.Parallel()
	texts := literals(t, "internal")
	for _, name := range []string{backendPage, clusterPage, securityPage} {
		checkLogLines(t, pageNamed(t, name), texts)
	}
}

func checkLogLines(t *testing.T, p *page, texts []string) {
	t.Helper()
	seen := 0
	for _, table := range p.tables {
		column := slices.Index(table.header, "Log line")
		if column < 0 {
			continue
		}
		for _, row := range table.rows {
			// "none" is no line; what follows a semicolon is about one.
			cell, _, _ := strings.Cut(row[column], "; ")
			for _, line := range codeOf(cell) {
				seen++
				for part := range strings.SplitSeq(strings.TrimPrefix(line, "error "), ellipsis) {
					if !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, strings.TrimPrefix(part, ": ")) }) {
						t.Errorf("%s: %q: no text of the program has %q", p.name, line, part)
					}
				}
			}
		}
	}
	if seen == 0 {
		t.Errorf("no log lines in %s", p.name)
	}
}

package acceptance

import (
	"bufio"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// diagnostics makes a node serve health and metrics.
const diagnostics = "--metrics-address=127.0.0.1:0"

var diagnosticsAddress = regexp.MustCompile(`diagnostics server listening .*?address="?(127\.0\.0\.1:\d+)`)

// fetch returns the answer of the diagnostics server.
func (n *node) fetch(path string) (status int, body string) {
	n.t.Helper()
	address := diagnosticsAddress.FindStringSubmatch(n.says("diagnostics server listening"))
	if address == nil {
		n.t.Fatal("the address of the diagnostics server is not in the log")
	}
	request, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, "http://"+address[1]+path, http.NoBody)
	testkit.Check(n.t, err)
	response, err := http.DefaultClient.Do(request)
	testkit.Check(n.t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	testkit.Check(n.t, err)
	return response.StatusCode, string(content)
}

// get returns the status of the diagnostics server's answer.
func (n *node) get(path string) (status int) {
	n.t.Helper()
	status, _ = n.fetch(path)
	return status
}

// metrics are values by name with labels.
type metrics map[string]float64

// metrics returns the metrics of now.
func (n *node) metrics() metrics {
	n.t.Helper()
	status, body := n.fetch("/metrics")
	if status != http.StatusOK {
		n.t.Fatalf("/metrics: status %d", status)
	}
	return parseMetrics(n.t, body)
}

func parseMetrics(t testing.TB, body string) metrics {
	t.Helper()
	all := metrics{}
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || i < 0 {
			continue
		}
		value, err := strconv.ParseFloat(line[i+1:], 64)
		testkit.Check(t, err)
		all[line[:i]] = value
	}
	return all
}

// sum adds up the metrics of a name, whatever their labels.
func (m metrics) sum(name string) (total float64) {
	for key, value := range m {
		if key == name || strings.HasPrefix(key, name+"{") {
			total += value
		}
	}
	return total
}

// seen is the number of events that were looked at or lost.
func (m metrics) seen() float64 {
	return m.sum("dsiem_events_total") + m.sum("dsiem_events_dropped_total")
}

func TestHealthAndReadiness(t *testing.T) {
	t.Parallel()
	server := natstest.Reserve(t, natstest.Options{})
	n := newHome(t, configs(t, "", takeAll)).start(setup{nats: server.URL(), flags: []string{diagnostics}})
	n.says("error from message queue, reconnecting")
	if got := n.get("/healthz"); got != 200 {
		t.Errorf("/healthz without NATS: %d, want 200", got)
	}
	if status, body := n.fetch("/readyz"); status != 503 || !strings.Contains(body, `"nats"`) {
		t.Errorf("/readyz without NATS: %d %s, want 503", status, body)
	}
	server.Restart()
	n.takesEvents()
	testkit.Eventually(t, "it is ready", func() bool { return n.get("/readyz") == 200 })
	if got := n.get("/debug/pprof/"); got != 404 {
		t.Errorf("/debug/pprof/: %d, want 404", got)
	}
	n.stop()
}

func TestPprofNeedsItsFlag(t *testing.T) {
	t.Parallel()
	n := newHome(t, configs(t, "", takeAll)).start(setup{flags: []string{diagnostics, "--pprof"}})
	if got := n.get("/debug/pprof/"); got != 200 {
		t.Errorf("/debug/pprof/ with --pprof: %d, want 200", got)
	}
}

// What was sent is found again in the counters, each event once.
func TestMetricsAddUp(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	assets := "10.0.0.0/8 value4\n10.0.0.66/32 value1 whitelisted"
	n := newHome(t, configs(t, assets, "r1 rel10\nr2 sid2 from=:1 to=:1 rel10")).startReady(setup{nats: server.URL(), flags: []string{diagnostics}})
	publish(
		server,
		ev{id: "e1", src: "10.0.1.1"}.String(), // a backlog that is completed
		ev{id: "e2", src: "10.0.1.1", sid: 2}.String(),
		ev{id: "e3", src: "10.0.1.2"}.String(), // one that lives on
		ev{id: "e4", sid: 99}.String(),         // nobody's
		ev{id: "e5", src: "10.0.0.66"}.String(),
		"garbage", `{"event_id":"x"}`,
	)
	testkit.Eventually(t, "all events are counted", func() bool { return n.metrics().seen() == 7 })
	m := n.metrics()
	want := metrics{
		`dsiem_events_total{outcome="accepted"}`:           3,
		`dsiem_events_total{outcome="unwanted"}`:           1,
		`dsiem_events_total{outcome="whitelisted"}`:        1,
		`dsiem_events_total{outcome="bad_json"}`:           1,
		`dsiem_events_total{outcome="bad_timestamp"}`:      1,
		`dsiem_events_matched_total`:                       3,
		`dsiem_backlogs_opened_total`:                      2,
		`dsiem_backlogs_closed_total{outcome="completed"}`: 1,
		`dsiem_backlogs`:                                   1,
		`dsiem_directives_active`:                          1,
		`dsiem_alarms_written_total{class="medium"}`:       3,
		`dsiem_queue_length`:                               0,
	}
	for name, value := range want {
		if got, there := m[name]; got != value || !there {
			t.Errorf("%s is %v, want %v", name, got, value)
		}
	}
	testkit.Eventually(t, "a checkpoint is shown", func() bool { return n.metrics()["dsiem_checkpoint_timestamp_seconds"] > 1e9 })
	if m.sum("dsiem_events_dropped_total") != 0 || m.sum("dsiem_build_info") != 1 {
		t.Errorf("%v", m)
	}
	n.stop()
	if events, alarms := len(n.alarmEvents()), len(n.alarms()); events != 3 || alarms != 3 {
		t.Errorf("%d alarm-event lines and %d alarm lines, want 3 and 3", events, alarms)
	}
}

// What was posted to a frontend is found again in its counters, each event
// once.
func TestFrontendMetricsAddUp(t *testing.T) {
	t.Parallel()
	i := startIntakes(t)[0]
	i.takesPosted(theEvent)
	i.takesPosted(theEvent, theEvent, theEvent)
	i.wantRefused(http.StatusBadRequest, "not json")
	i.wantRefused(http.StatusTeapot, strings.Replace(theEvent, "192.168.0.1", "nowhere", 1))
	i.ask(http.MethodGet, "/config/", "")
	a := i.ask(http.MethodGet, "/metrics", "")
	m := parseMetrics(t, a.body)
	for name, want := range map[string]float64{
		`dsiem_http_events_total{outcome="accepted"}`:          4,
		`dsiem_http_events_total{outcome="bad_json"}`:          1,
		`dsiem_http_events_total{outcome="bad_address"}`:       1,
		`dsiem_http_events_total`:                              6,
		`dsiem_nats_published_total`:                           4,
		`dsiem_nats_connected`:                                 1,
		`dsiem_http_requests_total{code="200",route="events"}`: 2,
		`dsiem_http_requests_total{code="400",route="events"}`: 1,
		`dsiem_http_requests_total{code="418",route="events"}`: 1,
		`dsiem_http_requests_total{code="200",route="config"}`: 1,
		`dsiem_overloaded`:                                     0,
	} {
		if got := m.sum(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	i.wantPublished(4)
}

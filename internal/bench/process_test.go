package bench

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
)

// startRole starts this test as a role.
func startRole(t *testing.T, ctx context.Context, args ...string) *process {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := startProcess(ctx, "role", filepath.Join(t.TempDir(), "log"), path, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	return p
}

// The two roles together: one is a NATS server, the other counts what comes, and
// tells of every two-thousandth event.
func TestRoles(t *testing.T) {
	t.Parallel()
	queue := startRole(t, t.Context(), "--role=nats")
	url, err := queue.find(t.Context(), listeningText, natsURL)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "events")
	subscriber := startRole(t, t.Context(), "--role=subscriber", "--role-url="+url, "--role-file="+file)
	if _, err := subscriber.says(t.Context(), subscribedText); err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p, err := newPlan(Workload{Live: 1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	w := newWatcher(p)
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan error)
	go func() { watched <- follow(ctx, file, w.line) }()
	d := natsDriver{conn: conn, stream: p.stream(0), watcher: w}
	c := newCourse(p, 0, 3*pulseEvery+1, 0, 0, time.Now())
	if err := d.send(ctx, []*course{c}); err != nil {
		t.Fatal(err)
	}
	if err := w.await(ctx, stallTime, func() bool { return w.seen[0].Load() == c.sent }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-watched; err != nil {
		t.Fatal(err)
	}
	if c.sent != 3*pulseEvery+1 || w.lines.Load() != 4 {
		t.Errorf("%d events were sent, %d lines came", c.sent, w.lines.Load())
	}
	for _, one := range []*process{subscriber, queue} {
		if err := one.stop(); err != nil {
			t.Error(err)
		}
		if err := one.stop(); err != nil {
			t.Errorf("a second time: %v", err)
		}
	}
}

// A role does not outlive who started it.
func TestRoleEndsWithItsInput(t *testing.T) {
	t.Parallel()
	queue := startRole(t, t.Context(), "--role=nats")
	if _, err := queue.says(t.Context(), listeningText); err != nil {
		t.Fatal(err)
	}
	if err := queue.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	if err := queue.wait(); err != nil {
		t.Error(err)
	}
}

func TestProcessEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	queue := startRole(t, ctx, "--role=nats")
	if _, err := queue.says(ctx, listeningText); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-queue.exited
}

// A program that cannot start says why, and so do we.
func TestProcessThatFails(t *testing.T) {
	t.Parallel()
	wrong := startRole(t, t.Context(), "--role=gardener")
	_, err := wrong.says(t.Context(), "never")
	for _, text := range []string{"starting the role", "exit status 1", `there is no role "gardener"`} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("error %v, want one with %q", err, text)
		}
	}
	ctx, release := wrong.bound(t.Context())
	defer release()
	<-ctx.Done()
	if cause := context.Cause(ctx); !strings.Contains(cause.Error(), "the role is gone") {
		t.Errorf("cause %v", cause)
	}
	if err := wrong.stop(); err == nil {
		t.Error("no error at the end")
	}
	if _, err := startProcess(t.Context(), "role", filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no error without a program")
	}
	if _, err := startProcess(t.Context(), "role", t.TempDir(), "none"); err == nil {
		t.Error("no error without a log")
	}
}

func TestSubscriberThatFails(t *testing.T) {
	t.Parallel()
	for _, role := range []Role{
		{Name: roleSubscriber, File: t.TempDir()},
		{Name: roleSubscriber, File: filepath.Join(t.TempDir(), "f"), URL: "nats://127.0.0.1:1"},
	} {
		waits, _ := newPipe(t)
		role.In = waits
		if err := role.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "counting events") {
			t.Errorf("error %v", err)
		}
	}
}

// newPipe returns an input that does not end before the test.
func newPipe(t *testing.T) (in, out *os.File) {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); out.Close() })
	return in, out
}

// The server gets our environment, but none of its settings.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	all := []string{"PATH=/bin", "DSIEM_MODE=cluster-frontend", "MAX_EPS=7", "GOMAXPROCS=2", "MAX_EPS_X=1"}
	if diff := cmp.Diff([]string{"PATH=/bin", "GOMAXPROCS=2", "MAX_EPS_X=1"}, environment(all)); diff != "" {
		t.Error(diff)
	}
	if !slices.Contains(all, "MAX_EPS=7") {
		t.Error("the list that was given has changed")
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const text = "42 (a (strange) name) S 1 42 42 0 -1 4194304 1 2 3 4 1234 66 7 8 20 0 5 0 100 1000 10"
	if got := parseStat(text); got != 13*time.Second {
		t.Errorf("%v, want 13 s", got)
	}
	for _, text := range []string{"", "42 (x", "42 (x) S 1 2"} {
		if got := parseStat(text); got != 0 {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestParseStatus(t *testing.T) {
	t.Parallel()
	resident, peak := parseStatus("Name:\tdsiem\nVmPeak:\t  9999 kB\nVmHWM:\t    200 kB\nVmRSS:\t    150 kB\n")
	if resident != 150*1024 || peak != 200*1024 {
		t.Errorf("%d and %d", resident, peak)
	}
}

const metricsText = `# HELP dsiem_events_total Events.
# TYPE dsiem_events_total counter
dsiem_events_total{outcome="accepted"} 10
dsiem_events_total{outcome="unwanted"} 1.5e+06
dsiem_events_total{outcome="bad_json"} 3
go_memstats_heap_alloc_bytes 4096
broken
odd not-a-number
`

func TestParseMetrics(t *testing.T) {
	t.Parallel()
	m := parseMetrics(metricsText)
	want := metrics{
		`dsiem_events_total{outcome="accepted"}`: 10, `dsiem_events_total{outcome="unwanted"}`: 1.5e6,
		`dsiem_events_total{outcome="bad_json"}`: 3, "dsiem_events_total": 1_500_013, "go_memstats_heap_alloc_bytes": 4096,
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
	if m.looked() != 1_500_010 {
		t.Errorf("%d events were looked at", m.looked())
	}
}

// What collections took is worked out from what the runtime says of both ends, and
// only if it has said something new.
func TestShareOfCollections(t *testing.T) {
	t.Parallel()
	const gc, idleMark, idle, total, cycles = "go_cpu_classes_gc_total_cpu_seconds_total", "go_cpu_classes_gc_mark_idle_cpu_seconds_total",
		"go_cpu_classes_idle_cpu_seconds_total", "go_cpu_classes_total_cpu_seconds_total", "go_gc_duration_seconds_count"
	before := metrics{gc: 1, idleMark: 0.5, idle: 10, total: 20, cycles: 7}
	for _, test := range []struct {
		after metrics
		want  map[Measure]float64
	}{
		{metrics{gc: 1.5, idleMark: 0.625, idle: 14, total: 28, cycles: 9}, map[Measure]float64{GCShare: 0.125, GCIdleShare: 0.03125, Collections: 2}},
		{metrics{gc: 1, idleMark: 0.5, idle: 11, total: 22, cycles: 8}, map[Measure]float64{GCShare: 0, GCIdleShare: 0, Collections: 1}},
		{metrics{gc: 1.001, idleMark: 0.5, idle: 10, total: 20, cycles: 7}, map[Measure]float64{Collections: 0}}, // a pause at the begin of the next
		{before, map[Measure]float64{Collections: 0}},
	} {
		v := map[Measure]float64{}
		test.after.since(before).collections(v)
		if diff := cmp.Diff(test.want, v); diff != "" {
			t.Errorf("%v: (-want +got)\n%s", test.after, diff)
		}
	}
	v := map[Measure]float64{}
	if (metrics{}).since(metrics{}).collections(v); len(v) != 1 { // a program that does not tell
		t.Errorf("%v", v)
	}
}

func TestCollectedAsksForACollection(t *testing.T) {
	t.Parallel()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		if r.URL.Path == "/metrics" {
			_, _ = w.Write([]byte(metricsText))
		}
	}))
	t.Cleanup(server.Close)
	bytes, err := collected(t.Context(), server.Listener.Addr().String())
	if err != nil || bytes != 4096 {
		t.Errorf("%d bytes, error %v", bytes, err)
	}
	if diff := cmp.Diff([]string{"/debug/pprof/heap?gc=1", "/metrics"}, asked); diff != "" {
		t.Error(diff)
	}
	server.Config.Handler = http.NotFoundHandler()
	if _, err := collected(t.Context(), server.Listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error %v", err)
	}
}

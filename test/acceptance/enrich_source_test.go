package acceptance

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dsiem/test/testkit"
)

// service is a Wise or Nesd server. It counts what it is asked, by path and
// query.
type service struct {
	*httptest.Server
	t     *testing.T
	mu    sync.Mutex
	count map[string]int
}

// reply is what a service answers. A body alone comes with status 200.
type reply struct {
	status int
	body   string
}

// replies are answers by path and query; anything else is answered 404.
type replies map[string]reply

// startService starts a server that answers when gate is closed, at once if it
// is nil.
func startService(t *testing.T, answers replies, gate <-chan struct{}) *service {
	t.Helper()
	s := &service{t: t, count: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.count[r.RequestURI]++
		s.mu.Unlock()
		if gate != nil {
			select {
			case <-gate:
			case <-r.Context().Done():
				return
			case <-t.Context().Done():
				return
			}
		}
		answer, ok := answers[r.RequestURI]
		if !ok {
			answer = reply{status: http.StatusNotFound, body: "not here"}
		}
		if answer.status != 0 {
			w.WriteHeader(answer.status)
		}
		_, _ = io.WriteString(w, answer.body)
	}))
	t.Cleanup(s.Close)
	return s
}

// asked returns how often the service was asked for what.
func (s *service) asked() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.count)
}

// wantAsked checks all requests so far.
func (s *service) wantAsked(want map[string]int) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.asked()); diff != "" {
		s.t.Errorf("requests, -want +got:\n%s", diff)
	}
}

// isAsked waits until all of these are being asked for, or were.
func (s *service) isAsked(uris ...string) {
	s.t.Helper()
	testkit.Eventually(s.t, fmt.Sprint("requests for ", uris), func() bool {
		asked := s.asked()
		return !slices.ContainsFunc(uris, func(uri string) bool { return asked[uri] == 0 })
	})
}

// source is one element of intel_sources or vuln_sources.
type source struct {
	Name    string `json:"name"`
	Plugin  string `json:"plugin"`
	Type    string `json:"type"`
	Enabled bool   `json:"enabled"`
	Config  string `json:"config"`
}

func wise(name string, s *service) source {
	return source{Name: name, Plugin: "Wise", Type: "IP", Enabled: true, Config: `{ "url" : "` + s.URL + `/ip/${ip}" }`}
}

func nesd(name string, s *service) source {
	return source{Name: name, Plugin: "Nesd", Type: "IP-Port", Enabled: true, Config: `{ "url" : "` + s.URL + `/?ip=${ip}&port=${port}" }`}
}

func off(s source) source {
	s.Enabled = false
	return s
}

// withSources adds the files of the sources, one for each, to a configuration.
func withSources(t *testing.T, c files, sources ...source) files {
	t.Helper()
	for _, s := range sources {
		kind := "vuln"
		if s.Plugin == "Wise" {
			kind = "intel"
		}
		content, err := json.Marshal(map[string][]source{kind + "_sources": {s}})
		testkit.Check(t, err)
		c[kind+"_"+strings.ToLower(s.Name)+".json"] = content
	}
	return c
}

// enrichedAlarm is an alarm with its findings.
type enrichedAlarm struct {
	alarm
	Intel []finding `json:"intel_hits"`
	Vulns []finding `json:"vulnerabilities"`
}

type finding struct {
	Provider string `json:"provider"`
	Term     string `json:"term"`
	Result   string `json:"result"`
}

// String is risk, progress and findings: "4/F- Wise 8.8.8.8 list: Bad Host".
func (a *enrichedAlarm) String() string {
	text := fmt.Sprintf("%d/%s", a.Risk, a.progress())
	separator := " "
	for _, f := range slices.Concat(a.Intel, a.Vulns) {
		text += fmt.Sprint(separator, f.Provider, " ", f.Term, " ", f.Result)
		separator = " | "
	}
	return text
}

// enrichedLines returns all alarm lines, each after the event that opened the
// alarm.
func (h *home) enrichedLines() []string {
	h.t.Helper()
	lines := decodeLines[enrichedAlarm](h.t, h.alarmsFile())
	opener := map[string]string{}
	for _, e := range slices.Backward(h.alarmEvents()) {
		opener[e.AlarmID] = e.EventID
	}
	out := make([]string, 0, len(lines))
	for i := range lines {
		out = append(out, opener[lines[i].ID]+" "+lines[i].String())
	}
	return out
}

// wantLines waits until there are as many alarm lines, and checks them.
func (h *home) wantLines(want ...string) {
	h.t.Helper()
	testkit.Eventually(h.t, fmt.Sprintf("%d alarm lines", len(want)), func() bool {
		return countLines(h.t, h.alarmsFile()) >= len(want)
	})
	if diff := cmp.Diff(want, h.enrichedLines(), cmpopts.EquateEmpty()); diff != "" {
		h.t.Fatalf("alarm lines, -want +got:\n%s", diff)
	}
}

// wantTaken waits until these events have their lines in the alarm-event file,
// and checks them in the order of the file: "stage opener: event", where opener
// is the event that opened the alarm.
func (h *home) wantTaken(want ...string) {
	h.t.Helper()
	testkit.Eventually(h.t, fmt.Sprintf("%d alarm-event lines", len(want)), func() bool {
		return countLines(h.t, h.eventsFile()) >= len(want)
	})
	opener := map[string]string{}
	var got []string
	for _, e := range h.alarmEvents() {
		if opener[e.AlarmID] == "" {
			opener[e.AlarmID] = e.EventID
		}
		got = append(got, fmt.Sprintf("%d %s: %s", e.Stage, opener[e.AlarmID], e.EventID))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Fatalf("alarm-event lines, -want +got:\n%s", diff)
	}
}

// finished stops the backend and checks that it wrote nothing else.
func (n *node) finished(want ...string) {
	n.t.Helper()
	n.wantLines(want...)
	n.stop()
	n.wantLines(want...)
}

// savedFindings returns the findings in a saved file, one text for each backlog.
func (h *home) savedFindings(name string) []string {
	h.t.Helper()
	content, err := os.ReadFile(h.saved(name))
	testkit.Check(h.t, err)
	var list []enrichedAlarm
	testkit.Check(h.t, json.Unmarshal(content, &list))
	out := make([]string, 0, len(list))
	for i := range list {
		out = append(out, list[i].String())
	}
	return out
}

// lookups returns the counters of look-ups that are not 0: "Wise hit 1".
func (n *node) lookups() []string {
	n.t.Helper()
	var out []string
	for name, value := range n.metrics() {
		if m := lookupCounter.FindStringSubmatch(name); m != nil && value > 0 {
			out = append(out, fmt.Sprint(m[2], " ", m[1], " ", value))
		}
	}
	slices.Sort(out)
	return out
}

var lookupCounter = regexp.MustCompile(`^dsiem_lookups_total\{outcome="(\w+)",source="(\w+)"\}$`)

package acceptance

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dsiem/test/testkit"
)

func TestT52_FreshStartCreatesBothFiles(t *testing.T) {
	t.Parallel()
	h := newHome(t, configs(t, "", takeAll))
	h.startReady(setup{nats: startNATS(t).URL()})
	for _, name := range []string{h.alarmsFile(), h.eventsFile()} {
		info, err := os.Stat(name)
		testkit.Check(t, err)
		if info.Size() != 0 || info.Mode().Perm()&0o137 != 0 {
			t.Errorf("%s has mode %v and %d bytes", filepath.Base(name), info.Mode(), info.Size())
		}
	}
}

func TestT53_RenamedFileIsReplaced(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL()})
	publish(server, ev{id: "e1"}.String())
	n.takes("e1")
	testkit.Eventually(t, "the alarm is written", func() bool { return len(n.alarms()) == 1 })
	moved := filepath.Join(n.logs, "x")
	testkit.Check(t, os.Rename(n.alarmsFile(), moved))
	publish(server, ev{id: "e2", src: "10.0.0.9"}.String())
	testkit.Eventually(t, "the next alarm is in the new file", func() bool { return len(n.alarms()) == 1 })
	if got := n.alarms()[0].SrcIPs; len(got) != 1 || got[0] != "10.0.0.9" {
		t.Errorf("the new file has an alarm of %q", got)
	}
	if got := decodeLines[alarm](t, moved); len(got) != 1 || got[0].SrcIPs[0] != "10.0.0.1" {
		t.Errorf("the old file has %v", got)
	}
	n.says("alarm file has been rotated")
}

// Without any event a file that is gone comes back within a second.
func TestT53_RemovedFileComesBack(t *testing.T) {
	t.Parallel()
	h := newHome(t, configs(t, "", takeAll))
	h.startReady(setup{nats: startNATS(t).URL()})
	testkit.Check(t, os.Remove(h.eventsFile()))
	testkit.Eventually(t, "the file is back", func() bool { return exists(h.eventsFile()) })
}

// What Logstash and the alarm proxy need of a line (docs/spec/interfaces.md §7.5,
// §7.8).
func TestT54_AlarmLinesSuitTheirReaders(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, configs(t, "", takeAll))
	n := h.startReady(setup{nats: server.URL()})
	begun := time.Now().Unix()
	publish(server, ev{id: "e1"}.String(), ev{id: "e2", src: "fe80::1", dst: "10.0.0.3"}.String())
	n.takes("e2")
	n.stop()
	var lines []map[string]any
	for _, line := range decodeLines[json.RawMessage](t, h.alarmsFile()) {
		var one map[string]any
		testkit.Check(t, json.Unmarshal(line, &one))
		lines = append(lines, one)
	}
	if len(lines) != 2 {
		t.Fatalf("%d alarm lines, want 2", len(lines))
	}
	for i, a := range h.alarms() {
		for _, key := range []string{"alarm_id", "title", "status", "kingdom", "category", "tag", "risk_class", "src_ips", "dst_ips", "networks", "rules"} {
			if _, ok := lines[i][key]; !ok {
				t.Errorf("line %d has no %s", i, key)
			}
		}
		for _, key := range []string{"alarm_id", "title", "status", "kingdom", "category", "tag", "risk_class"} {
			if text, _ := lines[i][key].(string); text == "" {
				t.Errorf("line %d: %s is empty", i, key)
			}
		}
		if len(a.SrcIPs) == 0 || len(a.DstIPs) == 0 || a.Status != "Open" || a.Tag != "Identified Threat" {
			t.Errorf("line %d: %+v", i, a)
		}
		for _, at := range []int64{a.Created, a.Updated} {
			if at < begun || at > time.Now().Unix() {
				t.Errorf("line %d: time %d is not that of now, %d", i, at, begun)
			}
		}
		if a.Risk < 1 || a.Risk > 10 {
			t.Errorf("line %d: risk %d", i, a.Risk)
		}
		for _, ip := range append(a.SrcIPs, a.DstIPs...) {
			if _, err := netip.ParseAddr(ip); err != nil {
				t.Errorf("line %d: %v", i, err)
			}
		}
	}
}

var textLine = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (TRACE|DEBUG| INFO| WARN|ERROR) [a-z_:]+: \S.*$`)

func TestT55_LogIsText(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{"-v"}})
	publish(server, ev{id: "e1"}.String(), "garbage\x1b[31m")
	n.takes("e1")
	n.stop()
	for _, line := range n.said() {
		if !textLine.MatchString(line) || strings.Contains(line, "\x1b") {
			t.Errorf("line %q has another form", line)
		}
	}
	for _, wanted := range []string{
		"INFO dsiem_backend: starting dsiem backend server with frontend file: and message queue nats://",
		"INFO dsiem_backend::worker: listening for new events",
		"1 directives found and loaded", "1 assets found and loaded", "loaded 0 intel plugins", "loaded 0 vuln plugins",
		"DEBUG dsiem_backend::backlog: new backlog created directive.id=1", "DEBUG dsiem_backend::backlog: stage increased to 2",
		"DEBUG dsiem_backend::backlog: risk changed from 0 to 4", "backlog manager exiting",
		"INFO dsiem_backend::backlog: alarm changed alarm_id=",
	} {
		if len(n.said(wanted)) != 1 {
			t.Errorf("%q is in %d lines, want 1", wanted, len(n.said(wanted)))
		}
	}
	if got := n.err.Tail(); got != "" {
		t.Errorf("standard error: %s", got)
	}
}

// At the usual level there is one line about an alarm, none about backlogs; an operator
// may want less.
func TestLogLevels(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL()})
	quiet := newHome(t, configs(t, "", takeAll)).start(setup{env: []string{"DSIEM_LOG_LEVEL=warn"}})
	quiet.says("WARN", "error from message queue, reconnecting")
	quiet.stop()
	publish(server, ev{id: "e1"}.String())
	n.takes("e1")
	n.stop()
	if got := n.said("dsiem_backend::backlog: "); len(got) != 2 || !strings.Contains(got[0], "alarm changed alarm_id=") ||
		!strings.Contains(got[0], ` risk=4 class="Medium" stage=2 directive=1`) || !strings.Contains(got[1], "backlogs saved") {
		t.Errorf("lines about alarms and backlogs: %q", got)
	}
	if got := quiet.said("INFO"); len(got) > 0 {
		t.Errorf("lines below the level: %q", got)
	}
}

func TestT56_LogIsJSON(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	for _, s := range []setup{{flags: []string{"-j"}}, {env: []string{"DSIEM_JSON=true"}}} {
		s.nats = server.URL()
		n := newHome(t, configs(t, "", takeAll)).startReady(s)
		n.stop()
		for _, text := range n.said() {
			var line struct {
				Timestamp time.Time
				Level     string
				Target    string
				Fields    map[string]any
			}
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			message, _ := line.Fields["message"].(string)
			if line.Timestamp.IsZero() || line.Level == "" || !strings.HasPrefix(line.Target, "dsiem_backend") || message == "" {
				t.Errorf("%s lacks something", text)
			}
		}
	}
}

func TestT57_WatchdogReport(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL()})
	publish(server, ev{id: "e1"}.String(), ev{id: "e2"}.String(), ev{id: "e3", sid: 9}.String())
	_, next := n.saysAfter(0, "watchdog report") // at the start
	report, _ := n.saysAfter(next, "watchdog report")
	for _, field := range []string{
		"eps=0.", "queue_length=0", "avg_proc_time_ms=", "ttl_directives=1", "active_directives=1", "backlogs=1",
		"directives_ttl=1", "directives_active=1", "events_rcvd=3", "events_matched=2", "backlogs_timedout=0",
	} {
		if !strings.Contains(report, " "+field) {
			t.Errorf("the report lacks %s: %s", field, report)
		}
	}
}

// Alarm files are renamed while events stream in. Every line is in one of them,
// once.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	const batches, perBatch, sources = 40, 500, 50
	server := startNATS(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL()})
	var rotated []string
	for batch := range batches {
		events := make([]string, perBatch)
		for i := range events {
			number := batch*perBatch + i
			events[i] = ev{id: fmt.Sprint(number), src: address(number % sources)}.String()
		}
		publish(server, events...)
		if batch%4 == 1 {
			next := filepath.Join(n.logs, fmt.Sprint(eventsName, ".", batch))
			testkit.Eventually(t, "the file is there again", func() bool { return os.Rename(n.eventsFile(), next) == nil })
			rotated = append(rotated, next)
		}
	}
	n.stop()
	seen := map[string]bool{}
	for _, name := range append(rotated, n.eventsFile()) {
		for _, e := range decodeLines[alarmEvent](t, name) {
			if seen[e.EventID] {
				t.Fatalf("event %s is there twice", e.EventID)
			}
			seen[e.EventID] = true
		}
	}
	if len(seen) != batches*perBatch {
		t.Errorf("%d lines, want %d", len(seen), batches*perBatch)
	}
	if got := len(n.said("alarm file has been rotated")); got != len(rotated) {
		t.Errorf("%d rotations noticed, want %d", got, len(rotated))
	}
}

package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// stickyStages is the directive of P1.
const stickyStages = "r1 rel10\nr2 sid2 from=:1 to=:1 occ2 sticky=DST_PORT rel10\nr3 sid3 from=:1 rel10"

// withBacklog returns a home in which a backend has saved one backlog of
// directive 1, and its alarm id.
func withBacklog(t *testing.T, server *natstest.Server) (h *home, id string) {
	t.Helper()
	h = newHome(t, configs(t, "", stickyStages))
	n := h.startReady(setup{nats: server.URL()})
	publish(server, ev{id: "e1", from: 5, port: 80}.String(), ev{id: "e2", sid: 2, port: 1}.String())
	n.stop()
	saved := h.savedBacklogs("1.json")
	if len(saved) != 1 {
		t.Fatalf("%d saved backlogs, want 1", len(saved))
	}
	return h, saved[0].ID
}

// finishes checks that a backend goes on with the backlog of withBacklog.
func (n *node) finishes(server *natstest.Server, id string) {
	n.t.Helper()
	publish(server, ev{id: "e4", sid: 2, port: 2}.String(), ev{id: "e5", sid: 3}.String())
	n.takes("e5")
	n.stop()
	events, alarms := n.alarmEvents(), n.alarms()
	for _, e := range events {
		if e.AlarmID != id {
			n.t.Errorf("event %s went to another backlog, %s instead of %s", e.EventID, e.AlarmID, id)
		}
	}
	if last := alarms[len(alarms)-1]; last.ID != id || last.progress() != "FFF" {
		n.t.Errorf("the last alarm is %s %s, want %s FFF", last.ID, last.progress(), id)
	}
}

// start is complete: what was loaded is gone.
func (n *node) hasLoaded(name string) {
	n.t.Helper()
	testkit.Eventually(n.t, name+" is deleted", func() bool { return !exists(n.saved(name)) })
}

func TestT58_SavedAtTheEndAndLoadedAgain(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h, id := withBacklog(t, server)
	before := h.alarms()[0]
	n := h.startReady(setup{nats: server.URL()})
	n.hasLoaded("1.json")
	publish(server, ev{id: "e3", sid: 2, port: 1}.String()) // a known port: swallowed
	n.finishes(server, id)
	for _, a := range h.alarms() {
		if a.Created != before.Created {
			t.Errorf("created_time %d, want that of the first run, %d", a.Created, before.Created)
		}
	}
	if len(h.alarmEvents()) != 4 || exists(h.saved("1.json")) {
		t.Errorf("%d alarm-event lines, want 4; saved: %t", len(h.alarmEvents()), exists(h.saved("1.json")))
	}
}

func TestT59_FewerBacklogsMakeAValidFile(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, configs(t, "", "r1 rel10\nr2 sid2 from=:1 rel10"))
	n := h.startReady(setup{nats: server.URL()})
	var first, second []string
	for i := range 50 {
		first = append(first, ev{id: fmt.Sprint("a", i), src: address(i)}.String())
		second = append(second, ev{id: fmt.Sprint("b", i), src: address(i), sid: 2}.String())
	}
	publish(server, first...)
	n.stop()
	if got := len(h.savedBacklogs("1.json")); got != 50 {
		t.Fatalf("%d saved backlogs, want 50", got)
	}
	n = h.startReady(setup{nats: server.URL()})
	publish(server, second[1:]...)
	n.stop()
	if got := h.savedBacklogs("1.json"); len(got) != 1 || got[0].SrcIPs[0] != address(0) {
		t.Errorf("%d saved backlogs, want that of %s", len(got), address(0))
	}
}

// The successor's option turns loading and saving off: the file of another run
// stays as it is.
func TestP08_NoReloadTouchesNothing(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	for _, off := range []setup{{flags: []string{"--reload-backlogs=false"}}, {env: []string{"DSIEM_RELOAD_BACKLOGS=false"}}} {
		h, id := withBacklog(t, server)
		before := contents(t, h.backlogs())
		off.nats = server.URL()
		n := h.startReady(off)
		publish(server, ev{id: "e9", src: "10.0.0.9"}.String())
		n.takes("e9")
		n.stop()
		if after := contents(t, h.backlogs()); !equalFiles(before, after) {
			t.Errorf("saved files %q became %q", keys(before), keys(after))
		}
		for _, e := range h.alarmEvents() {
			if e.EventID == "e9" && e.AlarmID == id {
				t.Error("the backlog was loaded")
			}
		}
	}
}

// NATS is down at the start: the saved files stay, whatever ends the process,
// and the next start has the backlogs.
func TestP09_NATSDownAtStartKeepsSavedBacklogs(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startNATS(t)
			h, id := withBacklog(t, server)
			before := contents(t, h.backlogs())
			server.Stop()
			n := h.start(setup{nats: server.URL(), flags: []string{"--checkpoint=1"}})
			n.says("saved backlogs loaded", "restored=1")
			n.says("error from message queue, reconnecting")
			n.signal(s)
			n.exit(map[syscall.Signal]int{syscall.SIGTERM: 0, syscall.SIGKILL: -1}[s])
			if after := contents(t, h.backlogs()); !equalFiles(before, after) {
				t.Errorf("saved files %q became %q", keys(before), keys(after))
			}
			server.Restart()
			h.startReady(setup{nats: server.URL()}).finishes(server, id)
		})
	}
}

// Backlogs that expire while NATS is down do so when the start is complete, and
// only once.
func TestP09_ExpiredWhileNATSIsDown(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, configs(t, "", "r1 rel10\nr2 sid2 rel10 timeout=1"))
	n := h.startReady(setup{nats: server.URL()})
	publish(server, ev{id: "e1"}.String())
	n.takes("e1")
	n.stop()
	server.Stop()
	n = h.start(setup{nats: server.URL()})
	n.says("attempt=2") // long enough to expire
	n.kill()
	if got := len(h.alarms()); got != 1 {
		t.Errorf("%d alarm lines while NATS is down, want that of the first run", got)
	}
	server.Restart()
	n = h.startReady(setup{nats: server.URL(), flags: []string{"-v"}})
	n.says("backlog expired")
	n.stop()
	if got := h.alarms(); len(got) != 2 || got[1].progress() != "FT" {
		t.Errorf("%d alarm lines, want 2, the second with FT", len(got))
	}
}

// A long file that appears while the backend runs is replaced as a whole.
func TestP10_StaleFileIsReplaced(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, configs(t, "", stickyStages))
	n := h.startReady(setup{nats: server.URL()})
	publish(server, ev{id: "e1"}.String())
	n.takes("e1")
	testkit.Check(t, os.MkdirAll(h.backlogs(), 0o750))
	testkit.Check(t, os.WriteFile(h.saved("1.json"), []byte(strings.Repeat("x", 20_000)), 0o600))
	n.stop()
	if got := h.savedBacklogs("1.json"); len(got) != 1 {
		t.Errorf("%d saved backlogs, want 1", len(got))
	}
}

// A saved backlog without risk gets its created_time with its first alarm line.
func TestP11_CreatedTimeAfterLoad(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, configs(t, "", "r1 rel1\nr2 sid2 rel10"))
	n := h.startReady(setup{nats: server.URL()})
	publish(server, ev{id: "e1"}.String())
	n.stop()
	if got := h.savedBacklogs("1.json"); len(got) != 1 || got[0].Created != 0 || got[0].Risk != 0 {
		t.Fatalf("saved %+v, want one backlog without risk", got)
	}
	n = h.startReady(setup{nats: server.URL()})
	loaded := time.Now().Unix()
	publish(server, ev{id: "e2", sid: 2}.String())
	n.takes("e2")
	n.stop()
	if got := h.alarms(); len(got) != 1 || got[0].Created < loaded || got[0].Risk != 4 {
		t.Errorf("alarms %+v, want one of risk 4, created at %d or later", got, loaded)
	}
}

func TestP12_SIGINTAndSIGHUPSave(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
		h := newHome(t, configs(t, "", stickyStages))
		n := h.startReady(setup{nats: server.URL()})
		publish(server, ev{id: "e1"}.String())
		n.signal(s)
		n.exit(0)
		if got := len(h.savedBacklogs("1.json")); got != 1 {
			t.Errorf("%v: %d saved backlogs, want 1", s, got)
		}
	}
}

// kill -9 loses what happened since the last checkpoint, and everything without
// checkpoints.
func TestP12_SIGKILLLosesAtMostTheCheckpointInterval(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	for flag, want := range map[string]int{"--checkpoint=1": 1, "--checkpoint=0": 0} {
		h := newHome(t, configs(t, "", stickyStages))
		n := h.startReady(setup{nats: server.URL(), flags: []string{flag}})
		publish(server, ev{id: "e1"}.String(), ev{id: "e2", sid: 2, port: 1}.String())
		n.takes("e2")
		if want > 0 {
			testkit.Eventually(t, "a checkpoint has the backlog", func() bool {
				saved := h.savedBacklogs("checkpoint/1.json")
				return len(saved) == 1 && len(saved[0].Rules[1].SavedEventIDs) == 1
			})
		}
		n.kill()
		n = h.startReady(setup{nats: server.URL(), flags: []string{flag}})
		publish(server, ev{id: "e4", sid: 2, port: 2}.String(), ev{id: "e5", sid: 3}.String(), ev{id: "e6", src: "10.0.0.9"}.String())
		n.takes("e6")
		n.stop()
		finished := 0
		for _, a := range h.alarms() {
			if a.progress() == "FFF" {
				finished++
			}
		}
		if finished != want {
			t.Errorf("%s: %d alarms were finished after kill -9, want %d", flag, finished, want)
		}
	}
}

// A checkpoint is no longer there after an orderly end, so that the next start
// cannot take it for newer than the saved files; not even when no backlog lives.
func TestCheckpointEndsWithTheRun(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, configs(t, "", "r1 rel10\nr2 sid2 rel10"))
	n := h.startReady(setup{nats: server.URL(), flags: []string{"--checkpoint=1"}})
	publish(server, ev{id: "e1"}.String())
	testkit.Eventually(t, "a checkpoint has the backlog", func() bool { return len(h.savedBacklogs("checkpoint/1.json")) == 1 })
	publish(server, ev{id: "e2", sid: 2}.String())
	n.takes("e2")
	n.stop()
	// What ended is remembered (D35 b), no backlog is.
	if got := names(t, h.backlogs()); !slices.Equal(got, []string{"complete", "remembered.events"}) {
		t.Errorf("left behind: %q", got)
	}
	n = h.startReady(setup{nats: server.URL()})
	publish(server, ev{id: "e3", sid: 2}.String(), ev{id: "e4"}.String())
	n.takes("e4")
	n.stop()
	if got := h.alarmEvents(); len(got) != 3 {
		t.Errorf("alarm-event lines %v, want 3: the finished backlog is back", got)
	}
}

// A stop during the first checkpoint must not let finished backlogs come back:
// the files that were loaded go with the save.
func TestStopRightAfterTheStart(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h, id := withBacklog(t, server)
	n := h.startReady(setup{nats: server.URL()})
	n.stop() // at once
	if got := h.savedBacklogs("1.json"); len(got) != 1 || got[0].ID != id {
		t.Fatalf("%d saved backlogs, want 1", len(got))
	}
	h.startReady(setup{nats: server.URL()}).finishes(server, id)
	// What ended is remembered (D35 b), no backlog is.
	if got := names(t, h.backlogs()); !slices.Equal(got, []string{"complete", "remembered.events"}) {
		t.Errorf("left behind: %q", got)
	}
}

// Whenever a process was killed, the next one finds one state, and only that: the
// saved files if they are complete, else the checkpoint for what has none.
func TestStateAfterAKill(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h, id := withBacklog(t, server)
	saved, err := os.ReadFile(h.saved("1.json"))
	testkit.Check(t, err)
	older := []byte(strings.ReplaceAll(string(saved), id, "older"))
	for name, c := range map[string]struct {
		left files
		want string
	}{
		"during a run":                        {files{"checkpoint/1.json": saved}, id},
		"between two checkpoints":             {files{"checkpoint.old/1.json": saved, "checkpoint.new/1.json": older}, id},
		"after a checkpoint took its place":   {files{"checkpoint.old/1.json": older, "checkpoint/1.json": saved}, id},
		"while a checkpoint was written":      {files{"checkpoint/1.json": saved, "checkpoint.new/1.json": saved[:100]}, id},
		"while the state was saved":           {files{"1.json": saved, "checkpoint/1.json": older}, id},
		"after the state was saved":           {files{"1.json": saved, "complete": nil, "checkpoint/1.json": older, "checkpoint/2.json": older}, id},
		"while the checkpoint was removed":    {files{"checkpoint.new/1.json": older}, ""},
		"while the start was made complete":   {files{"1.json": older, "complete": nil, "checkpoint/1.json": older}, "older"},
		"with the saved files of the seed":    {files{"1.json": saved}, id},
		"and another save left a part behind": {files{"1.json": saved, ".1.json123456": saved[:100]}, id},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, configs(t, "", "directive id=1 name=D1\n"+stickyStages+"\ndirective id=2 name=D1\n"+stickyStages))
			for file, content := range c.left {
				testkit.Check(t, os.MkdirAll(filepath.Dir(h.saved(file)), 0o750))
				testkit.Check(t, os.WriteFile(h.saved(file), content, 0o600))
			}
			n := h.startReady(setup{nats: server.URL()})
			if c.left["1.json"] != nil {
				n.hasLoaded("1.json")
			}
			n.stop()
			got := ""
			for _, a := range append(h.savedBacklogs("1.json"), h.savedBacklogs("2.json")...) {
				got += a.ID
			}
			if got != c.want {
				t.Errorf("the state has the backlogs %q, want %q", got, c.want)
			}
			for _, name := range names(t, h.backlogs()) {
				if strings.HasPrefix(name, "checkpoint") {
					t.Errorf("left behind: %s", name)
				}
			}
		})
	}
}

// Events that wait when the signal comes are processed or counted.
func TestP13_QueuedEventsAtTheEnd(t *testing.T) {
	t.Parallel()
	const total = 300
	server := startNATS(t)
	h := newHome(t, configs(t, "", takeAll))
	n := h.startReady(setup{nats: server.URL()})
	events := make([]string, total)
	for i := range events {
		events[i] = ev{id: fmt.Sprint("e", i)}.String()
	}
	publish(server, events...)
	n.stop()
	if got := len(h.alarmEvents()); got != total {
		t.Errorf("%d events were taken, want %d", got, total)
	}
	if got := n.said("events dropped"); len(got) > 0 {
		t.Errorf("%q", got)
	}
	saved := h.savedBacklogs("1.json")
	if len(saved) != 1 || len(saved[0].Rules[1].SavedEventIDs) != total-1 {
		t.Errorf("the saved backlog does not have all events")
	}
}

// A backend that is ended while events stream in takes all that came before some
// moment, in order, and none after; the next one goes on.
func TestSIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, configs(t, "", takeAll))
	n := h.startReady(setup{nats: server.URL()})
	stopped := make(chan struct{})
	sender := server.Client()
	sent := make(chan int)
	go func() {
		i := 0
		defer func() { sent <- i }()
		for ; ; i++ {
			select {
			case <-stopped:
				return
			default:
			}
			_ = sender.Publish(bus.EventsSubject, []byte(ev{id: fmt.Sprint(i)}.String()))
			if i%100 == 99 {
				_ = sender.Flush()
			}
		}
	}()
	testkit.Eventually(t, "events are taken", func() bool { return countLines(t, h.eventsFile()) > 5000 })
	took := n.stop()
	close(stopped)
	total := <-sent
	events := eventIDs(t, h.eventsFile())
	t.Logf("%d of %d events were taken, the end took %v", len(events), total, took)
	for i, id := range events {
		if id != fmt.Sprint(i) {
			t.Fatalf("line %d is event %s", i, id)
		}
	}
	saved := h.savedBacklogs("1.json")
	if len(saved) != 1 || len(saved[0].Rules[1].SavedEventIDs) != len(events)-1 {
		t.Error("the saved backlog does not have the events of the lines")
	}
	if took > 5*time.Second {
		t.Errorf("the end took %v", took)
	}
}

// stuck is a backend whose alarm files cannot grow, with lines that wait.
func stuck(t *testing.T) *node {
	t.Helper()
	server := startNATS(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), flags: []string{diagnostics}})
	limitFileSize(t, n, 100)
	publish(server, ev{id: "e1"}.String(), ev{id: "e2"}.String(), ev{id: "e3"}.String())
	n.says("alarm files cannot be written, trying again")
	return n
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	n := stuck(t)
	begun := time.Now()
	n.signal(syscall.SIGTERM)
	n.says("termination signal received, shutting down")
	n.signal(syscall.SIGTERM) // the same one: a supervisor's, to the process and to its group
	testkit.Eventually(t, "it is another one", func() bool { return time.Since(begun) > 700*time.Millisecond })
	n.signal(syscall.SIGTERM)
	n.wantWritten(1, "second signal, leaving at once")
}

// A disk that takes nothing does not keep the backend alive; what is lost, lines
// and backlogs, is told, and the exit code is that of a failure.
func TestEndWithAFullDisk(t *testing.T) {
	t.Parallel()
	n := stuck(t)
	begun := time.Now()
	n.signal(syscall.SIGTERM)
	n.exit(1)
	t.Logf("the end took %v", time.Since(begun))
	n.says("ERROR", "alarm lines and", "were not written")
	n.says("ERROR", "save the backlogs of directive 1")
}

// The disk is full for a while: correlation goes on, and every line is there
// once space returns.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, configs(t, "", takeAll))
	n := h.startReady(setup{nats: server.URL(), flags: []string{diagnostics}})
	const total = 2000
	limitFileSize(t, n, 10_000)
	events := make([]string, total)
	for i := range events {
		events[i] = ev{id: fmt.Sprint(i)}.String()
	}
	publish(server, events[:total/2]...)
	n.says("ERROR", "alarm files cannot be written, trying again")
	publish(server, events[total/2:]...)
	testkit.Eventually(t, "correlation goes on", func() bool { return n.metrics()["dsiem_events_matched_total"] == total })
	if status, body := n.fetch("/readyz"); status != 503 || !strings.Contains(body, "alarm_files") {
		t.Errorf("/readyz while nothing can be written: %d %s", status, body)
	}
	limitFileSize(t, n, 1<<40)
	n.says("INFO", "alarm files are written again")
	testkit.Eventually(t, "every line is there", func() bool { return countLines(t, h.eventsFile()) == total })
	n.stop()
	for i, e := range h.alarmEvents() {
		if e.EventID != fmt.Sprint(i) {
			t.Fatalf("line %d is event %s", i, e.EventID)
		}
	}
}

// A standalone node whose alarm files cannot be written refuses events, says why, and
// takes them again as soon as the files can be written. Nothing that it took is lost.
func TestDiskFull_EventsAreRefused(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll)
	limitFileSize(t, n, 100)
	taken := 0
	testkit.Eventually(t, "events are refused", func() bool {
		a := n.post(ev{id: fmt.Sprint(taken)}.String())
		if a.status == http.StatusOK {
			taken++
			return false
		}
		wantAnswer(t, "an event", a, http.StatusServiceUnavailable, "Events cannot be taken now: alarm lines cannot be written: ")
		if !strings.Contains(a.body, "file too large") || a.header.Get("Retry-After") == "" {
			t.Errorf("the answer is %q, Retry-After %q", a.body, a.header.Get("Retry-After"))
		}
		return true
	})
	wantAnswer(t, "/readyz", n.ask(http.MethodGet, "/readyz", ""), http.StatusServiceUnavailable, "")
	n.says("WARN", "events refused, they cannot be taken now", "file too large")
	limitFileSize(t, n, 1<<40)
	n.says("INFO", "alarm files are written again")
	n.takesPosted(ev{id: "last"}.String())
	n.stop()
	if got := len(n.alarmEvents()); taken == 0 || got != taken+1 {
		t.Errorf("%d events in the file, want the %d that were taken and the last one", got, taken)
	}
}

// The same with a file system that is really full.
func TestDiskFull_FileSystem(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	h := newHome(t, configs(t, "", takeAll))
	mountSmall(t, h.logs)
	n := h.startReady(setup{nats: server.URL(), flags: []string{"--checkpoint=1"}})
	const total = 1000
	filler := filepath.Join(h.logs, "filler")
	testkit.Check(t, os.WriteFile(filler, fill(t, h.logs), 0o600))
	var events []string
	for i := range total {
		events = append(events, ev{id: fmt.Sprint(i)}.String())
	}
	publish(server, events...)
	n.says("ERROR", "alarm files cannot be written, trying again")
	n.says("ERROR", "checkpoint failed")
	testkit.Check(t, os.Remove(filler))
	n.says("INFO", "alarm files are written again")
	testkit.Eventually(t, "every line is there", func() bool { return countLines(t, h.eventsFile()) == total })
	n.stop()
	ids := map[string]bool{}
	for _, e := range h.alarmEvents() {
		ids[e.EventID] = true
	}
	if saved := h.savedBacklogs("1.json"); len(ids) != total || len(saved) != 1 {
		t.Errorf("%d events in the file, want %d; %d saved backlogs, want 1", len(ids), total, len(saved))
	}
}

// The two state files that other tools may look at are those of the seed.
func TestSavedFilesAreThoseOfTheSeed(t *testing.T) {
	t.Parallel()
	h, id := withBacklog(t, startNATS(t))
	content, err := os.ReadFile(h.saved("1.json"))
	testkit.Check(t, err)
	if !strings.HasPrefix(string(content), "[\n  {\n    \"alarm_id\": \""+id+"\",\n") || !strings.HasSuffix(string(content), "\n]\n") {
		t.Errorf("the file has another form:\n%s", content)
	}
	var list []map[string]any
	testkit.Check(t, json.Unmarshal(content, &list))
	if list[0]["saved_last_srcport"] != 5.0 || list[0]["saved_last_dstport"] != 1.0 {
		t.Errorf("last ports %v and %v, want 5 and 1", list[0]["saved_last_srcport"], list[0]["saved_last_dstport"])
	}
	if got := names(t, h.backlogs()); !slices.Contains(got, "1.json") {
		t.Errorf("files %q", got)
	}
}

package acceptance

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"dsiem/test/testkit"
)

// firstEvent is the command that a node tells a newcomer.
var firstEvent = regexp.MustCompile(`next: send an event, as with: curl -d '([^']+)' http://localhost:(\d+)(/\S+)`)

// A newcomer starts the program in an empty folder, does what it says, and has
// an alarm.
func TestEmptyFolder(t *testing.T) {
	t.Parallel()
	h := newHome(t, nil)
	testkit.Check(t, os.RemoveAll(h.configs))
	n := h.startReady(setup{role: standaloneRole, defaultFolders: true})
	n.says("no configuration found, sample configuration written")
	command := firstEvent.FindStringSubmatch(n.says("next: send an event"))
	if command == nil || !strings.HasSuffix(n.address(), ":"+command[2]) {
		t.Fatal("the log has no command that sends an event here")
	}
	n.wantTaken200(n.ask(http.MethodPost, command[3], command[1], formType))
	testkit.Eventually(t, "there is an alarm", func() bool { return len(n.alarms()) > 0 })
	n.says("next: see the alarm", n.alarmsFile())
	for path, part := range map[string]string{"/status": n.alarms()[0].ID, "/": "<html", "/readyz": `"ok"`} {
		if a := n.ask(http.MethodGet, path, "", "Accept: text/html"); a.status != 200 || !strings.Contains(a.body, part) {
			t.Errorf("%s is answered %d, without %q: %.300s", path, a.status, part, a.body)
		}
	}
	n.stop()
	want := []string{"assets_demo.json", "directives_demo.json", settingsName}
	if got := names(t, n.configs); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	h.call("dsiem", nil, "validate", "--strict", "--config", h.configs).exit(0)

	before := contents(t, h.configs)
	n = h.startReady(setup{role: standaloneRole, defaultFolders: true})
	n.stop()
	if got := n.said("next: "); len(got) > 0 {
		t.Errorf("the second start says %q", got)
	}
	if after := contents(t, h.configs); !equalFiles(before, after) {
		t.Errorf("files %q became %q", keys(before), keys(after))
	}
}

// What is allowed and hardly meant stops no start; a line tells of each, of a
// setting that does nothing one for a file.
func TestStartSaysWhatIsHardlyMeant(t *testing.T) {
	t.Parallel()
	const directives = "directives_scenario.json"
	offer := configs(t, "", takeAll)
	offer[directives] = bytes.ReplaceAll(offer[directives], []byte(`"protocol": "ANY"`), []byte(`"protocol": "UDP"`))
	offer["directive_other.json"] = offer[directives]
	h := newHome(t, offer)
	n := h.startReady(setup{role: standaloneRole})
	n.says("WARN", "dsiem::directive: configuration", directives+":", ", protocol: ", "(likewise in ", "[protocol-not-compared]")
	n.says("WARN", "dsiem::directive: configuration", "directive_other.json: warning: this file is not read")
	n.stop()
	if got := n.said("WARN", "configuration"); len(got) != 2 {
		t.Errorf("the start says %q", got)
	}

	offer[directives] = bytes.Replace(offer[directives], []byte(`"directives":`), []byte(`"lint_off": ["protocol-not-compared"], "directives":`), 1)
	h.configure(offer)
	n = h.startReady(setup{role: standaloneRole})
	n.says("INFO", "warnings of the configuration are switched off in its files", "count=1")
	n.stop()
	if got := n.said("WARN", "configuration"); len(got) != 1 || !strings.Contains(got[0], "[file-not-read]") {
		t.Errorf("the second start says %q", got)
	}
}

// Whoever has some configuration is not given another one.
func TestSamplesAreForEmptyFoldersOnly(t *testing.T) {
	t.Parallel()
	h := newHome(t, files{"assets_scenario.json": configs(t, "", takeAll)["assets_scenario.json"]})
	n := h.start(setup{role: standaloneRole, defaultFolders: true})
	n.wantWritten(1, "cannot load any directive")
	for _, name := range names(t, h.configs) {
		if strings.Contains(name, "demo") {
			t.Errorf("%s was written", name)
		}
	}
}

// Whoever names a folder means one that is there: a name with a mistake in it must
// not become a new folder with other directives than theirs.
func TestNamedFolderOfConfigurationMustExist(t *testing.T) {
	t.Parallel()
	const advice = "no such file or directory; correct the name, or make the directory and put assets_*.json and directives_*.json into it"
	for _, role := range []role{standaloneRole, frontendRole, backendRole} {
		for _, variable := range []bool{false, true} {
			h := newHome(t, nil)
			testkit.Check(t, os.RemoveAll(h.configs))
			s := setup{role: role}
			by := "--config-dir"
			if variable {
				by = "DSIEM_CONFIGS_DIR"
				s.defaultFolders, s.env = true, []string{by + "=" + h.configs}
			}
			if role == backendRole {
				by = "loading directives"
			}
			h.start(s).wantWritten(1, by, "reading the configuration directory "+h.configs+": "+advice)
			if _, err := os.Stat(h.configs); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the folder was made, or %v", err)
			}
		}
	}
}

// A folder that is named gets no directives but those that somebody puts there.
func TestNamedFolderGetsNoSamples(t *testing.T) {
	t.Parallel()
	h := newHome(t, nil)
	h.start(setup{role: standaloneRole}).wantWritten(1, "cannot load any asset", "there is no directive file; add at least one directives_*.json")
	if got := names(t, h.configs); !slices.Equal(got, []string{settingsName}) {
		t.Errorf("files %q", got)
	}
}

// Configuration that is downloaded brings its folder with it.
func TestFolderOfDownloadsIsMade(t *testing.T) {
	t.Parallel()
	config := configs(t, "", takeAll)
	url := frontend(t, files{
		"assets_a.json": config["assets_scenario.json"], "directives_dsiem-backend-1_a.json": config["directives_scenario.json"],
	})
	h := newHome(t, nil)
	testkit.Check(t, os.RemoveAll(h.configs))
	n := h.start(setup{role: backendRole, nats: startNATS(t).URL(), flags: []string{"--frontend=" + url}})
	n.takesEvents()
	n.stop()
}

// The two programs of a cluster do not make up a configuration.
func TestFrontendsHaveNoSamples(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	for _, i := range frontends {
		n := i.startFrontend(newHome(t, nil), server.URL())
		n.stop()
		if got := names(t, n.configs); !slices.Equal(got, []string{settingsName}) {
			t.Errorf("files %q", got)
		}
	}
}

// messageQueue is where a standalone node listens for other nodes.
var messageQueue = regexp.MustCompile(`message queue listening(?: for other nodes)? address="?(127\.0\.0\.1:\d+)`)

// queueAddress returns where other nodes reach the message queue of a standalone
// node.
func (n *node) queueAddress() string {
	n.t.Helper()
	match := messageQueue.FindStringSubmatch(n.says("message queue listening"))
	if match == nil {
		n.t.Fatal("the address of the message queue is not in the log")
	}
	return match[1]
}

// A standalone node is the frontend and the message queue of backends elsewhere:
// they get their configuration and all events, and each node takes each event
// once.
func TestStandaloneWithRemoteBackend(t *testing.T) {
	t.Parallel()
	own := configs(t, "", takeAll)
	own["directives_remote_a.json"] = configs(t, "", "directive id=7\nr1 sid3 rel10\nr2 sid3 occ100 rel10")["directives_scenario.json"]
	n := newHome(t, own).startReady(setup{role: standaloneRole, flags: []string{"--nats-listen=127.0.0.1:0"}})
	remote := newHome(t, nil).startReady(setup{
		nats: "nats://" + n.queueAddress(), flags: []string{"--node=remote", "--frontend=http://" + n.address()},
	})
	n.takesPosted(ev{id: "e1"}.String(), ev{id: "e2", sid: 3}.String())
	n.takesPosted(ev{id: "e3", sid: 3}.String())
	publishTo(t, "nats://"+n.queueAddress(), ev{id: "e4", sid: 3}) // another program's
	remote.takes("e4")
	n.takes("e4")
	n.stop()
	remote.stop()
	wantEvents(t, n, "1:e1", "7:e2", "7:e3", "7:e4")
	wantEvents(t, remote, "7:e2", "7:e3", "7:e4")
}

func connectNATS(t *testing.T, url string) *nats.Conn {
	t.Helper()
	client, err := nats.Connect(url)
	testkit.Check(t, err)
	t.Cleanup(client.Close)
	return client
}

// wantEvents checks which events a node has taken: directive and id of each, in
// any order.
func wantEvents(t *testing.T, n *node, want ...string) {
	t.Helper()
	var got []string
	for _, e := range n.alarmEvents() {
		directive := n.directiveOf(e.AlarmID)
		got = append(got, directive+":"+e.EventID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("events taken are %q, want %q", got, want)
	}
}

// directiveOf returns the directive of an alarm, as the log has it.
func (n *node) directiveOf(id string) string {
	n.t.Helper()
	_, directive, _ := strings.Cut(n.says("INFO", "alarm changed", id), " directive=")
	return directive
}

// Only who knows the password of a standalone node's message queue gets in, and
// the log does not have it.
func TestStandaloneQueueWithPassword(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll, "--nats-listen=nats://u:secret-p@127.0.0.1:0")
	for _, url := range []string{"nats://" + n.queueAddress(), "nats://u:wrong@" + n.queueAddress()} {
		if client, err := nats.Connect(url); err == nil {
			client.Close()
			t.Errorf("%s gets in", url)
		}
	}
	publishTo(t, "nats://u:secret-p@"+n.queueAddress(), ev{id: "e1"})
	n.takes("e1")
	n.takesPosted(ev{id: "e2"}.String())
	n.takes("e2")
	n.stop()
	if got := n.said("secret-p"); len(got) > 0 {
		t.Errorf("the password is in the log: %q", got)
	}
}

// Everything that was answered 200 before the end is in the files, once, at the
// latest after the next start.
func TestStandaloneEndsUnderLoad(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 50} {
		t.Run(fmt.Sprint(size, " events per request"), func(t *testing.T) {
			t.Parallel()
			n := startStandalone(t, takeAll, "--max-eps=0")
			load := startTraffic(t, "http://"+n.address()+"/events", 8, size)
			load.flows(400)
			n.stop()
			load.ended()
			if got := n.said("events dropped"); len(got) > 0 {
				t.Errorf("%q", got)
			}
			n = n.startReady(setup{role: standaloneRole})
			n.stop()
			load.wantTaken(times(t, n.eventsFile()))
			saved := n.savedBacklogs("1.json")
			if len(saved) != len(load.clients) {
				t.Errorf("%d saved backlogs, want one of each client", len(saved))
			}
		})
	}
}

// While the queue is full requests are refused, with the time to try again, and
// nothing of what is taken is lost.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll, "--max-eps=0", "--max-queue=1", diagnostics)
	const clients, size = 4, 5000
	var taken, refused atomic.Int64
	var done sync.WaitGroup
	for number := range clients {
		done.Go(func() {
			for round := 0; refused.Load() == 0 && round < 200 || round < 3; round++ {
				var events [size]string
				for i := range events {
					events[i] = ev{id: fmt.Sprintf("c%d-%d-%d", number, round, i), src: address(1 + number)}.String()
				}
				body := strings.Join(events[:], "\n")
				for {
					a, err := tryURL(t, http.DefaultTransport, http.MethodPost, "http://"+n.address()+"/events", body)
					if err != nil || a.status != 200 && (a.status != 503 || a.header.Get("Retry-After") == "") {
						t.Errorf("answer %d %q, error %v", a.status, a.body, err)
						return
					}
					if a.status == 200 {
						taken.Add(size)
						break
					}
					refused.Add(1)
				}
			}
		})
	}
	done.Wait()
	if refused.Load() == 0 {
		t.Error("no request was refused: the queue was never full")
	}
	n.stop()
	distinct := times(t, n.eventsFile())
	if got := countLines(t, n.eventsFile()); got != int(taken.Load()) || len(distinct) != got {
		t.Errorf("%d events were taken, %d distinct ones, want the %d that were answered 200", got, len(distinct), taken.Load())
	}
	t.Logf("%d events, %d requests refused", taken.Load(), refused.Load())
}

// A node that is restarted goes on with its backlogs.
func TestStandaloneGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	h := newHome(t, configs(t, "", stickyStages))
	n := h.startReady(setup{role: standaloneRole})
	n.takesPosted(ev{id: "e1", from: 5, port: 80}.String(), ev{id: "e2", sid: 2, port: 1}.String())
	n.stop()
	n = h.startReady(setup{role: standaloneRole})
	n.takesPosted(ev{id: "e3", sid: 2, port: 2}.String(), ev{id: "e4", sid: 3}.String())
	n.takes("e4")
	n.stop()
	alarms := h.alarms()
	if last := alarms[len(alarms)-1]; last.progress() != "FFF" || last.ID != alarms[0].ID {
		t.Errorf("the last alarm is %s %s, want %s FFF", last.ID, last.progress(), alarms[0].ID)
	}
	if exists(filepath.Join(h.backlogs(), "1.json")) {
		t.Error("a backlog is left")
	}
}

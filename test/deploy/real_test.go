//go:build unix

package deploy

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
	"dsiem/test/testkit/programs"
)

// dockerStop is how long "docker stop" waits before it kills.
const dockerStop = 10 * time.Second

// node is a container with a real program in it, which is running.
type node struct {
	*container
	*testkit.Process
}

// run starts the script and leaves it running until the end of the test.
func (c *container) run(env map[string]string) *node {
	c.t.Helper()
	cmd, _ := c.cmd(env)
	// A script that does not become the program leaves it behind: it must neither
	// hold up the test nor outlive it.
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return &node{c, testkit.Start(c.t, cmd)}
}

// says waits for a text in the log.
func (n *node) says(part string) {
	n.t.Helper()
	n.Log.Wait(n.t, 1, part)
}

// stop does what "docker stop" does, and fails if that would have killed the
// program.
func (n *node) stop() {
	n.t.Helper()
	n.Stop(n.t, dockerStop)
}

const (
	oneAsset     = `{"assets":[{"name":"net","cidr":"10.0.0.0/8","value":5}]}`
	oneDirective = `{"directives":[{"id":17,"name":"Login on DST_IP","priority":5,"kingdom":"k","category":"c","rules":[
	{"stage":1,"name":"fails","type":"PluginRule","plugin_id":4003,"plugin_sid":[1],"occurrence":1,"from":"ANY","to":"HOME_NET","reliability":5},
	{"stage":2,"name":"works","type":"PluginRule","plugin_id":4003,"plugin_sid":[2],"occurrence":1,"from":":1","to":":1","reliability":10,"timeout":3600}
	]}]}`
)

// oneEvent opens a backlog of oneDirective, and its alarm.
func oneEvent() string {
	return `{"event_id":"e1","timestamp":"` + time.Now().UTC().Format(time.RFC3339) + `","sensor":"s","title":"t","plugin_id":4003,"plugin_sid":1,` +
		`"src_ip":"192.0.2.7","src_port":1,"dst_ip":"10.0.0.22","dst_port":22,"protocol":"TCP"}`
}

// realBackend starts a real backend by the script, with T12's variables.
func realBackend(t *testing.T, shell []string) (*node, *natstest.Server) {
	t.Helper()
	nats := natstest.Start(t, natstest.Options{})
	box := newContainer(t, shell)
	box.install()
	box.write("configs/assets_a.json", 0o644, oneAsset)
	box.write("configs/directives_b0_a.json", 0o644, oneDirective)
	return box.run(backendEnv("DSIEM_FRONTEND", "file:", "DSIEM_MSQ", nats.URL(), "DSIEM_METRICS_ADDRESS", "127.0.0.1:0",
		"DSIEM_APM", "true", "DSIEM_PPROF", "true", "DSIEM_PORT", "8084", "DSIEM_WEBSOCKET", "true")), nats
}

// T12: the variables of the original make a backend, and what a backend does not
// have is only remarked.
func TestT12_TheOriginalsVariablesMakeABackend(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		n, _ := realBackend(t, shell)
		n.says("backend started")
		n.stop()
		if log := n.Log.String(); strings.Contains(log, "ERROR") || !regexp.MustCompile(`WARN .*DSIEM_APM`).MatchString(log) {
			t.Error("there is an error, or no remark on DSIEM_APM")
		}
	})
}

// T60: "docker stop" ends the image before it is killed, and no backlog is lost.
func TestT60_DockerStopSavesBacklogs(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		n, nats := realBackend(t, shell)
		n.says("backend started")
		nats.Publish(bus.EventsSubject, oneEvent())
		testkit.Eventually(t, "an alarm", func() bool {
			text, err := os.ReadFile(n.path("logs/siem_alarms.json"))
			return err == nil && strings.Contains(string(text), "\n")
		})
		n.stop()
		var saved []struct {
			Title string `json:"title"`
		}
		testkit.Check(t, json.Unmarshal([]byte(readFile(t, n.path("logs/backlogs/17.json"))), &saved))
		if len(saved) != 1 || saved[0].Title != "Login on DST_IP" {
			t.Errorf("saved: %+v", saved)
		}
	})
}

// The sample configuration of the image is the one of the demo, divided between
// two backends: a cluster and a standalone node start with it.
func TestTheSampleConfigurationIsThatOfTheDemo(t *testing.T) {
	t.Parallel()
	type configuration struct {
		Assets     []any `json:"assets"`
		Directives []any `json:"directives"`
	}
	read := func(dir string) (all configuration) {
		names, err := filepath.Glob(filepath.Join(repository, dir, "*.json"))
		testkit.Check(t, err)
		for _, name := range names {
			var c configuration
			testkit.Check(t, json.Unmarshal([]byte(readFile(t, name)), &c))
			all.Assets = append(all.Assets, c.Assets...)
			all.Directives = append(all.Directives, c.Directives...)
		}
		return all
	}
	text := func(list []any) []string {
		var out []string
		for _, element := range list {
			one, err := json.Marshal(element)
			testkit.Check(t, err)
			out = append(out, string(one))
		}
		slices.Sort(out)
		return out
	}
	image, demo := read("deploy/docker/configs-dist"), read("internal/sample/configs")
	if !slices.Equal(text(image.Assets), text(demo.Assets)) || !slices.Equal(text(image.Directives), text(demo.Directives)) {
		t.Error("deploy/docker/configs-dist is not internal/sample/configs any more")
	}
	out, err := exec.Command(programs.Path(t, "dsiem"), "validate", "--strict", "--config", repository+"/deploy/docker/configs-dist").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A standalone node and a frontend start with the sample configuration of the
// image, say that they are well, and end as fast as a backend.
func TestNodesWithHTTPStartByTheScript(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"", "cluster-frontend"} {
		t.Run("mode "+mode, func(t *testing.T) {
			t.Parallel()
			inEveryShell(t, func(t *testing.T, shell []string) {
				t.Helper()
				nats := natstest.Start(t, natstest.Options{})
				box := newContainer(t, shell)
				box.install()
				testkit.Check(t, os.CopyFS(box.path("samples"), os.DirFS(repository+"/deploy/docker/configs-dist")))
				testkit.Check(t, os.RemoveAll(box.path("configs-dist")))
				testkit.Check(t, os.Rename(box.path("samples"), box.path("configs-dist")))
				env := map[string]string{
					"DSIEM_MODE": mode, "DSIEM_NODE": "n", "DSIEM_ADDRESS": "127.0.0.1", "DSIEM_PORT": "0", "DSIEM_WEB_ESURL": "http://a:9200",
				}
				if mode != "" {
					env["DSIEM_MSQ"] = nats.URL()
				}
				n := box.run(env)
				_, port, err := net.SplitHostPort(n.Log.Match(t, `listening on (\S+:\d+)`))
				testkit.Check(t, err)
				// What the image's health check does, with the port that the node got.
				env["DSIEM_PORT"] = port
				testkit.Eventually(t, "the health check succeeds", func() bool {
					cmd, _ := box.cmd(env, "healthcheck")
					return cmd.Run() == nil
				})
				body := testkit.Get(t, "http://"+net.JoinHostPort("127.0.0.1", port)+"/ui/assets/config/esconfig.json")
				if want := `{"elasticsearch":"http://a:9200","kibana":"http://localhost:5601"}` + "\n"; body != want {
					t.Errorf("T61: served %q, want %q", body, want)
				}
				if mode == "" {
					postDocumentedEvent(t, "http://"+net.JoinHostPort("127.0.0.1", port)+"/events")
					testkit.Eventually(t, "the alarm that docs/deploy.md promises", func() bool {
						return strings.Contains(readFile(t, n.path("logs/siem_alarms.json")), "\n")
					})
				}
				if body := testkit.Get(t, "http://"+net.JoinHostPort("127.0.0.1", port)+"/config/"); !strings.Contains(body, "directives_dsiem-backend-0_demo.json") {
					t.Errorf("T62: the list is %s", body)
				}
				n.stop()
			})
		})
	}
}

// The health check of a backend asks the address of its metrics.
func TestTheHealthCheckOfABackend(t *testing.T) {
	t.Parallel()
	inEveryShell(t, func(t *testing.T, shell []string) {
		t.Helper()
		n, _ := realBackend(t, shell)
		env := backendEnv("DSIEM_METRICS_ADDRESS", n.Log.Match(t, `diagnostics server listening address="([^"]+)"`))
		testkit.Eventually(t, "the health check succeeds", func() bool {
			cmd, _ := n.cmd(env, "healthcheck")
			return cmd.Run() == nil
		})
		n.stop()
		cmd, _ := n.cmd(env, "healthcheck")
		if err := cmd.Run(); err == nil {
			t.Error("a backend that has ended is well")
		}
	})
}

// documentedEvent is the event that docs/deploy.md sends, with the place of its time.
var documentedEvent = regexp.MustCompile(`curl --fail --data '(.*?)'"\$\(date [^)]*\)"'(.*?)' http://127\.0\.0\.1:8080/events`)

// postDocumentedEvent does what docs/deploy.md does first.
func postDocumentedEvent(t *testing.T, url string) {
	t.Helper()
	parts := documentedEvent.FindStringSubmatch(readFile(t, repository+"/docs/deploy.md"))
	if parts == nil {
		t.Fatal("docs/deploy.md sends no event")
	}
	body := parts[1] + time.Now().UTC().Format("2006-01-02T15:04:05Z") + parts[2]
	if code, answer := testkit.Send(t, http.MethodPost, url, body); code != http.StatusOK {
		t.Fatalf("status %d: %s", code, answer)
	}
}

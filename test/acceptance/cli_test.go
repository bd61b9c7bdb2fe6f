package acceptance

import (
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dsiem/test/testkit"
	"dsiem/test/testkit/programs"
)

// invocation is a way to run a backend.
type invocation struct {
	program string
	flags   []string // behind serve
}

func (i invocation) String() string {
	return strings.Join(append([]string{i.program}, i.flags...), " ")
}

// invocations are the ways to run a backend.
var invocations = []invocation{{"dsiem-backend", nil}, {"dsiem", []string{"--mode", "cluster-backend"}}}

// call starts a program with nothing but these arguments, in an environment that
// has no other DSIEM_ variables.
func (h *home) call(program string, env []string, args ...string) *node {
	h.t.Helper()
	cmd := testkit.Command(h.t, programs.Path(h.t, program), args...)
	cmd.Env = environment(env)
	return h.run(cmd)
}

// startShell runs a shell script with the path of dsiem as $0.
func (h *home) startShell(script string, args ...string) *node {
	h.t.Helper()
	cmd := testkit.Command(h.t, "sh", append([]string{"-c", script, programs.Path(h.t, "dsiem")}, args...)...)
	cmd.Env = environment(nil)
	return h.run(cmd)
}

// written is all that a process that has ended wrote.
func (n *node) written() string { return n.Log.String() + n.err.String() }

// wantWritten waits for the end of a process and checks what it wrote.
func (n *node) wantWritten(code int, parts ...string) {
	n.t.Helper()
	n.exit(code)
	for _, part := range parts {
		if !strings.Contains(n.written(), part) {
			n.t.Errorf("%q does not say %q", n.Cmd.Args[1:], part)
		}
	}
}

// wantEffective waits for the line of the start log with all settings and
// checks some.
func (n *node) wantEffective(settings ...string) {
	n.t.Helper()
	line := n.says("effective configuration ") + " "
	for _, setting := range settings {
		if !strings.Contains(line, " "+setting+" ") {
			n.t.Errorf("%q has not %s: %s", n.Cmd.Args[1:], setting, line)
		}
	}
}

// wantStart starts a backend that has no NATS, once for each way to do so,
// checks settings of its start log and ends it.
func wantStart(t *testing.T, env, flags []string, settings ...string) {
	t.Helper()
	for _, i := range invocations {
		n := newHome(t, configs(t, "", takeAll)).start(setup{program: i.program, env: env, flags: slices.Concat(i.flags, flags)})
		n.wantEffective(settings...)
		n.stop()
	}
}

// firstAlarm returns the first alarm of a backend.
func firstAlarm(t *testing.T, s setup) (*node, alarm) {
	t.Helper()
	server := startNATS(t)
	s.nats = server.URL()
	n := newHome(t, configs(t, "", takeAll)).startReady(s)
	publish(server, ev{id: "e1"}.String())
	n.takes("e1")
	n.stop()
	all := n.alarms()
	if len(all) == 0 {
		t.Fatal("there is no alarm")
	}
	return n, all[0]
}

// All options of §1.3 but the one of validate. All apply: those of a frontend
// and of the references' insides are accepted without effect.
func TestT01_HelpListsTheOptions(t *testing.T) {
	t.Parallel()
	options := []string{
		"address", "ip-address", "port", "tcp-port", "mode", "node", "msq", "frontend", "maxEPS", "minEPS", "maxQueue",
		"maxDelay", "holdDuration", "minAlarmLifetime", "status", "tags", "medRiskMin", "medRiskMax", "cacheDuration",
		"cache", "intelPrivateIP", "writeableConfig", "writable-config", "apm", "pprof", "websocket", "trace",
		"reload-backlogs", "otel-tracing-enabled", "otel-metrics-enabled", "otel-endpoint", "filter-threads",
		"preload-all-directives", "idle-directives-timeout",
		"debug", "dev", "verbosity", "json", "test-env", // §1.2
	}
	plain := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "-", "")) }
	flag := regexp.MustCompile(`(?m)^ +(?:-\w, )?--(?:\[no-\])?([a-z-]+)`)
	alias := regexp.MustCompile(`Also\s+called\s+([a-z-]+)`)
	for _, i := range slices.Concat(invocations, frontends) {
		n := newHome(t, nil).call(i.program, nil, "serve", "--help")
		n.exit(0)
		help := n.Log.String()
		listed := map[string]bool{}
		for _, match := range slices.Concat(flag.FindAllStringSubmatch(help, -1), alias.FindAllStringSubmatch(help, -1)) {
			listed[plain(match[1])] = true
		}
		for _, option := range options {
			if !listed[plain(option)] {
				t.Errorf("the help of %s does not list %s", i.program, option)
			}
		}
	}
}

// The original dsiem ends with 0 then, the Rust programs with 2 (§1.1).
func TestT02_NoSubcommand(t *testing.T) {
	t.Parallel()
	for program, code := range map[string]int{"dsiem-backend": 2, "dsiem-frontend": 2, "dsiem": 0} {
		newHome(t, nil).call(program, nil).wantWritten(code, "Usage: "+program+" <command>", "serve")
	}
}

func TestT03_NoNode(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	testkit.Check(t, err)
	t.Cleanup(func() { listener.Close() })
	address := listener.Addr().String()
	for _, i := range slices.Concat(invocations, frontends) {
		args := slices.Concat([]string{"serve", "--frontend=http://" + address, "--msq=nats://" + address}, i.flags)
		newHome(t, nil).call(i.program, nil, args...).wantWritten(2, "--node is missing")
	}
	// Connections are accepted in their order, so that the first is this one
	// unless the programs have made one.
	var dialer net.Dialer
	ours, err := dialer.DialContext(t.Context(), "tcp", address)
	testkit.Check(t, err)
	t.Cleanup(func() { ours.Close() })
	first, err := listener.Accept()
	testkit.Check(t, err)
	t.Cleanup(func() { first.Close() })
	if first.RemoteAddr().String() != ours.LocalAddr().String() {
		t.Error("a program without a node name has used the network")
	}
}

func TestT04_SpellingsOfMaxEPS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		env, flags []string
	}{
		{"MAX_EPS", []string{"MAX_EPS=5"}, nil},
		{"DSIEM_MAXEPS", []string{"DSIEM_MAXEPS=5"}, nil},
		{"max_eps", nil, []string{"--max_eps", "5"}},
		{"maxEPS", nil, []string{"--maxEPS=5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wantStart(t, c.env, c.flags, "max_eps=5")
		})
	}
}

func TestT05_DebugVariable(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{"1": "debug=true", "true": "debug=true", "TRUE": "debug=true", "": "debug=false"} {
		t.Run("value "+value, func(t *testing.T) {
			t.Parallel()
			wantStart(t, []string{"DSIEM_DEBUG=" + value}, nil, want)
		})
	}
}

func TestT06_NoBacklogsAreSaved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env, flags []string
		saved      bool
	}{
		"default":  {saved: true},
		"variable": {env: []string{"DSIEM_RELOAD_BACKLOGS=false"}},
		"flag":     {flags: []string{"--reload-backlogs=false"}},
	} {
		for _, i := range invocations {
			t.Run(name+" "+i.program, func(t *testing.T) {
				t.Parallel()
				n, _ := firstAlarm(t, setup{program: i.program, env: c.env, flags: slices.Concat(i.flags, c.flags)})
				if exists(n.backlogs()) != c.saved {
					t.Errorf("logs/backlogs is there: %t, want %t", !c.saved, c.saved)
				}
			})
		}
	}
}

// That dsiem_config.json lists both statuses is up to the frontend, which
// writes that file: a backend does not.
func TestT07_FirstStatus(t *testing.T) {
	t.Parallel()
	for _, i := range invocations {
		n, a := firstAlarm(t, setup{program: i.program, env: []string{"DSIEM_STATUS=New,Done"}, flags: i.flags})
		n.wantEffective(`status="New,Done"`)
		if a.Status != "New" {
			t.Errorf("%s: status %q", i, a.Status)
		}
	}
}

func TestT08_TagsWithSpaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ tags, effective, first string }{
		{"Identified Threat,Valid Threat", "Identified Threat,Valid Threat", "Identified Threat"},
		// The default does not begin with this one, and items are trimmed (§1.6).
		{" Valid Threat , Identified Threat", "Valid Threat,Identified Threat", "Valid Threat"},
	} {
		for _, i := range invocations {
			n, a := firstAlarm(t, setup{program: i.program, env: []string{"DSIEM_TAGS=" + c.tags}, flags: i.flags})
			n.wantEffective(`tags="` + c.effective + `"`)
			if a.Tag != c.first {
				t.Errorf("%s: tags %q: tag %q", i, c.tags, a.Tag)
			}
		}
	}
}

func TestT09_BadRiskBounds(t *testing.T) {
	t.Parallel()
	for _, i := range invocations {
		for _, bounds := range [][]string{
			{"--med_risk_min", "1"},
			{"--med_risk_max", "10"},
			{"--med_risk_min", "4", "--med_risk_max", "4"},
		} {
			n := newHome(t, configs(t, "", takeAll)).start(setup{program: i.program, flags: slices.Concat(i.flags, bounds)})
			n.wantWritten(1, "reading med_risk_min and med_risk_max")
		}
	}
}

// The value does not fit into the byte that the Rust programs have for it.
func TestT10_LongHoldDuration(t *testing.T) {
	t.Parallel()
	wantStart(t, []string{"DSIEM_HOLDDURATION=300"}, nil, `hold_duration="5m0s"`)
}

func TestT11_FlagPositions(t *testing.T) {
	t.Parallel()
	for _, i := range invocations {
		for flag, want := range map[string]string{"-vv": "verbosity=2", "--debug": "debug=true"} {
			for _, start := range [][]string{{flag, "serve"}, {"serve", flag}} {
				h := newHome(t, configs(t, "", takeAll))
				n := h.call(i.program, nil, slices.Concat(start, i.flags, []string{
					"--node=b0", "--frontend=file:", "--msq=nats://127.0.0.1:1", "--config-dir=" + h.configs, "--log-dir=" + h.logs,
				})...)
				n.wantEffective(want)
				n.stop()
			}
		}
	}
}

// The programs are started as in a container: everything is in the
// environment, together with variables of other programs.
func TestT12_ContainerEnvironment(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	config := configs(t, "", takeAll)
	url := frontend(t, files{
		"assets_a.json": config["assets_scenario.json"], "directives_b0_a.json": config["directives_scenario.json"],
	})
	for _, i := range invocations {
		h := newHome(t, nil)
		n := h.call(i.program, []string{
			"DSIEM_MODE=cluster-backend", "DSIEM_NODE=b0", "DSIEM_FRONTEND=" + url, "DSIEM_MSQ=" + server.URL(),
			"DSIEM_APM=true", "DSIEM_PPROF=true", "DSIEM_PORT=8084",
			"DSIEM_WEB_ESURL=http://127.0.0.1:1", "DSIEM_NO_SUCH=1",
			"DSIEM_CONFIG_DIR=" + h.configs, "DSIEM_LOG_DIR=" + h.logs,
		}, "serve")
		n.takesEvents()
		n.wantEffective(`node="b0"`)
		for _, variable := range []string{"DSIEM_APM", "DSIEM_PORT", "DSIEM_NO_SUCH"} {
			if got := n.said(" WARN ", `="`+variable+`"`); len(got) != 1 {
				t.Errorf("%s: %d warnings of %s, want 1", i.program, len(got), variable)
			}
		}
		n.stop()
		if got := append(n.said("ERROR"), n.err.All()...); len(got) != 0 {
			t.Errorf("%s: errors %q", i.program, got)
		}
	}
}

// The same for the two other roles, whose ports the tests do not choose.
func TestT12_ContainerEnvironmentWithHTTP(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	for _, mode := range []string{"standalone", "cluster-frontend"} {
		h := newHome(t, configs(t, "", takeAll))
		n := h.call("dsiem", []string{
			"DSIEM_MODE=" + mode, "DSIEM_NODE=n0", "DSIEM_MSQ=" + server.URL(), "DSIEM_ADDRESS=127.0.0.1", "DSIEM_PORT=0",
			"DSIEM_APM=true", "DSIEM_WEB_ESURL=http://127.0.0.1:1", "DSIEM_NO_SUCH=1", "DSIEM_MAXEPS=5000", "DSIEM_WRITEABLECONFIG=1",
			"DSIEM_CONFIG_DIR=" + h.configs, "DSIEM_LOG_DIR=" + h.logs,
		}, "serve")
		n.wantEffective(`node="n0"`, "max_eps=5000", "writable_config=true")
		n.address()
		if mode == "standalone" {
			n.says("backend started")
		} else {
			n.says("frontend started")
		}
		n.takesPosted(ev{id: "e1"}.String())
		n.stop()
		if got := append(n.said("ERROR"), n.err.All()...); len(got) != 0 {
			t.Errorf("%s: errors %q", mode, got)
		}
	}
}

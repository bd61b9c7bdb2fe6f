package options

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dsiem/internal/correlate"
	"dsiem/internal/node"
	"dsiem/test/testkit/nodetest"

	"github.com/google/go-cmp/cmp"
)

// TestDefaultsOfStandalone: dsiem serve needs no setting.
func TestDefaultsOfStandalone(t *testing.T) {
	t.Parallel()
	o := served(t, dsiem, []string{"serve"})
	o.Out, o.Version, o.Effective = nil, "", nil
	want := &node.Options{
		Mode: "standalone", Node: "dsiem",
		ConfigDir: filepath.FromSlash("/opt/dsiem/configs"), LogDir: filepath.FromSlash("/opt/dsiem/logs"), RejectedMax: 64 << 20,
		MaxQueue: 25000, MaxEPS: 1000, MinEPS: 100, MaxDelay: 3 * time.Minute, HoldDuration: 10 * time.Second,
		Engine: correlate.Options{
			OrderTolerance: 5, LookBack: 10, Remember: 3600, MaxAlarmValues: 1000,
			MedRiskMin: 3, MedRiskMax: 6, Status: "Open", Tag: "Identified Threat",
		},
		Statuses:      []string{"Open", "In-Progress", "Closed"},
		Tags:          []string{"Identified Threat", "False Positive", "Valid Threat", "Security Incident"},
		CacheDuration: 10 * time.Minute, EnrichWait: 2 * time.Second,
		ReloadBacklogs: true, Checkpoint: 30 * time.Second, Fsync: "interval",
		HTTP: node.HTTPOptions{
			Address: "0.0.0.0", Port: 8080, WebDir: filepath.FromSlash("/opt/dsiem/web/dist"),
			MaxConnections: 10000, MaxBody: 10 << 20,
		},
		Tracing: node.TracingOptions{Endpoint: "http://localhost:4317"},
	}
	if diff := cmp.Diff(want, o); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestDefaultsOfFrontend: a frontend gets nothing of the engine.
func TestDefaultsOfFrontend(t *testing.T) {
	t.Parallel()
	want := &node.Options{
		Mode: "cluster-frontend", Node: "fe",
		ConfigDir: filepath.FromSlash("/opt/dsiem/configs"), LogDir: filepath.FromSlash("/opt/dsiem/logs"), RejectedMax: 64 << 20,
		NATS:   "nats://dsiem-nats:4222",
		MaxEPS: 1000, MinEPS: 100, HoldDuration: 10 * time.Second,
		Engine:        correlate.Options{Status: "Open", Tag: "Identified Threat"},
		Statuses:      []string{"Open", "In-Progress", "Closed"},
		Tags:          []string{"Identified Threat", "False Positive", "Valid Threat", "Security Incident"},
		CacheDuration: 10 * time.Minute,
		HTTP: node.HTTPOptions{
			Address: "0.0.0.0", Port: 8080, WebDir: filepath.FromSlash("/opt/dsiem/web/dist"),
			MaxConnections: 10000, MaxBody: 10 << 20,
		},
		Tracing: node.TracingOptions{Endpoint: "http://localhost:4317"},
	}
	for _, tt := range []struct {
		p    Program
		args string
	}{{frontend, "serve -n fe"}, {dsiem, "serve --mode=cluster-frontend --node=fe"}} {
		o := served(t, tt.p, strings.Fields(tt.args))
		o.Out, o.Version, o.Effective = nil, "", nil
		if diff := cmp.Diff(want, o); diff != "" {
			t.Errorf("%s %s: want -, got +:\n%s", tt.p.Called, tt.args, diff)
		}
	}
}

// TestEveryOptionOfAFrontend fills all of HTTPOptions, and what else a frontend
// and a standalone node have alone.
func TestEveryOptionOfAFrontend(t *testing.T) {
	t.Parallel()
	http := node.HTTPOptions{
		Address: "::1", Port: 443, CertFile: "c.pem", KeyFile: "k.pem", AuthFile: "auth.json", WritableConfig: true,
		WebDir: "www", WebSocket: true, MaxConnections: 7, MaxBody: 512 << 10,
	}
	const flags = " --address ::1 --port=443 --tls-cert=c.pem --tls-key=k.pem --auth-file=auth.json --writeableConfig" +
		" --web-dir=www --websocket --max-connections=7 --max-body=512KiB --rejected-max=1MiB --pprof --metrics-address=:9090" +
		" --otel-tracing-enabled --otel-metrics-enabled --otel-endpoint=https://u:p@otel:4317 --host-names=siem.example.com --hostNames=a.example"
	tracing := node.TracingOptions{Traces: true, Metrics: true, Endpoint: "https://u:p@otel:4317"}
	o := served(t, frontend, strings.Fields("serve -n fe"+flags))
	if want := []string{"siem.example.com", "a.example"}; !slices.Equal(o.HostNames, want) {
		t.Errorf("names of the host: %q, want %q", o.HostNames, want)
	}
	if diff := cmp.Diff(http, o.HTTP) + cmp.Diff(tracing, o.Tracing); diff != "" || !o.PProf || o.MetricsAddress != ":9090" || o.RejectedMax != 1<<20 || o.Notes != nil {
		t.Errorf("%s\n%v", diff, nodetest.Notes(o))
	}
	o = served(t, dsiem, strings.Fields("serve --nats-listen=nats://u:geheim@[::]:4222 --nats-listen-cert=nc --nats-listen-key=nk --nats-listen-ca=na"+flags))
	listen := node.NATSListenOptions{URL: "nats://u:geheim@[::]:4222", CertFile: "nc", KeyFile: "nk", CAFile: "na"}
	if diff := cmp.Diff(http, o.HTTP) + cmp.Diff(listen, o.Listen) + cmp.Diff(tracing, o.Tracing); diff != "" || o.Notes != nil {
		t.Errorf("%s\n%v", diff, nodetest.Notes(o))
	}
	if got := nodetest.Effective(o, "nats_listen"); got != "nats://***@[::]:4222" {
		t.Errorf("nats_listen is logged as %v", got)
	}
	if got := nodetest.Effective(o, "otel_endpoint"); got != "https://***@otel:4317" {
		t.Errorf("otel_endpoint is logged as %v", got)
	}
}

// TestOptionsOfOtherModes: in every mode an option of another one is accepted
// with any text, from the environment and the command line, and one remark says
// why it does nothing. It does nothing indeed.
func TestOptionsOfOtherModes(t *testing.T) {
	t.Parallel()
	needs := []string{"--node=n", "--frontend=http://fe"}
	seen := map[string]int{}
	for i, mode := range allModes() {
		set := modeSet(1) << i
		plain := served(t, dsiem, []string{"serve"}, "DSIEM_MODE="+mode, "DSIEM_NODE=n", "DSIEM_FRONTEND=http://fe")
		for o := range each(optionTable(dsiem, &settings{})) {
			if o.appliesTo(set) || o.name == "frontend" {
				continue
			}
			seen[mode]++
			for _, how := range []string{o.env[0], "--" + o.name} {
				args, environ := append([]string{"serve"}, needs[0]), []string{"DSIEM_MODE=" + mode}
				if set == backendMode {
					args = append(args, needs[1])
				}
				if strings.HasPrefix(how, "--") {
					args = append(args, how+"=what ever")
				} else {
					environ = append(environ, how+"=what ever")
				}
				got := served(t, dsiem, args, environ...)
				want := []string{fmt.Sprintf("WARN setting has no effect setting=%s reason=%s", how, o.reason(set))}
				if diff := cmp.Diff(want, nodetest.Notes(got)); diff != "" {
					t.Errorf("%s: want -, got +:\n%s", mode, diff)
				}
				if key := strings.ReplaceAll(o.name, "-", "_"); nodetest.Effective(got, key) != nil {
					t.Errorf("%s: %s is logged as effective", mode, key)
				}
				got.Notes, got.Effective = nil, nil
				want2 := *plain
				want2.Notes, want2.Effective = nil, nil
				if diff := cmp.Diff(&want2, got, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Out" }, cmp.Ignore())); diff != "" {
					t.Errorf("%s: %s changed something, -, +:\n%s", mode, how, diff)
				}
			}
		}
	}
	for _, mode := range allModes() {
		if seen[mode] < 5 {
			t.Errorf("%s lacks %d options only", mode, seen[mode])
		}
	}
}

// TestReason says which modes use an option.
func TestReason(t *testing.T) {
	t.Parallel()
	for in, want := range map[modeSet]string{
		0:              "",
		anyMode:        "",
		natsModes:      "only the modes cluster-frontend and cluster-backend use it",
		backendMode:    "only the mode cluster-backend uses it",
		standaloneMode: "",
		engineModes:    "",
	} {
		if got := (&option{modes: in}).reason(standaloneMode); got != want {
			t.Errorf("%v: %q, want %q", in.names(), got, want)
		}
	}
}

// TestValuesOfFrontends reads texts of the kinds that only a frontend has; an
// error names the source, what is possible, and the original's words.
func TestValuesOfFrontends(t *testing.T) {
	t.Parallel()
	const impossible = "impossible"
	for name, texts := range map[string]map[string]any{
		"DSIEM_ADDRESS": {
			"127.0.0.1": "127.0.0.1", " ::1 ": "::1", "::ffff:10.0.0.1": "::ffff:10.0.0.1", "fe80::1%eth0": "fe80::1%eth0", "": "0.0.0.0",
			"localhost": impossible, "10.0.0": impossible, "10.0.0.256": impossible, "[::1]": impossible, "127.0.0.1:80": impossible, "010.0.0.1": impossible,
		},
		"DSIEM_PORT": {
			"1": 1, "65535": 65535, "0": 0, "": 8080,
			"65536": impossible, "-1": impossible, "http": impossible, "80.0": impossible,
		},
		"DSIEM_MINEPS":         {"0": 0, "1000": 1000, "-1": impossible, "x": impossible},
		"DSIEM_MAXEPS":         {"0": 0, "100": 100, "-1": impossible},
		"DSIEM_MAXCONNECTIONS": {"1": 1, "0": impossible},
		"DSIEM_MAXBODY": {
			"10MiB": "10MiB", "1 mib": "1MiB", "1024KiB": "1MiB", "1536kib": "1536KiB", "1GiB": "1GiB", "2000B": "2000B", "1024b": "1KiB",
			"10": impossible, "1MB": impossible, "MiB": impossible, "1.5MiB": impossible, "1023B": impossible, "0B": impossible, "-1MiB": impossible,
			"2GiB": impossible, "1025MiB": impossible, "9223372036854775807GiB": impossible, "99999999999999999999B": impossible,
		},
		"DSIEM_NATSLISTEN": {
			"127.0.0.1:4222": "nats://127.0.0.1:4222", "nats://h:0": "nats://h:0", ":4222": "nats://0.0.0.0:4222", "[::1]:4222": "nats://[::1]:4222",
			"u:p@h:4222": "nats://***@h:4222", "nats://u:p%40ss@h:4222/": "nats://***@h:4222", "": nil,
			"h": impossible, "nats://h": impossible, "4222": impossible, "tls://h:4222": impossible, "http://h:4222": impossible, "h:65536": impossible,
			"h:x": impossible, "u@h:4222": impossible, "u:@h:4222": impossible, ":p@h:4222": impossible, "h:4222/path": impossible,
			"h:4222?x=y": impossible, "h:4222,h:4223": impossible, "nats://h:4222#x": impossible,
		},
	} {
		for text, want := range texts {
			o := runAs(t, dsiem, []string{"serve"}, []string{name + "=" + text})
			if want == impossible {
				if o.code != exitUsage || o.options != nil || !strings.Contains(o.err, name+": ") || !strings.Contains(o.err, " is not possible; use ") {
					t.Errorf("%s=%q: exit code %d, %s", name, text, o.code, o.err)
				}
				continue
			}
			if o.code != exitDone {
				t.Errorf("%s=%q: exit code %d, %s", name, text, o.code, o.err)
				continue
			}
			key := map[string]string{
				"DSIEM_ADDRESS": "address", "DSIEM_PORT": "port", "DSIEM_MINEPS": "min_eps", "DSIEM_MAXEPS": "max_eps",
				"DSIEM_MAXCONNECTIONS": "max_connections", "DSIEM_MAXBODY": "max_body", "DSIEM_NATSLISTEN": "nats_listen",
			}[name]
			if got := nodetest.Effective(o.options, key); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s=%q: %v, want %v", name, text, got, want)
			}
		}
	}
}

// TestOriginalWords: what the original says about a bad value is found in ours.
func TestOriginalWords(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		"--address=fe.example":    "Cannot start server: fe.example is not a valid IP address",
		"--address=a\nb":          "Cannot start server: a b is not a valid IP address",
		"--address=%s":            "Cannot start server: %s is not a valid IP address",
		"--port=99999":            "Cannot start server: Invalid TCP port number",
		"--mode=cluster":          "Incorrect mode configuration: mode must be standalone || cluster-frontend || cluster-backend",
		"--nats-listen=u:secret@": `--nats-listen: "***@" is not possible`,
	} {
		o := runAs(t, dsiem, []string{"serve", arg}, nil)
		if o.code != exitUsage || !strings.Contains(o.err, want) || strings.Contains(o.err, "secret") {
			t.Errorf("%q: exit code %d\n%s", arg, o.code, o.err)
		}
	}
}

// TestEPS: the lowest rate is not above the highest one, where these are limits.
func TestEPS(t *testing.T) {
	t.Parallel()
	const words = "Incorrect EPS setting: minEPS must be <= than maxEPS"
	for _, tt := range []struct {
		p    Program
		args string
		err  string
	}{
		{dsiem, "serve --max-eps=100", ""},
		{dsiem, "serve --max-eps=99", words + ": --min-eps is 100, --max-eps is 99\n"},
		{dsiem, "serve --min-eps=1001", words},
		{dsiem, "serve --min-eps=0 --max-eps=1", ""},
		{dsiem, "serve --max-eps=0 --min-eps=5000", ""},
		{dsiem, "serve --mode=cluster-frontend --node=fe --maxEPS=5 --minEPS=6", words},
		{frontend, "serve -nfe -e5 -i1", ""},
		{frontend, "serve -nfe -e5 -i6", words},
		{backend, "serve -nb0 -e5 -i6", ""},
	} {
		o := runAs(t, tt.p, strings.Fields(tt.args), nil)
		if want := map[bool]int{true: exitDone, false: exitFailed}[tt.err == ""]; o.code != want || !strings.Contains(o.err, tt.err) {
			t.Errorf("%s %s: exit code %d, want %d\n%s", tt.p.Called, tt.args, o.code, want, o.err)
		}
	}
}

// TestMaxEPSOfABackend: dsiem learns from the mode that it must be above zero.
func TestMaxEPSOfABackend(t *testing.T) {
	t.Parallel()
	args := []string{"serve", "--node=b0", "--frontend=http://fe"}
	o := runAs(t, dsiem, args, []string{"DSIEM_MODE=cluster-backend", "DSIEM_MAXEPS=0"})
	if o.code != exitUsage || !strings.Contains(o.err, `DSIEM_MAXEPS: "0" is not possible; use a whole number, at least 1`) {
		t.Errorf("exit code %d\n%s", o.code, o.err)
	}
	if o := served(t, dsiem, args, "DSIEM_MODE=cluster-backend", "DSIEM_MAXEPS=5"); o.MaxEPS != 5 {
		t.Errorf("it is %d", o.MaxEPS)
	}
}

// TestTogether: some settings need each other.
func TestTogether(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--tls-cert=c":         "--tls-cert and --tls-key belong together",
		"--tls-key=k":          "--tls-cert and --tls-key belong together",
		"--nats-listen-cert=c": "--nats-listen-cert and --nats-listen-key belong together",
		"--nats-listen-ca=c":   "--nats-listen-ca needs --nats-listen-cert and --nats-listen-key",
	} {
		if o := runAs(t, dsiem, []string{"serve", args}, nil); o.code != exitUsage || !strings.Contains(o.err, want) {
			t.Errorf("%s: exit code %d\n%s", args, o.code, o.err)
		}
		if o := runAs(t, backend, []string{"serve", "-nb0", args}, nil); o.code != exitDone {
			t.Errorf("%s in a backend, which ignores it: exit code %d\n%s", args, o.code, o.err)
		}
	}
	for args, want := range map[string]string{
		"--nats-listen-cert=c --nats-listen-key=k": "setting=nats-listen-cert reason=there is no --nats-listen",
		"--otel-endpoint=http://o:4317":            "setting=otel-endpoint reason=there is neither --otel-tracing-enabled nor --otel-metrics-enabled",
		"--pprof":                                  "",
	} {
		got := strings.Join(nodetest.Notes(served(t, dsiem, append([]string{"serve"}, strings.Fields(args)...))), "\n")
		if want != "" {
			want = "WARN setting has no effect " + want
		}
		if got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
}

// TestSetBy names the sources of what is set in a mode, and of nothing else.
func TestSetBy(t *testing.T) {
	t.Parallel()
	o := served(t, dsiem, []string{"serve", "--port=1", "--msq=nats://h"}, "DSIEM_ADDRESS=::1", "DSIEM_FRONTEND=http://fe")
	if got := nodetest.Effective(o, "set_by"); got != "address=DSIEM_ADDRESS port=--port" {
		t.Errorf("set_by %q", got)
	}
	got := nodetest.Notes(o)
	slices.Sort(got)
	want := []string{
		"WARN setting has no effect setting=--msq reason=only the modes cluster-frontend and cluster-backend use it",
		"WARN setting has no effect setting=DSIEM_FRONTEND reason=only the mode cluster-backend uses it",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestSeconds: what is not nothing is never taken for it, or for the default.
func TestSeconds(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{
		0: correlate.Off, -time.Second: correlate.Off, 1: 1, 500 * time.Millisecond: 1, time.Second: 1, 2500 * time.Millisecond: 2, time.Hour: 3600,
	} {
		if got := Seconds(d); got != want {
			t.Errorf("%s: %d, want %d", d, got, want)
		}
	}
}

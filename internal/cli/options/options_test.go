package options

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"dsiem/internal/node"
	"dsiem/test/testkit/nodetest"

	"github.com/google/go-cmp/cmp"
)

// sample returns a text for a value that is not its default, and what is logged
// for it.
func sample(v value) (text string, logged any) {
	switch v := v.(type) {
	case choice:
		return v.of[len(v.of)-1], v.of[len(v.of)-1]
	case toggle:
		return "yes", true
	case counter:
		return "2", 2
	case number:
		return "7", 7
	case span:
		return "77", (77 * v.unit).String()
	case engineTime:
		return "77", (77 * v.unit).String()
	case list:
		return "New, Much newer", "New,Much newer"
	case address:
		return "::1", "::1"
	case size:
		return "64 mib", "64MiB"
	case listenURL:
		return "127.0.0.1:4223", "nats://127.0.0.1:4223"
	}
	return "some-text", "some-text"
}

// modeVariable returns the variable of a mode in which an option does something.
func modeVariable(o *option) string {
	for i, mode := range allModes() {
		if o.appliesTo(1 << i) {
			return "DSIEM_MODE=" + mode
		}
	}
	return ""
}

// spellings returns a kebab-case name in all forms of all generations.
func spellings(name string) []string {
	words := strings.Split(name, "-")
	camel := words[0]
	for _, w := range words[1:] {
		camel += string(unicode.ToUpper(rune(w[0]))) + w[1:]
	}
	return []string{name, strings.Join(words, "_"), camel, strings.Join(words, ""), strings.ToUpper(strings.Join(words, "_"))}
}

// resolveWith reads a command line with a fresh table and returns the option of
// a name.
func resolveWith(t *testing.T, p Program, name string, args, environ []string) (*option, *resolved) {
	t.Helper()
	groups := optionTable(p, &settings{})
	line, err := newFlagIndex(p, groups).parse(args)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	r := resolve(groups, line, newEnvironment(environ))
	for o := range each(groups) {
		if o.name == name {
			return o, r
		}
	}
	t.Fatalf("there is no option %s", name)
	return nil, nil
}

// TestEverySpelling sets every option by each of its flags, in each way to write
// one.
func TestEverySpelling(t *testing.T) {
	t.Parallel()
	for _, p := range everyProgram() {
		for o := range each(optionTable(p, &settings{})) {
			if o.stops {
				continue
			}
			var environ []string
			if p.Mode == "" {
				environ = append(environ, modeVariable(o))
			}
			text, want := sample(o.value)
			if o.only != "" {
				text, want = o.only, o.only
			}
			for _, args := range waysToWrite(o, text) {
				for _, around := range [][]string{append([]string{"serve"}, args...), append(slices.Clone(args), "serve")} {
					set, r := resolveWith(t, p, o.name, around, environ)
					checkSet(t, fmt.Sprintf("%s %q", p.Called, around), p, set, r, want)
				}
			}
		}
	}
}

// waysToWrite returns all command lines that set an option to a text.
func waysToWrite(o *option, text string) [][]string {
	var ways [][]string
	for _, name := range append([]string{o.name}, o.aliases...) {
		for _, spelling := range spellings(name) {
			ways = append(ways, []string{"--" + spelling + "=" + text})
			switch o.value.(type) {
			case counter:
				ways = append(ways, []string{"--" + spelling, "--" + spelling})
			case toggle:
				ways = append(ways, []string{"--" + spelling}, []string{"--" + spelling, text})
			default:
				ways = append(ways, []string{"--" + spelling, text})
			}
		}
	}
	if o.short == 0 {
		return ways
	}
	short := "-" + string(o.short)
	ways = append(ways, []string{short + "=" + text})
	switch o.value.(type) {
	case counter:
		ways = append(ways, []string{short + short[1:]}, []string{short, short})
	case toggle:
		ways = append(ways, []string{short})
	default:
		ways = append(ways, []string{short + text}, []string{short, text})
	}
	return ways
}

func checkSet(t *testing.T, how string, p Program, o *option, r *resolved, want any) {
	t.Helper()
	if len(r.problems) > 0 {
		t.Errorf("%s: %q", how, r.problems)
	}
	if o.reason(p.possible()) != "" {
		if o.only == "" && len(r.notes) != 1 {
			t.Errorf("%s: %d remarks, want 1", how, len(r.notes))
		}
		return
	}
	if got := o.value.get(); got != want {
		t.Errorf("%s: --%s is %v, want %v", how, o.name, got, want)
	}
}

// TestEveryVariable sets every option by each of its variables.
func TestEveryVariable(t *testing.T) {
	t.Parallel()
	for _, p := range everyProgram() {
		for o := range each(optionTable(p, &settings{})) {
			text, want := sample(o.value)
			for _, name := range o.env {
				environ := []string{name + "=" + text}
				if p.Mode == "" && o.name != "mode" {
					environ = append(environ, modeVariable(o))
				}
				set, r := resolveWith(t, p, o.name, nil, environ)
				if !strings.HasPrefix(name, "DSIEM_") {
					use := o.env[0]
					if len(r.notes) == 0 || r.notes[0].Message != "environment variable without prefix" || r.notes[0].Attrs[1].Value.String() != use {
						t.Errorf("%s: remarks %v, want that %s should be used", name, r.notes, use)
						continue
					}
					r.notes = r.notes[1:]
				}
				checkSet(t, p.Called+" with "+name, p, set, r, want)
				if o.reason(p.possible()) == "" && r.sources[set] != name {
					t.Errorf("--%s comes from %q, want %s", o.name, r.sources[set], name)
				}
			}
		}
	}
}

// TestHelp: the help has every option with its variables, and a shell completes
// those that do something.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, p := range everyProgram() {
		var help strings.Builder
		if err := p.ServeHelp(&help); err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for o := range each(optionTable(p, &settings{})) {
			if !strings.Contains(help.String(), "\n  "+o.flags()+"\n") {
				t.Errorf("%s: %s is missing", p.Called, o.flags())
			}
			for _, name := range o.env {
				if !strings.Contains(help.String(), name) {
					t.Errorf("%s: %s is missing", p.Called, name)
				}
			}
			if o.reason(p.possible()) == "" {
				want = append(want, o.name)
			}
		}
		for _, f := range p.Flags("serve") {
			if !strings.HasPrefix(f.Name, "no-") {
				got = append(got, f.Name)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s completes: want -, got +:\n%s", p.Called, diff)
		}
	}
}

// TestTable checks what the table must be to be read by people and programs.
func TestTable(t *testing.T) {
	t.Parallel()
	for _, p := range everyProgram() {
		seen := map[string]string{}
		unique := func(name, of string) {
			if other := seen[name]; other != "" {
				t.Errorf("%s is both --%s and --%s", name, other, of)
			}
			seen[name] = of
		}
		for o := range each(optionTable(p, &settings{})) {
			for _, name := range append([]string{o.name}, o.aliases...) {
				unique(normalized(name), o.name)
				if strings.ToLower(name) != name || strings.ContainsRune(name, '_') {
					t.Errorf("%s is not in kebab-case", name)
				}
			}
			if o.short != 0 {
				unique("-"+string(o.short), o.name)
			}
			for _, name := range o.env {
				unique(name, o.name)
				if joined := variablePrefix + strings.ReplaceAll(strings.TrimPrefix(name, variablePrefix), "_", ""); !slices.Contains(o.env, joined) {
					t.Errorf("--%s has the variable %s and not %s", o.name, name, joined)
				}
			}
			if o.def != "" && !o.value.set([]string{o.def}) {
				t.Errorf("--%s: its own default %q is not possible", o.name, o.def)
			}
			if !strings.HasSuffix(o.help, ".") {
				t.Errorf("--%s: the help %q is no sentence", o.name, o.help)
			}
		}
	}
}

// TestConfigDirBy: a node knows what has named its folder of configuration, if
// anybody has.
func TestConfigDirBy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, environ, want string }{
		{"serve", "", ""},
		{"serve --root-dir=/srv", "", ""},
		{"serve --config-dir=/srv", "", "--config-dir"},
		{"serve --configs_dir=/srv", "DSIEM_CONFIG_DIR=/opt", "--configs_dir"},
		{"serve", "DSIEM_CONFIGSDIR=/srv", "DSIEM_CONFIGSDIR"},
	} {
		if o := served(t, dsiem, strings.Fields(tt.args), tt.environ); o.ConfigDirBy != tt.want {
			t.Errorf("%s %s: %q, want %q", tt.environ, tt.args, o.ConfigDirBy, tt.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	o := served(t, backend, []string{"serve", "--node=b0"})
	o.Out, o.Version, o.Effective = nil, "", nil
	want := *o
	want.Mode, want.Node, want.Frontend = "cluster-backend", "b0", "http://frontend:8080"
	want.ConfigDir, want.LogDir = filepath.FromSlash("/opt/dsiem/configs"), filepath.FromSlash("/opt/dsiem/logs")
	want.SkipInvalid, want.RejectedMax = false, 64<<20
	want.NATS = "nats://dsiem-nats:4222"
	want.MaxEPS, want.MaxQueue, want.Shards = 1000, 25000, 0
	want.MaxDelay, want.HoldDuration = 3*time.Minute, 10*time.Second
	want.Engine.MedRiskMin, want.Engine.MedRiskMax, want.Engine.MinAlarmLifetime = 3, 6, 0
	want.Engine.Status, want.Engine.Tag, want.Engine.LiteralTitles = "Open", "Identified Threat", false
	want.Statuses = []string{"Open", "In-Progress", "Closed"}
	want.Tags = []string{"Identified Threat", "False Positive", "Valid Threat", "Security Incident"}
	want.CacheDuration, want.IntelPrivateIP, want.EnrichWait = 10*time.Minute, false, 2*time.Second
	want.ReloadBacklogs, want.Checkpoint, want.Fsync = true, 30*time.Second, "interval"
	want.MetricsAddress, want.PProf, want.Notes = "", false, nil
	want.Tracing = node.TracingOptions{Endpoint: "http://localhost:4317"}
	want.MinEPS, want.HTTP, want.Listen = 0, node.HTTPOptions{}, node.NATSListenOptions{}
	if diff := cmp.Diff(&want, o); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestPrecedence: a flag counts more than a variable, the first variable with a
// value more than the others.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	const first, second, third = "DSIEM_MAXEPS=1", "DSIEM_MAX_EPS=2", "MAX_EPS=3"
	for _, tt := range []struct {
		args, environ []string
		want          int
		source        string
		notes         []string
	}{
		{nil, nil, 1000, "", nil},
		{nil, []string{third}, 3, "MAX_EPS", []string{"WARN environment variable without prefix variable=MAX_EPS use=DSIEM_MAXEPS"}},
		{nil, []string{third, second}, 2, "DSIEM_MAX_EPS", []string{"INFO environment variable is overridden variable=MAX_EPS by=DSIEM_MAX_EPS"}},
		{nil, []string{third, second, first}, 1, "DSIEM_MAXEPS", []string{
			"INFO environment variable is overridden variable=DSIEM_MAX_EPS by=DSIEM_MAXEPS",
			"INFO environment variable is overridden variable=MAX_EPS by=DSIEM_MAXEPS",
		}},
		{nil, []string{"DSIEM_MAXEPS=2", second}, 2, "DSIEM_MAXEPS", nil},
		{nil, []string{"DSIEM_MAXEPS=", "DSIEM_MAX_EPS= ", third}, 3, "MAX_EPS", []string{"WARN environment variable without prefix variable=MAX_EPS use=DSIEM_MAXEPS"}},
		{[]string{"--max-eps=4"}, []string{first}, 4, "--max-eps", nil},
		{[]string{"--maxEPS", "4", "-e5"}, []string{first}, 5, "-e", nil},
		{[]string{"--max-eps=4"}, []string{"DSIEM_MAXEPS=wrong"}, 4, "--max-eps", nil},
	} {
		o := served(t, backend, append([]string{"serve", "--node=b0"}, tt.args...), tt.environ...)
		if o.MaxEPS != tt.want {
			t.Errorf("%q with %q: %d, want %d", tt.args, tt.environ, o.MaxEPS, tt.want)
		}
		setBy := "node=--node"
		if tt.source != "" {
			setBy += " max_eps=" + tt.source
		}
		if got := nodetest.Effective(o, "set_by"); got != setBy {
			t.Errorf("%q with %q: set_by %q, want %q", tt.args, tt.environ, got, setBy)
		}
		if diff := cmp.Diff(tt.notes, nodetest.Notes(o)); diff != "" {
			t.Errorf("%q with %q: remarks, want -, got +:\n%s", tt.args, tt.environ, diff)
		}
	}
}

// TestValues reads texts of each kind; an error names the source of the text
// and what is possible.
func TestValues(t *testing.T) {
	t.Parallel()
	const impossible = "impossible"
	for name, texts := range map[string]map[string]any{
		"DSIEM_JSON": {
			"1": true, "t": true, "T": true, "true": true, "TRUE": true, "True": true, "yes": true, "YES": true, "on": true, "On": true, " true ": true,
			"0": false, "f": false, "F": false, "false": false, "FALSE": false, "no": false, "off": false, "": false, " ": false,
			"y": impossible, "2": impossible, "enabled": impossible, "true,false": impossible,
		},
		"DSIEM_MAXEPS": {
			"1": 1, " 5 ": 5, "70000": 70000, "9223372036854775807": 9223372036854775807, "": 1000,
			"0": impossible, "-1": impossible, "1.5": impossible, "1e3": impossible, "abc": impossible, "9223372036854775808": impossible,
		},
		"DSIEM_MAXQUEUE": {"0": 1000000, "1": 1, "5000000000": 5000000000, "-1": impossible, "1k": impossible},
		"DSIEM_SHARDS":   {"0": 0, "1024": 1024, "1025": impossible, "-1": impossible},
		"DSIEM_MAXDELAY": {
			"0": "0s", "180": "3m0s", "70000": "19h26m40s", "1m30s": "1m30s", "500ms": "500ms",
			"9223372036854775807": "2562047h47m16.854775807s", "-1": impossible, "-1s": impossible, "3 minutes": impossible,
		},
		"DSIEM_ORDERTOLERANCE": {
			"0": "0s", "5": "5s", "1m30s": "1m30s", "1073741824": "298261h37m4s", "": "5s",
			"1.5s": impossible, "500ms": impossible, "-1s": impossible, "1073741825": impossible, "9223372036854775807": impossible,
		},
		"DSIEM_LOOKBACK":         {"0": "0s", "60": "1m0s", "500ms": "500ms", "1073741824": "298261h37m4s", "1073741825": impossible},
		"DSIEM_REMEMBER":         {"0s": "0s", "2h": "2h0m0s", "300000h": impossible, "-1": impossible},
		"DSIEM_HOLDDURATION":     {"1": "1s", "300": "5m0s", "0": impossible, "500ms": impossible},
		"DSIEM_MINALARMLIFETIME": {"0": "0s", "70000": "1166h40m0s", "90s": "1m30s", "9223372036854775807": "2562047h47m16.854775807s", "x": impossible},
		"DSIEM_CACHEDURATION":    {"0": "10m0s", "300": "5h0m0s", "-5": impossible},
		"DSIEM_FSYNC":            {"never": "never", "ALWAYS": "always", " interval ": "interval", "sometimes": impossible},
		"DSIEM_STATUS": {
			"New,Done": "New,Done", " New , Done ,": "New,Done", "In Progress": "In Progress", "": "Open,In-Progress,Closed", ",": impossible, " , ": impossible,
		},
	} {
		for text, want := range texts {
			o := runAs(t, backend, []string{"serve", "-nb0"}, []string{name + "=" + text})
			if want == impossible {
				if o.code != exitUsage || o.options != nil || !strings.Contains(o.err, fmt.Sprintf("%s: %q is not possible; use ", name, text)) {
					t.Errorf("%s=%q: exit code %d, %s", name, text, o.code, o.err)
				}
				continue
			}
			if o.code != exitDone {
				t.Errorf("%s=%q: exit code %d, %s", name, text, o.code, o.err)
				continue
			}
			got := map[string]any{}
			for _, key := range []string{"json", "max_eps", "max_queue", "shards", "max_delay", "hold_duration", "order_tolerance", "look_back", "remember", "min_alarm_lifetime", "cache_duration", "fsync", "status"} {
				got["DSIEM_"+strings.ToUpper(strings.ReplaceAll(key, "_", ""))] = nodetest.Effective(o.options, key)
			}
			if fmt.Sprint(got[name]) != fmt.Sprint(want) {
				t.Errorf("%s=%q: %v, want %v", name, text, got[name], want)
			}
		}
	}
}

// TestImpossibleFlags: an error names the flag as it was written, and all are
// reported together.
func TestImpossibleFlags(t *testing.T) {
	t.Parallel()
	o := runAs(t, backend, []string{"serve", "--max_eps=0", "--holdDuration", "0", "-j=maybe", "--med-risk-min=-1", "--node=", "--host-names=siem,https://siem.example.com:8080"}, []string{"DSIEM_FSYNC=x"})
	want := `dsiem-backend: --node: "" is not possible; use a text that is not empty
--host-names: "siem,https://siem.example.com:8080" is not possible; use names of hosts with commas in between, without scheme and port, like siem.example.com
--max_eps: "0" is not possible; use a whole number, at least 1
--holdDuration: "0" is not possible; use a number of seconds, at least 1, or a duration like 1m30s
--med-risk-min: "-1" is not possible; use a whole number, at least 0
DSIEM_FSYNC: "x" is not possible; use never, interval or always
-j: "maybe" is not possible; use true, yes, on or 1; false, no, off or 0
Usage: dsiem-backend serve --node=NAME [flags]
Run dsiem-backend serve --help to see all flags.
`
	if diff := cmp.Diff(want, o.err); o.code != exitUsage || diff != "" {
		t.Errorf("exit code %d; error, want -, got +:\n%s", o.code, diff)
	}
}

// TestCommandLine reads flags in unusual positions.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args  string
		name  string
		want  any
		words string
	}{
		{"--json false serve", "json", false, "serve"},
		{"serve --json off", "json", false, "serve"},
		{"serve --json -n x", "json", true, "serve"},
		{"serve --json=", "json", nil, ""},
		{"serve --no-reload-backlogs", "reload-backlogs", false, "serve"},
		{"serve --noReloadBacklogs", "reload-backlogs", false, "serve"},
		{"serve --no_debug", "debug", false, "serve"},
		{"serve --debug --no-debug", "debug", false, "serve"},
		{"serve --node no-debug", "node", "no-debug", "serve"},
		{"serve -vvj", "verbosity", 2, "serve"},
		{"serve -vjnx", "node", "x", "serve"},
		{"serve -jn x", "node", "x", "serve"},
		{"serve -v --verbosity -v", "verbosity", 3, "serve"},
		{"serve -v --verbosity=2", "verbosity", 3, "serve"},
		{"serve --max-eps -5", "max-eps", nil, ""},
		{"serve --node -", "node", "-", "serve"},
		{"serve --node=--json", "node", "--json", "serve"},
		{"serve -n a -n b", "node", "b", "serve"},
		{"serve -s A,B --status C", "status", "A,B,C", "serve"},
		{"serve -- -n x", "node", "", "serve -n x"},
		{"serve more words", "node", "", "serve more words"},
	} {
		o, r := resolveWith(t, backend, tt.name, strings.Fields(tt.args), []string{"DSIEM_STATUS=D"})
		if tt.want == nil {
			if len(r.problems) != 1 {
				t.Errorf("%s: problems %q", tt.args, r.problems)
			}
			continue
		}
		if got := o.value.get(); got != tt.want && (tt.name != "status" || len(r.problems) > 0) {
			t.Errorf("%s: --%s is %v, want %v", tt.args, tt.name, got, tt.want)
		}
		line, _ := newFlagIndex(backend, optionTable(backend, &settings{})).parse(strings.Fields(tt.args))
		if got := strings.Join(line.words, " "); got != tt.words {
			t.Errorf("%s: words %q, want %q", tt.args, got, tt.words)
		}
	}
}

// TestUnknownVariables: they are reported with the nearest name, and never fail.
func TestUnknownVariables(t *testing.T) {
	t.Parallel()
	o := served(t, backend, []string{"serve", "-nb0"},
		"DSIEM_MAXESP=x", "DSIEM_FRONT_END=x", "DSIEM_SOMETHING_ELSE=x", "DSIEM_EMPTY=", "dsiem_node=x", "OTHER=x",
		"DSIEM_WEB_ESURL=x", "DSIEM_ESPROXY_PORT=x", "DSIEM_FILEPATTERN=x")
	want := []string{
		"WARN unknown environment variable variable=DSIEM_FRONT_END did_you_mean=DSIEM_FRONTEND",
		"WARN unknown environment variable variable=DSIEM_MAXESP did_you_mean=DSIEM_MAXEPS",
		"WARN unknown environment variable variable=DSIEM_SOMETHING_ELSE",
	}
	if diff := cmp.Diff(want, nodetest.Notes(o)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestWithoutEffect: options of others are accepted with any value; a remark
// says that they do nothing, if they ask for something.
func TestWithoutEffect(t *testing.T) {
	t.Parallel()
	o := served(t, backend, strings.Fields("serve -nb0 --port nonsense --apm=what --filter-threads=3 --websocket=false"),
		"DSIEM_MINEPS=-1", "DSIEM_WRITEABLECONFIG=false", "DSIEM_MODE=nonsense", "DSIEM_PPROF=1")
	want := []string{
		"WARN setting has no effect setting=DSIEM_MODE reason=this program is always a cluster-backend",
		"WARN setting has no effect setting=--port reason=only the modes standalone and cluster-frontend use it",
		"WARN setting has no effect setting=DSIEM_MINEPS reason=only the modes standalone and cluster-frontend use it",
		"WARN setting has no effect setting=--apm reason=use --otel-tracing-enabled and --otel-metrics-enabled",
		"WARN setting has no effect setting=--filter-threads reason=see --shards",
		"WARN setting has no effect setting=pprof reason=there is no --metrics-address",
	}
	if diff := cmp.Diff(want, nodetest.Notes(o)); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

// TestEffective: all settings are logged, passwords are not.
func TestEffective(t *testing.T) {
	t.Parallel()
	o := served(t, dsiem, []string{
		"serve", "-m", "cluster-backend", "--node=b0", "--frontend=http://user:geheim@fe:8080", "--port=9",
	}, "DSIEM_MSQ=nats://user:geheim@a:4222,nats://token@b:4222,nats://c")
	var keys []string
	for _, a := range o.Effective {
		keys = append(keys, a.Key)
		if strings.Contains(a.Value.String(), "geheim") || strings.Contains(a.Value.String(), "token") {
			t.Errorf("%s shows a secret", a)
		}
	}
	for name, want := range map[string]any{
		"msq": "nats://***@a:4222,nats://***@b:4222,nats://c", "frontend": "http://***@fe:8080", "mode": "cluster-backend",
		"max_queue": int64(25000), "expand_titles": true, "port": nil, "set_by": "node=--node mode=-m frontend=--frontend msq=DSIEM_MSQ",
	} {
		if got := nodetest.Effective(o, name); got != want {
			t.Errorf("%s is logged as %v, want %v", name, got, want)
		}
	}
	for _, g := range optionTable(dsiem, &settings{}) {
		for _, opt := range g.options {
			key := strings.ReplaceAll(opt.name, "-", "_")
			mayBeNone := false
			switch v := opt.value.(type) {
			case text, hostNames:
				mayBeNone = true
			case size:
				mayBeNone = v.min > 0
			}
			if logged := slices.Contains(keys, key); logged != (opt.reason(backendMode) == "" && !opt.stops) && (logged || !mayBeNone) {
				t.Errorf("--%s: logged is %t", opt.name, logged)
			}
		}
	}
	if o.NATS != "nats://user:geheim@a:4222,nats://token@b:4222,nats://c" {
		t.Errorf("the servers are %s", o.NATS)
	}
}

// FuzzCommandLine: whatever the arguments are, they are read or refused.
func FuzzCommandLine(f *testing.F) {
	for _, args := range []string{"serve\x00-vvj\x00--no-debug", "--\x00-", "-n=\x00--=\x00---", "--no\x00-\x00--json=\x00t", "-m=x\x00-n5\x00é\x00-é"} {
		f.Add(args, "DSIEM_NODE=x")
	}
	f.Fuzz(func(t *testing.T, joined, variable string) {
		for _, p := range everyProgram() {
			args := strings.Split(joined, "\x00")
			groups := optionTable(p, &settings{})
			index := newFlagIndex(p, groups)
			index.untilCommand(args)
			line, err := index.parse(args)
			if err != nil {
				if line != nil || err.Error() == "" {
					t.Errorf("%q: %v and %v", args, line, err)
				}
				continue
			}
			resolve(groups, line, newEnvironment([]string{variable})).effective()
		}
	})
}

// Log lines have colours on a terminal that wants them (docs/spec/interfaces.md §6.3).
func TestColoursAreOnlyForTerminals(t *testing.T) {
	t.Parallel()
	here := func() (string, error) { return t.TempDir(), nil }
	for _, test := range []struct {
		terminal bool
		environ  []string
		want     bool
	}{
		{false, nil, false},
		{true, []string{"TERM=xterm"}, true},
		{true, []string{"NO_COLOR=1", "TERM=xterm"}, false},
		{true, []string{"TERM=dumb"}, false},
	} {
		o, _, err := Program{Called: "dsiem"}.Serve([]string{"serve"}, &System{
			Environ: test.environ, Executable: here, Directory: here, Terminal: test.terminal,
		})
		if err != nil {
			t.Fatal(err)
		}
		if o.Log.Colour != test.want {
			t.Errorf("terminal %t, %v: colours %t", test.terminal, test.environ, o.Log.Colour)
		}
	}
}

//go:build unix

package deploy

import (
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
	"dsiem/test/testkit/programs"
)

var variableName = regexp.MustCompile(`\bDSIEM_[A-Z0-9_]+\b`)

// knownVariables are those that the programs read, as their help lists them.
func knownVariables(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for _, name := range []string{"dsiem", "dsiem-backend", "dsiem-frontend"} {
		help, err := exec.Command(programs.Path(t, name), "serve", "--help").Output()
		testkit.Check(t, err)
		for _, variable := range variableName.FindAllString(string(help), -1) {
			known[variable] = true
		}
	}
	return known
}

// Files of deploy name no variable that nobody reads.
func TestVariablesAreRead(t *testing.T) {
	t.Parallel()
	known := knownVariables(t)
	for _, name := range []string{
		"DSIEM_WEB_ESURL", "DSIEM_WEB_KBNURL", // entrypoint.sh
		"DSIEM_IMAGE", "DSIEM_PUBLISH", // the compose files
		"DSIEM_EVENTS_URL", "DSIEM_TOKEN", // Logstash
	} {
		known[name] = true
	}
	seen := 0
	err := filepath.WalkDir(filepath.Join(repository, "deploy"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for _, variable := range variableName.FindAllString(readFile(t, path), -1) {
			seen++
			if !known[variable] {
				t.Errorf("%s: nobody reads %s", path, variable)
			}
		}
		return nil
	})
	testkit.Check(t, err)
	if seen == 0 {
		t.Error("there are no variables")
	}
}

// The script looks for directories where the programs do, under the same names.
func TestTheScriptKnowsTheNamesOfDirectories(t *testing.T) {
	t.Parallel()
	known := knownVariables(t)
	script := map[string]bool{}
	for _, name := range variableName.FindAllString(readFile(t, repository+"/deploy/docker/entrypoint.sh"), -1) {
		script[name] = true
	}
	directory := regexp.MustCompile(`^DSIEM_(ROOT|CONFIGS?|LOGS?|WEB)_?DIR$|^DSIEM_METRICS_?ADDRESS$`)
	var want, got []string
	for name := range known {
		if directory.MatchString(name) {
			want = append(want, name)
		}
	}
	for name := range script {
		if directory.MatchString(name) {
			got = append(got, name)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("programs - script +:\n%s", diff)
	}
}

// The NATS server of the compose files is the one that our tests run against.
func TestTheNATSServerIsTheTestedOne(t *testing.T) {
	t.Parallel()
	tested := regexp.MustCompile(`github\.com/nats-io/nats-server/v2 v([0-9.]+)`).FindStringSubmatch(readFile(t, repository+"/go.mod"))
	used := regexp.MustCompile(`nats:\$\{NATS_VERSION:-([0-9.]+)\}-alpine`).FindStringSubmatch(readFile(t, repository+"/deploy/compose/cluster.yml"))
	if tested == nil || used == nil || tested[1] != used[1] {
		t.Errorf("tested %q, used %q", tested, used)
	}
}

// A cluster that starts with the sample configuration has directives in each of
// its backends.
func TestEachBackendOfTheClusterGetsDirectives(t *testing.T) {
	t.Parallel()
	nodes := regexp.MustCompile(`DSIEM_NODE: (dsiem-backend-\d)`).FindAllStringSubmatch(readFile(t, repository+"/deploy/compose/cluster.yml"), -1)
	if len(nodes) != 2 {
		t.Fatalf("%d backends", len(nodes))
	}
	for _, node := range nodes {
		names, err := filepath.Glob(repository + "/deploy/docker/configs-dist/directives_" + node[1] + "_*.json")
		if err != nil || len(names) == 0 {
			t.Errorf("%s gets no directives: %v", node[1], err)
		}
	}
}

// unit is a file of systemd: values by section and name.
type unit map[string]map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	u, section := unit{}, ""
	for line := range strings.Lines(readFile(t, name)) {
		line = strings.TrimSpace(line)
		key, value, isSetting := strings.Cut(line, "=")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]"):
			section = strings.Trim(line, "[]")
			u[section] = map[string][]string{}
		case !isSetting || section == "":
			t.Fatalf("%s: %q is no setting", name, line)
		default:
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

// knownSettings are those of systemd 247 and later that our units use.
var knownSettings = map[string][]string{
	"Unit":    {"Description", "Wants", "After"},
	"Install": {"WantedBy"},
	"Service": {
		"Type", "User", "Group", "Environment", "EnvironmentFile", "ExecStart", "StateDirectory", "StateDirectoryMode", "LogsDirectory",
		"LogsDirectoryMode", "UMask", "Restart", "RestartSec", "RestartPreventExitStatus", "KillMode", "TimeoutStopSec", "LimitNOFILE",
		"NoNewPrivileges", "CapabilityBoundingSet", "AmbientCapabilities", "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices",
		"ProtectClock", "ProtectControlGroups", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
		"ProtectProc", "ProcSubset", "LockPersonality", "MemoryDenyWriteExecute", "RemoveIPC", "RestrictAddressFamilies",
		"RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber",
	},
}

// unitNames are the units and the nodes that a program is started as by them.
var unitNames = []string{"dsiem.service", "dsiem-frontend.service", "dsiem-backend@.service"}

func TestSettingsOfUnits(t *testing.T) {
	t.Parallel()
	for _, name := range unitNames {
		u := readUnit(t, repository+"/deploy/systemd/"+name)
		if diff := cmp.Diff([]string{"Install", "Service", "Unit"}, slices.Sorted(maps.Keys(u))); diff != "" {
			t.Errorf("%s: sections: want - got +:\n%s", name, diff)
		}
		for section, settings := range u {
			for key := range settings {
				if !slices.Contains(knownSettings[section], key) {
					t.Errorf("%s: [%s] has no setting %s", name, section, key)
				}
			}
		}
		service := u["Service"]
		for key, want := range map[string]string{
			"User": "dsiem", "Type": "exec", "NoNewPrivileges": "true", "ProtectSystem": "strict", "CapabilityBoundingSet": "",
			"Restart": "always", "RestartPreventExitStatus": "2", "KillMode": "mixed",
		} {
			if !slices.Equal(service[key], []string{want}) {
				t.Errorf("%s: %s is %q, want %q", name, key, service[key], want)
			}
		}
		if service["ExecReload"] != nil || service["KillSignal"] != nil {
			t.Errorf("%s: the programs know no reload, and end with SIGTERM", name)
		}
	}
}

// commandOf returns the words of ExecStart, with a name for %i.
func commandOf(u unit) []string {
	return strings.Fields(strings.ReplaceAll(u["Service"]["ExecStart"][0], "%i", "backend0"))
}

// The programs know the flags in the units, and may write where they are told to.
func TestCommandsOfUnits(t *testing.T) {
	t.Parallel()
	for _, name := range unitNames {
		u := readUnit(t, repository+"/deploy/systemd/"+name)
		command := commandOf(u)
		if out, err := exec.Command(programs.Path(t, filepath.Base(command[0])), append(command[1:], "--help")...).CombinedOutput(); err != nil {
			t.Errorf("%s: %q: %v\n%s", name, command, err, out)
		}
		writable := map[string]bool{}
		for key, base := range map[string]string{"StateDirectory": "/var/lib/", "LogsDirectory": "/var/log/"} {
			for _, value := range u["Service"][key] {
				for dir := range strings.FieldsSeq(value) {
					writable[base+strings.ReplaceAll(dir, "%i", "backend0")] = true
				}
			}
		}
		for _, arg := range command[1:] {
			if flag, dir, _ := strings.Cut(arg, "="); (flag == "--config-dir" || flag == "--log-dir") && !writable[dir] {
				t.Errorf("%s: it may not write in %s", name, dir)
			}
		}
	}
}

// Two backends on one machine share no directory.
func TestBackendsOnOneMachineShareNothing(t *testing.T) {
	t.Parallel()
	for _, arg := range strings.Fields(readUnit(t, repository+"/deploy/systemd/dsiem-backend@.service")["Service"]["ExecStart"][0])[2:] {
		if !strings.Contains(arg, "%i") {
			t.Errorf("%s is the same for all", arg)
		}
	}
}

// Each unit finds the example of its settings under the name that it reads, and
// what it cannot do without is set there.
func TestSettingsFilesOfUnits(t *testing.T) {
	t.Parallel()
	for name, needed := range map[string][]string{
		"dsiem": nil, "dsiem-frontend": {"DSIEM_NODE=", "DSIEM_MSQ="}, "dsiem-backend": {"DSIEM_FRONTEND=", "DSIEM_MSQ="},
	} {
		text := readFile(t, repository+"/deploy/systemd/"+name+".env.example")
		file := name + ".service"
		if name == "dsiem-backend" {
			file = "dsiem-backend@.service"
		}
		if first := readUnit(t, repository+"/deploy/systemd/"+file)["Service"]["EnvironmentFile"][0]; strings.TrimPrefix(first, "-") != "/etc/dsiem/"+name+".env" {
			t.Errorf("%s reads %s", file, first)
		}
		for _, setting := range needed {
			if !strings.Contains(text, "\n"+setting) {
				t.Errorf("%s.env.example does not set %s", name, setting)
			}
		}
	}
}

// systemd itself accepts the units, where there is a systemd.
func TestSystemdAcceptsTheUnits(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("there is no systemd-analyze here; the other tests have looked at the units")
		return
	}
	dir := t.TempDir()
	for _, name := range unitNames {
		// The program and its user need not be installed.
		text := strings.NewReplacer("/usr/local/bin/dsiem-backend", "/bin/sh", "/usr/local/bin/dsiem-frontend", "/bin/sh",
			"/usr/local/bin/dsiem", "/bin/sh", "User=dsiem\nGroup=dsiem\n", "").Replace(readFile(t, repository+"/deploy/systemd/"+name))
		file := filepath.Join(dir, strings.Replace(name, "@", "@backend0", 1))
		testkit.Check(t, writeFile(file, text))
		if out, err := exec.Command(analyze, "verify", file).CombinedOutput(); err != nil || strings.Contains(string(out), dir) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

package docs

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/directive"
	"dsiem/internal/enrich"
	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/internal/jsonfile"
	"dsiem/internal/state"
	"dsiem/internal/web/auth"
	"dsiem/test/testkit"
	"dsiem/test/testkit/curl"
	"dsiem/test/testkit/programs"
)

// TestExamples plays every page in a directory of its own.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			on := &player{page: t, dir: t.TempDir()}
			for _, b := range p.blocks {
				t.Run("line "+strconv.Itoa(b.at), func(t *testing.T) { on.play(t, b) })
			}
		})
	}
}

func (p *player) play(t *testing.T, b *block) {
	t.Helper()
	switch b.lang {
	case "console":
		p.commands(t, b)
		return
	case "sh":
		if b.kind == "serve" {
			p.serve(t, b)
		}
		return
	case "text":
		if b.kind == "log" && p.node != nil {
			p.node.logs(t, p.here(b.text))
		}
		return
	case "toml", "yaml", "ini":
		return
	case "json", "ndjson":
	default:
		t.Fatalf("a block of %q has no meaning here", b.lang)
	}
	if b.words["file"] == "" {
		playLoose(t, b)
		return
	}
	path := filepath.Join(p.dir, filepath.FromSlash(b.words["file"]))
	if b.kind == "output" {
		compareOutput(t, path, b)
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(b.text), 0o600); err != nil {
		t.Fatal(err)
	}
	if problems := load(t, b, path); (len(problems) > 0) != b.has("problems") {
		t.Errorf("problems of the example: %q", problems)
	}
}

// playLoose checks a block that is no file. TestBackendRun and TestClusterRun
// compare what nodes show, and send events.
func playLoose(t *testing.T, b *block) {
	t.Helper()
	switch b.kind {
	case "findings", "readyz", "message", "number":
	case "events", "event":
		if problems := rejections(b); len(problems) > 0 {
			t.Errorf("problems of the example: %q", problems)
		}
	default:
		t.Fatal("file= is missing")
	}
}

// load reads an example as the program does and returns what is wrong with it.
func load(t *testing.T, b *block, path string) []string {
	t.Helper()
	report := &jsonfile.Report{}
	file := jsonfile.NewFile(b.words["file"], []byte(b.text))
	switch b.kind {
	case "directives":
		directive.Load([]*jsonfile.File{file}, report)
	case "assets":
		asset.Load([]*jsonfile.File{file}, report)
	case "intel", "vuln":
		if len(loadSources(b.kind, file, report)) == 0 {
			t.Error("no source is in use")
		}
	case "saved":
		restored := 0
		id, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(path), ".json"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := state.Load(filepath.Dir(path), []uint64{id}, func(uint64, *alarm.Saved) error { restored++; return nil })
		if err != nil || restored == 0 {
			t.Fatalf("%d backlogs, error %v", restored, err)
		}
		report.Add(loaded.Problems...)
	case "auth":
		if _, err := auth.Load(path, nil); err != nil {
			return []string{err.Error()}
		}
	case "event", "events", "eve":
		return rejections(b)
	default:
		t.Fatalf("a block of kind %q has no meaning here", b.kind)
	}
	return messages(report)
}

// loadSources reads a file of sources of look-ups.
func loadSources(kind string, file *jsonfile.File, report *jsonfile.Report) []enrich.Service {
	load := enrich.LoadIntel
	if kind == "vuln" {
		load = enrich.LoadVuln
	}
	return load([]*jsonfile.File{file}, http.DefaultClient, report)
}

func rejections(b *block) []string {
	var out []string
	records := strings.Lines(b.text)
	if b.kind == "event" {
		records = slices.Values([]string{b.text})
	}
	for line := range records {
		ev := &event.Event{}
		if b.kind != "eve" {
			if rej := event.Decode([]byte(line), ev); rej != nil {
				out = append(out, rej.Error())
			}
			continue
		}
		if _, rej := input.DecodeSuricata([]byte(line), ev); rej != nil {
			out = append(out, rej.Error())
		}
	}
	return out
}

// messages returns the problems of a report without their places.
func messages(report *jsonfile.Report) []string {
	var out []string
	for i := range report.Problems {
		p := &report.Problems[i]
		text := p.Msg
		if p.Severity == jsonfile.Warning {
			text = "warning: " + text + " [" + string(p.Lint) + "]"
		}
		out = append(out, text)
	}
	return out
}

func compareOutput(t *testing.T, path string, b *block) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(content)
	if n := b.number(t, "line"); n > 0 {
		lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
		if n > len(lines) {
			t.Fatalf("%s has %d lines", b.words["file"], len(lines))
		}
		got = lines[n-1]
	}
	want := b.text
	if b.lang == "json" {
		got, want = compact(t, got), compact(t, want)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("documented - real +:\n%s\nreal:\n%s", diff, got)
	}
}

// compact removes blanks from JSON and breaks its lines before keys.
func compact(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), `,"`, ",\n\"")
}

// command is a command of a console block and what it prints.
type command struct {
	line string
	want []string
}

// commandsOf returns the commands of a console block. A command goes on in lines
// that begin with ">".
func commandsOf(t *testing.T, b *block) []command {
	t.Helper()
	var out []command
	for line := range strings.Lines(b.text) {
		line = strings.TrimSuffix(line, "\n")
		if text, prompt := strings.CutPrefix(line, "$ "); prompt {
			out = append(out, command{line: text})
			continue
		}
		if len(out) == 0 {
			t.Fatalf("the block begins without a command: %q", line)
		}
		last := &out[len(out)-1]
		if text, more := strings.CutPrefix(line, "> "); more && len(last.want) == 0 {
			last.line += "\n" + text
			continue
		}
		last.want = append(last.want, line)
	}
	return out
}

// run runs a command and returns the lines that it prints on both streams.
func (c command) run(t *testing.T, dir string) []string {
	t.Helper()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no shell")
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), shell, "-c", c.line)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PATH="+strings.Join([]string{programs.Dir(t), withCurl(t), os.Getenv("PATH")}, string(filepath.ListSeparator)))
	cmd.Stdout, cmd.Stderr = &out, &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if out.Len() == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// differs reports what a command has printed instead of what it should.
func (c command) differs(t *testing.T, got []string) {
	t.Helper()
	t.Errorf("$ %s\ndocumented - real +:\n%s\nreal:\n%s", c.line, cmp.Diff(c.want, got), strings.Join(got, "\n"))
}

const ellipsis = "..."

// matchLines reports whether lines are as wanted; "..." alone stands for any
// number of lines.
func matchLines(want, got []string) bool {
	switch {
	case len(want) == 0:
		return len(got) == 0
	case strings.TrimSpace(want[0]) == ellipsis:
		return matchLines(want[1:], got) || len(got) > 0 && matchLines(want, got[1:])
	}
	return len(got) > 0 && matchLine(want[0], got[0]) && matchLines(want[1:], got[1:])
}

// matchLine reports whether a line is as wanted; "..." stands for any text.
func matchLine(want, got string) bool {
	parts := strings.Split(want, ellipsis)
	got, ok := strings.CutPrefix(got, parts[0])
	if !ok || len(parts) == 1 {
		return ok && got == ""
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		_, after, found := strings.Cut(got, part)
		if !found {
			return false
		}
		got = after
	}
	return strings.HasSuffix(got, parts[last])
}

// withCurl returns the directory of a program curl that is this test's binary.
func withCurl(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	testkit.Check(t, err)
	testkit.Check(t, os.Symlink(self, filepath.Join(dir, curl.Name)))
	return dir
}

func TestMain(m *testing.M) {
	if curl.Called() {
		os.Exit(curl.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(programs.Run(m))
}

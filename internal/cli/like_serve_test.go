package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"dsiem/test/testkit"
)

// parsedReplay returns what kong makes of a command line of replay.
func parsedReplay(t *testing.T, flags ...string) *replayCommand {
	t.Helper()
	var c commands
	parser, err := newParser(&c, dsiem, Streams{}, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"replay", "--config=c", "f"}, flags...)); err != nil {
		t.Fatal(err)
	}
	return &c.Replay
}

// TestReplayRefusesWhatServeRefuses: an option of the engine has the same range in
// both commands, and the same words for what is not in it.
func TestReplayRefusesWhatServeRefuses(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{
		"--max-alarm-values=0", "--max-alarm-values 1000001", "--max-alarm-values -1", "--max-alarm-values=many", "--max-alarm-values=",
		"--shards 1025", "--shards -1", "--shards=two", "--med-risk-min -1", "--med-risk-max=high",
		"--status=", "--tags=,", "--expand-titles=maybe",
		"--look-back=-1s", "--look-back -1", "--look-back=-1ms", "--look-back 400000h", "--look-back=", "--look-back=10x", "--remember 1d", "--remember 1073741825",
		"--order-tolerance 500ms", "--order-tolerance=1.5", "--order-tolerance -1s", "--order-tolerance 400000h",
		"--min-alarm-lifetime -1", "--min-alarm-lifetime=1d", "--min-alarm-lifetime=9223372036854775808",
	} {
		refusal := func(command string) string {
			o := runAs(t, dsiem, strings.Fields(command+" "+flag), nil)
			line, _, _ := strings.Cut(o.err, "\n")
			if o.code != exitUsage || !strings.Contains(line, " is not possible; use ") {
				t.Errorf("%s %s: exit code %d, %s", command, flag, o.code, line)
			}
			return line
		}
		if serve, replay := refusal("serve"), refusal("replay --config=c f"); serve != replay {
			t.Errorf("%s: serve says\n%s\nreplay says\n%s", flag, serve, replay)
		}
	}
}

// TestReplayTakesWhatServeTakes: and what is in it means the same.
func TestReplayTakesWhatServeTakes(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{
		{},
		{"--max-alarm-values", "1"},
		{"--max-alarm-values=1000000"},
		{"--max-alarm-values=5", "--max-alarm-values=6"},
		{"--shards", "1024"},
		{"--med-risk-min", "2", "--med-risk-max", "9"},
		{"--med-risk-min= 4 "},
		{"--status= New , Old,"},
		{"--status", "New", "--status=Old"},
		{"--tags=,a"},
		{"--expand-titles=on"},
		{"--expand-titles=OFF"},
		{"--no-expand-titles"},
		{"--expand-titles"},
		{"--look-back", "10"},
		{"--look-back=0"},
		{"--look-back=1m30s"},
		{"--look-back= 500ms "},
		{"--look-back=1073741824"},
		{"--remember", "7200"},
		{"--remember=0s"},
		{"--order-tolerance", "7"},
		{"--order-tolerance=1m"},
		{"--min-alarm-lifetime", "2"},
		{"--min-alarm-lifetime=90s"},
		{"--min-alarm-lifetime=9223372036854775807"},
	} {
		serve := served(t, dsiem, append([]string{"serve"}, flags...))
		c := parsedReplay(t, flags...)
		replay := c.options()
		if !strings.Contains(strings.Join(flags, " "), "--look-back") {
			replay.LookBack = serve.Engine.LookBack // the defaults differ
		}
		if diff := cmp.Diff(serve.Engine, replay); diff != "" || c.Shards != serve.Shards {
			t.Errorf("%q: shards %d and %d; engine of serve -, of replay +:\n%s", flags, serve.Shards, c.Shards, diff)
		}
	}
}

// TestDemoHasTheSettingsOfServe: a web interface offers the same statuses and tags for the
// alarms of the demo as for those of a server.
func TestDemoHasTheSettingsOfServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if o := runAs(t, dsiem, []string{"demo", "--fast", "--overwrite", "--out", dir}, nil); o.code != exitDone {
		t.Fatalf("exit code %d: %s", o.code, o.err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "configs", "dsiem_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	var settings struct{ Status, Tags []string }
	if err := json.Unmarshal(content, &settings); err != nil {
		t.Fatal(err)
	}
	o := served(t, dsiem, []string{"serve"})
	testkit.Equal(t, settings.Status, o.Statuses)
	testkit.Equal(t, settings.Tags, o.Tags)
}

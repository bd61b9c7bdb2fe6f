package cli_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"dsiem/internal/cli"

	"github.com/google/go-cmp/cmp"
)

// docs/performance.md shows the help of the command, which is not in the help of
// the program.
func TestBenchPageHasTheHelp(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```text bench\n")
	shown, _, ended := strings.Cut(rest, "```")
	if !ended {
		t.Fatal("the page has no block of the help")
	}
	var out, errs bytes.Buffer
	if code := cli.Main(t.Context(), []string{"bench", "--help"}, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	// The help begins with the name that the program was called by.
	help := out.String()
	if _, flags, ok := strings.Cut(help, " bench "); ok {
		help = "Usage: dsiem bench " + flags
	}
	if diff := cmp.Diff(help, shown); diff != "" {
		t.Errorf("docs/performance.md (-real +documented):\n%s", diff)
	}
}

// The flags about time also change scenarios, but not those that have a number of
// events, nor do they give a warm-up to those that have none.
func TestBenchTimesOfScenarios(t *testing.T) {
	t.Parallel()
	type times struct {
		Name             string
		Events           uint64
		Duration, WarmUp time.Duration
	}
	for _, test := range []struct {
		args []string
		want []times
	}{
		{[]string{"--scenario=growth,latency-1,flood,soak"}, []times{
			{"growth", 0, 0, 5 * time.Second},
			{"latency-1", 0, 10 * time.Second, 0},
			{"flood", 600_000, 0, 0},
			{"soak", 0, 15 * time.Minute, 0},
		}},
		{[]string{"--scenario=growth,latency-1,flood,soak", "--duration=3s", "--warm-up=1s"}, []times{
			{"growth", 0, 3 * time.Second, time.Second},
			{"latency-1", 0, 3 * time.Second, 0},
			{"flood", 600_000, 0, 0},
			{"soak", 0, 3 * time.Second, 0},
		}},
		{[]string{"--scenario=growth", "--warm-up=0s"}, []times{{"growth", 0, 0, 0}}},
		{[]string{"--transport=nats"}, []times{{"nats", 0, 0, 0}}},
		{[]string{"--transport=nats", "--duration=7s", "--warm-up=2s"}, []times{{"nats", 0, 7 * time.Second, 2 * time.Second}}},
	} {
		cells, err := cli.BenchCells(test.args...)
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		var got []times
		for _, c := range cells {
			got = append(got, times{c.Name, c.Events, c.Duration, c.WarmUp})
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", test.args, diff)
		}
	}
}

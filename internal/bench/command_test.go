package bench_test

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"dsiem/internal/bench"

	"github.com/google/go-cmp/cmp"
)

// docs/performance.md shows the help of the program.
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
	out, errs, code := runMain(t, "--help")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	if diff := cmp.Diff(out, shown); diff != "" {
		t.Errorf("docs/performance.md (-real +documented):\n%s", diff)
	}
}

// runMain runs the command line in this process.
func runMain(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = bench.Main(t.Context(), args, bench.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return out.String(), errs.String(), code
}

// The results for machines are one JSON document, and nothing else.
func TestResultsForMachines(t *testing.T) {
	t.Parallel()
	out, errs, code := runMain(t, "--dsiem", self(t), "--transport", "replay", "--events", "2000", "--live", "20", "--seed", "7", "--limit-time", "0", "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	type one struct {
		Sent, Unseen uint64
		Findings     struct{ Lost uint64 }
	}
	type cell struct {
		Name     string
		Settings struct{ Seed uint64 }
		Runs     []one
	}
	var got struct {
		Version string
		Cells   []cell
	}
	d := json.NewDecoder(strings.NewReader(out))
	if err := d.Decode(&got); err != nil || d.More() {
		t.Fatalf("%v, more: %t, in\n%s", err, d.More(), out)
	}
	want := []cell{{Name: "replay", Settings: struct{ Seed uint64 }{7}, Runs: []one{{Sent: 2020}}}}
	if diff := cmp.Diff(want, got.Cells); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// It is that of the program that was measured, without its name.
	if !strings.HasSuffix(got.Version, runtime.Version()) || strings.HasPrefix(got.Version, "dsiem") {
		t.Errorf("version %q", got.Version)
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
		cells, err := bench.CommandCells(test.args...)
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

package cli_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/cli"
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

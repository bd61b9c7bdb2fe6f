package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/jsonfile"
)

// docs/directives.md lists the name of every warning, in the order of the code.
func TestNamesOfWarnings(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "directives.md"))
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?s)\n### Names of warnings\n(.*?)\n##`).FindSubmatch(content)
	if section == nil {
		t.Fatal("there is no section \"Names of warnings\"")
	}
	var listed []jsonfile.Lint
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]+ \\|$").FindAllSubmatch(section[1], -1) {
		listed = append(listed, jsonfile.Lint(row[1]))
	}
	if diff := cmp.Diff(jsonfile.Lints(), listed); diff != "" {
		t.Errorf("code -, page +:\n%s", diff)
	}
}

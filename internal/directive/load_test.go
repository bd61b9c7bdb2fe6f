package directive_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/internal/config"
	"dsiem/internal/config/configtest"
	"dsiem/internal/directive"
)

var update = flag.Bool("update", false, "write the results of the cases in testdata/load into them")

// TestLoad plays testdata/load: files of directives, the ids of those that
// load, and what is reported of the others.
func TestLoad(t *testing.T) {
	const dir = "testdata/load"
	write := func(name string, content []byte) error {
		return os.WriteFile(filepath.Join(dir, name), content, 0o644)
	}
	if !*update {
		write = nil
	}
	configtest.Cases(t, os.DirFS(dir), write, func(files []*config.File, report *config.Report) string {
		var loaded strings.Builder
		for _, d := range directive.Load(files, report) {
			fmt.Fprintln(&loaded, d.ID)
			if p := directive.Compile(d); len(p.Stages) != len(d.Rules) {
				t.Errorf("directive %d: %d stages of %d rules", d.ID, len(p.Stages), len(d.Rules))
			}
		}
		return loaded.String()
	})
}

package enrich_test

import (
	"flag"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"dsiem/internal/enrich"
	"dsiem/internal/jsonfile"
	"dsiem/test/testkit/configtest"
)

var update = flag.Bool("update", false, "write the results of the cases in testdata/load into them")

// TestLoad plays testdata/load: files of sources, those that are asked, and
// what is reported of the others.
func TestLoad(t *testing.T) {
	configtest.Cases(t, *update, func(files []*jsonfile.File, report *jsonfile.Report) string {
		var intel, vuln []*jsonfile.File
		for _, f := range files {
			if strings.HasPrefix(f.Name, "intel_") {
				intel = append(intel, f)
			} else {
				vuln = append(vuln, f)
			}
		}
		var loaded strings.Builder
		for _, s := range append(enrich.LoadIntel(intel, http.DefaultClient, report), enrich.LoadVuln(vuln, http.DefaultClient, report)...) {
			fmt.Fprintln(&loaded, s.Kind, s.Name)
			if s.Source == nil {
				t.Errorf("%s %q has no source", s.Kind, s.Name)
			}
		}
		return loaded.String()
	})
}

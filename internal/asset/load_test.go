package asset_test

import (
	"flag"
	"fmt"
	"testing"

	"dsiem/internal/asset"
	"dsiem/internal/jsonfile"
	"dsiem/test/testkit/configtest"
)

var update = flag.Bool("update", false, "write the results of the cases in testdata/load into them")

// TestLoad plays testdata/load: files of assets, the number of those that load
// and their highest value, and what is reported of the others.
func TestLoad(t *testing.T) {
	configtest.Cases(t, *update, func(files []*jsonfile.File, report *jsonfile.Report) string {
		table := asset.Load(files, report)
		return fmt.Sprintf("%d, up to %d\n", table.Len(), table.MaxValue())
	})
}

// What is wrong with other files does not hide that there is no asset.
func TestLoadReportsNoAssetBesideOtherErrors(t *testing.T) {
	report := jsonfile.Report{Problems: []jsonfile.Problem{{File: "directives_a.json", Msg: "x"}}}
	table := asset.Load(nil, &report)
	if n := report.Count(jsonfile.Error); n != 2 || table.Len() != 0 {
		t.Errorf("%d errors, %d assets", n, table.Len())
	}
}

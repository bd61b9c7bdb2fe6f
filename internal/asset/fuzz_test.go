package asset_test

import (
	"net/netip"
	"testing"

	"dsiem/internal/asset"
	"dsiem/internal/jsonfile"
)

// FuzzLoadAssets checks that no file makes loading panic, that problems can be
// shown, and that loading again gives the same.
func FuzzLoadAssets(f *testing.F) {
	for _, seed := range []string{
		`{"assets":[{"name":"site","cidr":"10.0.0.0/8","value":4,"whitelisted":false}]}`,
		`{"assets":[{"name":"a","cidr":"::ffff:10.0.0.1","value":6,"whitelisted":true},{"name":"b","cidr":"2001:db8::/32","value":255}]}`,
		`{"assets":[{"name":"","cidr":"10.0.0.1/8","value":0},{"cidr":"10/8"},5,{"name":"x","name":"y","cidr":null}]}`,
		`{"assets":[{"name":"a","cidr":"010.0.0.0/08","value":1e3}],"assets":[]}`,
		`{"assets":{}}`, `[]`, ``, "\uFEFF{}", `{"assets":[{"name":"a","cidr":"fe80::1%eth0"`, `{"assets":[{"cidr":"/"},{"cidr":"0"},{"cidr":"."}]}`,
	} {
		f.Add([]byte(seed))
	}
	addresses := []netip.Addr{{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:10.0.0.1")}
	f.Fuzz(func(t *testing.T, data []byte) {
		load := func() (*asset.Table, string) {
			var report jsonfile.Report
			table := asset.Load([]*jsonfile.File{jsonfile.NewFile("f", data)}, &report)
			report.Sort()
			text := ""
			for i := range report.Problems {
				text += report.Problems[i].Error() + "\n"
			}
			if table.Len() == 0 && report.Count(jsonfile.Error) == 0 {
				t.Error("no asset and no error")
			}
			return table, text
		}
		table, problems := load()
		again, sameProblems := load()
		if problems != sameProblems || table.Len() != again.Len() || table.MaxValue() != again.MaxValue() || table.MaxValue() > 255 {
			t.Errorf("%s\nthen\n%s", problems, sameProblems)
		}
		for _, addr := range addresses {
			if table.Value(addr) != again.Value(addr) || table.Home(addr) != again.Home(addr) {
				t.Errorf("%v differs", addr)
			}
		}
	})
}

package asset_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dsiem/internal/asset"
	"dsiem/internal/jsonfile"
)

func networkOf(t *testing.T, text string) netip.Prefix {
	t.Helper()
	prefix, err := jsonfile.ParsePrefix(text)
	if err != nil {
		t.Fatal(err)
	}
	return prefix
}

// fact is all that a table knows of an address.
type fact struct {
	Home, Whitelisted bool
	Value             int
	Name              string
	Networks          []string
}

func factOf(t *asset.Table, addr netip.Addr) fact {
	return fact{t.Home(addr), t.Whitelisted(addr), t.Value(addr), t.Name(addr), t.Networks(addr)}
}

func TestTable(t *testing.T) {
	table := asset.NewTable([]asset.Asset{
		{Name: "all", Prefix: networkOf(t, "10.0.0.0/8"), Value: 1},
		{Name: "office", Prefix: networkOf(t, "10.1.0.0/16"), Value: 3},
		{Name: "scanner", Prefix: networkOf(t, "10.1.0.9"), Value: 2, Whitelisted: true},
		{Name: "scanner again", Prefix: networkOf(t, "10.1.0.9"), Value: 1},
		{Name: "partner", Prefix: networkOf(t, "172.16.0.0/12"), Value: 4, Whitelisted: true},
		{Name: "office, written otherwise", Prefix: networkOf(t, "010.001.0.0/16"), Value: 2},
		// C10.
		{Name: "host", Prefix: networkOf(t, "192.168.0.1/32"), Value: 5},
		{Name: "net", Prefix: networkOf(t, "192.168.0.0/16"), Value: 2},
		{Name: "host6", Prefix: networkOf(t, "2002:c0a8:0001:0:0:0:0:1/128"), Value: 5},
		{Name: "net6", Prefix: networkOf(t, "2002:c0a8:1::/64"), Value: 2},
	})
	for addr, want := range map[string]fact{
		"10.2.0.1":   {Home: true, Value: 1, Networks: []string{"10.0.0.0/8"}},
		"10.1.0.1":   {Home: true, Value: 3, Networks: []string{"10.0.0.0/8", "10.1.0.0/16"}},
		"10.1.0.9":   {Home: true, Whitelisted: true, Value: 3, Name: "scanner", Networks: []string{"10.0.0.0/8", "10.1.0.0/16"}}, // §10, D23
		"172.16.0.1": {Whitelisted: true, Value: 4},
		"8.8.8.8":    {},

		"192.168.0.1":        {Home: true, Value: 5, Name: "host", Networks: []string{"192.168.0.0/16"}},
		"192.168.0.2":        {Home: true, Value: 2, Networks: []string{"192.168.0.0/16"}},
		"2002:c0a8:1::1":     {Home: true, Value: 5, Name: "host6", Networks: []string{"2002:c0a8:1::/64"}},
		"2002:c0a8:1::2":     {Home: true, Value: 2, Networks: []string{"2002:c0a8:1::/64"}},
		"2002:c0a8:2::1":     {},
		"::ffff:10.1.0.1":    {}, // events carry it as IPv4
		"::ffff:192.168.0.1": {},
	} {
		if diff := cmp.Diff(want, factOf(table, netip.MustParseAddr(addr))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", addr, diff)
		}
	}
	if table.Len() != 10 || table.MaxValue() != 5 {
		t.Errorf("%d assets up to %d", table.Len(), table.MaxValue())
	}
}

// C9, scenario 28: a whitelisted entry counts for the value, not for HOME_NET.
func TestWhitelistedAssetsCountForTheValue(t *testing.T) {
	table := asset.NewTable([]asset.Asset{
		{Name: "site", Prefix: networkOf(t, "10.0.0.0/8"), Value: 1},
		{Name: "host", Prefix: networkOf(t, "10.0.0.2/32"), Value: 5, Whitelisted: true},
	})
	want := fact{Home: true, Whitelisted: true, Value: 5, Name: "host", Networks: []string{"10.0.0.0/8"}}
	if diff := cmp.Diff(want, factOf(table, netip.MustParseAddr("10.0.0.2"))); diff != "" {
		t.Error(diff)
	}
}

func TestZeroTableKnowsNothing(t *testing.T) {
	var table asset.Table
	for _, addr := range []netip.Addr{{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::1")} {
		if diff := cmp.Diff(fact{}, factOf(&table, addr)); diff != "" {
			t.Error(diff)
		}
	}
	if table.Len() != 0 || table.MaxValue() != 0 {
		t.Error("the zero table has assets")
	}
}

// naive answers by looking at every asset, as §10 defines the answers.
func naive(assets []asset.Asset, addr netip.Addr) fact {
	var f fact
	for _, a := range assets {
		if !a.Prefix.Contains(addr) {
			continue
		}
		f.Value = max(f.Value, a.Value)
		if a.Whitelisted {
			f.Whitelisted = true
		} else {
			f.Home = true
		}
		switch cidr := a.Prefix.String(); {
		case a.Prefix.IsSingleIP():
			if f.Name == "" {
				f.Name = a.Name
			}
		case !a.Whitelisted && !slices.Contains(f.Networks, cidr):
			f.Networks = append(f.Networks, cidr)
		}
	}
	return f
}

func TestTableEqualsNaiveScan(t *testing.T) {
	low := rapid.Uint8Range(0, 3)
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		if rapid.Bool().Draw(t, "v6") {
			return netip.AddrFrom16([16]byte{0x20, 0x01, low.Draw(t, "b2"), 15: low.Draw(t, "b15")})
		}
		return netip.AddrFrom4([4]byte{10, low.Draw(t, "b1"), low.Draw(t, "b2"), low.Draw(t, "b3")})
	})
	anAsset := rapid.Custom(func(t *rapid.T) asset.Asset {
		a := addr.Draw(t, "address")
		bits := rapid.OneOf(rapid.Just(a.BitLen()), rapid.IntRange(0, a.BitLen())).Draw(t, "bits")
		return asset.Asset{
			Name:        rapid.StringMatching("[a-z]{1,3}").Draw(t, "name"),
			Prefix:      netip.PrefixFrom(a, bits).Masked(),
			Value:       rapid.IntRange(1, 9).Draw(t, "value"),
			Whitelisted: rapid.Bool().Draw(t, "whitelisted"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		assets := rapid.SliceOfN(anAsset, 0, 20).Draw(t, "assets")
		table := asset.NewTable(assets)
		highest := 0
		for _, a := range assets {
			highest = max(highest, a.Value)
		}
		if table.Len() != len(assets) || table.MaxValue() != highest {
			t.Fatalf("%d assets up to %d", table.Len(), table.MaxValue())
		}
		for _, a := range rapid.SliceOfN(addr, 1, 20).Draw(t, "addresses") {
			if diff := cmp.Diff(naive(assets, a), factOf(table, a)); diff != "" {
				t.Fatalf("%v (-naive +table):\n%s", a, diff)
			}
		}
	})
}

func TestLookUpsDoNotAllocate(t *testing.T) {
	table := asset.NewTable([]asset.Asset{{Name: "all", Prefix: networkOf(t, "10.0.0.0/8"), Value: 1}})
	addr := netip.MustParseAddr("10.0.0.1")
	if n := testing.AllocsPerRun(100, func() {
		table.Home(addr)
		table.Whitelisted(addr)
		table.Value(addr)
		table.Name(addr)
		table.Networks(addr)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

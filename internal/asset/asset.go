// Package asset holds the networks and hosts a site cares about: what belongs
// to HOME_NET, what an address is worth, what is whitelisted and what it is
// called.
//
// The package is pure. A Table never changes after loading and may be shared.
//
// Source of the behaviour: docs/spec/correlation.md §10, decisions D22–D24.
package asset

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"dsiem/internal/jsonfile"

	"github.com/gaissmai/bart"
)

// Asset is one entry of an assets file.
type Asset struct {
	Name   string
	Prefix netip.Prefix
	// Value is 1..255; above 5 it is accepted with a warning (D6).
	Value int
	// Whitelisted entries are not HOME_NET, and events from them are dropped.
	Whitelisted bool
}

// documentedMax is the highest asset value of the documented range (§7).
const documentedMax = 5

// Load reads the assets of the given files and adds every problem to the
// report. The table holds the assets without error, in file order.
func Load(files []*jsonfile.File, report *jsonfile.Report) *Table {
	var assets []Asset
	errorsBefore := report.Count(jsonfile.Error)
	for _, file := range files {
		file.Each(report, "assets", func(i int, v *jsonfile.Value) {
			if a, ok := load(file, report, i, v); ok {
				assets = append(assets, a)
			}
		})
	}
	if len(assets) == 0 && report.Count(jsonfile.Error) == errorsBefore {
		report.Add(noAsset(files))
	}
	return NewTable(assets)
}

// noAsset is the problem of files without any asset.
func noAsset(files []*jsonfile.File) jsonfile.Problem {
	p := jsonfile.Problem{File: "assets_*.json", Msg: "there is no asset; add at least one with the network to protect"}
	switch len(files) {
	case 0:
		p.Msg = "there is no asset file; add at least one assets_*.json with the networks to protect"
	case 1:
		p.File = files[0].Name
	}
	return p
}

func load(file *jsonfile.File, report *jsonfile.Report, i int, v *jsonfile.Value) (Asset, bool) {
	s := &jsonfile.Scope{File: file, Report: report, Where: fmt.Sprintf("asset number %d", i+1), Object: v}
	if v.Kind != jsonfile.Object {
		s.Errorf(v.Offset, "", "every element of \"assets\" must be an object, not %s", v.Kind)
		return Asset{}, false
	}
	if name := v.Get("name"); name != nil && name.Kind == jsonfile.String && name.Text != "" {
		s.Where = "asset " + jsonfile.Quote(name.Text)
	}
	s.Keys([]string{"name", "cidr", "value", "whitelisted"})
	a := Asset{
		Name:        strings.Clone(s.NonEmpty("name")),
		Value:       int(s.Uint("value", jsonfile.Range{Min: 1, Max: math.MaxUint8, Required: true})),
		Whitelisted: s.Bool("whitelisted"),
	}
	if a.Value > documentedMax {
		s.Warnf(jsonfile.AssetValueHigh, v.Get("value").Offset, "value", "%d is above %d, so risk can exceed 10", a.Value, documentedMax)
	}
	if cidr := s.NonEmpty("cidr"); cidr != "" {
		prefix, err := jsonfile.ParsePrefix(cidr)
		if err != nil {
			s.Errorf(v.Get("cidr").Offset, "cidr", "%s", err)
		}
		a.Prefix = prefix
	}
	return a, !s.Failed()
}

// Table answers questions about addresses. The zero value knows no asset.
type Table struct {
	// networks holds, for each prefix of any asset, what is true of the
	// addresses for which it is the most specific one.
	networks bart.Table[*network]
	unknown  network // what is true of an address in no asset: nothing
	len      int
	maxValue int
}

// network sums up a prefix and all prefixes that contain it.
type network struct {
	value       int
	home        bool
	whitelisted bool
	name        string   // of the first single-host asset
	cidrs       []string // of HOME_NET, single hosts left out, in file order
}

// NewTable returns a table of assets.
func NewTable(assets []Asset) *Table {
	t := &Table{len: len(assets)}
	byPrefix := new(bart.Table[[]int])
	for i, a := range assets {
		t.maxValue = max(t.maxValue, a.Value)
		indexes, _ := byPrefix.Get(a.Prefix)
		byPrefix.Insert(a.Prefix, append(indexes, i))
	}
	for prefix := range byPrefix.All() {
		var containing []int
		for _, indexes := range byPrefix.Supernets(prefix) {
			containing = append(containing, indexes...)
		}
		slices.Sort(containing)
		t.networks.Insert(prefix, combine(assets, containing))
	}
	return t
}

func combine(assets []Asset, containing []int) *network {
	n := &network{}
	for _, i := range containing {
		a := &assets[i]
		n.value = max(n.value, a.Value)
		n.home = n.home || !a.Whitelisted
		n.whitelisted = n.whitelisted || a.Whitelisted
		host := a.Prefix.IsSingleIP()
		if host && n.name == "" {
			n.name = a.Name
		}
		if cidr := a.Prefix.String(); !host && !a.Whitelisted && !slices.Contains(n.cidrs, cidr) {
			n.cidrs = append(n.cidrs, cidr)
		}
	}
	return n
}

// lookup returns what is known of an address.
func (t *Table) lookup(addr netip.Addr) *network {
	if n, ok := t.networks.Lookup(addr); ok {
		return n
	}
	return &t.unknown
}

// Len returns the number of assets.
func (t *Table) Len() int { return t.len }

// MaxValue returns the highest value of any asset.
func (t *Table) MaxValue() int { return t.maxValue }

// Home reports whether an address is in HOME_NET: in any CIDR that is not
// whitelisted.
func (t *Table) Home(addr netip.Addr) bool { return t.lookup(addr).home }

// Whitelisted reports whether an address is in any whitelisted CIDR. Events
// from such an address are dropped.
func (t *Table) Whitelisted(addr netip.Addr) bool { return t.lookup(addr).whitelisted }

// Value returns the highest value of all assets that contain an address,
// whitelisted ones included; 0 if none does.
func (t *Table) Value(addr netip.Addr) int { return t.lookup(addr).value }

// Name returns the name of the first single-host asset of an address,
// whitelisted or not (D23), or "".
func (t *Table) Name(addr netip.Addr) string { return t.lookup(addr).name }

// Networks returns the CIDRs of HOME_NET that contain an address, single hosts
// left out, in file order. The slice must not be changed.
func (t *Table) Networks(addr netip.Addr) []string { return t.lookup(addr).cidrs }

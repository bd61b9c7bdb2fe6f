package enrich

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/alarm"
)

// docs/spec/correlation.md §9.2, what counts as a global address.
func TestGlobalAddresses(t *testing.T) {
	t.Parallel()
	public := newPublicTable()
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "223.255.255.255": true,
		"0.0.0.0": false, "0.255.255.255": false, "1.0.0.0": true,
		"9.255.255.255": true, "10.0.0.0": false, "10.255.255.255": false, "11.0.0.0": true,
		"100.63.255.255": true, "100.64.0.0": false, "100.127.255.255": false, "100.128.0.0": true,
		"126.255.255.255": true, "127.0.0.1": false, "127.255.255.255": false, "128.0.0.0": true,
		"169.253.255.255": true, "169.254.0.0": false, "169.254.255.255": false, "169.255.0.0": true,
		"172.15.255.255": true, "172.16.0.0": false, "172.31.255.255": false, "172.32.0.0": true,
		"191.255.255.255": true, "192.0.0.0": false, "192.0.0.8": false, "192.0.0.9": true, "192.0.0.10": true,
		"192.0.0.11": false, "192.0.0.255": false, "192.0.1.0": true,
		"192.0.2.0": false, "192.0.2.255": false, "192.0.3.0": true,
		"192.167.255.255": true, "192.168.0.0": false, "192.168.255.255": false, "192.169.0.0": true,
		"198.17.255.255": true, "198.18.0.0": false, "198.19.255.255": false, "198.20.0.0": true,
		"198.51.99.255": true, "198.51.100.0": false, "198.51.100.255": false, "198.51.101.0": true,
		"203.0.112.255": true, "203.0.113.0": false, "203.0.113.255": false, "203.0.114.0": true,
		"224.0.0.1": true, "239.255.255.255": true, "240.0.0.0": false, "255.255.255.255": false,
		"::": false, "::1": false, "::2": true, "2001:4860:4860::8888": true,
		"2001:db7:ffff::1": true, "2001:db8::": false, "2001:db8:ffff::1": false, "2001:db9::": true,
		"fbff::1": true, "fc00::": false, "fdff::1": false, "fe00::": true,
		"fe7f::1": true, "fe80::1": false, "febf::1": false, "fec0::1": true, "feff::1": true,
		"ff02::1": false, "ff05::1": false, "ff08::1": false, "ff0e::1": true, "ff1e::1": true, "ff0f::1": false,
	} {
		if got := public.global(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: global is %t, want %t", text, got, want)
		}
	}
}

func addrs(list ...string) []netip.Addr {
	out := make([]netip.Addr, 0, len(list))
	for _, text := range list {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func terms(t *targets) string {
	out := make([]string, 0, len(t.terms))
	for _, term := range t.terms {
		out = append(out, term.String())
	}
	return strings.Join(out, " ")
}

func TestIntelTargets(t *testing.T) {
	t.Parallel()
	a := &alarm.Alarm{
		SrcIPs:    addrs("8.8.8.8", "10.0.0.1", "9.9.9.9", "2001:db8::1", "::ffff:10.0.0.9", "1.1.1.1"),
		DstIPs:    addrs("10.0.0.2", "::ffff:1.1.1.1", "2606:4700::1"),
		IntelHits: []alarm.Hit{{Provider: "Wise", Term: "9.9.9.9", Result: "x: y"}},
	}
	public := newPublicTable()
	if got, want := terms(intelTargets(a, public, false)), "1.1.1.1 2606:4700::1 8.8.8.8"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := terms(intelTargets(a, public, true)), "10.0.0.2 1.1.1.1 2606:4700::1 8.8.8.8 10.0.0.1 2001:db8::1 10.0.0.9"; got != want {
		t.Errorf("private too: got %s, want %s", got, want)
	}
}

func TestVulnTargets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		rules    []alarm.Rule
		src, dst uint16
		known    string
		want     string
	}{
		{"any", []alarm.Rule{{From: "ANY", To: "HOME_NET", PortFrom: "ANY", PortTo: "80"}}, 1, 2, "", ""},
		{"not home", []alarm.Rule{{From: "!HOME_NET", To: ":1", PortFrom: "ANY", PortTo: ":1"}}, 1, 2, "", ""},
		{"last ports", []alarm.Rule{{From: "10.0.0.1", To: "10.0.0.2", PortFrom: "ANY", PortTo: "ANY"}}, 1000, 80, "", "10.0.0.2:80 10.0.0.1:1000"},
		{"port 0, B38", []alarm.Rule{{From: "10.0.0.1", To: "10.0.0.2", PortFrom: "0", PortTo: "ANY"}}, 0, 0, "", ""},
		{"no last port", []alarm.Rule{{From: "10.0.0.1", To: "10.0.0.2", PortFrom: "ANY", PortTo: "22, 080"}}, 0, 0, "", "10.0.0.2:22 10.0.0.2:80"},
		{"destination side of all rules first", []alarm.Rule{
			{From: "10.0.0.1", To: "10.0.0.2", PortFrom: "ANY", PortTo: "ANY"},
			{From: "10.0.0.1", To: "10.0.0.3", PortFrom: "ANY", PortTo: "ANY"},
		}, 1000, 80, "", "10.0.0.2:80 10.0.0.3:80 10.0.0.1:1000"},
		{
			"E10",
			[]alarm.Rule{{From: "10.0.0.5,!10.0.0.6, 10.0.0.7,10.1.0.0/16", To: "ANY", PortFrom: "80, 443", PortTo: "ANY"}},
			5555, 80, "",
			"10.0.0.5:5555 10.0.0.5:80 10.0.0.5:443 10.0.0.7:5555 10.0.0.7:80 10.0.0.7:443",
		},
		{"no plain ports", []alarm.Rule{{From: "10.0.0.5/32", To: "10.0.0.2", PortFrom: "ANY", PortTo: "!80,+81,82-83,65536,99"}}, 5, 0, "", "10.0.0.2:99"},
		{"IPv6", []alarm.Rule{{From: "ANY", To: "2001:DB8::0001, ::ffff:10.0.0.9,::1%eth0", PortFrom: "ANY", PortTo: "ANY"}}, 0, 22, "", "2001:db8::1:22 10.0.0.9:22"},
		{"known", []alarm.Rule{{From: "10.0.0.1", To: "10.0.0.2", PortFrom: "ANY", PortTo: "22"}}, 1000, 80, "10.0.0.2:80", "10.0.0.2:22 10.0.0.1:1000"},
	} {
		a := &alarm.Alarm{Rules: tt.rules}
		if tt.known != "" {
			a.Vulnerabilities = []alarm.Hit{{Provider: "Nesd", Term: tt.known, Result: "High - x"}}
		}
		got := terms(vulnTargets(&Request{Alarm: a, LastSrcPort: tt.src, LastDstPort: tt.dst}))
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTargetsAreBounded(t *testing.T) {
	t.Parallel()
	a := &alarm.Alarm{}
	for i := range maxTargets + 10 {
		a.SrcIPs = append(a.SrcIPs, netip.AddrFrom4([4]byte{8, 8, byte(i >> 8), byte(i)}))
	}
	if got := intelTargets(a, newPublicTable(), false); len(got.terms) != maxTargets || got.over != 10 {
		t.Errorf("%d terms, %d over", len(got.terms), got.over)
	}
	ports := make([]string, 0, 100)
	hosts := make([]string, 0, 100)
	for i := range 100 {
		ports = append(ports, fmt.Sprint(1000+i))
		hosts = append(hosts, fmt.Sprintf("10.0.0.%d", i))
	}
	rule := alarm.Rule{From: strings.Join(hosts, ","), PortFrom: strings.Join(ports, ","), To: "10.9.9.9", PortTo: "22"}
	got := vulnTargets(&Request{Alarm: &alarm.Alarm{Rules: []alarm.Rule{rule, rule}}})
	if len(got.terms) != maxTargets || got.terms[0].String() != "10.9.9.9:22" || !slices.Contains(got.terms, Term{netip.MustParseAddr("10.0.0.0"), 1099}) {
		t.Errorf("%d terms, first %s", len(got.terms), got.terms[0])
	}
}

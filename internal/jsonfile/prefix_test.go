package jsonfile_test

import (
	"net/netip"
	"strings"
	"testing"

	"dsiem/internal/jsonfile"

	"pgregory.net/rapid"
)

func TestParsePrefix(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"10.0.0.1", "10.0.0.1/32"},
		{"0.0.0.0", "0.0.0.0/32"},
		{"255.255.255.255", "255.255.255.255/32"},
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"10.0.0.1/32", "10.0.0.1/32"},
		{"::1", "::1/128"},
		{"::", "::/128"},
		{"::/0", "::/0"},
		{"2001:db8::/32", "2001:db8::/32"},
		{"2002:c0a8:0001:0:0:0:0:1/128", "2002:c0a8:1::1/128"},
		{"2002:c0a8:0001::/64", "2002:c0a8:1::/64"},
		// Numbers are decimal, with or without leading zeros (§2.4.2).
		{"010.0.0.0/8", "10.0.0.0/8"},
		{"10.0.0.0/08", "10.0.0.0/8"},
		{"010.000.00.01", "10.0.0.1/32"},
		{"00.0.0.0/00", "0.0.0.0/0"},
		{"2001:db8::/032", "2001:db8::/32"},
		// D24.
		{"::ffff:10.0.0.1", "10.0.0.1/32"},
		{"::ffff:a00:1", "10.0.0.1/32"},

		{"", `"" is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8`},
		{" 10.0.0.1", `" 10.0.0.1" is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8`},
		{"10.0.0.256", `"10.0.0.256" is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8`},
		{"10.0.0.0.0", `"10.0.0.0.0" is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8`},
		{"[::1]", `"[::1]" is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8`},
		{"/8", `"/8" is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8`},
		{"10", `"10" is a short form; write all four parts, like "10.0.0.0/8"`},
		{"10/8", `"10/8" is a short form; write all four parts, like "10.0.0.0/8"`},
		{"192.168/16", `"192.168/16" is a short form; write all four parts, like "192.168.0.0/16"`},
		{"1.2.3", `"1.2.3" is a short form; write all four parts, like "1.2.3.0/24"`},
		{"1.2.3/33", `"1.2.3/33" is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8`},
		{"10.0.0.0/33", `"10.0.0.0/33" has a bad prefix length "33"; use 0 to 32`},
		{"10.0.0.0/", `"10.0.0.0/" has a bad prefix length ""; use 0 to 32`},
		{"10.0.0.0/255.0.0.0", `"10.0.0.0/255.0.0.0" has a bad prefix length "255.0.0.0"; use 0 to 32`},
		{"::/129", `"::/129" has a bad prefix length "129"; use 0 to 128`},
		{"10.0.0.1/8", `"10.0.0.1/8" has bits set outside the network; write "10.0.0.0/8" for the network or "10.0.0.1" for the host`},
		{"::ffff:10.0.0.0/104", `"::ffff:10.0.0.0/104" is a network of IPv4-mapped addresses; write it as an IPv4 network`},
		{"::ffff:10.0.0.1/128", `"::ffff:10.0.0.1/128" is a network of IPv4-mapped addresses; write it as an IPv4 network`},
		{"fe80::1%eth0", `"fe80::1%eth0" has a zone, which no event carries; remove "%eth0"`},
		{strings.Repeat("9", 200), `"` + strings.Repeat("9", 80) + `…" is neither an address like 10.0.0.1 nor a network like 10.0.0.0/8`},
	} {
		got, err := jsonfile.ParsePrefix(c.in)
		if err != nil && err.Error() != c.want || err == nil && got.String() != c.want {
			t.Errorf("%s:\ngot  %v, %v\nwant %s", c.in, got, err, c.want)
		}
	}
}

// Whatever is accepted is a network without host bits, of one family, and reads
// the same when it is written again.
func TestParsePrefixIsCanonical(t *testing.T) {
	text := rapid.OneOf(
		rapid.StringMatching(`[0-9]{1,4}(\.[0-9]{1,3}){0,4}(/[0-9]{0,3})?`),
		rapid.StringMatching(`[0-9a-f:]{1,12}(/[0-9]{0,3})?`),
		rapid.StringMatching(`::ffff:[0-9]{1,2}\.0\.0\.0(/[0-9]{0,3})?`),
		rapid.StringOf(rapid.SampledFrom([]rune("0123456789.:/%f "))),
	)
	rapid.Check(t, func(t *rapid.T) {
		in := text.Draw(t, "text")
		got, err := jsonfile.ParsePrefix(in)
		if err != nil {
			if got.IsValid() {
				t.Fatalf("%q: %v with an error", in, got)
			}
			return
		}
		if !got.IsValid() || got != got.Masked() || got.Addr().Is4In6() || got.Addr().Zone() != "" {
			t.Fatalf("%q: %v", in, got)
		}
		again, err := jsonfile.ParsePrefix(got.String())
		if err != nil || again != got {
			t.Fatalf("%q: %v, then %v, %v", in, got, again, err)
		}
		if want, err := netip.ParsePrefix(in); err == nil && want != got {
			t.Fatalf("%q: %v, not %v", in, got, want)
		}
	})
}

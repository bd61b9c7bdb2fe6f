package directive_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"dsiem/internal/directive"
	"dsiem/internal/jsonfile"
)

func addressList(t *testing.T, text string) directive.AddressList {
	t.Helper()
	term, err := directive.ParseAddress(text)
	if err != nil || term.Kind != directive.AddressInList {
		t.Fatalf("%q: %+v, %v", text, term, err)
	}
	return term.List
}

// The table of §3.3, the situations below it, and scenarios 34 and 35.
func TestAddressListMatch(t *testing.T) {
	for _, c := range []struct {
		list, address string
		want          bool
	}{
		{"192.168.0.0/16", "192.168.0.1", true},
		{"!10.0.0.0/16", "192.168.0.1", true},
		{"!10.0.0.0/16, 172.16.0.0/12", "192.168.0.1", true},
		{"!192.168.0.0/24", "192.168.0.1", false},
		{"10.0.0.0/16, !192.168.0.0/16, 192.168.0.0/16", "192.168.0.1", false},
		{"192.168.0.0/16, !192.168.0.1", "192.168.0.1", true},

		{"!10.0.0.5, 10.0.0.0/24", "10.0.0.5", false},
		{"!10.0.0.5, 10.0.0.0/24", "10.0.0.6", true},
		{"!10.0.0.5, 10.0.0.0/24", "10.0.1.6", true}, // in no element, and one is negated
		{"10.0.0.0/24, !10.0.0.5", "10.0.0.5", true},
		{"10.0.0.0/24,10.0.2.0/24", "10.0.1.6", false},
		{"! 10.0.0.1", "10.0.0.1", false}, // B31
		{"! 10.0.0.1", "10.0.0.2", true},
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.2", false},
		{"010.0.0.1", "10.0.0.1", true},
		{"0.0.0.0/0", "255.255.255.255", true},
		{"10.0.0.1,10.0.0.1,!10.0.0.1", "10.0.0.1", true},

		// An IPv6 literal is a host (B49, B51).
		{"2001:db8::1", "2001:db8::1", true},
		{"2001:db8::1", "2001:db8::2", false},
		{"2001:DB8:0::/32", "2001:db8:ffff::1", true},
		{"::1", "::1", true},
		{"::1", "::2", false},
		// Families never match each other; a negated element of the other
		// family counts as "not inside" (B50).
		{"10.0.0.1", "::10.0.0.1", false},
		{"!10.0.0.1", "2001:db8::1", true},
		{"!2001:db8::1", "10.0.0.1", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "10.0.0.1", false},
		{"!::/0", "10.0.0.1", true},
		{"!0.0.0.0/0,::/0", "::1", true},
		{"10.0.0.0/8,2001:db8::/32", "2001:db8::1", true},
		// D24: events carry mapped addresses as IPv4, so rules do, too.
		{"::ffff:10.0.0.1", "10.0.0.1", true},
	} {
		list := addressList(t, c.list)
		if got := list.Match(netip.MustParseAddr(c.address)); got != c.want {
			t.Errorf("%s in %q: %v", c.address, c.list, got)
		}
	}
}

func TestParseAddressKinds(t *testing.T) {
	for text, want := range map[string]directive.AddressTerm{
		"ANY":       {Kind: directive.AddressAny},
		"HOME_NET":  {Kind: directive.AddressHomeNet},
		"!HOME_NET": {Kind: directive.AddressNotHomeNet},
		":1":        {Kind: directive.AddressReference, Stage: 1},
		":99":       {Kind: directive.AddressReference, Stage: 99},
	} {
		got, err := directive.ParseAddress(text)
		if err != nil || got.Kind != want.Kind || got.Stage != want.Stage {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// A saved port 0 is the absent port of an event (D18); nobody may write it.
func TestResolvedPortZero(t *testing.T) {
	term, err := directive.ParseResolvedPort("0")
	if err != nil || !term.List.Match(0) || term.List.Match(80) {
		t.Errorf("saved port 0: %+v, %v", term, err)
	}
	if _, err := directive.ParsePort("0"); err == nil {
		t.Error("port 0 in a directive is accepted")
	}
}

// §3.4, scenario 36, C7.
func TestPortListMatch(t *testing.T) {
	for _, c := range []struct {
		list string
		port uint16
		want bool
	}{
		{"80", 80, true},
		{"80", 8080, false},
		{"80,443", 443, true},
		{"80,443", 8080, false},
		{"!80,!443", 443, false},
		{"!80,!443", 8080, true},
		{"80,!80", 80, true},
		{"!80,80", 80, false},
		{"80,!443", 22, true},
		{"! 80", 80, false}, // B31
		{"! 80", 81, true},
		{"080", 80, true},
		{" 80 ,\t443", 443, true},
		{"1", 1, true}, // B37
		{"65535", 65535, true},
		// Port 0, an absent port, matches negations only.
		{"80,443", 0, false},
		{"!80", 0, true},
		{"443,!80", 0, true},
	} {
		term, err := directive.ParsePort(c.list)
		if err != nil || term.Kind != directive.PortInList {
			t.Fatalf("%q: %+v, %v", c.list, term, err)
		}
		if got := term.List.Match(c.port); got != c.want {
			t.Errorf("%d in %q: %v", c.port, c.list, got)
		}
	}
	for text, want := range map[string]directive.PortTerm{
		"ANY": {Kind: directive.PortAny}, "": {Kind: directive.PortAny}, ":7": {Kind: directive.PortReference, Stage: 7},
	} {
		if got, err := directive.ParsePort(text); err != nil || got.Kind != want.Kind || got.Stage != want.Stage {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// §3.5, D19, scenarios 38 and 39.
func TestTextTermMatch(t *testing.T) {
	for _, c := range []struct {
		term, value string
		want        bool
	}{
		{"", "x", true},
		{"", "", true},
		{"ANY", "x", true},
		{"ANY", "", true},
		// A single value: without case, trimmed; the event's is not trimmed.
		{"Deny", "DENY", true},
		{"deny", "Deny", true},
		{"Deny", "deny ", false},
		{" Deny ", "deny", true},
		{"Straße", "STRAßE", true},
		{"ÄÖ", "äö", true},
		{"x", "", false},
		{"any", "x", false},
		{"any", "Any", true},
		{"foo bar", "FOO BAR", true},
		{"!root", "bob", true},
		{"!root", "ROOT", false},
		{"!root", "", true}, // an event without the field
		{" ! root ", "Root", false},
		{"!", "", false},
		{"!", "x", true},
		{"!!x", "!x", false},
		{":80", ":80", true}, // B05: text, if it is no reference
		{"::1", "::1", true}, // B46
		// A list: with case, elements trimmed; the first that is equal decides.
		{"foo bar, baz", "foo bar", true},
		{"foo bar, baz", "FOO BAR", false},
		{"foo bar, baz", "baz", true},
		{"foo bar, baz", "foo", false},
		{"foo bar, baz", " baz", false},
		{"!root,!admin", "root", false},
		{"!root,!admin", "Root", true},
		{"!root,!admin", "", true},
		{"root,!admin", "bob", true},
		{"!root,root", "root", false},
		{"root,!root", "root", true},
		{"a, ! b", "b", false},
		{"a, ! b", "c", true},
		{"a,", "", true},
		{"a,b!c", "b!c", true},
		{"ANY,x", "y", false},
	} {
		term := directive.ParseText(c.term)
		if got := term.Match(c.value); got != c.want {
			t.Errorf("%q with %q: %v", c.value, c.term, got)
		}
	}
}

func TestRefersTo(t *testing.T) {
	stages := []int{1, 3, 4, 12}
	for _, c := range []struct {
		text  string
		stage int
		want  bool
	}{
		{":1", 3, true},
		{":3", 4, true},
		{":12", 13, true},
		{":1", 1, false},
		{":2", 4, false},
		{":4", 3, false},
		{":0", 3, false},
		{":01", 3, false},
		{":1 ", 3, false},
		{":1:", 3, false},
		{"::1", 3, false},
		{":", 3, false},
		{":100", 101, false},
		{":-1", 3, false},
		{":+1", 3, false},
		{"1", 3, false},
		{"", 3, false},
	} {
		if got := directive.RefersTo(c.text, c.stage, stages); got != c.want {
			t.Errorf("%q in stage %d: %v", c.text, c.stage, got)
		}
	}
}

// naive evaluates a comma list as §3.3 describes it: from left to right, the
// first element that is inside decides, a negated one that is not makes it true.
func naive(list string, inside func(element string) bool) bool {
	result := false
	for element := range strings.SplitSeq(list, ",") {
		text, negated := strings.CutPrefix(strings.TrimSpace(element), "!")
		switch isInside := inside(strings.TrimSpace(text)); {
		case isInside:
			return !negated
		case negated:
			result = true
		}
	}
	return result
}

// aList generates comma lists, long enough to be indexed, with "!" and blanks.
func aList(element *rapid.Generator[string]) *rapid.Generator[string] {
	decorated := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom([]string{"", "", " ", "!", " ! "}).Draw(t, "prefix") +
			element.Draw(t, "element") + rapid.SampledFrom([]string{"", " "}).Draw(t, "suffix")
	})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(decorated, 1, 24).Draw(t, "elements"), ",")
	})
}

// anAddr generates addresses of a few nested networks, so that many are inside.
func anAddr() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		low := rapid.Uint8Range(0, 7)
		if rapid.Bool().Draw(t, "v6") {
			return netip.AddrFrom16([16]byte{0x20, 0x01, low.Draw(t, "b2"), 14: low.Draw(t, "b14"), 15: low.Draw(t, "b15")})
		}
		return netip.AddrFrom4([4]byte{10, low.Draw(t, "b1"), low.Draw(t, "b2"), low.Draw(t, "b3")})
	})
}

func aPrefix() *rapid.Generator[netip.Prefix] {
	return rapid.Custom(func(t *rapid.T) netip.Prefix {
		addr := anAddr().Draw(t, "address")
		bits := rapid.OneOf(rapid.Just(addr.BitLen()), rapid.IntRange(0, addr.BitLen())).Draw(t, "bits")
		return netip.PrefixFrom(addr, bits).Masked()
	})
}

func TestAddressListEqualsNaiveEvaluation(t *testing.T) {
	element := rapid.Custom(func(t *rapid.T) string {
		prefix := aPrefix().Draw(t, "prefix")
		if prefix.IsSingleIP() && rapid.Bool().Draw(t, "bare") {
			return prefix.Addr().String()
		}
		return prefix.String()
	})
	rapid.Check(t, func(t *rapid.T) {
		text := aList(element).Draw(t, "list")
		term, err := directive.ParseAddress(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, addr := range rapid.SliceOfN(anAddr(), 1, 20).Draw(t, "addresses") {
			want := naive(text, func(element string) bool {
				if one, err := netip.ParseAddr(element); err == nil {
					return one == addr
				}
				return netip.MustParsePrefix(element).Contains(addr)
			})
			if got := term.List.Match(addr); got != want {
				t.Fatalf("%v in %q: %v", addr, text, got)
			}
		}
	})
}

// Lists that are gone through do not use netip.Prefix.
func TestAddressListMatchesWhatItsNetworkContains(t *testing.T) {
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		var b [16]byte
		copy(b[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		switch rapid.SampledFrom([]string{"v4", "v6", "mapped"}).Draw(t, "family") {
		case "v4":
			return netip.AddrFrom4([4]byte(b[:4]))
		case "mapped":
			return netip.AddrFrom16(netip.AddrFrom4([4]byte(b[:4])).As16())
		}
		return netip.AddrFrom16(b)
	})
	rapid.Check(t, func(t *rapid.T) {
		network := addr.Draw(t, "network").Unmap()
		prefix, err := network.Prefix(rapid.IntRange(0, network.BitLen()).Draw(t, "bits"))
		if err != nil {
			t.Fatal(err)
		}
		if prefix.Addr().Is4In6() {
			return // such networks are refused
		}
		term, problem := directive.ParseAddress(prefix.String())
		if problem != nil {
			t.Fatal(problem)
		}
		inside := prefix.Addr().As16()
		low := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "low")
		same := netip.AddrFrom16(inside)
		inside[15], inside[14] = low[15], low[14]
		for _, a := range []netip.Addr{
			prefix.Addr(), same, same.Unmap(), netip.AddrFrom16(inside), netip.AddrFrom16(inside).Unmap(),
			same.WithZone("eth0"), addr.Draw(t, "address"),
			{},
		} {
			if got, want := term.List.Match(a), prefix.Contains(a); got != want {
				t.Errorf("%s matches %s: %v", prefix, a, got)
			}
		}
	})
}

func TestPortListEqualsNaiveEvaluation(t *testing.T) {
	element := rapid.Custom(func(t *rapid.T) string {
		port := strconv.Itoa(rapid.OneOf(rapid.IntRange(1, 12), rapid.IntRange(1, 65535)).Draw(t, "port"))
		return rapid.SampledFrom([]string{"", "0", "00"}).Draw(t, "zeros") + port
	})
	rapid.Check(t, func(t *rapid.T) {
		text := aList(element).Draw(t, "list")
		term, err := directive.ParsePort(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, port := range rapid.SliceOfN(rapid.OneOf(rapid.Uint16Range(0, 13), rapid.Uint16()), 1, 20).Draw(t, "ports") {
			want := naive(text, func(element string) bool {
				n, err := strconv.Atoi(element)
				return err == nil && n == int(port)
			})
			if got := term.List.Match(port); got != want {
				t.Fatalf("%d in %q: %v", port, text, got)
			}
		}
	})
}

func TestTextListEqualsNaiveEvaluation(t *testing.T) {
	value := rapid.SampledFrom([]string{"", "a", "A", "b", "a b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		text := aList(value).Draw(t, "list") + ",c"
		term := directive.ParseText(text)
		v := value.Draw(t, "value")
		if got, want := term.Match(v), naive(text, func(element string) bool { return element == v }); got != want {
			t.Fatalf("%q in %q: %v", v, text, got)
		}
	})
}

func TestEqualFoldedEqualsToLower(t *testing.T) {
	text := rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.SampledFrom([]rune("aAäÄßẞİiIıſsSKkσςΣ"))),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
	)
	rapid.Check(t, func(t *rapid.T) {
		a := text.Draw(t, "a")
		b := rapid.OneOf(text, rapid.Just(a), rapid.Just(strings.ToUpper(a)), rapid.Just(strings.ToLower(a)), rapid.Just(a+"x")).Draw(t, "b")
		lowerA, lowerB := strings.ToLower(a), strings.ToLower(b)
		if got := directive.EqualFolded(a, directive.Fold(b)); got != (lowerA == lowerB) {
			t.Fatalf("%q, %q: %v", a, b, got)
		}
	})
}

func TestMatchingDoesNotAllocate(t *testing.T) {
	long := "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5,10.0.0.6,10.0.0.7,10.0.0.8,10.0.0.0/16,!10.0.0.0/8"
	addresses, text, list := addressList(t, long), directive.ParseText("!Größe"), directive.ParseText("a,b,!c")
	ports, _ := directive.ParsePort("1,2,3,4,5,6,7,8,9,!10")
	addr := netip.MustParseAddr("10.1.0.1")
	for name, f := range map[string]func(){
		"addresses": func() { addresses.Match(addr) },
		"ports":     func() { ports.List.Match(80) },
		"text":      func() { text.Match("GRÖSSE") },
		"list":      func() { list.Match("x") },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Every text either is a term or is refused with a message; what is refused is
// pointed at inside the text.
func TestTermErrorsPointInsideTheText(t *testing.T) {
	text := rapid.OneOf(
		rapid.StringOf(rapid.SampledFrom([]rune("0123456789.:/!, ANYanyHOME_NT\t\u00a0"))),
		rapid.SampledFrom([]string{"ANY", "HOME_NET", ":1", "10.0.0.0/8"}),
		rapid.String(),
	)
	rapid.Check(t, func(t *rapid.T) {
		in := text.Draw(t, "text")
		check := func(err *directive.TermError) {
			if err != nil && (err.At < 0 || err.At > len(in) || err.Msg == "") {
				t.Fatalf("%q: %+v", in, err)
			}
		}
		_, err := directive.ParseAddress(in)
		check(err)
		_, err = directive.ParsePort(in)
		check(err)
		term := directive.ParseText(in)
		term.Match(in)
		jsonfile.Quote(in)
	})
}

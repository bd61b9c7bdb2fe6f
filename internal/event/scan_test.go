package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// ordinary are texts that the scanner must not leave to the tokenizer, because
// many senders write such.
func ordinary() []string {
	return []string{
		`{}`,
		"{}\n",
		`{"event_id":"e1"}`,
		` { "event_id" : "e1" , "src_port" : 0 , "title" : null } `,
		"{\n  \"event_id\": \"e1\",\r\n\t\"plugin_id\": -1\n}\n",
		`{"title":"ünïcödé ✓"}`,
		`{"carrier":{},"tags":["a","b"],"nested":{"a":{"b":[1,2,{"c":null}]}},"flag":true,"other":false,"event_id":"x"}`,
		`{"event_id":"12345678","sensor":"1234567","title":"123456789","plugin_id":18446744073709551616}`,
		`{"unknown":1,"unknown":2}`,
		`{"a":"b\"c","title":"\\ \/ \b\f\n\r\t \u00e9 \ud83d\ude00 \uFFFD","product":"Café\u0041"}`,
		`{"a":1.5,"b":-0,"c":-1.25e+10,"d":1E-7,"src_port":1e3,"dst_port":80.0}`,
		`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
		`{"plugin_id" :1, "plugin_sid": 2 , "src_po":3,"src_ports":4,"custom_data4":"x","custom_label":"y"}`,
		`{"title" : 1}`,
	}
}

// unusual are texts that it must leave to the tokenizer, valid or not.
func unusual() []string {
	return []string{
		``, ` `, `null`, `[]`, `{`, `}`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a" 1}`,
		`{"a":1 "b":2}`, `{"a":01}`, `{"a":-}`, `{"a":-x}`, `{"a":1.}`, `{"a":1.e3}`, `{"a":1e}`, `{"a":1e+}`, `{"a":.5}`, `{"a":+1}`,
		`{"a":nul}`, `{"a":truE}`, `{"a":fals`, `{"a\u0062":1}`, `{"event_i\u0064":"x"}`, `{"\u0065vent_id":"x"}`,
		"{\"a\":\"b\nc\"}", "{\"a\":\"b\x00\"}", "{\"a\":\"\xff\"}", "{\"\xff\":1}", "{\"a\":\"0123456789\xc3\"}",
		`{"event_id":"a","event_id":"a"}`, `{"event_id":null,"event_id" :"a"}`, `{}{}`, `{} x`, `{"a":1}}`,
		`{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "\ufeff{}", `{"a":[1,]}`, `{"a":{1:2}}`, `{"a":[1}}`, `{"a":{"b"1}}`,
		`{"a":"\`, `{"a":"\u`, `{"a":"\u00`, `{"a":"\"}`, `{"a":"\x"}`, `{"a":"\u00g0"}`, `{"a":"\u00"}`, `{"a":"\U0041"}`,
		`{"a":"\ud800"}`, `{"a":"\udc00"}`, `{"a":"\ud800\ud800"}`, `{"a":"\ud800\u0041"}`, `{"a":"\ud800xudc00"}`, `{"a":"\ud800\n12345"}`,
		`{"a":"\ud83d\ude0"}`, `{"a":"\ud83d\ude0`, `{"a":["\ud800"]}`,
	}
}

func TestScanLeavesUnusualTexts(t *testing.T) {
	t.Parallel()
	for _, text := range unusual() {
		if new(members).scan([]byte(text)) {
			t.Errorf("taken: %q", text)
		}
	}
}

func TestEachKeyIsFoundAtOnceOrNearlySo(t *testing.T) {
	t.Parallel()
	const behindIt = `"a value that fills the second word"`
	steps := map[field]int{}
	for f := range fieldCount {
		text := []byte(f.String() + `":` + behindIt)
		if got, end := key(text, 0); got != f || end != len(text)-len(behindIt) {
			t.Errorf("%v is taken for %v, up to %d", f, got, end)
		}
		place := keyPlace(word(text, 0))
		for knownKeys[place].length == 0 || knownKeys[place].field != f {
			place = (place + 1) % keyPlaces
			steps[f]++
		}
	}
	// Only keys that start with the same six letters are in each other's way.
	want := map[field]int{
		customLabel1: 1, customData2: 2, customLabel2: 3, customData3: 4, customLabel3: 5, pluginSID: 1,
	}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("steps to a key (-want +got):\n%s", diff)
	}
}

// compareScan fails the test if the scanner takes a text that the tokenizer
// refuses, or finds other members in it.
func compareScan(t *testing.T, data []byte) {
	t.Helper()
	var fast members
	var slow [fieldCount]jsontext.Value
	if !fast.scan(data) {
		return
	}
	if repaired, rej := ReadMembers(data, slow[:], Keys{Index: fieldIndex}); rej != nil || repaired > 0 {
		t.Fatalf("%q is taken, but it is %v, repaired %d times", data, rej, repaired)
	}
	for f := range fieldCount {
		raw := fast.raw(f)
		if (raw == nil) != (slow[f] == nil) || string(raw) != string(slow[f]) {
			t.Fatalf("%q: %s is %q, want %q", data, f, raw, slow[f])
		}
		if escapes := slow[f].Kind() == jsontext.KindString && strings.Contains(string(slow[f]), `\`); escapes != (fast.escaped>>f&1 == 1) {
			t.Fatalf("%q: %s: escapes: %v", data, f, !escapes)
		}
	}
}

// FuzzScan compares the scanner with the tokenizer.
func FuzzScan(f *testing.F) {
	for _, text := range append(ordinary(), unusual()...) {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"event_id":"e1","timestamp":"2024-01-01T00:00:00Z","src_ip":"10.0.0.1","dst_ip":"10.0.0.2","plugin_id":1,"plugin_sid":2}`))
	f.Fuzz(compareScan)
}

// slowDecode is Decode as it reads in the specification: a tokenizer that lets bad
// encoding pass, and for each value the library that is best known for it.
func slowDecode(data []byte, ev *Event) *Rejection {
	s := slowDecoder{}
	if rej := s.read(data); rej != nil {
		return rej
	}
	at, src, dst := s.text(timestamp), s.text(srcIP), s.text(dstIP)
	*ev = Event{
		ID: s.text(eventID), Sensor: s.text(sensor), Title: s.text(title), Protocol: s.text(protocol),
		Product: s.text(product), Category: s.text(category), Subcategory: s.text(subcategory),
		CustomData:  [CustomFields]string{s.text(customData1), s.text(customData2), s.text(customData3)},
		CustomLabel: [CustomFields]string{s.text(customLabel1), s.text(customLabel2), s.text(customLabel3)},
		SrcPort:     uint16(s.unsigned(srcPort, 16)), DstPort: uint16(s.unsigned(dstPort, 16)),
		PluginID: s.unsigned(pluginID, 64), PluginSID: s.unsigned(pluginSID, 64),
		ConnID: s.unsigned(connID, 64), ReceivedAt: s.signed(rcvdTime),
	}
	var err error
	if ev.Seconds, ev.Nanos, err = parseTime(at); err != nil {
		s.reject(BadTimestamp, timestamp)
	}
	if ev.SrcIP, err = parseAddr(src); err != nil {
		s.reject(BadAddress, srcIP)
	}
	if ev.DstIP, err = parseAddr(dst); err != nil {
		s.reject(BadAddress, dstIP)
	}
	if s.rej == nil && !ev.HasPlugin() && !ev.HasTaxonomy() {
		return &Rejection{Reason: NoIdentity}
	}
	return s.rej
}

type slowDecoder struct {
	raw     [fieldCount]jsontext.Value
	rej     *Rejection
	wrapped bool // inside _source
}

// onlyInforms are the fields that D39 lists so.
var onlyInforms = []field{sensor, protocol, title, customLabel1, customLabel2, customLabel3, connID, rcvdTime}

// read finds the raw values, also under _source.
func (s *slowDecoder) read(data []byte) *Rejection {
	switch {
	case len(data) > MaxSize:
		return &Rejection{Reason: TooLarge}
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}), bytes.HasPrefix(data, []byte{0xfe, 0xff}):
		return &Rejection{Reason: BadEncoding}
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = bytes.ReplaceAll(data, []byte{0}, nil)
	in := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var twice *Rejection
	var source jsontext.Value
	if token, err := in.ReadToken(); err != nil || token.Kind() != '{' {
		return &Rejection{Reason: BadJSON}
	}
	for in.PeekKind() == '"' {
		name, err := in.ReadToken()
		if err != nil {
			return &Rejection{Reason: BadJSON}
		}
		key := name.String()
		value, err := in.ReadValue()
		if err != nil {
			return &Rejection{Reason: BadJSON}
		}
		i := fieldIndex([]byte(key))
		switch {
		case key == "_source":
			source = value.Clone()
		case i < 0:
		default:
			if s.raw[i] != nil && twice == nil && !slices.Contains(onlyInforms, field(i)) {
				twice = &Rejection{Reason: DuplicateKey, Field: key}
			}
			s.raw[i] = value.Clone()
		}
	}
	if token, err := in.ReadToken(); err != nil || token.Kind() != '}' {
		return &Rejection{Reason: BadJSON}
	}
	if _, err := in.ReadToken(); !errors.Is(err, io.EOF) {
		return &Rejection{Reason: BadJSON}
	}
	empty := !slices.ContainsFunc(s.raw[:], func(v jsontext.Value) bool { return v != nil })
	if empty && !s.wrapped && source.Kind() == '{' {
		s.wrapped = true
		return s.read(source)
	}
	return twice
}

// reject keeps the first reason, and of two that are equal the first field.
func (s *slowDecoder) reject(reason Reason, f field) {
	if s.rej == nil || reason < s.rej.Reason || reason == s.rej.Reason && fieldIndex([]byte(s.rej.Field)) > int(f) {
		s.rej = &Rejection{Reason: reason, Field: f.String()}
	}
}

// text returns what a member says as a text.
func (s *slowDecoder) text(f field) string {
	raw := s.raw[f]
	switch raw.Kind() {
	case jsontext.KindInvalid:
		return ""
	case jsontext.KindNull:
		if f == timestamp || f == srcIP || f == dstIP {
			s.reject(BadType, f)
		}
		return ""
	case jsontext.KindBeginObject, jsontext.KindBeginArray:
		if f != eventID && !slices.Contains(onlyInforms, f) {
			s.reject(BadType, f)
		}
		return ""
	case jsontext.KindString:
		var text string
		if err := json.Unmarshal(raw, &text); err != nil { // it repairs what is no UTF-8
			panic(err)
		}
		return text
	default:
		return string(raw)
	}
}

// number returns what a member says as a number, nil if it is rejected.
func (s *slowDecoder) number(f field, least, most *big.Int) *big.Int {
	reason := BadType
	text, zero := string(s.raw[f]), new(big.Int)
	switch s.raw[f].Kind() {
	case jsontext.KindInvalid, jsontext.KindNull:
		return zero
	case jsontext.KindString:
		text = s.text(f)
		if strings.Trim(text, "0123456789") == "" {
			reason = OutOfRange
			if n, ok := new(big.Int).SetString("0"+text, 10); ok && n.Cmp(most) <= 0 {
				return n
			}
		}
	case jsontext.KindNumber:
		reason = OutOfRange
		mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
		if strings.Trim(mantissa, "-0.") == "" {
			return zero
		}
		if len(strings.TrimLeft(exponent, "+-0")) > 3 {
			break // more than any mantissa of a test makes up for
		}
		if n, ok := new(big.Rat).SetString(text); ok && n.IsInt() && n.Num().Cmp(least) >= 0 && n.Num().Cmp(most) <= 0 {
			return n.Num()
		}
	default:
	}
	if !slices.Contains(onlyInforms, f) {
		s.reject(reason, f)
	}
	return zero
}

func (s *slowDecoder) unsigned(f field, size uint) uint64 {
	most := new(big.Int).Lsh(big.NewInt(1), size)
	return s.number(f, new(big.Int), most.Sub(most, big.NewInt(1))).Uint64()
}

func (s *slowDecoder) signed(f field) int64 {
	return s.number(f, big.NewInt(math.MinInt64), big.NewInt(math.MaxInt64)).Int64()
}

// compareDecode fails the test if Decode and slowDecode differ.
func compareDecode(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, data []byte,
) {
	t.Helper()
	var fast, slow Event
	got, want := Decode(data, &fast), slowDecode(data, &slow)
	if (got == nil) != (want == nil) || got != nil && (got.Reason != want.Reason || got.Field != want.Field) {
		t.Fatalf("%q: %v, want %v", data, got, want)
	}
	fast.Repaired = 0
	if got == nil && fast != slow {
		t.Fatalf("%q:\ngot  %+v\nwant %+v", data, fast, slow)
	}
}

// FuzzDecodeAgrees compares Decode with slowDecode.
func FuzzDecodeAgrees(f *testing.F) {
	for _, text := range append(ordinary(), unusual()...) {
		f.Add([]byte(text))
	}
	const rest = `,"dst_ip":"2001:db8::1","plugin_id":1,"plugin_sid":2,"title":"a\u00e9\n","rcvd_time":-1}`
	for _, start := range []string{
		`{"timestamp":"2024-02-29T23:59:60.123456789-07:00","src_ip":"10.0.0.1"`,
		`{"timestamp":"2024-02-30T00:00:00Z","src_ip":"010.0.0.1"`,
		`{"timestamp" : "2024-1-1 00:00:00 utc" , "src_ip" : "1.2.3.256"`,
	} {
		f.Add([]byte(start + rest))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compareDecode(t, data) })
}

// TestDecodeAgreesWithTheSlowDecoder compares them about texts that are nearly
// events, which random bytes seldom are.
func TestDecodeAgreesWithTheSlowDecoder(t *testing.T) {
	t.Parallel()
	accepted := false
	rapid.Check(t, func(t *rapid.T) {
		data := nearlyEvent(t)
		compareDecode(t, data)
		accepted = accepted || Decode(data, &Event{}) == nil
	})
	if !accepted {
		t.Error("none of the texts is an event")
	}
}

// nearlyEvent generates an event, with something odd in it now and then.
func nearlyEvent(t *rapid.T) []byte {
	odd := func(name string) bool { return rapid.Byte().Draw(t, name) == 77 } // a number that is drawn no more often than others
	blank := func() string {
		if rapid.IntRange(0, 9).Draw(t, "blank") < 9 {
			return ""
		}
		return rapid.StringOfN(rapid.SampledFrom([]rune(" \t\r\n")), 1, 9, -1).Draw(t, "blanks")
	}
	var parts []string
	for _, f := range rapid.Permutation(everyField()).Draw(t, "order") {
		if f > dstIP && f != pluginID && f != pluginSID && rapid.Bool().Draw(t, "absent") || odd("required, but absent") {
			continue
		}
		key := `"` + f.String() + `"`
		if odd("key with escapes") {
			key = quoted(t, f.String())
		}
		value := ""
		switch {
		case odd("odd value"):
			value = rapid.SampledFrom([]string{
				`null`, `true`, `false`, `{}`, `[1]`, `"x"`, `7`, `-7`, `-0`, `00`, `1.5`, `150.0`, `1e2`, `12300E-2`, `-5e-1`, `0e9999999999`, `1e400`,
				`"80"`, `"\u0038"`, `"080"`, `" 80"`, `"-80"`, `"8e1"`, `"18446744073709551616"`, `"\ud800"`, `"\udc00\ud83d\ude00"`, "\"\xff\xc3\"",
				`""`, ``, `nul`,
			}).Draw(t, "value")
		case f >= textFields:
			value = aNumber(t, f)
		case f == timestamp:
			value = quoted(t, aTime(t))
		case f == srcIP || f == dstIP:
			value = quoted(t, anAddress(t))
		default:
			value = quoted(t, strings.Repeat(rapid.String().Draw(t, "text"), rapid.SampledFrom([]int{1, 1, 1, 50}).Draw(t, "repeated")))
		}
		parts = append(parts, blank()+key+blank()+":"+blank()+value+blank())
		if odd("twice") {
			parts = append(parts, parts[len(parts)-1])
		}
		if odd("unknown member") {
			parts = append(parts, quoted(t, rapid.String().Draw(t, "key"))+`:{"a":[{"src_ip":0.5},"\u00e9",[],{}]}`)
		}
	}
	data := []byte(blank() + "{" + strings.Join(parts, ",") + "}" + blank())
	if odd("as Elasticsearch exports") {
		data = fmt.Appendf(nil, `{"_index":"x","_source":%s,"_score":1}`, data)
	}
	if rapid.IntRange(0, 9).Draw(t, "damaged") == 9 {
		data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
	}
	return data
}

func everyField() (all []field) {
	for f := range fieldCount {
		all = append(all, f)
	}
	return all
}

// quoted returns the JSON text of a string, some of its runes escaped.
func quoted(t *rapid.T, text string) string {
	escapes := rapid.IntRange(0, 3).Draw(t, "escapes") == 0
	out := []byte{'"'}
	for _, r := range text {
		switch {
		case r > 0xffff && escapes:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04X`, high, low)
		case escapes && rapid.Bool().Draw(t, "escaped"):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			one, _ := jsontext.AppendQuote(nil, string(r))
			out = append(out, one[1:len(one)-1]...)
		}
	}
	return string(append(out, '"'))
}

func aNumber(t *rapid.T, f field) string {
	if f == srcPort || f == dstPort {
		return strconv.Itoa(rapid.IntRange(0, 65600).Draw(t, "port"))
	}
	return rapid.OneOf(
		rapid.Map(rapid.Uint64(), func(n uint64) string { return strconv.FormatUint(n, 10) }),
		rapid.Map(rapid.Int64Range(-1, 1e18), func(n int64) string { return strconv.FormatInt(n, 10) }),
		rapid.StringMatching(`[1-9][0-9]{17,20}`),
	).Draw(t, "number")
}

func aTime(t *rapid.T) string {
	number := func(name, format string, least, most int) string {
		return fmt.Sprintf(format, rapid.IntRange(least, most).Draw(t, name))
	}
	width := rapid.SampledFrom([]string{"%02d", "%02d", "%02d", "%d"}).Draw(t, "width")
	return fmt.Sprintf("%04d", rapid.OneOf(rapid.IntRange(1969, 2262), rapid.IntRange(0, 9999)).Draw(t, "year")) + "-" + number("month", width, 1, 12) + "-" + number("day", width, 1, 29) +
		rapid.SampledFrom([]string{"T", "T", "T", "t", " ", "  "}).Draw(t, "T") +
		number("hour", width, 0, 23) + ":" + number("minute", width, 0, 59) + ":" + number("second", width, 0, 60) +
		rapid.StringMatching(`(\.[0-9]{1,10})?`).Draw(t, "fraction") +
		rapid.SampledFrom([]string{"Z", "Z", "z", "utc", "+07:00", "-23:59", "+0730", " +07:00", "+00:00"}).Draw(t, "offset")
}

func anAddress(t *rapid.T) string {
	return rapid.OneOf(
		rapid.Map(rapid.Uint32(), func(n uint32) string {
			return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
		}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) string { return netip.AddrFrom16([16]byte(b)).String() }),
		rapid.SampledFrom([]string{"::ffff:10.0.0.1", "0.0.0.0", "255.255.255.255", "2001:DB8::1", "fe80::1%eth0", "10.0.0.1%eth0", "%{[src_ip]}"}),
	).Draw(t, "address")
}

// TestFastFormsAgree compares the fast paths for timestamps and addresses with
// the grammars, about texts that differ from good ones by a few letters.
func TestFastFormsAgree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.SampledFrom([]string{aTime(t), anAddress(t)}).Draw(t, "text"))
		for range rapid.IntRange(0, 2).Draw(t, "changes") {
			at := rapid.IntRange(0, len(text)).Draw(t, "at")
			cut := rapid.IntRange(0, min(1, len(text)-at)).Draw(t, "cut")
			text = slices.Replace(text, at, at+cut, []byte(rapid.StringOfN(rapid.SampledFrom([]rune("0129.:-+TZ ")), 0, 2, -1).Draw(t, "in"))...)
		}
		if seconds, nanos, ok := commonTime(text); ok {
			wantSeconds, wantNanos, err := parseTime(string(text))
			if err != nil || seconds != wantSeconds || nanos != wantNanos {
				t.Fatalf("%q: %d s %d ns, want %d s %d ns, %v", text, seconds, nanos, wantSeconds, wantNanos, err)
			}
		}
		v4, ok := parseIPv4(text)
		if want, err := parseAddr(string(text)); ok != (err == nil && want.Is4() && !bytes.Contains(text, []byte(":"))) || ok && netip.AddrFrom4(v4) != want {
			t.Fatalf("%q: %v, %v; want %v, %v", text, v4, ok, want, err)
		}
	})
}

func TestCommonTimeTakesWhatSendersWrite(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"2023-06-16T08:41:22Z", "2023-06-16T08:41:22.3Z", "2023-06-16T08:41:22.345Z", "2023-06-16T08:41:22.345678912Z",
		"2023-06-16T08:41:22+07:00", "2023-06-16T08:41:22.345678-03:30", "2016-12-31T23:59:60Z", "2024-02-29T00:00:00Z",
	} {
		if _, _, ok := commonTime([]byte(text)); !ok {
			t.Errorf("left to parseTime: %s", text)
		}
	}
}

// TestDaysOfEachDate compares days with package time.
func TestDaysOfEachDate(t *testing.T) {
	t.Parallel()
	for at := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() <= 9999; at = at.AddDate(0, 0, 1) {
		year, month, day := at.Date()
		if got, want := days(year, int(month), day), at.Unix()/86400; got != want {
			t.Fatalf("%v: %d, want %d", at, got, want)
		}
	}
}

package httpin

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/event"
)

// split returns the records of a body as the Handler takes them: one that is an object
// has to be whole for the decoder of events, too.
func split(body []byte) ([]string, bool) {
	e := elements{body: body}
	var out []string
	for e.next() {
		if !e.other {
			if _, rej := event.ReadMembers(e.text, nil, event.Keys{Index: func([]byte) int { return -1 }}); rej != nil {
				return nil, false
			}
		}
		out = append(out, string(e.text))
	}
	return out, e.rej == nil
}

// slowSplit is split as a JSON library does it.
func slowSplit(body []byte) ([]string, bool) {
	options := json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	in := jsontext.NewDecoder(bytes.NewReader(body), options)
	var out []string
	some := false
	for {
		value, err := in.ReadValue()
		if errors.Is(err, io.EOF) {
			return out, some
		}
		if err != nil {
			return nil, false
		}
		some = true
		if value.Kind() != jsontext.KindBeginArray {
			out = append(out, string(value))
			continue
		}
		var elements []jsontext.Value
		if json.Unmarshal(value, &elements, options) != nil {
			return nil, false
		}
		for _, e := range elements {
			out = append(out, string(e))
		}
	}
}

// FuzzElements checks that what is taken is JSON, all of it, and cut in the
// right places.
func FuzzElements(f *testing.F) {
	for _, in := range []string{
		"", " ", "\ufeff[]", "[]", "[ ]", "[{}]", "[{},{}]", "[{} , {}\n]\t", "{}{}", "{}\n{}\r\n", "[{}", "[{},", "[{},]", "[,{}]", "[{}{}]",
		"[]x", "[][]", "{}x", "{},{}", "x", "1", "null", `"{}"`, "[1]", "[[{}]]", "[null]", "{", "[", "]", "}", `{"a":"}"}`, `{"a":"\"}"}`,
		`{"a":"\\"}{"b":"\\\""}`, `{"a":"\\\\\"}`, `{"a":[{"b":[]},{}]}`, `{"a":[}}`, `{"a":{]}`, `{"a":1}]`, `{"a":tru}`, `{"a":"`, `{"a":"\`,
		"{\"a\":\"\xff\"}", "{\"a\":\"\x00\"}", "\x00{}", "{}\x00", "[{}\x00]", `{"a":"\ud800"}`, `{"a":1,"a":2}`, "\ufeff\ufeff{}", "{}\ufeff{}",
		`{"a":-01}`, `{'a':1}`, `{"a" 1}`, "/**/{}", `{"a":1e}`, "[{}]\n[]\n[{},{}]{}", `{} "x" -1.5e3 [null,"y",[]] true`, "[1 2]", `["a" "b"]`, "[{}]]",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Count(in, []byte("["))+bytes.Count(in, []byte("{")) >= 10_000 || len(in) > event.MaxSize || bytes.ContainsAny(in, "\x00\ufeff") {
			t.Skip("beyond limits that are not the same, and bytes that the Handler and this ignore")
		}
		got, ok := split(in)
		want, wantOK := slowSplit(in)
		if ok && wantOK && strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("%q: %q, want %q", in, got, want)
		}
		// A number or word wants something else behind it that ends it.
		if ok != wantOK && (ok || !glued(in, want)) {
			t.Fatalf("%q: %q, %v, want %q, %v", in, got, ok, want, wantOK)
		}
	})
}

// glued reports whether a body has a number or a literal with another value right
// behind it, which a JSON library takes for two.
func glued(body []byte, values []string) bool {
	for _, v := range values {
		if c := v[0]; c != '{' && c != '[' && c != '"' {
			if bytes.Contains(body, []byte(v)) {
				return true
			}
		}
	}
	return false
}

func TestMarksBetweenRecords(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"\ufeff{}{}", "{}\ufeff{}\ufeff", "[\ufeff{}\ufeff,\ufeff{}\ufeff]\ufeff", "\ufeff\ufeff{}\n\ufeff[{}]"} {
		if got, ok := split([]byte(in)); !ok || strings.Join(got, " ") != "{} {}" {
			t.Errorf("%q: %q, %v", in, got, ok)
		}
	}
	for _, in := range []string{"\ufeff", "{}\xef\xbb", "\xef{}", "{\ufeff}"} {
		if got, ok := split([]byte(in)); ok {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func BenchmarkElements(b *testing.B) {
	element := `{"event_id":"GLyAxYgBmcVVYPhDHXjs","timestamp":"2023-06-16T08:41:22.345678Z","sensor":"suricata-sensor-01",` +
		`"title":"ET EXPLOIT Possible CVE-2014-6271 Attempt in \"Headers\"","plugin_id":1001,"plugin_sid":2019232,"protocol":"TCP",` +
		`"src_ip":"192.168.84.17","src_port":51532,"dst_ip":"10.73.255.10","dst_port":80,"custom_label1":"http_uri"}`
	body := []byte("[" + strings.Repeat(element+",", 499) + element + "]")
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		e := elements{body: body}
		for e.next() {
		}
		if e.count != 500 || e.rej != nil {
			b.Fatal(e.count, e.rej)
		}
	}
}

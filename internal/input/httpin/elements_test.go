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

// split returns the elements of a body as the Handler takes them: an element
// has to be one whole object for the decoder of events, too.
func split(body []byte) ([]string, bool) {
	e := elements{body: body}
	var out []string
	for e.next() {
		if _, rej := event.ReadMembers(e.text, nil, event.Keys{Index: func([]byte) int { return -1 }}); rej != nil {
			return nil, false
		}
		out = append(out, string(e.text))
	}
	return out, e.rej == nil
}

// slowSplit is split as a JSON library does it.
func slowSplit(body []byte) ([]string, bool) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	text := bytes.TrimLeft(body, " \t\r\n")
	if len(text) == 0 {
		return nil, false
	}
	var values []jsontext.Value
	if text[0] == '[' {
		if json.Unmarshal(body, &values, jsontext.AllowDuplicateNames(true)) != nil {
			return nil, false
		}
	} else {
		in := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
		for {
			value, err := in.ReadValue()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, false
			}
			values = append(values, value.Clone())
		}
	}
	var out []string
	for _, value := range values {
		if value.Kind() != jsontext.KindBeginObject {
			return nil, false
		}
		out = append(out, string(value))
	}
	return out, true
}

// FuzzElements checks that what is taken is JSON, all of it, and cut in the
// right places.
func FuzzElements(f *testing.F) {
	for _, in := range []string{
		"", " ", "\ufeff[]", "[]", "[ ]", "[{}]", "[{},{}]", "[{} , {}\n]\t", "{}{}", "{}\n{}\r\n", "[{}", "[{},", "[{},]", "[,{}]", "[{}{}]",
		"[]x", "[][]", "{}x", "{},{}", "x", "1", "null", `"{}"`, "[1]", "[[{}]]", "[null]", "{", "[", "]", "}", `{"a":"}"}`, `{"a":"\"}"}`,
		`{"a":"\\"}{"b":"\\\""}`, `{"a":"\\\\\"}`, `{"a":[{"b":[]},{}]}`, `{"a":[}}`, `{"a":{]}`, `{"a":1}]`, `{"a":tru}`, `{"a":"`, `{"a":"\`,
		"{\"a\":\"\xff\"}", "{\"a\":\"\x00\"}", "\x00{}", "{}\x00", "[{}\x00]", `{"a":"\ud800"}`, `{"a":1,"a":2}`, "\ufeff\ufeff{}", "{}\ufeff{}",
		`{"a":-01}`, `{'a':1}`, `{"a" 1}`, "/**/{}", `{"a":1e}`,
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Count(in, []byte("["))+bytes.Count(in, []byte("{")) >= 10_000 || len(in) > event.MaxSize {
			t.Skip("beyond limits that are not the same")
		}
		got, ok := split(in)
		want, wantOK := slowSplit(in)
		if ok != wantOK || ok && strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Fatalf("%q: %q, %v, want %q, %v", in, got, ok, want, wantOK)
		}
	})
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

package event

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
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
	}
}

// unusual are texts that it must leave to the tokenizer, valid or not.
func unusual() []string {
	return []string{
		``, ` `, `null`, `[]`, `{`, `}`, `{"`, `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a" 1}`,
		`{"a":1 "b":2}`, `{"a":01}`, `{"a":-}`, `{"a":1.5}`, `{"a":1e3}`, `{"a":+1}`, `{"a":nul}`, `{"a":"b\"c"}`, `{"a\u0062":1}`,
		"{\"a\":\"b\nc\"}", "{\"a\":\"b\x00\"}", "{\"a\":\"\xff\"}", `{"event_id":"a","event_id":"a"}`, `{}{}`, `{} x`,
		`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "\ufeff{}", `{"a":[1,]}`, `{"a":{1:2}}`, `{"a":[1}}`,
	}
}

func TestScanTakesOrdinaryTexts(t *testing.T) {
	t.Parallel()
	for _, text := range ordinary() {
		var raw [fieldCount]jsontext.Value
		if !scan([]byte(text), &raw) {
			t.Errorf("left to the tokenizer: %s", text)
		}
		compareScan(t, []byte(text))
	}
}

func TestScanLeavesUnusualTexts(t *testing.T) {
	t.Parallel()
	for _, text := range unusual() {
		var raw [fieldCount]jsontext.Value
		if scan([]byte(text), &raw) {
			t.Errorf("taken: %q", text)
		}
	}
}

// compareScan fails the test if the scanner takes a text that the tokenizer
// refuses, or reads other values out of it.
func compareScan(t *testing.T, data []byte) {
	t.Helper()
	var fast, slow [fieldCount]jsontext.Value
	if !scan(data, &fast) {
		return
	}
	if rej := ReadMembers(data, slow[:], fieldIndex); rej != nil {
		t.Fatalf("%q is taken, but it is %v", data, rej)
	}
	for f := range fast {
		if (fast[f] == nil) != (slow[f] == nil) || string(fast[f]) != string(slow[f]) {
			t.Fatalf("%q: %s is %q, want %q", data, field(f), fast[f], slow[f])
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

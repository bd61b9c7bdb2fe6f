package enrich

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

// entry returns the entry of the texts as they are compared here.
func entry(field, value string, length int) wiseEntry {
	return wiseEntry{field: field, value: value, len: length, hasLen: true}
}

func TestParseWise(t *testing.T) {
	t.Parallel()
	bad := entry("foo.bar", "Bad Host", 20)
	for _, tt := range []struct {
		name, text string
		want       []wiseEntry
	}{
		{"no hit", `[]`, nil},
		{"blanks", " \r\n\t[ ]\n", nil},
		{"byte order mark", "\uFEFF[]", nil},
		{
			"as Wise writes it", `[{field: "foo.bar", len: 20, value: "Bad Host"},` + "\n" + `{field: "id", len: 4, value: "abc"}]`,
			[]wiseEntry{bad, entry("id", "abc", 4)},
		},
		{"JSON", `[{"field":"foo.bar","len":20,"value":"Bad Host"}]`, []wiseEntry{bad}},
		{"single quotes", `[{'field':'foo.bar',len:20,'value':'Bad Host'}]`, []wiseEntry{bad}},
		{"no blanks", `[{field:"foo.bar",len:20,value:"Bad Host"}]`, []wiseEntry{bad}},
		{"another order", `[{value:"Bad Host",len:20,field:"foo.bar"}]`, []wiseEntry{bad}},
		{"commas", `[,{field:"foo.bar",len:20,value:"Bad Host",},]`, []wiseEntry{bad}},
		{"no commas", `[{field:"foo.bar" len:20 value:"Bad Host"}{field:"foo.bar" len:20 value:"Bad Host"}]`, []wiseEntry{bad, bad}},
		{"semicolon", `[{field:"foo.bar",len:20,value:"Bad Host"}];`, []wiseEntry{bad}},
		{"other keys", `[{field:"foo.bar",x:{y:[1,{z:"]"}],field:"no"},len:20,$_9:null,value:"Bad Host"}]`, []wiseEntry{bad}},
		{"given twice", `[{field:"a",field:"foo.bar",len:20,value:"Bad Host"}]`, []wiseEntry{bad}},
		{"key inside a value, E4", `[{field: "foo.bar", len: 31, value: "Bad Host, see field: x"}]`, []wiseEntry{entry("foo.bar", "Bad Host, see field: x", 31)}},
		{
			"all keys inside values", `[{field: "len: 1, value: 2", len: 31, value: "{field: \"x\", value: [len:]}"}]`,
			[]wiseEntry{entry("len: 1, value: 2", `{field: "x", value: [len:]}`, 31)},
		},
		{"the other quote", `[{field: "it's", len: 5, value: 'say "hi"'}]`, []wiseEntry{entry("it's", `say "hi"`, 5)}},
		{
			"escapes", `[{field: "\b\f\n\r\t\v\0\\\/\"\'", len: 5, value: "\x41\u0042\u{43}\uD83D\uDE00\q"}]`,
			[]wiseEntry{entry("\b\f\n\r\t\v\x00\\/\"'", "ABC😀q", 5)},
		},
		{
			"bad escapes", `[{field: "\x4\u12\u{}\u{110000}", len: 5, value: "\uD83D\u0041\uDE00"}]`,
			[]wiseEntry{entry("x4u12u{}u{110000}", "\uFFFDA\uFFFD", 5)},
		},
		{"lines", "[{field: \"a\\\nb\\\r\nc\\\u2028d\", len: 5, value: \"x\ny\"}]", []wiseEntry{entry("abcd", "x\ny", 5)}},
		{"bare values", `[{field: tags, len: 0x10, value: 17}]`, []wiseEntry{{field: "tags", value: "17"}}},
		{"nothing", `[{field: null, len: undefined, value: "null"}, {}]`, []wiseEntry{{value: "null"}, {}}},
		{"len as a text", `[{field:"a",len:"7",value:"b"}]`, []wiseEntry{entry("a", "b", 7)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := parseWise(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(wiseEntry{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseWiseErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{``, `the answer ends at byte 0 where a list is expected`},
		{`null`, `'n' at byte 0 where a list is expected`},
		{`<html>`, `'<' at byte 0 where a list is expected`},
		{`{field:"a"}`, `'{' at byte 0 where a list is expected`},
		{`["a"]`, `'"' at byte 1 where an object is expected`},
		{`[`, `the answer ends at byte 1 where an object is expected`},
		{`[{`, `the answer ends at byte 2 where a key is expected`},
		{`[{field`, `the answer ends at byte 7 where a colon is expected`},
		{`[{field "a"}]`, `'"' at byte 8 where a colon is expected`},
		{`[{field:}]`, `'}' at byte 8 where a value is expected`},
		{`[{field:"a]`, `the string at byte 8 is not closed`},
		{`[{field:'a\`, `the string at byte 8 is not closed`},
		{`[{field:"a"}`, `the answer ends at byte 12 where an object is expected`},
		{`[] x`, `'x' at byte 3 where the end is expected`},
		{"[]\x00", `'\x00' at byte 2 where the end is expected`},
		{`[{x:` + strings.Repeat("[", 100), `the answer is nested too deep at byte 68`},
	} {
		if _, err := parseWise(tt.text); err == nil || err.Error() != tt.want {
			t.Errorf("%q: got %v, want %s", tt.text, err, tt.want)
		}
	}
}

// FuzzWise checks that no answer does harm, and that an answer in JSON is read
// like JSON.
func FuzzWise(f *testing.F) {
	f.Add(`[{field: "foo.bar", len: 20, value: "Bad Host"},{field: "id", len: 4, value: "abc"}]`)
	f.Add(`[{"field":"a","len":5,"value":"\ud83d\ude00\u0000\"\\"},{"x":[{}],"len":null}]`)
	f.Add(`[{field: 'it\'s', len: 5, value: "\x41\u{42}field:"}];`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseWise(text)
		var list []struct {
			Field string  `json:"field"`
			Value string  `json:"value"`
			Len   *uint16 `json:"len"`
		}
		if json.Unmarshal([]byte(text), &list) != nil || text[0] == 'n' || strings.Contains(text, "null") {
			return // a null element is no object here
		}
		if err != nil {
			if strings.Contains(err.Error(), "too deep") {
				return
			}
			t.Fatalf("%q: %v", text, err)
		}
		want := make([]wiseEntry, 0, len(list))
		for _, e := range list {
			w := wiseEntry{field: e.Field, value: e.Value, hasLen: e.Len != nil}
			if w.hasLen {
				w.len = int(*e.Len)
			}
			want = append(want, w)
		}
		if diff := cmp.Diff(want, append([]wiseEntry{}, got...), cmp.AllowUnexported(wiseEntry{})); diff != "" {
			t.Errorf("%q: -want +got:\n%s", text, diff)
		}
	})
}

package jsonfile_test

import (
	"strings"
	"testing"

	"dsiem/internal/jsonfile"
)

// problems returns what reading a file of a list "items" reports, a line each.
func problems(content string) string {
	var report jsonfile.Report
	jsonfile.NewFile("f", []byte(content)).Each(&report, "items", func(int, *jsonfile.Value) {})
	report.Sort()
	var lines []string
	for i := range report.Problems {
		lines = append(lines, report.Problems[i].Error())
	}
	return strings.Join(lines, "\n")
}

func TestEachChecksTheRoot(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{"items": []}`, ""},
		{` [] `, `f:1:2: the file must hold an object like {"items": [...]}, not a list`},
		{`"x"`, `f:1:1: the file must hold an object like {"items": [...]}, not a string`},
		{`true`, `f:1:1: the file must hold an object like {"items": [...]}, not true`},
		{`{}`, `f:1:1: the list "items" is missing; write {"items": [...]}`},
		{`{"Items": []}`, "f:1:1: the list \"items\" is missing; write {\"items\": [...]}\nf:1:2: warning: unknown key \"Items\" is ignored; only \"items\" is read here [unknown-key]"},
		{"{\n\"items\": null}", `f:2:10: "items" must be a list, not null`},
		{`{"items": {"a": 1}}`, `f:1:11: "items" must be a list, not an object`},
		{"{\"items\": [],\n\"items\": [1]}", `f:2:1: "items" is given twice, first on line 1; merge the two lists`},
		{"{\"v\": 1, \"items\": [],\n\"v\": 2}", "f:1:2: warning: unknown key \"v\" is ignored; only \"items\" is read here [unknown-key]\nf:2:1: key \"v\" is given twice, first on line 1; remove one"},
		{`tru`, "f:1:4: not valid JSON: the file ends too early"},
	} {
		if got := problems(c.in); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestSyntaxErrorsPointAtTheMistake(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty file", "", `f:1:1: the file is empty; the file must hold an object like {"items": [...]}`},
		{"blank file", " \n\t\r\n", `f:1:1: the file is empty; the file must hold an object like {"items": [...]}`},
		{"byte order mark", "\uFEFF{\"items\": []}", "f:1:1: not valid JSON: the file starts with a byte order mark; save it as UTF-8 without one"},
		{"UTF-16, little end", "\xff\xfe{\x00\"\x00", "f:1:1: not valid JSON: the file is UTF-16; save it as UTF-8"},
		{"UTF-16, big end", "\xfe\xff\x00{\x00\"", "f:1:1: not valid JSON: the file is UTF-16; save it as UTF-8"},
		{"UTF-16 without mark", "{\x00\"\x00i\x00", "f:1:1: not valid JSON: the file is UTF-16; save it as UTF-8"},
		{"Latin-1", "{\"items\": [\n \"caf\xe9\"]}", "f:2:6: not valid JSON: the byte 0xe9 is not UTF-8; save the file as UTF-8"},
		{"Latin-1 outside a string", "{\"items\": [\xe9]}", "f:1:12: not valid JSON: \"\\xe9\" is not expected here"},

		{"missing comma between lines", "{\"items\": [{\"a\": 1\n  \"b\": 2}]}", "f:2:3: not valid JSON: a comma is missing before this, at the end of line 1"},
		{"missing comma after a string", `{"items": [{"a": "x" "b": 2}]}`, "f:1:22: not valid JSON: a comma is missing before this"},
		{"missing comma between objects", "{\"items\": [{}\n\n{}]}", "f:3:1: not valid JSON: a comma is missing before this, at the end of line 1"},
		{"missing comma between numbers", `{"items": [1 2]}`, "f:1:14: not valid JSON: a comma is missing before this"},
		{"missing comma before a literal", `{"items": [1 true]}`, "f:1:14: not valid JSON: a comma is missing before this"},
		{"missing comma between members", `{"items": [] "x": 1}`, "f:1:14: not valid JSON: a comma is missing before this"},
		{"semicolon", `{"items": [1; 2]}`, `f:1:13: not valid JSON: ";" is not expected here`},

		{"trailing comma in a list", "{\"items\": [1,\n]}", `f:1:13: not valid JSON: there is a comma before the closing ']'; remove it`},
		{"trailing comma in an object", "{\"items\": [{\"a\": 1, \n }]}", `f:1:19: not valid JSON: there is a comma before the closing '}'; remove it`},
		{"trailing comma in the root", `{"items": [],}`, `f:1:13: not valid JSON: there is a comma before the closing '}'; remove it`},
		{"two commas", `{"items": [1,,2]}`, "f:1:14: not valid JSON: there is a comma too many; remove it"},
		{"leading comma", `{"items": [,1]}`, "f:1:12: not valid JSON: there is a comma too many; remove it"},
		{"only a comma", `{"items": [,]}`, `f:1:12: not valid JSON: there is a comma before the closing ']'; remove it`},
		{"only a comma in an object", `{,}`, `f:1:2: not valid JSON: there is a comma before the closing '}'; remove it`},

		{"unclosed string", "{\"items\": [{\"a\": \"x,\n\"b\": 1}]}", "f:1:18: not valid JSON: this string is not closed on line 1; add the closing quote"},
		{"unclosed string, CRLF", "{\"items\": [\r\n{\"a\": \"x\r\n}]}", "f:2:7: not valid JSON: this string is not closed on line 2; add the closing quote"},
		{"unclosed string at the end", `{"items": ["x]}`, "f:1:12: not valid JSON: this string is not closed; add the closing quote"},
		{"unclosed key", "{\"items: []}", "f:1:2: not valid JSON: this string is not closed; add the closing quote"},
		{"unopened string", `{"items": [{"a": x"}]}`, `f:1:18: not valid JSON: "x" is not a value; put a text in double quotes`},
		{"tab in a string", "{\"items\": [\"a\tb\"]}", `f:1:14: not valid JSON: a tab cannot stand in a string; write "\t"`},
		{"control character", "{\"items\": [\"a\x01b\"]}", `f:1:14: not valid JSON: a control character cannot stand in a string; write "\u0001"`},
		{"bad escape", `{"items": ["C:\dir"]}`, `f:1:15: not valid JSON: "\d" is not an escape; write "\\" for a backslash`},
		{"bad escape before a non-ASCII character", `{"items": ["\ä"]}`, `f:1:13: not valid JSON: "\ä" is not an escape; write "\\" for a backslash`},
		{"bad \\u escape", `{"items": ["\u12zz"]}`, `f:1:13: not valid JSON: "\u" must be followed by four hexadecimal digits that make a character`},
		{"half a surrogate", `{"items": ["\ud800"]}`, `f:1:13: not valid JSON: "\u" must be followed by four hexadecimal digits that make a character`},
		{"escape after good ones", `{"items": ["\n\u0041\q"]}`, `f:1:21: not valid JSON: "\q" is not an escape; write "\\" for a backslash`},

		{"line comment", "{\"items\": [ // none\n]}", "f:1:13: not valid JSON: comments are not allowed; remove it"},
		{"block comment", "{\"items\": [] /* none */}", "f:1:14: not valid JSON: comments are not allowed; remove it"},
		{"comment at the start", "# items\n{}", "f:1:1: not valid JSON: comments are not allowed; remove it"},
		{"comment at the end", "{\"items\": []} // x", "f:1:15: not valid JSON: comments are not allowed; remove it"},

		{"single quotes", `{"items": ['x']}`, "f:1:12: not valid JSON: single quotes are not allowed; use double quotes"},
		{"key in single quotes", `{'items': []}`, "f:1:2: not valid JSON: single quotes are not allowed; use double quotes"},
		{"key without quotes", `{items: []}`, "f:1:2: not valid JSON: a key in double quotes is expected here"},
		{"number as key", `{1: []}`, "f:1:2: not valid JSON: a key in double quotes is expected here"},
		{"missing colon", `{"items" []}`, `f:1:10: not valid JSON: a colon is missing after the key "items"`},
		{"equals sign", `{"items" = []}`, `f:1:10: not valid JSON: a colon is missing after the key "items"`},
		{"key without value", `{"items": [{"a"}]}`, `f:1:16: not valid JSON: the key "a" has no value`},
		{"key, comma", `{"items": [{"a", "b": 1}]}`, `f:1:16: not valid JSON: the key "a" has no value`},
		{"value missing", `{"items": [{"a": }]}`, `f:1:18: not valid JSON: a value is missing before the closing '}'`},
		{"value missing before comma", `{"items": [{"a": , "b": 1}]}`, "f:1:18: not valid JSON: a value is missing before this comma"},

		{"capital literal", `{"items": [True]}`, "f:1:12: not valid JSON: True must be written true"},
		{"cut literal", `{"items": [tru]}`, `f:1:12: not valid JSON: "tru" is not a value; put a text in double quotes`},
		{"longer literal", `{"items": [truest]}`, `f:1:12: not valid JSON: "truest" is not a value; put a text in double quotes`},
		{"None", `{"items": [None]}`, `f:1:12: not valid JSON: "None" is not a value; put a text in double quotes`},
		{"text without quotes", `{"items": [{"from": HOME_NET}]}`, `f:1:21: not valid JSON: "HOME_NET" is not a value; put a text in double quotes`},
		{"address without quotes", `{"items": [{"from": 10.0.0.1}]}`, `f:1:21: not valid JSON: "10.0.0.1" is not a number; write digits without a leading 0 or +, or put a text in double quotes`},
		{"leading zero", `{"items": [01]}`, `f:1:12: not valid JSON: "01" is not a number; write digits without a leading 0 or +, or put a text in double quotes`},
		{"plus sign", `{"items": [+1]}`, `f:1:12: not valid JSON: "+1" is not a number; write digits without a leading 0 or +, or put a text in double quotes`},
		{"hexadecimal", `{"items": [0x1F]}`, `f:1:12: not valid JSON: "0x1F" is not a number; write digits without a leading 0 or +, or put a text in double quotes`},
		{"point without digits", `{"items": [1.]}`, `f:1:12: not valid JSON: "1." is not a number; write digits without a leading 0 or +, or put a text in double quotes`},
		{"non-ASCII word", `{"items": [ä]}`, `f:1:12: not valid JSON: "ä" is not a value; put a text in double quotes`},
		{"curly quotes", `{"items": [“x”]}`, `f:1:12: not valid JSON: "“" is not expected here`},

		{"brace closed by bracket", "{\"items\": [\n{\"a\": 1]}", `f:2:8: not valid JSON: ']' does not close the '{' of line 2`},
		{"bracket closed by brace", `{"items": [{"a": 1}}`, `f:1:20: not valid JSON: '}' does not close the '[' of line 1`},
		{"missing closing brace", "{\"items\": [\n  {\"a\": 1,\n  {\"a\": 2}\n]}", "f:3:3: not valid JSON: a key in double quotes is expected here; is a closing brace missing before it?"},
		{"bracket too many", `{"items": []]}`, `f:1:13: not valid JSON: ']' does not close the '{' of line 1`},
		{"brace too many", `{"items": []}}`, "f:1:14: not valid JSON: something follows the end of the JSON value; remove it"},
		{"comma after the root", `{"items": []},`, "f:1:14: not valid JSON: something follows the end of the JSON value; remove it"},
		{"second root", `{"items": []} {"items": []}`, "f:1:15: something follows the end of the JSON value; remove it"},
		{"text after the root", `{"items": []} x`, "f:1:15: not valid JSON: something follows the end of the JSON value; remove it"},
		{"closing bracket first", `]`, `f:1:1: not valid JSON: there is nothing to close with ']'`},
		{"end of file in an object", "{\"items\": [\n{\"a\": 1\n", `f:2:8: not valid JSON: the file ends, but the '{' of line 2 is not closed`},
		{"end of file in a list", "{\"items\": [1,\n\n\n", `f:1:14: not valid JSON: the file ends, but the '[' of line 1 is not closed`},
		{"end of file in the root", `{"items": []`, `f:1:13: not valid JSON: the file ends, but the '{' of line 1 is not closed`},
		{"end of file after a key", `{"items":`, `f:1:10: not valid JSON: the file ends, but the '{' of line 1 is not closed`},
		{"end of file in a literal", `{"items": [tr`, `f:1:14: not valid JSON: the file ends, but the '[' of line 1 is not closed`},
		{"end of file in a number", `{"items": [-`, `f:1:12: not valid JSON: "-" is not a number; write digits without a leading 0 or +, or put a text in double quotes`},
		{"nested too deep", `{"items": ` + strings.Repeat("[", 20000), "f:1:10010: not valid JSON: this is nested too deep"},

		{"column in characters", "{\"items\": [\n\t{\"ä€😀\": x}]}", `f:2:10: not valid JSON: "x" is not a value; put a text in double quotes`},
		{"in a key that is not read", `{"items": [], "other": [1 2]}`, "f:1:15: warning: unknown key \"other\" is ignored; only \"items\" is read here [unknown-key]\nf:1:27: not valid JSON: a comma is missing before this"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := problems(c.in); got != c.want {
				t.Errorf("%.200q:\ngot  %s\nwant %s", c.in, got, c.want)
			}
		})
	}
}

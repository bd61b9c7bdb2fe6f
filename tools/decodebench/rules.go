package main

import (
	"fmt"
	"io"
	"strings"
)

// rule is a rule of acceptance (spec/correlation.md §1 with its decisions), and
// texts that show whether a decoder holds it by itself.
type rule struct {
	name  string
	texts []example
}

// example is a text that a decoder must refuse or, if want is set, take with what
// want looks for.
type example struct {
	in   string
	want func(doc *document) bool
}

func rules() []rule {
	anything := func(*document) bool { return true }
	refuse := func(values ...string) (all []example) {
		for _, value := range values {
			all = append(all, example{in: with(value)})
		}
		return all
	}
	deep := func(depth int) string { return `"x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	return []rule{
		{"a known key given twice is refused", refuse(`"src_port":1,"src_port":1`, `"title":null,"title":"x"`, `"title":"a","\u0074itle":"b"`)},
		{"ignored keys may be given twice", []example{{with(`"x":1,"x":2,"y":{"a":1,"a":2}`), anything}}},
		{"keys are case-sensitive", []example{
			{with(`"TITLE":"x","Src_Port":5`), func(doc *document) bool { return doc.Title == "" && doc.SrcPort == 0 }},
			{with(`"title":"x","TITLE":"y"`), func(doc *document) bool { return doc.Title == "x" }},
		}},
		{"text that is not UTF-8 is refused", refuse("\"title\":\"\xff\"", "\"title\":\"\xed\xa0\x80\"", "\"x\":\"\xc3\x28\"", "\"\xff\":1")},
		{"lone surrogates are refused", refuse(`"title":"\ud800"`, `"title":"\udc00x"`, `"x":"\ud800"`)},
		{"a number that its field cannot hold is refused", refuse(
			`"src_port":65536`, `"conn_id":18446744073709551616`, `"conn_id":-1`, `"rcvd_time":9223372036854775808`)},
		{"a number with fraction, exponent or -0 is refused", refuse(`"src_port":80.0`, `"src_port":1e3`, `"conn_id":1e18`, `"src_port":-0`)},
		{"large integers are exact", []example{
			{with(`"event_id":"x","conn_id":18446744073709551615`), func(doc *document) bool { return doc.EventID == "x" }},
			{`{` + required + `,"plugin_id":1,"plugin_sid":9007199254740993}`, func(doc *document) bool { return doc.PluginSID == 9007199254740993 }},
		}},
		{"a value of another type is refused", refuse(`"title":5`, `"title":{}`, `"src_port":"80"`, `"src_port":true`, `"conn_id":[1]`)},
		{"null is as absent", []example{{with(`"title":null,"src_port":null`), func(doc *document) bool { return doc.Title == "" && doc.SrcPort == 0 }}}},
		{"numbers as in JSON", refuse(`"src_port":080`, `"src_port":+80`, `"src_port":0x50`, `"src_port":NaN`, `"x":01`, `"x":1.`, `"x":-`)},
		{"strings as in JSON", refuse("\"title\":\"a\nb\"", "\"title\":\"\x00\"", `"title":"\x41"`, `"title":"\u00g1"`, "\"x\":\"\t\"", `"x":"\'"`)},
		{"ignored values are well-formed", refuse(`"x":{"a":}`, `"x":[1,]`, `"x":{a:1}`, `"x":nul`, `"x":[1}`, `"x":/**/1`)},
		{"text after the object is refused", []example{{in: with(`"x":1`) + "x"}, {in: with(`"x":1`) + "{}"}, {in: with(`"x":1`) + ","}, {in: with(`"x":1`) + "\x00"}}},
		{"what is no object is refused", []example{{in: ``}, {in: ` `}, {in: `null`}, {in: `[` + with(`"x":1`) + `]`}, {in: `"x"`}, {in: "\ufeff" + with(`"x":1`)}}},
		{"nesting: 9,000 levels pass, 10,001 do not", []example{{with(deep(9_000)), anything}, {in: with(deep(10_001))}}},
		{"escapes and unicode are read", []example{{
			with(`"title":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀"`),
			func(doc *document) bool { return doc.Title == "\"\\/\b\f\n\r\té😀é😀" },
		}, {with(`"t\u0069tle":"x"`), func(doc *document) bool { return doc.Title == "x" }}}},
	}
}

const required = `"timestamp":"2023-01-01T00:00:00Z","src_ip":"10.0.0.1","dst_ip":"10.0.0.2"`

// with returns an event with more members. A decoder that reads only the half of
// it finds an event, too.
func with(members string) string {
	return `{` + required + `,"plugin_id":1001,"plugin_sid":50001,` + members + `}`
}

// verdict says how a decoder holds a rule: "yes", or in how many of the examples
// it does not.
func (r rule) verdict(c *candidate) string {
	broken := 0
	for _, e := range r.texts {
		var doc document
		err := c.decode([]byte(e.in), &doc)
		if (err == nil) != (e.want != nil) || err == nil && !e.want(&doc) {
			broken++
		}
	}
	if broken == 0 {
		return "yes"
	}
	return fmt.Sprintf("**no** (%d of %d)", broken, len(r.texts))
}

// writeRules writes the table of rules and candidates in Markdown.
func writeRules(w io.Writer, all []candidate) {
	fmt.Fprint(w, "| Rule |")
	for _, c := range all {
		fmt.Fprintf(w, " %s |", c.name)
	}
	fmt.Fprintln(w, "\n|---|"+strings.Repeat("---|", len(all)))
	for _, r := range rules() {
		fmt.Fprintf(w, "| %s |", r.name)
		for i := range all {
			fmt.Fprintf(w, " %s |", r.verdict(&all[i]))
		}
		fmt.Fprintln(w)
	}
}

package jsonfile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"dsiem/internal/jsonfile"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// content returns what encoding/json, told to keep numbers, makes of a value.
func content(v *jsonfile.Value) any {
	switch v.Kind {
	case jsonfile.Bool:
		return v.Text == "true"
	case jsonfile.Number:
		return json.Number(v.Text)
	case jsonfile.String:
		return v.Text
	case jsonfile.Array:
		list := []any{}
		for i := range v.Elems {
			list = append(list, content(&v.Elems[i]))
		}
		return list
	case jsonfile.Object:
		object := map[string]any{}
		for i := range v.Members {
			object[v.Members[i].Name] = content(&v.Members[i].Value)
		}
		return object
	case jsonfile.Null:
	}
	return nil
}

// decode returns the JSON value with which a text starts.
func decode(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// checkPlaces checks that the text at each value's offset is that value.
func checkPlaces(text string, v *jsonfile.Value) error {
	at, err := decode(text[v.Offset:])
	if err != nil {
		return err
	}
	if diff := cmp.Diff(at, content(v)); diff != "" {
		return fmt.Errorf("offset %d: %s", v.Offset, diff)
	}
	if v.Kind == jsonfile.String {
		for i := range len(v.Text) {
			if at := v.At(i); text[at] != v.Text[i] && at != v.Offset {
				return fmt.Errorf("byte %d of the string at %d is not at %d", i, v.Offset, at)
			}
		}
	}
	for i := range v.Elems {
		if err := checkPlaces(text, &v.Elems[i]); err != nil {
			return err
		}
	}
	for i := range v.Members {
		m := &v.Members[i]
		name, err := decode(text[m.Offset:])
		if err != nil {
			return err
		}
		if name != m.Name {
			return fmt.Errorf("offset %d of key %q: %v", m.Offset, m.Name, name)
		}
		if err := checkPlaces(text, &m.Value); err != nil {
			return err
		}
	}
	return nil
}

// aJSON generates JSON texts, with blanks, escapes and equal keys.
func aJSON(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		blank := func() string { return rapid.StringOfN(rapid.SampledFrom([]rune(" \t\r\n")), 0, 2, -1).Draw(t, "blank") }
		text := func() string { return aString().Draw(t, "string") }
		kinds := 4
		if depth > 0 {
			kinds = 6
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return rapid.SampledFrom([]string{"null", "true", "false"}).Draw(t, "literal")
		case 1:
			return rapid.SampledFrom([]string{"0", "-0", "1", "-1.5e+3", "18446744073709551616", "1E-2"}).Draw(t, "number")
		case 2, 3:
			return text()
		case 4:
			parts := rapid.SliceOfN(aJSON(depth-1), 0, 4).Draw(t, "elements")
			for i := range parts {
				parts[i] = blank() + parts[i] + blank()
			}
			return "[" + strings.Join(parts, ",") + blank() + "]"
		default:
			parts := rapid.SliceOfN(aJSON(depth-1), 0, 4).Draw(t, "values")
			for i := range parts {
				parts[i] = blank() + text() + blank() + ":" + blank() + parts[i]
			}
			return "{" + strings.Join(parts, blank()+",") + blank() + "}"
		}
	})
}

// aString generates quoted strings; short ones often, so that keys meet.
func aString() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{`""`, `"a"`, `"b"`, `"\u0061"`, `"\ud83d\ude00"`, `"\\\"\/\b\f\n\r\t"`, `"ä€😀"`}),
		rapid.Custom(func(t *rapid.T) string {
			quoted, err := json.Marshal(strings.ToValidUTF8(rapid.String().Draw(t, "text"), "?"))
			if err != nil {
				t.Fatal(err)
			}
			return string(quoted)
		}),
	)
}

func TestEachAgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		elements := rapid.SliceOfN(aJSON(3), 0, 4).Draw(t, "elements")
		text := "\n {\"other\": {\"items\": [1]},\t\"items\" :[" + strings.Join(elements, " ,") + "] ,\"more\":[]}\r\n"
		var report jsonfile.Report
		n := 0
		ok := jsonfile.NewFile("f", []byte(text)).Each(&report, "items", func(i int, v *jsonfile.Value) {
			want, err := decode(elements[i])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, content(v)); diff != "" {
				t.Fatalf("element %d of %s: %s", i, text, diff)
			}
			if err := checkPlaces(text, v); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			n++
		})
		if !ok || n != len(elements) || report.Count(jsonfile.Error) != 0 || report.Count(jsonfile.Warning) != 2 {
			t.Fatalf("%s: %v, %d elements, %v", text, ok, n, report.Problems)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[1, "a", {"b": [null, true]}]`, "[\"\\u00e4\xff\"]", `[{"a":1,"a":2}] x`, `[1 2]`, "\uFEFF[]", `["\ud800"]`, `[[[[`, `{"items":[]}`,
		"[tru", `[1.`, `["a`, `[{"a`, `[{"a":`, `[{"a":1,`, `[//`, `[']`, "[\"\\", "[\"\\u12", "]", `[1,]`, `[}`, `[{]`, "\xff\xfe[", "[\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			t.Skip("checking every place takes time in the square of the size")
		}
		text := string(data)
		var report jsonfile.Report
		file := jsonfile.NewFile("f", data)
		got := []any{}
		ok := file.EachElement(&report, func(_ int, v *jsonfile.Value) {
			got = append(got, content(v))
			if err := checkPlaces(text, v); err != nil {
				t.Error(err)
			}
		})
		if ok != (len(report.Problems) == 0) {
			t.Fatalf("%v with problems %v", ok, report.Problems)
		}
		isList := json.Valid(data) && bytes.HasPrefix(bytes.TrimSpace(data), []byte("["))
		if ok && !isList || !ok && isList && utf8.Valid(data) && !bytes.Contains(data, []byte(`\u`)) {
			t.Fatalf("ok is %v: %v", ok, report.Problems)
		}
		if ok {
			if want, err := decode(text); err != nil || !cmp.Equal(want, any(got)) {
				t.Errorf("%v: %s", err, cmp.Diff(want, any(got)))
			}
		}
		for i := range report.Problems {
			checkProblem(t, text, &report.Problems[i])
		}
		file.Each(&report, "items", func(int, *jsonfile.Value) {})
	})
}

// checkProblem checks that a problem can be shown and stands inside the text.
func checkProblem(t *testing.T, text string, p *jsonfile.Problem) {
	t.Helper()
	lines := strings.Split(text, "\n")
	if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len(lines[p.Line-1])+1 {
		t.Errorf("%s is outside the text", p.Error())
	}
	var b strings.Builder
	if err := p.Write(&b); err != nil {
		t.Error(err)
	}
	if !utf8.ValidString(b.String()) || p.Caret > utf8.RuneCountInString(p.Source) || len(b.String()) > 2000 {
		t.Errorf("%q", b.String())
	}
}

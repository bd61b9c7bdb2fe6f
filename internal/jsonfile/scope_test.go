package jsonfile_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"dsiem/internal/jsonfile"

	"github.com/google/go-cmp/cmp"
)

// scope reads an object with read, and returns what it reports, without file
// and line, a line each.
func scope(t *testing.T, object string, lax bool, read func(s *jsonfile.Scope)) string {
	t.Helper()
	var report jsonfile.Report
	file := jsonfile.NewFile("f", []byte("["+object+"]"))
	ok := file.EachElement(&report, func(_ int, v *jsonfile.Value) {
		s := &jsonfile.Scope{File: file, Report: &report, Object: v, Where: "thing 1", Lax: lax}
		read(s)
		if s.Failed() != (report.Count(jsonfile.Error) > 0) {
			t.Errorf("%s: Failed is %v", object, s.Failed())
		}
	})
	if !ok {
		t.Fatal(report.Problems)
	}
	report.Sort()
	var lines []string
	for i := range report.Problems {
		lines = append(lines, strings.TrimPrefix(report.Problems[i].Error(), "f:1:"))
	}
	return strings.Join(lines, "\n")
}

func TestScopeUint(t *testing.T) {
	small, large, long := jsonfile.Range{Min: 1, Max: 5}, jsonfile.Range{Min: 1, Max: math.MaxUint64}, strings.Repeat("1", 100)
	for _, c := range []struct {
		value    string
		in       jsonfile.Range
		lax      bool
		want     uint64
		problems string
	}{
		{"1", small, false, 1, ""},
		{"5", small, false, 5, ""},
		{"0", small, false, 0, "7: thing 1, n: 0 is not a whole number from 1 to 5"},
		{"6", small, false, 0, "7: thing 1, n: 6 is not a whole number from 1 to 5"},
		{"0", small, true, 0, ""},
		{"6", small, true, 6, ""},
		{"-1", small, true, 0, "7: thing 1, n: -1 is not a whole number from 1 to 5"},
		{"1.0", small, false, 0, "7: thing 1, n: 1.0 is not a whole number from 1 to 5"},
		{"1e0", small, false, 0, "7: thing 1, n: 1e0 is not a whole number from 1 to 5"},
		{"-0", small, false, 0, "7: thing 1, n: -0 is not a whole number from 1 to 5"},
		{"18446744073709551616", small, false, 0, "7: thing 1, n: 18446744073709551616 is too large; at most 5 is possible"},
		{"18446744073709551615", large, false, math.MaxUint64, ""},
		{"18446744073709551616", large, false, 0, "7: thing 1, n: 18446744073709551616 is too large; at most 18446744073709551615 is possible"},
		{"18446744073709551616", large, true, 0, "7: thing 1, n: 18446744073709551616 is too large; at most 18446744073709551615 is possible"},
		{"0", large, false, 0, "7: thing 1, n: 0 is not a whole number of at least 1"},
		{long, large, false, 0, "7: thing 1, n: " + long[:80] + "… is too large; at most 18446744073709551615 is possible"},
		{`"5"`, small, false, 0, "7: thing 1, n: a number is required, not a string; write 5"},
		{`"five"`, small, false, 0, "7: thing 1, n: a number is required, not a string"},
		{"null", small, false, 0, "7: thing 1, n: a number is required, not null"},
		{"true", small, false, 0, "7: thing 1, n: a number is required, not true"},
		{"{}", small, false, 0, "7: thing 1, n: a number is required, not an object"},
		{"[5]", small, false, 0, "7: thing 1, n: a number is required, not a list"},
	} {
		problems := scope(t, `{"n":`+c.value+`}`, c.lax, func(s *jsonfile.Scope) {
			if got := s.Uint("n", c.in); got != c.want {
				t.Errorf("%s in %v: got %d", c.value, c.in, got)
			}
		})
		if problems != c.problems {
			t.Errorf("%s in %v:\ngot  %s\nwant %s", c.value, c.in, problems, c.problems)
		}
	}
}

func TestScopeReadsValuesOfEveryType(t *testing.T) {
	object := `{"text": "\u0061b", "empty": "", "yes": true, "no": false, "n": -5, "ids": [1, 2], "names": ["x", ""], "none": [], "parts": [{"a": 1}]}`
	problems := scope(t, object, false, func(s *jsonfile.Scope) {
		parts, list := s.Objects("parts", true)
		nothing, missing := s.Objects("missing", false)
		got := []any{
			s.String("text", true, "x"), s.String("missing", false, "fallback"), s.String("empty", true, "x"), s.NonEmpty("text"),
			s.Bool("yes"), s.Bool("no"), s.Bool("missing"), s.Int("n"), s.Int("missing"),
			s.Uints("ids", jsonfile.Range{Max: 9}), s.Uints("none", jsonfile.Range{}), s.Uints("missing", jsonfile.Range{}),
			s.Strings("names", true), s.Strings("none", true), s.Strings("missing", false),
			len(parts), len(list.Elems), nothing == nil, missing == nil, parts[0].Get("a").Text, parts[0].Get("b") == nil,
		}
		want := []any{
			"ab", "fallback", "", "ab", true, false, false, int64(-5), int64(0),
			[]uint64{1, 2},
			[]uint64(nil), []uint64(nil),
			[]string{"x", ""},
			[]string(nil), []string(nil),
			1, 1, true, true, "1", true,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	if problems != "" {
		t.Error(problems)
	}
}

func TestScopeReportsMissingAndWrongValues(t *testing.T) {
	problems := scope(t, `{"text": 5, "flag": "true", "odd": "yes", "n": 1.5, "ids": "1", "names": "x", "list": 7, "mixed": [1, "2", null, -1]}`, false, func(s *jsonfile.Scope) {
		s.String("text", false, "")
		s.Bool("flag")
		s.Bool("odd")
		s.Int("n")
		s.Uints("ids", jsonfile.Range{})
		s.Strings("names", true)
		s.Uints("list", jsonfile.Range{})
		s.Uints("mixed", jsonfile.Range{Max: math.MaxUint64})
		s.NonEmpty("missing")
		s.Objects("parts", true)
		s.Warnf(jsonfile.UnknownKey, s.Object.Offset, "", "just %s", "so")
	})
	want := strings.Join([]string{
		"2: thing 1, missing: the key is missing; a string is required",
		"2: thing 1, parts: the key is missing; a list of objects is required",
		"2: warning: thing 1: just so [unknown-key]",
		`11: thing 1, text: a string is required, not a number; write "5"`,
		"22: thing 1, flag: true or false is required, not a string; write true",
		"37: thing 1, odd: true or false is required, not a string",
		"49: thing 1, n: 1.5 is not a whole number",
		"61: thing 1, ids: a list of numbers is required, not a string",
		`75: thing 1, names: a list of strings is required, not a string; write ["x"]`,
		"88: thing 1, list: a list of numbers is required, not a number; write [7]",
		"104: thing 1, mixed: every element must be a number, not a string; write 2",
		"109: thing 1, mixed: every element must be a number, not null",
		"115: thing 1, mixed: -1 is not a whole number of at least 0",
	}, "\n")
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(problems, "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestScopeKeys(t *testing.T) {
	object := `{"name": 1, "Name": 1, "naem": 1, "other": 1, "other": 2, "name": 2, "other": 3, "plugin_Sid": 1, "` + strings.Repeat("x", 100) + `": 1}`
	problems := scope(t, object, false, func(s *jsonfile.Scope) { s.Keys([]string{"name", "plugin_id", "plugin_sid"}) })
	want := strings.Join([]string{
		`14: warning: thing 1: unknown key "Name" is ignored; did you mean "name"? [unknown-key]`,
		`25: warning: thing 1: unknown key "naem" is ignored; did you mean "name"? [unknown-key]`,
		`36: warning: thing 1: unknown key "other" is ignored [unknown-key]`,
		`48: thing 1: key "other" is given twice, first on line 1; remove one`,
		`60: thing 1: key "name" is given twice, first on line 1; remove one`,
		`71: thing 1: key "other" is given twice, first on line 1; remove one`,
		`83: warning: thing 1: unknown key "plugin_Sid" is ignored; did you mean "plugin_sid"? [unknown-key]`,
		`100: warning: thing 1: unknown key "` + strings.Repeat("x", 80) + `…" is ignored [unknown-key]`,
	}, "\n")
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(problems, "\n")); diff != "" {
		t.Error(diff)
	}
}

// An object with very many keys must not take time in the square of them.
func TestScopeKeysOfALargeObject(t *testing.T) {
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, `"k%d": 1, `, i)
	}
	n := strings.Count(scope(t, "{"+b.String()+`"x": 1}`, false, func(s *jsonfile.Scope) { s.Keys([]string{"x"}) }), "is ignored")
	if n != 20_000 {
		t.Errorf("%d warnings", n)
	}
}

func TestQuoteCutsLongTexts(t *testing.T) {
	for in, want := range map[string]string{
		"":                         `""`,
		"a\"b\n":                   `"a\"b\n"`,
		strings.Repeat("ä", 80):    `"` + strings.Repeat("ä", 80) + `"`,
		strings.Repeat("ä", 81):    `"` + strings.Repeat("ä", 80) + `…"`,
		strings.Repeat("\xff", 81): `"` + strings.Repeat(`\xff`, 80) + `…"`,
	} {
		if got := jsonfile.Quote(in); got != want {
			t.Errorf("%q: got %s", in, got)
		}
	}
}

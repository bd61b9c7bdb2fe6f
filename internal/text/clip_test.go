package text_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"dsiem/internal/text"
)

func TestClip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"", 0, ""},
		{"", 3, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc…"},
		{"abcd", 0, "…"},
		{"aéé", 5, "aéé"},
		{"aéé", 4, "aé…"},
		{"aéé", 3, "aé…"},
		{"aéé", 2, "a…"},
		{"𝄞𝄞", 7, "𝄞…"},
		{"𝄞", 3, "…"},
		{"a\xff\xfeb", 3, "a\xff\xfe…"},
		{"\x80\x80\x80\x80\x80\x80", 5, "\x80…"},
	} {
		if got := text.Clip(c.in, c.most); got != c.want {
			t.Errorf("Clip(%q, %d) = %q, want %q", c.in, c.most, got, c.want)
		}
		if got := text.Clip([]byte(c.in), c.most); got != c.want {
			t.Errorf("Clip of the bytes %q, %d = %q, want %q", c.in, c.most, got, c.want)
		}
	}
}

func TestClipRunes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		most int
		want string
	}{
		{"", 0, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc…"},
		{"abcd", 0, "…"},
		{"äöü", 3, "äöü"},
		{"äöüß", 3, "äöü…"},
		{"𝄞𝄞𝄞", 2, "𝄞𝄞…"},
		{"𝄞𝄞", 2, "𝄞𝄞"},
		{"\xff\xff\xff", 2, "\xff\xff…"},
		{"\xff\xff", 2, "\xff\xff"},
	} {
		if got := text.ClipRunes(c.in, c.most); got != c.want {
			t.Errorf("ClipRunes(%q, %d) = %q, want %q", c.in, c.most, got, c.want)
		}
	}
}

// TestClipProperties: what is returned is the text, or a beginning of it and
// the mark, and valid if the text is.
func TestClipProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "valid") {
			in = rapid.String().Draw(t, "text")
		}
		most := rapid.IntRange(0, 32).Draw(t, "most")
		check := func(got string, length int) {
			if length <= most {
				if got != in {
					t.Fatalf("got %q of a short text", got)
				}
				return
			}
			start, ok := strings.CutSuffix(got, "…")
			if !ok || !strings.HasPrefix(in, start) || utf8.ValidString(in) && !utf8.ValidString(got) {
				t.Fatalf("got %q", got)
			}
		}
		check(text.Clip(in, most), len(in))
		check(text.ClipRunes(in, most), utf8.RuneCountInString(in))
		if got := text.Clip(in, most); len(got) > most+len("…") || len(in) > most && len(got) < most-utf8.UTFMax+len("…") {
			t.Fatalf("%d bytes", len(got))
		}
		if got := text.ClipRunes(in, most); utf8.RuneCountInString(strings.TrimSuffix(got, "…")) < min(most, utf8.RuneCountInString(in))-1 {
			t.Fatalf("%q is too short", got)
		}
	})
}

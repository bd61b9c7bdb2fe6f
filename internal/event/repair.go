package event

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// repair returns a text as it can be read, which is the same text nearly always:
//
//   - each byte that is not UTF-8 and each half surrogate becomes one U+FFFD, and
//     is counted (docs/spec/correlation.md D39);
//   - NUL bytes and a byte order mark at the start are left out (D42).
//
// It rejects what is too large, and UTF-16, of which nothing would be left.
func repair(data []byte) (text []byte, repaired uint32, rej *Rejection) {
	if len(data) > MaxSize {
		return nil, 0, tooLarge(len(data))
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, 0, &Rejection{Reason: BadEncoding, Detail: "UTF-16, want UTF-8"}
	}
	text = bytes.TrimPrefix(data, []byte("\ufeff"))
	if bytes.IndexByte(text, 0) >= 0 {
		text = bytes.ReplaceAll(text, []byte{0}, nil)
	}
	if !utf8.Valid(text) {
		text, repaired = repairBytes(text)
	}
	var halves uint32
	text, halves = repairSurrogates(text)
	return text, repaired + halves, nil
}

// repairBytes returns a copy of a text in valid UTF-8, and how many bytes are not.
func repairBytes(text []byte) (valid []byte, repaired uint32) {
	const room = 16 // bad bytes that need no more memory
	valid = make([]byte, 0, len(text)+2*room)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			repaired++
		}
		valid = utf8.AppendRune(valid, r)
		text = text[size:]
	}
	return valid, repaired
}

// repairSurrogates returns a text in which escapes of half surrogates are those of
// U+FFFD, and how many there were. The text is copied if there are any.
func repairSurrogates(text []byte) (valid []byte, repaired uint32) {
	for i := 0; ; {
		n := bytes.IndexByte(text[i:], '\\')
		if n < 0 {
			return text, repaired
		}
		i += n + len(`\`)
		switch {
		case i >= len(text):
			return text, repaired
		case text[i] != 'u':
			i++
			continue
		}
		i++
		_, size := codePoint(text[i:])
		if r := hexadecimal(text[i:]); size == 0 && r >= 0 && utf16.IsSurrogate(r) {
			if repaired == 0 {
				text = bytes.Clone(text)
			}
			size = copy(text[i:], "fffd")
			repaired++
		}
		i += size
	}
}

package file_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/internal/input/file"
)

const mib = event.MaxSize

// drain reads everything in batches of limit and returns one text per record,
// "file:line data" or "file:line !reason", and the error other than io.EOF.
func drain(t *testing.T, r *file.Reader, limit int) (records []string, err error) {
	t.Helper()
	var b file.Batch
	for {
		if err = r.Read(t.Context(), &b, limit); err != nil {
			if b.Len() != 0 {
				t.Errorf("a batch of %d beside the error %v", b.Len(), err)
			}
			again := r.Read(t.Context(), &b, limit)
			if again == nil || again.Error() != err.Error() {
				t.Errorf("the error is %v first, %v later", err, again)
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			if closeErr := r.Close(); closeErr != nil {
				t.Error(closeErr)
			}
			return records, err
		}
		if b.Len() == 0 || b.Len() > limit {
			t.Fatalf("a batch of %d, want 1..%d", b.Len(), limit)
		}
		for i := range b.Len() {
			rec := b.Record(i)
			data := string(rec.Data)
			if rec.Rejection != nil {
				data += "!" + rec.Rejection.Reason.String()
			}
			if len(data) > 200 {
				data = fmt.Sprintf("%d bytes", len(data))
			}
			records = append(records, fmt.Sprintf("%s:%d %s", filepath.Base(rec.File), rec.Line, data))
		}
	}
}

func fromStdin(in io.Reader) *file.Reader {
	return file.NewReader(file.Options{Paths: []string{file.Stdin}, Stdin: in})
}

// wantError checks an error's text; want may be "" for none.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("error\ngot  %s\nwant %s", got, want)
	}
}

func zip(t *testing.T, texts ...string) string {
	t.Helper()
	var out bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&out)
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func zst(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReaderSplits(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string
		err      string
	}{
		{name: "nothing"},
		{name: "blanks only", in: " \n\r\n\t"},
		{name: "mark only", in: "\ufeff"},
		{name: "lines", in: "{}\n{ }\n", want: []string{"stdin:1 {}", "stdin:2 { }"}},
		{name: "no newline at the end", in: "{}\n{ }", want: []string{"stdin:1 {}", "stdin:2 { }"}},
		{name: "CRLF", in: "{}\r\n{ }\r\n{  }\r", want: []string{"stdin:1 {}", "stdin:2 { }", "stdin:3 {  }"}},
		{name: "blank lines", in: "\n \t\n{}\n\n\r\n{ }\n\n", want: []string{"stdin:3 {}", "stdin:6 { }"}},

		// D42, case 13: values however they are laid out.
		{name: "nothing between them", in: `{"a":1}{"a":2}[{"a":3},{}]{}"x"` + "\n{}{}\n", want: []string{
			`stdin:1 {"a":1}`, `stdin:1 {"a":2}`, `stdin:1 {"a":3}`, `stdin:1 {}`, `stdin:1 {}`, `stdin:1 "x"`, `stdin:2 {}`, `stdin:2 {}`,
		}},
		{name: "blanks between them", in: "{} {}\t[ ] {} \r\n{} 1 {}", want: []string{
			"stdin:1 {}", "stdin:1 {}", "stdin:1 {}", "stdin:2 {}", "stdin:2 1", "stdin:2 {}",
		}},
		{name: "over many lines", in: "{\n  \"a\": {\n    \"b\": [1,\n 2]}\n}\n{\n}\n\n{\"c\":\n1}", want: []string{
			"stdin:1 {\n  \"a\": {\n    \"b\": [1,\n 2]}\n}", "stdin:6 {\n}", "stdin:9 {\"c\":\n1}",
		}},
		{name: "an array in each line", in: "[{\"a\":1}]\n[{\"a\":2},{\"a\":3}]\n[]\n", want: []string{`stdin:1 {"a":1}`, `stdin:2 {"a":2}`, `stdin:2 {"a":3}`}},
		{name: "array over many lines", in: "[\n  {\n  },\n  {}\n]\n{}", want: []string{"stdin:2 {\n  }", "stdin:4 {}", "stdin:6 {}"}},
		{name: "braces in strings", in: "{\"a\":\"}{\"}\n{\"a\":\"{\"}{\"b\":\"}\"}\n{\"a\":{\"t\":\"}\"}\n,\"b\":{}}\n{}", want: []string{
			`stdin:1 {"a":"}{"}`, `stdin:2 {"a":"{"}`, `stdin:2 {"b":"}"}`, "stdin:3 {\"a\":{\"t\":\"}\"}\n,\"b\":{}}", "stdin:5 {}",
		}},
		{name: "every kind of value", in: `{"a":[null,true,false,-0,1,1.5,-1e5,2E+3,0.1e-2,"\"\\\/\b\f\n\r\t\u00eF"]}`, want: []string{
			`stdin:1 {"a":[null,true,false,-0,1,1.5,-1e5,2E+3,0.1e-2,"\"\\\/\b\f\n\r\t\u00eF"]}`,
		}},
		{name: "what is no object", in: "1 null\ntrue false \"x\\n{\" -1.5e3\n[\"y\",2,[3]]", want: []string{
			"stdin:1 1", "stdin:1 null", "stdin:2 true", "stdin:2 false", `stdin:2 "x\n{"`, "stdin:2 -1.5e3", `stdin:3 "y"`, "stdin:3 2", "stdin:3 [3]",
		}},

		// D42: where none can be read.
		{name: "words", in: "x\nhello {\"a\":1}\n{}\nnul\n+1 2\n01\n", want: []string{
			"stdin:1 x", `stdin:2 hello {"a":1}`, "stdin:3 {}", "stdin:4 nul", "stdin:5 +1 2", "stdin:6 01",
		}},
		{name: "syslog", in: "Jan  1 09:00:00 h s: {\"a\":1}\n<13>h s: {}\n2026-01-01T09:00:00+00:00 h s: {\"b\":{}}\n", want: []string{
			`stdin:1 Jan  1 09:00:00 h s: {"a":1}`, "stdin:2 <13>h s: {}", `stdin:3 2026-01-01T09:00:00+00:00 h s: {"b":{}}`,
		}},
		{name: "broken value before another", in: "{\"a\" 1}{\"b\":2}\n{}", want: []string{`stdin:1 {"a" 1}{"b":2}`, "stdin:2 {}"}},
		{name: "broken value behind another", in: "{\"a\":1}{\"b\" 2}{}\n{}", want: []string{`stdin:1 {"a":1}`, `stdin:1 {"b" 2}{}`, "stdin:2 {}"}},
		{name: "comma between lines", in: "{},\n{},\n{}", want: []string{"stdin:1 {}", "stdin:1 ,", "stdin:2 {}", "stdin:2 ,", "stdin:3 {}"}},
		{name: "no end before the next line", in: "{\"a\":1\n{\"b\":2}\n{\"c\":[1,2\n{\"d\":4}\n{\"e\":\"x\n{\"f\":6}\n{\"g\":\n{\"h\":8}\n{}", want: []string{
			`stdin:1 {"a":1`, `stdin:2 {"b":2}`, `stdin:3 {"c":[1,2`, `stdin:4 {"d":4}`, `stdin:5 {"e":"x`, `stdin:6 {"f":6}`, `stdin:7 {"g":`, `stdin:8 {"h":8}`, "stdin:9 {}",
		}},
		{name: "no end at the end", in: "{}\n{\"a\":1\r\n", want: []string{"stdin:1 {}", `stdin:2 {"a":1`}},
		{name: "no end of a string", in: "{}\n\"abc", want: []string{"stdin:1 {}", `stdin:2 "abc`}},
		{name: "an end too many", in: "{}}\n]\n{}", want: []string{"stdin:1 {}", "stdin:1 }", "stdin:2 ]", "stdin:3 {}"}},
		{name: "bad escapes and letters", in: "{\"a\":\"\\x\"}\n{\"a\":\"\\u12g4\"}\n{\"a\":\"\x01\"}\n{}", want: []string{
			`stdin:1 {"a":"\x"}`, `stdin:2 {"a":"\u12g4"}`, "stdin:3 {\"a\":\"\x01\"}", "stdin:4 {}",
		}},
		{name: "bad encoding is no matter of the reader", in: "{\"a\":\"\xff\\ud800\xc3\"}{}\n", want: []string{"stdin:1 {\"a\":\"\xff\\ud800\xc3\"}", "stdin:1 {}"}},

		// D42, cases 14 and 15: bytes that other tools leave.
		{name: "marks", in: "\ufeff{}\n\ufeff{ }\ufeff[\ufeff{},\ufeff\n{}\ufeff]\ufeff", want: []string{
			"stdin:1 {}", "stdin:2 { }", "stdin:2 {}", "stdin:3 {}",
		}},
		{name: "half a mark", in: "{}\xef\xbb\n\xef\n{}\xef", want: []string{"stdin:1 {}", "stdin:1 \xef\xbb", "stdin:2 \xef", "stdin:3 {}", "stdin:3 \xef"}},
		{name: "NUL bytes", in: "\x00\x00\x00{\"a\x00\":\"b\x00\"}\x00\n\x00{}\n\x00", want: []string{`stdin:1 {"a":"b"}`, "stdin:2 {}"}},
		{name: "NUL bytes only", in: strings.Repeat("\x00", 5000)},

		{name: "empty array", in: " [ ] \n"},
		{name: "array", in: "[{},{ }\n,\n{\n}\r\n]", want: []string{"stdin:1 {}", "stdin:1 { }", "stdin:3 {\n}"}},
		{name: "array after mark and blanks", in: "\ufeff\n [\n\t{}]", want: []string{"stdin:3 {}"}},
		{
			name: "brackets and quotes in strings", in: `[{"a":"]}[{,\"\\"},["]",[]],"\"]",{"\\":{}}]`,
			want: []string{`stdin:1 {"a":"]}[{,\"\\"}`, `stdin:1 ["]",[]]`, `stdin:1 "\"]"`, `stdin:1 {"\\":{}}`},
		},
		{name: "other elements", in: "[1,null ,-0.5e3\n]", want: []string{"stdin:1 1", "stdin:1 null", "stdin:1 -0.5e3"}},
		{
			name: "malformed elements", in: "[{broken},{\"a\" 1} ,x\xff,{\"a\":\"\\x,\"},{}]",
			want: []string{"stdin:1 {broken}", `stdin:1 {"a" 1}`, "stdin:1 x\xff", `stdin:1 {"a":"\x,"}`, "stdin:1 {}"},
		},
		{
			name: "element without an end", in: "[{},{\"a\":1\n{ },\n{  }]", want: []string{
				"stdin:1 {}", `stdin:1 {"a":1`, "stdin:2 { }", "stdin:3 {  }",
			},
		},
		{name: "element with ends too many", in: "[{},\n{]},{}]\n{}", want: []string{"stdin:1 {}", "stdin:2 {]},{}]", "stdin:3 {}", "stdin:3 !bad_json"}},
		{name: "no end", in: "[{},\n{ }\n", want: []string{"stdin:1 {}", "stdin:2 { }", "stdin:3 !bad_json"}},
		{name: "no end in an element", in: "[{},\n{\"a\":", want: []string{"stdin:1 {}", `stdin:2 {"a":`, "stdin:2 !bad_json"}},
		{name: "no end after a comma", in: "[{},", want: []string{"stdin:1 {}", "stdin:1 !bad_json"}},
		{name: "no end after a bracket", in: "[", want: []string{"stdin:1 !bad_json"}},
		{name: "no end before another array", in: "[{}\n[{ }]\n{}", want: []string{"stdin:1 {}", "stdin:2 !bad_json", "stdin:2 { }", "stdin:3 {}"}},
		{name: "no end before lines", in: "[{}\n{ }\n{}", want: []string{"stdin:1 {}", "stdin:2 !bad_json", "stdin:2 { }", "stdin:3 {}"}},
		{name: "missing comma", in: "[{} { },\n{},{}]{ }", want: []string{"stdin:1 {}", "stdin:1 { },", "stdin:2 {}", "stdin:2 {}", "stdin:2 { }"}},
		{name: "comma too many", in: "[{},,{ }\n,{}]", want: []string{"stdin:1 {}", "stdin:1 ,{ }", "stdin:2 {}"}},
		{name: "comma at the end", in: "[{},\n]\n{}", want: []string{"stdin:1 {}", "stdin:2 ]", "stdin:3 {}"}},
		{name: "comma first", in: "[,{}]\n{ }]", want: []string{"stdin:1 ,{}]", "stdin:2 { }"}},
		{name: "brace", in: "[}]\n]{}", want: []string{"stdin:1 }]", "stdin:2 {}"}},
		{name: "text after the array", in: "[{}]\n{}", want: []string{"stdin:1 {}", "stdin:2 {}"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, open := range map[string]func() io.Reader{
				"at once":      func() io.Reader { return strings.NewReader(c.in) },
				"byte by byte": func() io.Reader { return iotest.OneByteReader(strings.NewReader(c.in)) },
				"early EOF":    func() io.Reader { return iotest.DataErrReader(strings.NewReader(c.in)) },
				"gzip":         func() io.Reader { return strings.NewReader(zip(t, c.in)) },
				"gzip with padding": func() io.Reader {
					return iotest.OneByteReader(strings.NewReader(zip(t, c.in) + strings.Repeat("\x00", 1000)))
				},
				"zstd": func() io.Reader { return strings.NewReader("\x50\x2a\x4d\x18\x01\x00\x00\x00x" + zst(t, c.in)) },
				"zstd with padding": func() io.Reader {
					return iotest.OneByteReader(strings.NewReader(zst(t, c.in) + strings.Repeat("\x00", 1000)))
				},
				"zstd in padded parts": func() io.Reader {
					return iotest.HalfReader(strings.NewReader(zst(t, c.in[:len(c.in)/2]) + "\x00" + zst(t, "") + "\x00\x00" + zst(t, c.in[len(c.in)/2:]) + "\x00\x00\x00"))
				},
				"zstd in parts": func() io.Reader {
					return iotest.OneByteReader(strings.NewReader(zst(t, c.in[:len(c.in)/2]) + zst(t, "") + zst(t, c.in[len(c.in)/2:])))
				},
				"gzip in parts": func() io.Reader {
					return iotest.HalfReader(strings.NewReader(zip(t, c.in[:len(c.in)/2], "") + "\x00\x00" + zip(t, c.in[len(c.in)/2:])))
				},
			} {
				for _, limit := range []int{1, 2, 1000} {
					got, err := drain(t, fromStdin(open()), limit)
					if diff := cmp.Diff(c.want, got); diff != "" {
						t.Errorf("%s, by %d: records (-want +got):\n%s", name, limit, diff)
					}
					wantError(t, err, c.err)
				}
			}
		})
	}
}

func TestReaderLimitsRecords(t *testing.T) {
	x := strings.Repeat("x", mib)
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{name: "line at the limit", in: x + "\n" + x + "\r\n" + x, want: []string{"stdin:1 1048576 bytes", "stdin:2 1048576 bytes", "stdin:3 1048576 bytes"}},
		{
			name: "lines over the limit", in: "a\n" + x + "x\nb\n" + x + x + x + "\nc\r\r\n" + x + "x\r\n" + x + x,
			want: []string{"stdin:1 a", "stdin:2 !too_large", "stdin:3 b", "stdin:4 !too_large", "stdin:5 c", "stdin:6 !too_large", "stdin:7 !too_large"},
		},
		{
			name: "objects in lines at and over the limit", in: `{"a":"` + x[8:] + `"}` + "\n" + `{"a":"` + x[7:] + `"}` + "\n{}\n" + `{"a":"` + x + x + `"}` + "\n{}",
			want: []string{"stdin:1 1048576 bytes", "stdin:2 !too_large", "stdin:3 {}", "stdin:4 !too_large", "stdin:5 {}"},
		},
		{
			name: "objects over many lines", in: "{\n\"a\":\n\"" + x[10:] + "\"}{\n\"a\":\"" + x + "\"\n}{}\n{\n\"a\":\"" + x + "\" 1\n}\n{}",
			want: []string{"stdin:1 1048576 bytes", "stdin:3 !too_large", "stdin:5 {}", "stdin:6 !too_large", "stdin:8 }", "stdin:9 {}"},
		},
		{name: "no end over the limit", in: "{}\n[\"" + x + x, want: []string{"stdin:1 {}", "stdin:2 !too_large", "stdin:2 !bad_json"}},
		{
			name: "elements at and over the limit", in: `["` + x[2:] + `",{},"` + x + `", {"` + x + x + `":1},{ }]`,
			want: []string{"stdin:1 1048576 bytes", "stdin:1 {}", "stdin:1 !too_large", "stdin:1 !too_large", "stdin:1 { }"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, in := range map[string]string{"plain": c.in, "gzip": zip(t, c.in)} {
				got, err := drain(t, fromStdin(strings.NewReader(in)), 2)
				wantError(t, err, "")
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: records (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func TestReaderReadsSeveralInputsInOrder(t *testing.T) {
	dir := t.TempDir()
	r := file.NewReader(file.Options{
		Paths: []string{
			write(t, dir, "a.ndjson", "a1\na2"), write(t, dir, "empty", ""), write(t, dir, "b.json", "[1,\n2]"),
			file.Stdin, write(t, dir, "c.gz", zip(t, "c1\nc", "2\n")),
		},
		Stdin: strings.NewReader("s1\n"),
	})
	got, err := drain(t, r, 2)
	wantError(t, err, "")
	want := []string{"a.ndjson:1 a1", "a.ndjson:2 a2", "b.json:1 1", "b.json:2 2", "stdin:1 s1", "c.gz:1 c1", "c.gz:2 c2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestReaderDeliversWhatIsBeforeAnError(t *testing.T) {
	dir := t.TempDir()
	text := "{\"a\":1}\n{\"a\":2}\n{\"a\":3}"
	whole := zip(t, text)
	array := zip(t, "[{},\n{\"a\":")
	damaged := []byte(whole)
	damaged[len(damaged)-8] ^= 1 // the checksum
	failing := io.MultiReader(strings.NewReader("x1\nx2\nx"), iotest.ErrReader(errors.New("wire cut")))
	for _, c := range []struct {
		name, path string
		stdin      io.Reader
		want       []string
		err        string
		cause      error
	}{
		{
			name: "truncated gzip", path: write(t, dir, "cut.gz", whole[:len(whole)-8]), want: []string{"cut.gz:1 {\"a\":1}", "cut.gz:2 {\"a\":2}", "cut.gz:3 {\"a\":3}"},
			err: "cut.gz: unexpected end of gzip data after line 2 (decompressed byte 23): unexpected EOF", cause: io.ErrUnexpectedEOF,
		},
		{
			name: "truncated gzip header", path: write(t, dir, "head.gz", whole[:5]),
			err: "head.gz: unexpected end of gzip data after line 0 (decompressed byte 0): unexpected EOF", cause: io.ErrUnexpectedEOF,
		},
		{
			name: "truncated header of the second member", path: write(t, dir, "second.gz", whole+whole[:3]), want: []string{"second.gz:1 {\"a\":1}", "second.gz:2 {\"a\":2}", "second.gz:3 {\"a\":3}"},
			err: "second.gz: unexpected end of gzip data after line 2 (decompressed byte 23): unexpected EOF", cause: io.ErrUnexpectedEOF,
		},
		{
			name: "truncated gzip in an array", path: write(t, dir, "array.gz", array[:len(array)-8]), want: []string{"array.gz:1 {}"},
			err: "array.gz: unexpected end of gzip data after line 1 (decompressed byte 10): unexpected EOF", cause: io.ErrUnexpectedEOF,
		},
		{
			name: "gzip with a wrong checksum", path: write(t, dir, "sum.gz", string(damaged)), want: []string{"sum.gz:1 {\"a\":1}", "sum.gz:2 {\"a\":2}", "sum.gz:3 {\"a\":3}"},
			err: "sum.gz: damaged gzip data after line 2 (decompressed byte 23): gzip: invalid checksum", cause: gzip.ErrChecksum,
		},
		{
			name: "gzip with damaged data", path: write(t, dir, "data.gz", whole[:10]+"\x07"), // a block of reserved type
			err: "data.gz: damaged gzip data after line 0 (decompressed byte 0): flate: corrupt input before offset 1", cause: flate.CorruptInputError(1),
		},
		{
			name: "text after gzip", path: write(t, dir, "tail.gz", whole+"0123456789"), want: []string{"tail.gz:1 {\"a\":1}", "tail.gz:2 {\"a\":2}", "tail.gz:3 {\"a\":3}"},
			err: "tail.gz: end of gzip data after line 2 (decompressed byte 23): something else is behind the compressed data", cause: input.ErrTrailing,
		},
		{
			name: "truncated zstd", path: write(t, dir, "cut.zst", zst(t, text)[:15]),
			err: "cut.zst: unexpected end of zstd data after line 0 (decompressed byte 0): unexpected EOF", cause: io.ErrUnexpectedEOF,
		},
		{
			name: "damaged zstd", path: write(t, dir, "bad.zst", zst(t, text)[:6]+"x123"),
			err: "bad.zst: damaged zstd data after line 0 (decompressed byte 0): window size exceeded", cause: zstd.ErrWindowSizeExceeded,
		},
		{
			name: "text after zstd", path: write(t, dir, "tail.zst", zst(t, text)+"\x00x"), want: []string{"tail.zst:1 {\"a\":1}", "tail.zst:2 {\"a\":2}", "tail.zst:3 {\"a\":3}"},
			err: "tail.zst: end of zstd data after line 2 (decompressed byte 23): something else is behind the compressed data", cause: input.ErrTrailing,
		},
		{
			name: "gzip after zstd", path: write(t, dir, "both.zst", zst(t, text)+whole), want: []string{"both.zst:1 {\"a\":1}", "both.zst:2 {\"a\":2}", "both.zst:3 {\"a\":3}"},
			err: "both.zst: end of zstd data after line 2 (decompressed byte 23): something else is behind the compressed data", cause: input.ErrTrailing,
		},
		{
			name: "truncated header of the second frame", path: write(t, dir, "second.zst", zst(t, text)+zst(t, text)[:3]), want: []string{"second.zst:1 {\"a\":1}", "second.zst:2 {\"a\":2}", "second.zst:3 {\"a\":3}"},
			err: "second.zst: unexpected end of zstd data after line 2 (decompressed byte 23): unexpected EOF", cause: io.ErrUnexpectedEOF,
		},
		{name: "no such file", path: filepath.Join(dir, "none"), err: "none: cannot open: no such file or directory; correct the name", cause: fs.ErrNotExist},
		{name: "directory", path: dir, err: filepath.Base(dir) + ": cannot read: is a directory; name the files in it"},
		{name: "stdin missing", path: file.Stdin, err: "stdin: not available"},
		{
			name: "failing stdin", path: file.Stdin, stdin: failing, want: []string{"stdin:1 x1", "stdin:2 x2"},
			err: "stdin: cannot read on after line 2 (byte 7): wire cut",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := file.NewReader(file.Options{Paths: []string{write(t, dir, "before", "b1\n"), c.path, filepath.Join(dir, "before")}, Stdin: c.stdin})
			got, err := drain(t, r, 1000)
			if diff := cmp.Diff(append([]string{"before:1 b1"}, c.want...), got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if err == nil {
				t.Fatal("no error")
			}
			wantError(t, errors.New(strings.TrimPrefix(err.Error(), filepath.Dir(c.path)+string(filepath.Separator))), c.err)
			if c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("%v does not wrap %v", err, c.cause)
			}
		})
	}
}

// D42: an input that is no text says what it is instead of being thousands of bad
// lines.
func TestReaderNamesWhatItDoesNotRead(t *testing.T) {
	const otherwise = ", which is not read: want text, or text compressed with gzip or zstd"
	binary := make([]byte, 4096)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	for in, want := range map[string]string{
		"\xfd7zXZ\x00\x00\x04": "stdin: it is compressed with xz" + otherwise, "BZh91AY&SY": "stdin: it is compressed with bzip2" + otherwise,
		"\x04\x22\x4d\x18\x64": "stdin: it is compressed with lz4" + otherwise, "PK\x03\x04\x14": "stdin: it is a zip archive" + otherwise,
		"\xd4\xc3\xb2\xa1\x02\x00": "stdin: it is a capture of packets" + otherwise, "ElfFile\x00\x00": "stdin: it is a Windows event log" + otherwise,
		"\xff\xfe{\x00}\x00\n\x00": "stdin: it is text in UTF-16: want UTF-8, which iconv -f UTF-16 -t UTF-8 makes of it",
		"\xfe\xff\x00{\x00}":       "stdin: it is text in UTF-16: want UTF-8, which iconv -f UTF-16 -t UTF-8 makes of it",
		string(binary):             "stdin: it is binary data: want text, or text compressed with gzip or zstd",
	} {
		for name, open := range map[string]func() io.Reader{
			"at once":      func() io.Reader { return strings.NewReader(in) },
			"byte by byte": func() io.Reader { return iotest.OneByteReader(strings.NewReader(in)) },
			"gzip":         func() io.Reader { return strings.NewReader(zip(t, in)) },
		} {
			if name != "at once" && (strings.Contains(want, "binary") || name == "gzip" && strings.Contains(want, "not read")) {
				continue // it shows in the first piece, and compressed twice is not looked for
			}
			got, err := drain(t, fromStdin(open()), 10)
			if len(got) > 0 {
				t.Errorf("%.20q %s: %d records", in, name, len(got))
			}
			wantError(t, err, want)
		}
	}
	for _, in := range []string{"PK", "BZh", "\xff", "\xfd7zXZ", "caf\xe9 " + strings.Repeat("\xe9\xe8 x", 100), strings.Repeat("\x1b[1m{}\n", 100), strings.Repeat("{}\n", 200) + string(binary)} {
		if got, err := drain(t, fromStdin(strings.NewReader(in)), 10); err != nil || len(got) == 0 {
			t.Errorf("%.20q: %d records, error %v", in, len(got), err)
		}
	}
}

func TestReaderNumbersRecords(t *testing.T) {
	dir := t.TempDir()
	r := file.NewReader(file.Options{Paths: []string{write(t, dir, "a", "{}{}\nx\n[{},\n"), write(t, dir, "b", "\n{}\n")}})
	defer r.Close()
	var got []string
	var b file.Batch
	for r.Read(t.Context(), &b, 2) == nil {
		for i := range b.Len() {
			rec := b.Record(i)
			got = append(got, fmt.Sprintf("%s:%d:%d", filepath.Base(rec.File), rec.Line, rec.Number))
		}
	}
	if diff := cmp.Diff([]string{"a:1:1", "a:1:2", "a:2:3", "a:3:4", "a:4:5", "b:2:1"}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func TestReaderStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	// The context ends while the third record is being read.
	in := io.MultiReader(strings.NewReader("1\n2\n3"), readerFunc(func(p []byte) (int, error) {
		cancel()
		return copy(p, "\n4\n"), io.EOF
	}))
	r := fromStdin(in)
	var b file.Batch
	if err := r.Read(ctx, &b, 1000); err != nil || b.Len() != 3 {
		t.Errorf("%d records, error %v, want 3 and none", b.Len(), err)
	}
	if err := r.Read(ctx, &b, 1000); !errors.Is(err, context.Canceled) || b.Len() != 0 {
		t.Errorf("%d records, error %v, want none and %v", b.Len(), err, context.Canceled)
	}
	if err := r.Read(t.Context(), &b, 1000); err != nil || b.Len() != 1 || string(b.Record(0).Data) != "4" {
		t.Errorf("a new context reads %d records, error %v, want 1 and none", b.Len(), err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestReaderBoundsABatchByItsText(t *testing.T) {
	line := strings.Repeat("x", mib/4)
	r := fromStdin(strings.NewReader(strings.Repeat(line+"\n", 10)))
	var b file.Batch
	var sizes []int
	for r.Read(t.Context(), &b, 1000) == nil {
		sizes = append(sizes, b.Len())
	}
	if diff := cmp.Diff([]int{4, 4, 2}, sizes); diff != "" {
		t.Errorf("batch sizes (-want +got):\n%s", diff)
	}
}

func TestReaderDoesNotHoldALargeRecord(t *testing.T) {
	const size = 32 * mib
	x := strings.Repeat("x", 64<<10)
	for name, in := range map[string]io.Reader{
		"line":    io.MultiReader(&repeat{x, size}, strings.NewReader("\nend\n")),
		"element": io.MultiReader(strings.NewReader("[\""), &repeat{x, size}, strings.NewReader("\",\nend]")),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, err := drain(t, fromStdin(in), 10)
			runtime.ReadMemStats(&after)
			wantError(t, err, "")
			if diff := cmp.Diff([]string{"stdin:1 !too_large", "stdin:2 end"}, got); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 8*mib {
				t.Errorf("%d bytes allocated for a record of %d", used, size)
			}
		})
	}
}

// repeat is a long text of x.
type repeat struct {
	text string
	left int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.left)], r.text)
	r.left -= n
	return n, nil
}

func TestReaderProgress(t *testing.T) {
	dir := t.TempDir()
	plain, packed := write(t, dir, "plain", strings.Repeat("{}\n", 1000)), zip(t, strings.Repeat("{}\n", 100_000))
	r := file.NewReader(file.Options{Paths: []string{plain, write(t, dir, "packed", packed)}})
	want := int64(3000 + len(packed))
	if read, total := r.Progress(); read != 0 || total != want {
		t.Errorf("at the start: %d of %d, want 0 of %d", read, total, want)
	}
	done := make(chan struct{})
	go func() { // beside the reading, for the race detector
		defer close(done)
		for read := int64(0); read < want; {
			now, _ := r.Progress()
			if now < read || now > want {
				t.Errorf("progress from %d to %d of %d", read, now, want)
				return
			}
			read = now
			runtime.Gosched()
		}
	}()
	if got, err := drain(t, r, 100); err != nil || len(got) != 101_000 {
		t.Errorf("%d records, error %v", len(got), err)
	}
	<-done

	for name, paths := range map[string][]string{
		"stdin": {plain, file.Stdin}, "missing file": {plain, filepath.Join(dir, "none")}, "directory": {dir}, "nothing": nil,
	} {
		if _, total := file.NewReader(file.Options{Paths: paths}).Progress(); total != 0 {
			t.Errorf("%s: total %d, want 0", name, total)
		}
	}
}

func TestReaderClosesEarly(t *testing.T) {
	r := file.NewReader(file.Options{Paths: []string{write(t, t.TempDir(), "a", "1\n2\n")}})
	var b file.Batch
	if err := r.Read(t.Context(), &b, 1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReaderReadsOnlyWhatItNeedsFromATerminal(t *testing.T) {
	calls := 0
	in := readerFunc(func(p []byte) (int, error) {
		if calls++; calls == 1 {
			return copy(p, "1"), nil
		}
		return 0, io.EOF
	})
	if got, err := drain(t, fromStdin(in), 10); err != nil || len(got) != 1 || calls != 2 {
		t.Errorf("%d records, error %v, read %d times, want once and the end", len(got), err, calls)
	}
}

// FuzzReader checks that no input makes the reader panic or go on for ever, that it
// finds in JSON values what a JSON library finds, and that it does not matter in which
// pieces an input comes.
func FuzzReader(f *testing.F) {
	for _, in := range []string{
		"", "{}\r\n{", `[{"a":"]}[{,\"\\"},["]",[]],1 ,"\"]",{"\\":{}}]`, "[1,,2]", "[}", "[\"", "\x1f\x8b", "\ufeff[]",
		`{"a":1}{"b":[2]}` + "\n\ufeff[{}]\nnull\n", "{\n\"a\":\x00{}}\n{}", "{\"a\":1\n{}\n", "[{}\n{}\n", "[{},x,{}]\n{}", "x {}\n{}", "{}\xef", "\x28\xb5\x2f\xfd", "\xff\xfe",
	} {
		f.Add([]byte(in))
	}
	read := func(t *testing.T, in io.Reader, limit int) (got []string, err error) {
		r := fromStdin(in)
		defer r.Close()
		var b file.Batch
		for err = r.Read(t.Context(), &b, limit); err == nil; err = r.Read(t.Context(), &b, limit) {
			for i := range b.Len() {
				rec := b.Record(i)
				if got = append(got, string(rec.Data)); rec.Number != len(got) {
					t.Fatalf("%q: record %d has the number %d", in, len(got), rec.Number)
				}
			}
		}
		return got, err
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := read(t, bytes.NewReader(in), 3)
		binary := err != nil && strings.Contains(err.Error(), "binary") // by what comes first
		if !binary && !bytes.Contains(in, []byte("},")) && !bytes.Contains(in, []byte("}}")) && !bytes.Contains(in, []byte("}]")) {
			// Of broken lines with braces in strings more is found if they do not come at once.
			again, errAgain := read(t, iotest.OneByteReader(bytes.NewReader(in)), 1)
			if diff := cmp.Diff(got, again); diff != "" || (err == nil) != (errAgain == nil) {
				t.Errorf("errors %v and %v, in other pieces (-at once +byte by byte):\n%s", err, errAgain, diff)
			}
		}
		if want, ok := values(in); ok && errors.Is(err, io.EOF) {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		}
	})
}

// values returns the values of a text and the elements of arrays in it, or false if it
// is none of values with blanks between those that need some.
func values(text []byte) (all []string, ok bool) {
	if bytes.ContainsAny(text, "\x00\ufeff") {
		return nil, false
	}
	in := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		value, err := in.ReadValue()
		if err != nil {
			return all, errors.Is(err, io.EOF)
		}
		switch value.Kind() {
		case jsontext.KindBeginObject, jsontext.KindString:
			all = append(all, string(value))
		case jsontext.KindBeginArray:
			elements := jsontext.NewDecoder(bytes.NewReader(value.Clone()), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
			if _, err := elements.ReadToken(); err != nil {
				return nil, false
			}
			for elements.PeekKind() != ']' {
				element, err := elements.ReadValue()
				if err != nil {
					return nil, false
				}
				all = append(all, string(element))
			}
		default:
			if at := in.InputOffset(); at < int64(len(text)) && !strings.ContainsRune(" \t\r\n", rune(text[at])) {
				return nil, false
			}
			all = append(all, string(value))
		}
	}
}

// BenchmarkRead reads 8 MiB of events of 500 bytes, 256 to the batch.
func BenchmarkRead(b *testing.B) {
	line := `{"x":"` + strings.Repeat("\\\"payload ", 49) + `"}`
	lines := strings.Repeat(line+"\n", 8*mib/len(line))
	array := "[" + strings.Repeat(line+",\n", 8*mib/len(line)) + "{}]"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := io.WriteString(w, lines); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ name, in string }{{"lines", lines}, {"array", array}, {"gzip", packed.String()}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(lines)))
			var batch file.Batch
			for b.Loop() {
				r := fromStdin(strings.NewReader(c.in))
				var err error
				for err == nil {
					err = r.Read(b.Context(), &batch, 256)
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
		})
	}
}

// What has come over a pipe is delivered while the sender pauses.
func TestReadDoesNotWaitForMoreOfStdin(t *testing.T) {
	out, in := io.Pipe()
	r := file.NewReader(file.Options{Paths: []string{file.Stdin}, Stdin: out})
	sent := make(chan error, 1)
	go func() {
		_, err := in.Write([]byte("one\ntwo\n")) // returns when it was read
		sent <- err
	}()
	var b file.Batch
	if err := r.Read(t.Context(), &b, 100); err != nil || b.Len() != 2 {
		t.Fatalf("got %d records, %v", b.Len(), err)
	}
	if err := errors.Join(<-sent, in.Close()); err != nil {
		t.Fatal(err)
	}
	if err := r.Read(t.Context(), &b, 100); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestCheckNamesEveryInputThatCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.ndjson")
	if err := os.WriteFile(good, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	err := file.NewReader(file.Options{Paths: []string{good, missing, file.Stdin, dir}}).Check()
	if err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), dir+": cannot open: is a directory") {
		t.Errorf("got %v", err)
	}
	if err := file.NewReader(file.Options{Paths: []string{good, file.Stdin}}).Check(); err != nil {
		t.Errorf("good inputs: %v", err)
	}
}

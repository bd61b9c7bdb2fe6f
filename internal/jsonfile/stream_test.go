package jsonfile_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/jsonfile"
)

// seen is what a reader of lists is told.
type seen struct {
	Elements []string
	Problems []string
	OK       bool
}

// seenOf returns what either way to read a list tells of a text. Each element is told
// with the places of its values, the last ones first and again in order.
func seenOf(read func(*jsonfile.Report, func(*jsonfile.File, int, *jsonfile.Value)) bool) seen {
	var s seen
	var report jsonfile.Report
	s.OK = read(&report, func(f *jsonfile.File, i int, v *jsonfile.Value) {
		text := fmt.Sprint(i, v.Kind, v.Offset, v.Text)
		for j := range v.Members {
			m := &v.Members[len(v.Members)-1-j]
			text += fmt.Sprint(" ", m.Name, m.Offset, m.Value.Kind, m.Value.Text, len(m.Value.Elems))
			report.Add(f.Problem(jsonfile.Error, m.Value.Offset, m.Name, "here"))
		}
		report.Add(f.Problem(jsonfile.Error, v.Offset, "", "here"))
		s.Elements = append(s.Elements, text)
	})
	var b strings.Builder
	for i := range report.Problems {
		b.Reset()
		_ = report.Problems[i].Write(&b)
		s.Problems = append(s.Problems, b.String())
	}
	return s
}

func whole(text string) seen {
	f := jsonfile.NewFile("list.json", []byte(text))
	return seenOf(func(r *jsonfile.Report, each func(*jsonfile.File, int, *jsonfile.Value)) bool {
		return f.EachElement(r, func(i int, v *jsonfile.Value) { each(f, i, v) })
	})
}

func streamed(text string) seen {
	return seenOf(func(r *jsonfile.Report, each func(*jsonfile.File, int, *jsonfile.Value)) bool {
		return jsonfile.StreamElements("list.json", strings.NewReader(text), int64(len(text)), r, each)
	})
}

// A list that is read in parts tells the same as one that is read whole, wherever it is
// damaged and however.
func TestStreamedListTellsTheSame(t *testing.T) {
	t.Parallel()
	indented := "[\n  {\n    \"a\": \"ä\\n\",\n    \"b\": [1, true]\n  },\n  {\"b\": {\"c\": null}},\n\t\"x\", 12 ,\n  {\"a\": 1, \"a\": 2}\n]\n"
	texts := []string{
		"", " ", "[]", "null", "{}", "{\"a\":[]}", "true", "[] x", "[1]]", "\uFEFF[]", "\xff\xfe[", "[1 2]", "[1,]", "[,]",
		"[{}\n{}]", "[{},\n// no\n{}]", "[{\"a\":'x'}]", "[" + strings.Repeat(" ", 200_000) + "1" + strings.Repeat("\n", 200_000),
		"[1," + strings.Repeat("\n", 200_000) + "]", strings.Repeat("\n", 200_000) + "[1,2" + strings.Repeat(" ", 300) + "}",
		strings.Repeat("[", 10_001), "[1," + strings.Repeat("[", 10_001), "[{\"a\":\"" + strings.Repeat("ö", 100_000) + "\"},{\"b\" 1}]",
		"[" + strings.Repeat("{\"a\":\"é\"},", 8_000) + "{\"b\":tru}]",
	}
	for at := range indented {
		texts = append(texts, indented[:at])
		for _, put := range []string{"", "\"", ",", "]", "}", "{", ":", "x", "\\", "\x00", "\xff", "\n", "0"} {
			texts = append(texts, indented[:at]+put+indented[at+1:], indented[:at]+put+indented[at:])
		}
	}
	for _, text := range texts {
		if diff := cmp.Diff(whole(text), streamed(text)); diff != "" {
			t.Fatalf("%.200q (-whole +streamed):\n%.5000s", text, diff)
		}
	}
}

// FuzzStreamElements holds that for any text.
func FuzzStreamElements(f *testing.F) {
	f.Add("[{\"a\": [1, \"é\"]},\n {}]")
	f.Add("[1, {\"a\" 2}]")
	f.Add("[\"x\", tru]")
	f.Fuzz(func(t *testing.T, text string) {
		if diff := cmp.Diff(whole(text), streamed(text)); diff != "" {
			t.Fatalf("-whole +streamed:\n%s", diff)
		}
	})
}

// endless is a list of many elements that stands nowhere; none is held on to.
type endless struct{ elements int64 }

const endlessElement = `{"name": "an element that is as long as all the others"},` + "\n"

func (e endless) size() int64 { return 2 + e.elements*int64(len(endlessElement)) }

func (e endless) ReadAt(buf []byte, offset int64) (int, error) {
	for i := range buf {
		at := offset + int64(i) - 1
		switch {
		case at < 0:
			buf[i] = '['
		case at == e.size()-2:
			buf[i] = ']'
		case at > e.size()-2:
			return i, io.EOF
		case at == e.size()-4: // no comma behind the last one
			buf[i] = ' '
		default:
			buf[i] = endlessElement[at%int64(len(endlessElement))]
		}
	}
	return len(buf), nil
}

// live returns the bytes that are in use.
func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// However long a list is, no more than a part of it is in memory.
func TestStreamedListIsNotHeld(t *testing.T) {
	list := endless{elements: 200_000}
	const most = 1 << 20
	before, highest, n := live(), int64(0), 0
	var report jsonfile.Report
	ok := jsonfile.StreamElements("endless.json", list, list.size(), &report, func(f *jsonfile.File, i int, v *jsonfile.Value) {
		if n++; n%50_000 == 0 {
			if line, column := f.Position(v.Offset); line != n || column != 1+min(1, 2-min(n, 2)) {
				t.Errorf("element %d is at %d:%d", n, line, column)
			}
			highest = max(highest, live()-before)
		}
	})
	if !ok || n != int(list.elements) || highest == 0 || highest > most {
		t.Errorf("%d elements of %d bytes, %d bytes held, %v", n, list.size(), highest, report.Problems)
	}
}

// broken is a file of which only the beginning can be read.
type broken struct {
	io.ReaderAt
	from int64
}

var errBroken = errors.New("the disk is broken")

func (b broken) ReadAt(buf []byte, offset int64) (int, error) {
	if offset+int64(len(buf)) <= b.from {
		return b.ReaderAt.ReadAt(buf, offset)
	}
	n, _ := b.ReaderAt.ReadAt(buf[:max(0, b.from-offset)], offset)
	return n, errBroken
}

// What stands before the place from which a file cannot be read is handed out.
func TestStreamedListThatCannotBeRead(t *testing.T) {
	t.Parallel()
	list := endless{elements: 10_000}
	var report jsonfile.Report
	n := 0
	if jsonfile.StreamElements("list.json", broken{list, 100_000}, list.size(), &report, func(*jsonfile.File, int, *jsonfile.Value) { n++ }) {
		t.Error("it was read")
	}
	if n < 1000 || len(report.Problems) != 1 {
		t.Fatalf("%d elements, %v", n, report.Problems)
	}
	p := report.Problems[0]
	if p.Msg != "the file cannot be read any further: the disk is broken" || p.Line < 1000 {
		t.Errorf("%+v", p)
	}
}

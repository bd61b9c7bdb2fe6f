package replay

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dsiem/internal/correlate"
	"dsiem/internal/event"
	"dsiem/internal/input"
	"dsiem/test/testkit"
)

// written is a record of a file as a property draws it.
type written struct {
	id      string
	seconds int64
	offered bool
}

func (w written) text() string {
	switch {
	case w.offered:
		return line(w.id, w.seconds, 9, "10.0.0.2")
	case w.seconds%2 == 0:
		return line(w.id, w.seconds, 9, "10.9.9.9") // whitelisted
	}
	return "nonsense\n"
}

// sequence is a way to play files.
type sequence struct {
	mostOpen, mostKept, batchSize, sortMemory int
	sort                                      bool
}

// playedOrder plays files and returns the events in their order, each with its time
// and that of the clock, and the places of those that were moved.
func playedOrder(t testing.TB, s sequence, paths []string) (order, moved []string) {
	t.Helper()
	r := newTestReplay(t, nil)
	r.options.Inputs, r.options.Sort = paths, s.sort
	r.options.mostOpen, r.options.mostKept, r.options.sortMemory, r.options.BatchSize = s.mostOpen, s.mostKept, s.sortMemory, s.batchSize
	r.pipeline = r.newPipeline()
	p := r.pipeline
	p.stopReading = func() {}
	p.rejected = func(input.Record, *event.Rejection) {}
	p.moved = func(file string, line int, _ int64) {
		moved = append(moved, fmt.Sprint(filepath.Base(file), ":", line))
	}
	most := 0
	p.played = func(_ []correlate.Change, counts batchCounts) error {
		most = max(most, p.open)
		if counts.offered != 0 {
			if counts.offered != len(p.steps) {
				t.Fatalf("%d events are counted, %d played", counts.offered, len(p.steps))
			}
			for _, step := range p.steps {
				order = append(order, fmt.Sprint(step.Event.ID, " of ", min(step.Event.Seconds, step.Now/perSecond), " at ", step.Now/perSecond))
			}
		}
		return nil
	}
	testkit.Check(t, p.run(t.Context()))
	if s.mostOpen > 0 && most > s.mostOpen {
		t.Errorf("%d files were open, want %d at most", most, s.mostOpen)
	}
	slices.Sort(moved)
	return order, moved
}

// model says what D30 makes of files: what each event's time is taken for, and the
// order. It counts and looks at everything.
func model(files map[string][]written, paths []string, sorted bool) (order, moved []string) {
	type timed struct {
		id     string
		t, key int64
		rank   int
	}
	var all []timed
	ranked := slices.Clone(paths)
	slices.SortStableFunc(ranked, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	for rank, path := range ranked {
		var events []timed
		var lines []int
		for i, w := range files[path] {
			if w.offered {
				events, lines = append(events, timed{id: w.id, t: w.seconds, rank: rank}), append(lines, i+1)
			}
		}
		right := func(i int) bool {
			next := events[i+1 : min(len(events), i+1+lookAhead)]
			near := 0
			for _, e := range next {
				if e.t >= events[i].t-3600 {
					near++
				}
			}
			return len(next) == 0 || 2*near > len(next)
		}
		first := 0
		for first < len(events) && !right(first) {
			first++
		}
		judged := slices.Clone(events)
		var clock int64
		for i := range judged {
			e := &judged[i]
			switch {
			case i < first:
				clock = events[first].t
			case i == first:
				clock = e.t
			case e.t <= clock+3600 || right(i):
				clock = max(clock, e.t)
				continue
			}
			if i != first {
				e.t = clock
				moved = append(moved, fmt.Sprint(filepath.Base(path), ":", lines[i]))
			}
		}
		if sorted {
			slices.SortStableFunc(judged, func(a, b timed) int { return cmp.Compare(a.t, b.t) })
		}
		for i := range judged {
			judged[i].key = judged[i].t
			if i > 0 {
				judged[i].key = max(judged[i].t, judged[i-1].key)
			}
		}
		all = append(all, judged...)
	}
	slices.SortStableFunc(all, func(a, b timed) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.rank, b.rank)) })
	for _, e := range all {
		order = append(order, fmt.Sprint(e.id, " of ", e.t, " at ", e.key))
	}
	slices.Sort(moved)
	return order, moved
}

// writeFiles writes files and returns their paths in the order of their names.
func writeFiles(t testing.TB, dir string, files map[string][]written) (paths []string) {
	t.Helper()
	for path, records := range files {
		var text strings.Builder
		for _, w := range records {
			text.WriteString(w.text())
		}
		testkit.Check(t, os.MkdirAll(filepath.Dir(path), 0o750))
		testkit.Check(t, os.WriteFile(path, []byte(text.String()), 0o600))
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths
}

// TestSequenceEqualsModel plays files of any content in any way and compares the
// order and times of all events with those of a model that is as simple as D30.
func TestSequenceEqualsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		files := map[string][]written{}
		step := rapid.SampledFrom([]int64{1, 10, 1000, 4000}).Draw(rt, "step")
		for f := range rapid.IntRange(1, 6).Draw(rt, "files") {
			path := filepath.Join(dir, rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "dir"), fmt.Sprint(f%4, ".ndjson"))
			at := 1_000_000 + rapid.Int64Range(0, 20_000).Draw(rt, "start")
			var records []written
			for i := range rapid.IntRange(0, 30).Draw(rt, "records") {
				at += rapid.Int64Range(-step/2, step).Draw(rt, "on")
				w := written{fmt.Sprint(f, "-", i), at, rapid.IntRange(0, 5).Draw(rt, "offered") > 0}
				if rapid.IntRange(0, 9).Draw(rt, "wrong") == 0 {
					w.seconds += rapid.SampledFrom([]int64{-100_000, 3600, 3700, 100_000}).Draw(rt, "by")
				}
				records = append(records, w)
			}
			files[path] = records
		}
		paths := rapid.Permutation(writeFiles(t, dir, files)).Draw(rt, "paths")
		s := sequence{
			mostOpen:   rapid.SampledFrom([]int{0, 2, 3}).Draw(rt, "open"),
			mostKept:   rapid.SampledFrom([]int{0, 1, 20_000}).Draw(rt, "kept"),
			batchSize:  rapid.SampledFrom([]int{0, 1, 3}).Draw(rt, "batch"),
			sort:       rapid.Bool().Draw(rt, "sort"),
			sortMemory: rapid.SampledFrom([]int{0, 1, 2000}).Draw(rt, "memory"),
		}
		order, moved := playedOrder(t, s, paths)
		wantOrder, wantMoved := model(files, paths, s.sort)
		same(rt, order, wantOrder)
		same(rt, moved, wantMoved)
	})
}

// same ends a property if two lists differ.
func same(t *rapid.T, got, want []string) {
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}

// TestManyFiles has more files than may be open, all at the same time, and all one
// after the other.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(file, i int) int64{
		"together":        func(file, i int) int64 { return int64(i*1000 + file) },
		"one by one":      func(file, i int) int64 { return int64(file*1000 + i) },
		"the same moment": func(int, int) int64 { return 5 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, files := t.TempDir(), map[string][]written{}
			for f := range mostOpen + 20 {
				path := filepath.Join(dir, fmt.Sprintf("%03d", f))
				for i := range 3 {
					files[path] = append(files[path], written{fmt.Sprint(f, "-", i), at(f, i), true})
				}
			}
			paths := writeFiles(t, dir, files)
			want, _ := model(files, paths, false)
			for _, kept := range []int{1, mostKept} {
				order, _ := playedOrder(t, sequence{mostOpen: mostOpen, mostKept: kept}, paths)
				testkit.Equal(t, order, want)
			}
		})
	}
}

// TestMuchIsLookedAt has inputs that hold more than is kept before the merge
// reaches them, in rejected records and in records before the first confirmed one.
func TestMuchIsLookedAt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sparse := make([]written, 40*lookAhead)
	for i := range sparse {
		sparse[i] = written{fmt.Sprint("s", i), int64(i), i%500 == 499}
	}
	newestFirst := make([]written, mostLeading+5)
	for i := range newestFirst {
		newestFirst[i] = written{fmt.Sprint("n", i), int64(len(newestFirst)-i) * 4000, true}
	}
	files := map[string][]written{
		filepath.Join(dir, "newest-first"): newestFirst, filepath.Join(dir, "sparse"): sparse,
		filepath.Join(dir, "nobody"): slices.Repeat([]written{{"x", 1, false}}, 3000),
	}
	paths := writeFiles(t, dir, files)
	for _, some := range [][]string{paths, paths[:1], paths[2:]} {
		for _, sort := range []bool{false, true} {
			order, moved := playedOrder(t, sequence{sort: sort}, some)
			wantOrder, wantMoved := model(files, some, sort)
			testkit.Equal(t, order, wantOrder)
			testkit.Equal(t, moved, wantMoved)
		}
	}
	r := newTestReplay(t, strings.NewReader(textOf(newestFirst)))
	r.pipeline.played = func([]correlate.Change, batchCounts) error { return nil }
	if err := r.pipeline.run(t.Context()); err == nil || !strings.Contains(err.Error(), "stdin: the first 10,000 events are all dated far ahead") {
		t.Errorf("of a pipe that has the newest first the error is %v", err)
	}
}

func textOf(records []written) string {
	var text strings.Builder
	for _, w := range records {
		text.WriteString(w.text())
	}
	return text.String()
}

// TestSortedSplitIsTheStream splits a stream that is in order over files in any way:
// the merge is the stream again.
func TestSortedSplitIsTheStream(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		files := map[string][]written{}
		var want []string
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		for i := range rapid.IntRange(0, 100).Draw(rt, "events") {
			at += rapid.Int64Range(1, 100).Draw(rt, "on")
			path := filepath.Join(dir, fmt.Sprint(rapid.IntRange(0, 4).Draw(rt, "file")))
			files[path] = append(files[path], written{fmt.Sprint(i), at, true})
			want = append(want, fmt.Sprint(i, " of ", at, " at ", at))
		}
		order, moved := playedOrder(t, sequence{}, rapid.Permutation(writeFiles(t, dir, files)).Draw(rt, "paths"))
		same(rt, order, want)
		same(rt, moved, nil)
	})
}

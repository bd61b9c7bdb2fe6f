package state_test

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/state"
)

// entry is a backlog and its directive.
type entry struct {
	directive uint64
	saved     alarm.Saved
}

// sequence returns backlogs of the given directives whose ids are their places.
func sequence(directives ...uint64) iter.Seq2[uint64, alarm.Saved] {
	entries := make([]entry, len(directives))
	for i, id := range directives {
		entries[i] = entry{id, alarm.Saved{
			Alarm:  alarm.Alarm{ID: strconv.Itoa(i), Title: "T", Rules: []alarm.Rule{{Stage: 1, Occurrence: 1}}},
			Extras: []alarm.Extra{{}},
		}}
	}
	return each(entries)
}

func each(entries []entry) iter.Seq2[uint64, alarm.Saved] {
	return func(yield func(uint64, alarm.Saved) bool) {
		for _, e := range entries {
			if !yield(e.directive, e.saved) {
				return
			}
		}
	}
}

// files returns what the files of a sequence must hold.
func files(seq iter.Seq2[uint64, alarm.Saved]) map[uint64]string {
	lists := map[uint64][]alarm.Saved{}
	for id, s := range seq {
		lists[id] = append(lists[id], s)
	}
	texts := map[uint64]string{}
	for id, list := range lists {
		texts[id] = string(alarm.AppendSaved(nil, list))
	}
	return texts
}

func TestSaveWritesAFilePerDirective(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seq := sequence(7, 7, 7, 0, 18446744073709551615, 2, 2)
	if got := save(t, dir, seq); got != (state.Written{Files: 4, Backlogs: 7}) {
		t.Errorf("got %+v", got)
	}
	texts := files(seq)
	want := map[string]string{
		"0.json": texts[0], "2.json": texts[2], "7.json": texts[7],
		"18446744073709551615.json": texts[18446744073709551615],
	}
	if diff := cmp.Diff(want, read(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A file larger than all the text that is ever in memory.
func TestSaveWritesLargeFiles(t *testing.T) {
	t.Parallel()
	const n, memory = 10_000, 16 * 256 << 10
	dir := t.TempDir()
	seq := sequence(append(slices.Repeat([]uint64{1}, n), 2, 2)...)
	save(t, dir, seq)
	texts := files(seq)
	if got := read(t, dir); got["1.json"] != texts[1] || got["2.json"] != texts[2] || len(texts[1]) <= memory {
		t.Errorf("%d and %d bytes differ from %d and %d", len(got["1.json"]), len(got["2.json"]), len(texts[1]), len(texts[2]))
	}
}

// P10, B45: a longer file of the same name leaves no trace.
func TestSaveReplacesALongerFile(t *testing.T) {
	t.Parallel()
	dir := write(t, "1.json", strings.Repeat("x", 1<<20), "2.json", "[]")
	seq := sequence(1)
	save(t, dir, seq)
	want := map[string]string{"1.json": files(seq)[1], "2.json": "[]"}
	if diff := cmp.Diff(want, read(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSaveOfNothingMakesNoFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "backlogs")
	if got := save(t, dir, sequence()); got != (state.Written{}) {
		t.Errorf("got %+v", got)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestSaveMakesFolderAndPrivateFiles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs", "backlogs")
	save(t, dir, sequence(1))
	info, err := os.Stat(filepath.Join(dir, "1.json"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v", info, err)
	}
}

// A file that cannot be written costs only its own backlogs.
func TestSaveGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"1.json", "3.json"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "full"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	seq := sequence(1, 2, 2, 3, 4)
	written, err := state.Save(dir, seq)
	if written != (state.Written{Files: 2, Backlogs: 3}) {
		t.Errorf("got %+v", written)
	}
	for _, want := range []string{"save the backlogs of directive 1: ", "save the backlogs of directive 3: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	texts := files(seq)
	if diff := cmp.Diff(map[string]string{"2.json": texts[2], "4.json": texts[4]}, read(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSaveRefusesToOverwriteItsOwnFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written, err := state.Save(dir, sequence(1, 2, 1, 1))
	if err == nil || !strings.Contains(err.Error(), "directive 1: ") || written != (state.Written{Files: 2, Backlogs: 2}) {
		t.Errorf("got %+v, %v", written, err)
	}
	if diff := cmp.Diff(files(sequence(1))[1], read(t, dir)["1.json"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSaveWithoutAPlaceForItsFolder(t *testing.T) {
	t.Parallel()
	dir := write(t, "logs", "")
	if _, err := state.Save(filepath.Join(dir, "logs", "backlogs"), sequence(1, 2)); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("got %v", err)
	}
}

package state_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/correlate/resume"
	"dsiem/internal/correlate/shard"
	"dsiem/internal/event"
	"dsiem/internal/state"
	"dsiem/test/testkit"
)

// openStore returns the store of a log directory, and what it logs.
func openStore(t *testing.T, logDir string) (*state.Store, *testkit.Logbook) {
	t.Helper()
	log := new(testkit.Logbook)
	store, err := state.Open(logDir, true, log.Logger())
	testkit.Check(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store, log
}

// loadAll loads what a store holds of some directives, as a start does.
func loadAll(t *testing.T, store *state.Store, directives ...uint64) {
	t.Helper()
	e := newEngine(t, fixture(t, "scan_directives.json"))
	_, err := store.Load(directives, e.Restore)
	testkit.Check(t, err)
	testkit.Check(t, store.LoadRemembered(func(*resume.Remembered) {}))
}

// checkpointNothing writes a checkpoint without backlogs.
func checkpointNothing(t *testing.T, store *state.Store) {
	t.Helper()
	c := state.Checkpointer{
		Store:    store,
		Ask:      func(_ context.Context, f func()) error { f(); return nil },
		Backlogs: func() shard.Snapshots { return nil },
	}
	_, err := c.Write(t.Context())
	testkit.Check(t, err)
}

// put writes files below a folder, given by name and content in turn.
func put(t *testing.T, dir string, files ...string) {
	t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		testkit.Check(t, os.MkdirAll(filepath.Dir(path), 0o700))
		testkit.Check(t, os.WriteFile(path, []byte(files[i+1]), 0o600))
	}
}

// kept returns the contents of the files of a folder that were kept aside, in order
// of their times, by the names that they had.
func kept(t *testing.T, dir string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	files := read(t, dir)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if was, at, ok := strings.Cut(name, ".damaged-"); ok {
			if _, err := time.Parse("20060102T150405.000Z", at); err != nil {
				t.Error(err)
			}
			found[was] = append(found[was], files[name])
		}
	}
	return found
}

// wantKept compares what was kept aside, and that the log says where.
func wantKept(t *testing.T, dir string, log *testkit.Logbook, want map[string][]string) {
	t.Helper()
	if diff := cmp.Diff(want, kept(t, dir)); diff != "" {
		t.Errorf("kept aside (-want +got):\n%s", diff)
	}
	for name := range read(t, dir) {
		if strings.Contains(name, ".damaged-") && len(log.With("damaged saved file kept aside", filepath.Join(dir, name))) == 0 {
			t.Errorf("no line of the log has %s:\n%s", name, log.Tail())
		}
	}
}

const badEvents = `{"remembered":`

// What cannot be restored of saved files and of a checkpoint is still there when the
// start is complete and everything of the last run is gone or replaced.
func TestDamagedFilesAreKeptAsideByAStart(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	dir := filepath.Join(logs, "backlogs")
	good := "[" + element(t, "good") + "]"
	half := "[" + element(t, "a") + ",\n{}]"
	checkpoint := "[" + element(t, "b") + ",\n" + `{"alarm_id":` // cut off
	put(t, dir, "1.json", half, "2.json", "[]xxxx", "3.json", "[]", "remembered.events", badEvents,
		"checkpoint/1.json", good, "checkpoint/4.json", checkpoint, "checkpoint/remembered.events", badEvents+" 2")
	before := read(t, dir)
	store, log := openStore(t, logs)
	loadAll(t, store, 1, 2, 3, 4)
	if diff := cmp.Diff(before, read(t, dir)); diff != "" {
		t.Errorf("a start that is not complete changed files (-want +got):\n%s", diff)
	}
	checkpointNothing(t, store)
	testkit.Check(t, store.Started(true))
	wantKept(t, dir, log, map[string][]string{
		"1.json": {half}, "2.json": {"[]xxxx"}, "4.json": {checkpoint}, "remembered.events": {badEvents, badEvents + " 2"},
	})
	if got := read(t, filepath.Join(dir, "checkpoint")); len(got) > 0 || len(read(t, dir)) != 5 {
		t.Errorf("left besides: %q, %q", got, read(t, dir))
	}
}

// What cannot be read of a damaged file counts as one backlog that is discarded, and the
// reason says what is wrong with the file.
func TestWhatCannotBeReadOfADamagedFileIsDiscarded(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	whole := "[" + element(t, "a") + ",\n" + element(t, "b") + "]"
	put(t, filepath.Join(logs, "backlogs", "checkpoint"), "1.json", whole[:len(whole)-40])
	store, log := openStore(t, logs)
	e := newEngine(t, fixture(t, "scan_directives.json"))
	if discarded, err := store.Load([]uint64{1}, e.Restore); discarded != 1 || err != nil {
		t.Errorf("%d discarded, %v", discarded, err)
	}
	log.Wait(t, 1, "ERROR", "saved backlog discarded", `reason="not valid JSON: this string is not closed`)
	log.Wait(t, 1, "INFO", "saved backlogs loaded", "restored=1", "discarded=1")
}

// A file that is there and cannot be opened is a damaged one, too.
func TestAFileThatCannotBeOpenedIsDiscarded(t *testing.T) {
	t.Parallel()
	dir := write(t, "1.json", "[]")
	testkit.Check(t, os.Chmod(filepath.Join(dir, "1.json"), 0))
	if _, err := os.ReadFile(filepath.Join(dir, "1.json")); err == nil {
		t.Skip("this user may open every file")
	}
	loaded, err := state.Load(dir, []uint64{1}, nil)
	if err != nil || loaded.Discarded != 1 || len(loaded.Damaged) != 1 {
		t.Errorf("got %+v, %v", loaded, err)
	}
}

// Without checkpoints, and when a stop comes before the start is complete.
func TestDamagedFilesAreKeptAsideByWhatComesFirst(t *testing.T) {
	t.Parallel()
	half := "[" + element(t, "a") + ",\n{}]"
	for name, end := range map[string]func(t *testing.T, store *state.Store){
		"start without checkpoints": func(t *testing.T, store *state.Store) {
			t.Helper()
			testkit.Check(t, store.Started(false))
		},
		"stop": func(t *testing.T, store *state.Store) {
			t.Helper()
			_, err := store.Save(sequence(1), func(func(*resume.Remembered) bool) {})
			testkit.Check(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs := t.TempDir()
			dir := filepath.Join(logs, "backlogs")
			put(t, dir, "1.json", half, "remembered.events", badEvents, "checkpoint/2.json", "[7]")
			store, log := openStore(t, logs)
			loadAll(t, store, 1, 2)
			end(t, store)
			wantKept(t, dir, log, map[string][]string{"1.json": {half}, "2.json": {"[7]"}, "remembered.events": {badEvents}})
			if _, err := os.Stat(filepath.Join(dir, "checkpoint")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the checkpoint: %v", err)
			}
			if got := read(t, dir)["1.json"]; got == half {
				t.Error("the damaged file is still in use")
			}
		})
	}
}

// A file that is damaged at each start does not fill the disk.
func TestFewDamagedFilesOfANameAreKept(t *testing.T) {
	t.Parallel()
	const most, starts = 5, 8
	logs := t.TempDir()
	dir := filepath.Join(logs, "backlogs")
	var want []string
	for i := range starts {
		text := "[" + strconv.Itoa(i)
		want = append(want, text)
		put(t, dir, "1.json", text, "2.json.damaged-20000101T000000.000Z", "of another name")
		store, _ := openStore(t, logs)
		loadAll(t, store, 1)
		testkit.Check(t, store.Started(false))
		testkit.Check(t, store.Close())
	}
	if diff := cmp.Diff(map[string][]string{"1.json": want[starts-most:], "2.json": {"of another name"}}, kept(t, dir)); diff != "" {
		t.Errorf("kept aside (-want +got):\n%s", diff)
	}
}

// A process that is killed between keeping a file and deleting it does not make the
// next one keep it twice.
func TestADamagedFileIsKeptOnce(t *testing.T) {
	t.Parallel()
	dir := write(t, "1.json", "bad", "2.json", "bad")
	files := []string{filepath.Join(dir, "1.json"), filepath.Join(dir, "2.json"), filepath.Join(dir, "gone.json")}
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	want := []state.Kept{
		{File: files[0], As: files[0] + ".damaged-20260701T120000.000Z"},
		{File: files[1], As: files[1] + ".damaged-20260701T120000.000Z"},
	}
	for i := range 2 {
		got, err := state.KeepDamaged(dir, files, now.Add(time.Duration(i)*time.Hour))
		testkit.Check(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("time %d (-want +got):\n%s", i, diff)
		}
	}
	if got := read(t, dir); len(got) != 4 {
		t.Errorf("files are %q", got)
	}
}

// What can have no second name, here a folder, gets the new name instead.
func TestADamagedFileIsRenamedIfItCannotBeLinked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, "1.json/inside", "text")
	now := time.Date(2026, 7, 1, 12, 0, 0, 1_000_000, time.UTC)
	_, err := state.KeepDamaged(dir, []string{filepath.Join(dir, "1.json")}, now)
	testkit.Check(t, err)
	if got := read(t, filepath.Join(dir, "1.json.damaged-20260701T120000.001Z")); got["inside"] != "text" {
		t.Errorf("got %q", got)
	}
}

// The file of events that waited is kept aside if some of them are lost, when it is
// removed and when a stop writes it anew.
func TestWaitingEventsThatAreLostAreKeptAside(t *testing.T) {
	t.Parallel()
	content := "{}\n" + strings.Repeat("x", 4*event.MaxSize) + "\n[]\n"
	for name, end := range map[string]func(t *testing.T, store *state.Store){
		"played": func(t *testing.T, store *state.Store) {
			t.Helper()
			testkit.Check(t, store.ForgetWaiting())
		},
		"others wait": func(t *testing.T, store *state.Store) {
			t.Helper()
			b := event.NewBatch(nil)
			b.AddText([]byte("new"))
			store.Waiting().Add(b)
			if n, err := store.SaveWaiting(); n != 1 || err != nil {
				t.Errorf("%d events saved, %v", n, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs := t.TempDir()
			dir := filepath.Join(logs, "backlogs")
			put(t, dir, "waiting_events.ndjson", content)
			store, log := openStore(t, logs)
			var got []string
			events, lost, err := store.LoadWaiting(func(text []byte) { got = append(got, string(text)) })
			if events != 2 || lost != 1 || err != nil || !slices.Equal(got, []string{"{}", "[]"}) {
				t.Fatalf("%d events %q, %d lost, %v", events, got, lost, err)
			}
			log.Wait(t, 1, "ERROR", "events that waited are lost", "events=1", store.WaitingFile())
			end(t, store)
			wantKept(t, dir, log, map[string][]string{"waiting_events.ndjson": {content}})
			if read(t, dir)["waiting_events.ndjson"] == content {
				t.Error("the damaged file is still in use")
			}
		})
	}
}

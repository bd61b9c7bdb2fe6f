package rejects_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/output/rejects"
	"dsiem/test/testkit"
)

// line is a line of the file.
type line struct {
	Time   string `json:"time"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	Record string `json:"record"`
	Size   int    `json:"size"`
}

func read(t *testing.T, dir, name string) (lines []line) {
	t.Helper()
	file, err := os.Open(filepath.Join(dir, name))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in := bufio.NewScanner(file)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var l line
		if err := json.Unmarshal(in.Bytes(), &l); err != nil {
			t.Fatalf("%s: %v", in.Text(), err)
		}
		lines = append(lines, l)
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// run runs a File while add adds records to it.
func run(t *testing.T, o rejects.Options, add func(*rejects.File)) []string {
	t.Helper()
	f := rejects.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	add(f)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	reg := prometheus.NewPedanticRegistry()
	f.Register(reg)
	return testkit.Samples(t, reg)
}

func counts(kept, dropped string) []string {
	return []string{`dsiem_rejected_events_total{outcome="dropped"} ` + dropped, `dsiem_rejected_events_total{outcome="kept"} ` + kept}
}

func TestRecordsAreKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	o := rejects.Options{Dir: dir, Max: 1 << 20, Now: func() time.Time { return now }}
	got := run(t, o, func(f *rejects.File) {
		f.Add([]byte("{\"a\":\n\"\xff\"}"), "bad_address", `src_ip: "x"`)
		f.Add(nil, "bad_json", "")
		f.Add([]byte(strings.Repeat("x", 100<<10)), "too_large", "d")
	})
	testkit.Equal(t, got, counts("3", "0"))
	const at = "2026-01-02T02:04:05.000000006Z"
	want := []line{
		{at, "bad_address", `src_ip: "x"`, "{\"a\":\n\"\ufffd\"}", 0},
		{at, "bad_json", "", "", 0},
		{at, "too_large", "d", strings.Repeat("x", 64<<10) + "…", 100 << 10},
	}
	if diff := cmp.Diff(want, read(t, dir, rejects.Name)); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
	// It is added to, and others may not read it.
	if err := os.Chmod(filepath.Join(dir, rejects.Name), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, o, func(f *rejects.File) { f.Add([]byte("more"), "r", "d") })
	if lines := read(t, dir, rejects.Name); len(lines) != 4 || lines[3].Record != "more" {
		t.Errorf("%d lines", len(lines))
	}
	info, err := os.Stat(filepath.Join(dir, rejects.Name))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestTheNewestAreKept(t *testing.T) {
	t.Parallel()
	const most = 10 << 10
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		got := run(t, rejects.Options{Dir: dir, Max: most}, func(f *rejects.File) {
			for i := range 1000 {
				f.Add([]byte(strings.Repeat("x", i%200)), "r", time.Duration(i).String())
				if i%7 == 0 {
					synctest.Wait()
				}
			}
			f.Add([]byte(strings.Repeat("x", most)), "r", "too much for the file")
		})
		testkit.Equal(t, got, counts("1000", "1"))
	})
	var all int64
	for _, name := range []string{rejects.Old, rejects.Name} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Size() > most/2 || info.Mode() != 0o600 {
			t.Fatalf("%+v, %v", info, err)
		}
		all += info.Size()
	}
	lines := append(read(t, dir, rejects.Old), read(t, dir, rejects.Name)...)
	first := 1000 - len(lines)
	for i := range lines {
		if want := time.Duration(first + i).String(); lines[i].Detail != want {
			t.Fatalf("line %d is that of %s, want %s", i, lines[i].Detail, want)
		}
	}
	if all < most/2 {
		t.Errorf("%d lines of %d bytes", len(lines), all)
	}
}

func TestNobodyWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	f := rejects.New(rejects.Options{Dir: t.TempDir(), Max: 1 << 30}) // which nobody runs
	for range 100 {
		f.Add([]byte(strings.Repeat("x", 60<<10)), "r", "d")
	}
	reg := prometheus.NewPedanticRegistry()
	f.Register(reg)
	testkit.Equal(t, testkit.Samples(t, reg), counts("0", "82"))
}

func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.Equal(t, run(t, rejects.Options{Dir: dir}, func(f *rejects.File) { f.Add([]byte("x"), "r", "d") }), counts("0", "0"))
	testkit.Equal(t, run(t, rejects.Options{Dir: dir, Max: 1 << 20}, func(*rejects.File) {}), counts("0", "0"))
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestAFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	logbook := new(testkit.Logbook)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got := run(t, rejects.Options{Dir: file, Max: 1 << 20, Logger: logbook.Logger()}, func(f *rejects.File) {
		f.Add([]byte("x"), "r", "d")
		f.Add([]byte("y"), "r", "d")
	})
	testkit.Equal(t, got, counts("0", "2"))
	if lines := logbook.Take(); len(lines) != 1 || !strings.Contains(lines[0], `msg="rejected records cannot be kept"`) {
		t.Errorf("%q", lines)
	}
}

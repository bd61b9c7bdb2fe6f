package file

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/alarm"
	"dsiem/test/testkit"
)

func TestWriterGroupsWhatComesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		var flushes []Flush
		w, _ := startFake(t, files, Options{
			FlushEvery: 100 * time.Millisecond,
			Flushed:    func(f Flush) { flushes = append(flushes, f) },
		})
		synctest.Wait()

		// After a pause a line goes out at once.
		write(t, w, "e1\n", "a1\n")
		synctest.Wait()
		if got, _ := files.current(alarm.AlarmsFile); got != "a1\n" {
			t.Fatalf("not written at once: %q", got)
		}
		// Then lines wait for others, and go out with one write per file.
		testkit.Pass(time.Millisecond)
		for range 50 {
			write(t, w, "e2\ne3\n", "a2\n")
			testkit.Pass(time.Millisecond)
		}
		if n := files.called(opWrite); n != 2 {
			t.Errorf("%d writes before the time is over", n)
		}
		testkit.Pass(50 * time.Millisecond)
		if n := files.called(opWrite); n != 4 {
			t.Errorf("%d writes, want 2 per file", n)
		}
		if want := "e1\n" + strings.Repeat("e2\ne3\n", 50); files.content(alarm.EventsFile) != want {
			t.Errorf("alarm events %q", files.content(alarm.EventsFile))
		}
		// Many lines do not wait for the time to be over.
		write(t, w, "", strings.Repeat("x", 256<<10)+"\n")
		synctest.Wait()
		if n := files.called(opWrite); n != 5 {
			t.Errorf("%d writes, want one more", n)
		}
		if err := closeIn(t, w, time.Second); err != nil {
			t.Error(err)
		}
		want := []Flush{
			{EventLines: 1, EventBytes: 3, AlarmLines: 1, AlarmBytes: 3},
			{EventLines: 100, EventBytes: 300, AlarmLines: 50, AlarmBytes: 150, Waited: 99 * time.Millisecond},
			{AlarmLines: 1, AlarmBytes: 256<<10 + 1},
		}
		for i, f := range flushes {
			if i >= len(want) || f != want[i] {
				t.Errorf("flush %d: %+v", i, f)
			}
		}
		if s := w.Stats(); s.Flushes != 3 || s.AlarmLines != 52 || s.EventLines != 101 || s.EventBytes != 303 || s.Waits != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestWriterNoticesRotationWhileIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, book := newFakeFiles(), new(testkit.Logbook)
		w, _ := startFake(t, files, Options{Logger: book.Logger()})
		files.rename(alarm.AlarmsFile)
		testkit.Pass(time.Second)
		if got, exists := files.current(alarm.AlarmsFile); !exists || got != "" {
			t.Errorf("no new file after a second")
		}
		if len(book.With("level=INFO", "alarm file has been rotated")) != 1 || w.Stats().Reopened != 1 {
			t.Errorf("log %q, stats %+v", book.All(), w.Stats())
		}
		// What cannot be made anew is trouble at once, also without a line.
		files.failAlways(opOpen, syscall.EACCES)
		files.rename(alarm.EventsFile)
		testkit.Pass(time.Second)
		if !errors.Is(w.Err(), fs.ErrPermission) || !w.Stats().Failing {
			t.Errorf("error %v", w.Err())
		}
		files.heal()
		testkit.Pass(time.Second)
		if w.Err() != nil {
			t.Errorf("error %v", w.Err())
		}
		if err := closeIn(t, w, time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestNoAlarmLineBeforeItsAlarmEventLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		w, _ := startFake(t, files, Options{})
		files.failAlways(opWrite+" "+alarm.EventsFile, syscall.EACCES)
		write(t, w, "e1\n", "a1\n")
		testkit.Pass(time.Hour)
		if got := files.content(alarm.AlarmsFile); got != "" {
			t.Errorf("alarm lines %q although their events are not written", got)
		}
		files.heal()
		testkit.Pass(2 * time.Second)
		if got := files.content(alarm.AlarmsFile) + files.content(alarm.EventsFile); got != "a1\ne1\n" {
			t.Errorf("lines %q", got)
		}
		if err := closeIn(t, w, time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestTroubleIsToldNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, book := newFakeFiles(), new(testkit.Logbook)
		w, _ := startFake(t, files, Options{Logger: book.Logger()})
		files.failAlways(opWrite, syscall.ENOSPC)
		write(t, w, "e1\n", "a1\n")
		synctest.Wait()
		if len(book.With("level=ERROR", "alarm files cannot be written, trying again")) != 1 {
			t.Errorf("not told at once: %q", book.All())
		}
		testkit.Pass(61 * time.Second)
		if n := len(book.With("cannot be written")); n < 6 || n > 7 {
			t.Errorf("told %d times in a minute", n)
		}
		if !errors.Is(w.Err(), syscall.ENOSPC) || w.Stats().Pending != 6 {
			t.Errorf("%v, %+v", w.Err(), w.Stats())
		}
		// A second or so between attempts, once they have failed for a while.
		if n := w.Stats().Retries; n < 40 || n > 140 {
			t.Errorf("%d attempts in a minute", n)
		}
		files.heal()
		testkit.Pass(2 * time.Second)
		if len(book.With("level=INFO", "alarm files are written again")) != 1 || w.Err() != nil {
			t.Errorf("log %q, error %v", book.All(), w.Err())
		}
		// Trouble that comes and goes does not fill the log.
		for range 1000 {
			files.fail(opWrite, fault{err: syscall.EIO})
			write(t, w, "e2\n", "")
			synctest.Wait()
			if w.Err() == nil {
				t.Fatal("no trouble")
			}
			testkit.Pass(100 * time.Millisecond)
		}
		if n, m := len(book.With("cannot be written")), len(book.With("are written again")); n < 15 || n > 18 || m > n {
			t.Errorf("told %d times in 160 seconds, and %d times that it is over", n, m)
		}
		if err := closeIn(t, w, time.Second); err != nil {
			t.Error(err)
		}
		if got := files.content(alarm.EventsFile); got != "e1\n"+strings.Repeat("e2\n", 1000) {
			t.Errorf("%d bytes of lines", len(got))
		}
	})
}

func TestWriterIsStuckAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		w, _ := startFake(t, files, Options{})
		wantStuck := func(when string, want error) {
			t.Helper()
			if got := w.Stuck(); !errors.Is(got, want) {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		wantStuck("at the start", nil)
		files.failAlways(opWrite, syscall.ENOSPC)
		write(t, w, "e1\n", "a1\n")
		testkit.Pass(patience - time.Millisecond)
		wantStuck("before ten seconds", nil)
		testkit.Pass(time.Millisecond)
		wantStuck("after ten seconds", syscall.ENOSPC)
		write(t, w, "e2\n", "a2\n") // it is kept all the same
		files.heal()
		testkit.Pass(2 * time.Second)
		wantStuck("once it works again", nil)
		if got := files.content(alarm.EventsFile) + files.content(alarm.AlarmsFile); got != "e1\ne2\na1\na2\n" {
			t.Errorf("lines %q", got)
		}

		// Trouble that ends before is none, however often it comes.
		for range 100 {
			files.fail(opWrite, fault{err: syscall.EIO})
			write(t, w, "e3\n", "")
			testkit.Pass(time.Second)
			wantStuck("after a failure", nil)
		}

		// A file that cannot be opened anew is trouble without a line, too.
		files.failAlways(opOpen, syscall.EACCES)
		files.rename(alarm.EventsFile)
		testkit.Pass(patience + time.Second)
		wantStuck("without a file", syscall.EACCES)
		files.heal()
		testkit.Pass(time.Second)
		wantStuck("with the file again", nil)

		hang := make(chan struct{})
		files.fail(opWrite, fault{block: hang})
		write(t, w, "e4\n", "")
		testkit.Pass(patience)
		wantStuck("while a write hangs", errHangs)
		close(hang)
		synctest.Wait()
		wantStuck("when it has ended", nil)
		if err := closeIn(t, w, time.Second); err != nil {
			t.Error(err)
		}
	})
}

// After an error a new handle is tried; where there is none, the old one does.
func TestOldHandleDoesWhereNoNewOneIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		w, _ := startFake(t, files, Options{})
		opened := files.called(opOpen)
		files.fail(opWrite, fault{err: syscall.ESTALE})
		write(t, w, "e1\n", "")
		testkit.Pass(time.Second)
		if files.called(opOpen) != opened+1 || files.content(alarm.EventsFile) != "e1\n" {
			t.Errorf("opened %d times, lines %q", files.called(opOpen)-opened, files.content(alarm.EventsFile))
		}
		files.failAlways(opOpen, syscall.EACCES)
		files.fail(opWrite, fault{err: syscall.ENOSPC})
		write(t, w, "e2\n", "")
		testkit.Pass(time.Second)
		if got := files.content(alarm.EventsFile); got != "e1\ne2\n" {
			t.Errorf("lines %q", got)
		}
		if w.Stats().Reopened != 0 {
			t.Error("a new handle counts as a rotation")
		}
		if err := closeIn(t, w, time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestTornLineOfARotatedFileIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, book := newFakeFiles(), new(testkit.Logbook)
		w, _ := startFake(t, files, Options{Logger: book.Logger()})
		for _, tt := range []struct {
			breakIt func()
			want    string // of the file that was rotated
			warned  int
		}{
			{func() {}, "one\n", 0},
			{func() { files.fail(opTruncate, fault{err: syscall.EPERM}) }, "one\ntw", 1}, // chattr +a
		} {
			files.fail(opWrite, fault{err: syscall.ENOSPC, allow: 6}, fault{err: syscall.ENOSPC})
			write(t, w, "one\ntwo\n", "")
			synctest.Wait()
			old := files.all[alarm.EventsFile][len(files.all[alarm.EventsFile])-1]
			tt.breakIt()
			files.rename(alarm.EventsFile)
			testkit.Pass(time.Second)
			if got, _ := files.current(alarm.EventsFile); got != "two\n" || string(old.data) != tt.want {
				t.Errorf("old file %q, new file %q", old.data, got)
			}
			if n := len(book.With("level=WARN", "old alarm file cannot be closed properly")); n != tt.warned {
				t.Errorf("%d warnings", n)
			}
			files.rename(alarm.EventsFile)
			testkit.Pass(time.Second)
		}
		if err := closeIn(t, w, time.Second); err != nil {
			t.Error(err)
		}
	})
}

func TestFsyncModes(t *testing.T) {
	for _, tt := range []struct {
		mode          Fsync
		before, after int // syncs of the alarm file before and after the pause
		closed        int
	}{
		{FsyncNever, 0, 0, 0},
		{FsyncInterval, 0, 1, 2},
		{FsyncAlways, 3, 3, 4},
	} {
		t.Run(tt.mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				files := newFakeFiles()
				w, _ := startFake(t, files, Options{Fsync: tt.mode})
				for range 3 {
					write(t, w, "", "a\n")
					testkit.Pass(20 * time.Millisecond)
				}
				if got := files.synced(alarm.AlarmsFile); got != tt.before {
					t.Errorf("%d syncs for 3 writes, want %d", got, tt.before)
				}
				testkit.Pass(5 * time.Second)
				if got := files.synced(alarm.AlarmsFile); got != tt.after {
					t.Errorf("%d syncs later, want %d", got, tt.after)
				}
				write(t, w, "", "b\n")
				if err := closeIn(t, w, time.Second); err != nil {
					t.Error(err)
				}
				if got := files.synced(alarm.AlarmsFile); got != tt.closed {
					t.Errorf("%d syncs at the end, want %d", got, tt.closed)
				}
				if got := files.synced(alarm.EventsFile); got != 0 {
					t.Errorf("%d syncs of a file that was not written to", got)
				}
			})
		})
	}
}

func TestFsyncErrorsAreToldAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, book := newFakeFiles(), new(testkit.Logbook)
		w, _ := startFake(t, files, Options{Fsync: FsyncAlways, Logger: book.Logger()})
		files.failAlways(opSync, syscall.EIO)
		for range 5 {
			write(t, w, "e\n", "a\n")
			testkit.Pass(time.Second)
		}
		if got := files.content(alarm.AlarmsFile); got != strings.Repeat("a\n", 5) {
			t.Errorf("lines %q", got)
		}
		if len(book.With("level=ERROR", "alarm files cannot be synced")) != 1 || w.Stats().SyncErrors != 5 {
			t.Errorf("log %q, stats %+v", book.All(), w.Stats())
		}
		// A file that is rotated away is synced first.
		files.heal()
		synced := files.called(opSync)
		files.rename(alarm.AlarmsFile)
		testkit.Pass(2 * time.Second)
		if got := files.called(opSync); got != synced+1 {
			t.Errorf("%d syncs of the old file", got-synced)
		}
		files.failAlways(opSync, syscall.EIO)
		write(t, w, "", "a\n")
		if err := closeIn(t, w, time.Second); !errors.Is(err, syscall.EIO) {
			t.Errorf("closing: %v", err)
		}
	})
}

func TestWriteWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		w, _ := startFake(t, files, Options{MaxBuffered: 100})
		files.failAlways(opWrite, syscall.ENOSPC)
		for range 10 {
			write(t, w, "12345\n", "123\n") // 10 bytes
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := w.Write(ctx, batchOf([]byte("lost?\n"), nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a Write without room: %v", err)
		}
		if s := w.Stats(); s.Pending != 100 || s.Waits != 1 {
			t.Errorf("stats %+v", s)
		}
		accepted := make(chan error)
		go func() { accepted <- w.Write(t.Context(), batchOf(nil, []byte(strings.Repeat("b", 150)+"\n"))) }()
		synctest.Wait()
		go func() { accepted <- w.Write(t.Context(), batchOf(nil, []byte("c\n"))) }()
		synctest.Wait()
		files.heal()
		for range 2 {
			if err := <-accepted; err != nil {
				t.Error(err)
			}
		}
		// With room there is no need to wait, whatever the context says.
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		testkit.Pass(time.Second)
		if err := w.Write(ended, batchOf([]byte("last\n"), nil)); err != nil {
			t.Errorf("at shutdown: %v", err)
		}
		if err := closeIn(t, w, time.Second); err != nil {
			t.Error(err)
		}
		// Whoever waits longest is next, even with more than ever has room.
		want := strings.Repeat("123\n", 10) + strings.Repeat("b", 150) + "\nc\n"
		if got := files.content(alarm.AlarmsFile); got != want {
			t.Errorf("alarm lines %q", got)
		}
		if got := files.content(alarm.EventsFile); got != strings.Repeat("12345\n", 10)+"last\n" {
			t.Errorf("alarm-event lines %q", got)
		}
	})
}

func TestCloseSaysWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		w, ended := startFake(t, files, Options{MaxBuffered: 40})
		files.fail(opWrite, fault{err: syscall.ENOSPC, allow: 4})
		files.failAlways(opWrite, syscall.ENOSPC)
		write(t, w, "e1\ne2\n", "a1\n")
		synctest.Wait()
		write(t, w, "e3\n", "a2\na3\n")
		waiting := make(chan error)
		go func() { waiting <- w.Write(t.Context(), batchOf(nil, []byte(strings.Repeat("x", 40)+"\n"))) }()
		synctest.Wait()

		start := time.Now()
		err := closeIn(t, w, 3*time.Second)
		var lost *LostError
		if !errors.As(err, &lost) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("closing: %v", err)
		}
		// e1 is in the file; of e2 there is a byte, which does not count.
		if lost.Alarms != 3 || lost.Events != 2 || lost.Bytes != 15 {
			t.Errorf("lost %+v", *lost)
		}
		if !strings.Contains(err.Error(), "3 alarm lines and 2 alarm-event lines (15 bytes) were not written: ") {
			t.Errorf("text %q", err)
		}
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("closing took %v", took)
		}
		if err := <-waiting; !errors.Is(err, ErrClosed) {
			t.Errorf("a Write that waited: %v", err)
		}
		if err := w.Write(t.Context(), batchOf(nil, []byte("x\n"))); !errors.Is(err, ErrClosed) {
			t.Errorf("a Write after Close: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if again := closeIn(t, w, 0); !errors.Is(again, err) {
			t.Errorf("closing again: %v", again)
		}
	})
}

func TestCloseTriesAtOnceAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		w, _ := startFake(t, files, Options{})
		files.failAlways(opWrite, syscall.ENOSPC)
		write(t, w, "e1\n", "a1\n")
		testkit.Pass(time.Minute) // the pause between two attempts is long by now
		tried := files.called(opWrite)
		closed := make(chan error)
		go func() { closed <- closeIn(t, w, 10*time.Second) }()
		synctest.Wait()
		if files.called(opWrite) != tried+1 {
			t.Error("Close does not try at once")
		}
		testkit.Pass(3 * time.Second)
		files.heal()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if got := files.content(alarm.AlarmsFile); got != "a1\n" {
			t.Errorf("lines %q", got)
		}
	})
}

func TestCloseDoesNotWaitForAWriteThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		w, ended := startFake(t, files, Options{})
		hang := make(chan struct{})
		files.fail(opWrite, fault{block: hang})
		write(t, w, "e1\n", "a1\n")
		synctest.Wait()
		start := time.Now()
		var lost *LostError
		if err := closeIn(t, w, time.Second); !errors.As(err, &lost) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("closing: %v", err)
		} else if lost.Alarms != 1 || lost.Events != 1 {
			t.Errorf("lost %+v", *lost)
		}
		if took := time.Since(start); took != time.Second+closeGrace {
			t.Errorf("closing took %v", took)
		}
		close(hang) // the disk is back
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := closeIn(t, w, 0); err != nil {
			t.Errorf("in the end nothing was lost: %v", err)
		}
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name    string
			failing error
		}{{"works", nil}, {"fails", syscall.EIO}} {
			files := newFakeFiles()
			w, err := openWriter("logs", Options{}, files)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- w.Run(ctx) }()
			files.failAlways(opWrite, tt.failing)
			write(t, w, "e1\n", "")
			synctest.Wait()
			write(t, w, "e2\n", "")
			cancel()
			var lost *LostError
			switch err := <-ended; {
			case tt.failing == nil && err != nil:
				t.Errorf("%s: %v", tt.name, err)
			case tt.failing != nil && (!errors.As(err, &lost) || lost.Events != 2):
				t.Errorf("%s: %v", tt.name, err)
			}
			if err := w.Write(t.Context(), batchOf([]byte("x\n"), nil)); !errors.Is(err, ErrClosed) {
				t.Errorf("%s: a Write afterwards: %v", tt.name, err)
			}
			if err := w.Run(t.Context()); err == nil {
				t.Errorf("%s: it runs a second time", tt.name)
			}
			// What Run has told, Close does not tell again.
			if err := w.Close(t.Context()); err != nil {
				t.Errorf("%s: closing: %v", tt.name, err)
			}
		}
	})
}

func TestCloseWithoutRun(t *testing.T) {
	files := newFakeFiles()
	w, err := openWriter("logs", Options{Fsync: FsyncInterval}, files)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, "e1\n", "a1\n")
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := files.content(alarm.EventsFile) + files.content(alarm.AlarmsFile); got != "e1\na1\n" || files.synced(alarm.AlarmsFile) != 1 {
		t.Errorf("lines %q, synced %d times", got, files.synced(alarm.AlarmsFile))
	}
	if err := w.Run(t.Context()); err != nil {
		t.Errorf("Run after Close: %v", err)
	}
}

func TestWriterTakesWholeLinesOnly(t *testing.T) {
	w, err := openWriter("logs", Options{}, newFakeFiles())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a", "a\nb"} {
		if err := w.Write(t.Context(), batchOf([]byte(text), nil)); !errors.Is(err, ErrNotLines) {
			t.Errorf("events %q: %v", text, err)
		}
		if err := w.Write(t.Context(), batchOf(nil, []byte(text))); !errors.Is(err, ErrNotLines) {
			t.Errorf("alarms %q: %v", text, err)
		}
	}
	if err := errors.Join(w.Write(t.Context(), batchOf(nil, nil)), w.Close(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestWriterOptions(t *testing.T) {
	for _, o := range []Options{
		{CheckEvery: time.Second + 1},
		{CheckEvery: -1},
		{FlushEvery: 100*time.Millisecond + 1},
		{FlushEvery: -1},
		{MaxBuffered: -1},
		{Fsync: FsyncAlways + 1},
	} {
		if _, err := openWriter("logs", o, newFakeFiles()); err == nil || !strings.HasPrefix(err.Error(), "alarm writer: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, name := range []string{"never", "interval", "always"} {
		if mode, err := ParseFsync(name); err != nil || mode.String() != name {
			t.Errorf("%s: %v, %v", name, mode, err)
		}
	}
	if _, err := ParseFsync("sometimes"); err == nil || Fsync(9).String() != "Fsync(9)" {
		t.Errorf("an unknown mode: %v", err)
	}
}

func TestOpenWriterTellsWhatCannotBeOpened(t *testing.T) {
	files := newFakeFiles()
	files.fail(opOpen+" "+alarm.AlarmsFile, fault{err: &fs.PathError{Op: "open", Path: alarm.AlarmsFile, Err: syscall.EACCES}})
	if _, err := openWriter("logs", Options{}, files); err == nil || !strings.Contains(err.Error(), alarm.AlarmsFile) {
		t.Errorf("error %v", err)
	}
	if files.called(opClose) != 1 {
		t.Error("the other file is left open")
	}
}

func TestMemoryOfABurstIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := newFakeFiles()
		w, _ := startFake(t, files, Options{})
		for range 3 {
			write(t, w, "", strings.Repeat("x", 2<<20)+"\n")
			synctest.Wait()
		}
		testkit.Pass(2 * time.Second)
		if kept := cap(w.spare.alarms) + cap(w.queue.alarms); kept > maxSpare {
			t.Errorf("%d bytes are kept", kept)
		}
		if err := closeIn(t, w, time.Second); err != nil {
			t.Error(err)
		}
	})
}

package watch

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/test/testkit"
)

var errBad = errors.New("bad content")

// user takes what a watch finds, but what begins with "bad". Its lists are safe for
// the goroutine of Run beside the test's.
type user struct {
	watch             *Watch
	file              string
	applied, rejected testkit.List[string]
}

// use lets a watch look at a file with a content, without a first look.
func use(t *testing.T, content string) *user {
	t.Helper()
	u := &user{file: filepath.Join(t.TempDir(), "rights")}
	testkit.WriteFile(t, u.file, content)
	u.watch = &Watch{
		Files: []string{u.file},
		Apply: func(contents [][]byte) error {
			text := string(slices.Concat(contents...))
			if strings.HasPrefix(text, "bad") {
				return errBad
			}
			u.applied.Add(text)
			return nil
		},
		Reject: func(err error) { u.rejected.Add(err.Error()) },
	}
	return u
}

// look writes a file and looks once.
func (u *user) look(t *testing.T, content string) {
	t.Helper()
	testkit.WriteFile(t, u.file, content)
	u.watch.Poll()
}

func TestLoadReadsAllFiles(t *testing.T) {
	t.Parallel()
	u := use(t, "cert ")
	key := filepath.Join(t.TempDir(), "key")
	u.watch.Files = append(u.watch.Files, key)
	if err := u.watch.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("one file is not there: %v", err)
	}
	testkit.WriteFile(t, key, "key")
	testkit.Check(t, u.watch.Load())
	u.watch.Poll()
	testkit.Equal(t, u.applied.All(), []string{"cert key"})
	// What goes from one file to the other is a change.
	testkit.WriteFile(t, u.file, "cert k")
	testkit.WriteFile(t, key, "ey")
	u.watch.Poll()
	testkit.Equal(t, u.applied.All(), []string{"cert key", "cert key"})
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	if err := use(t, "bad").watch.Load(); !errors.Is(err, errBad) {
		t.Errorf("bad content: %v", err)
	}
	if err := use(t, strings.Repeat("x", maxFile+1)).watch.Load(); err == nil || !strings.HasSuffix(err.Error(), "is larger than 1048576 bytes") {
		t.Errorf("a large file: %v", err)
	}
	if err := (&Watch{Files: []string{t.TempDir()}}).Load(); err == nil || !strings.HasSuffix(err.Error(), "is not a regular file") {
		t.Errorf("a directory: %v", err)
	}
}

func TestContentIsAppliedWhenItChanges(t *testing.T) {
	t.Parallel()
	u := use(t, "one")
	testkit.Check(t, u.watch.Load())
	u.look(t, "two")
	u.look(t, "two") // written again
	u.look(t, "one")
	// An editor writes a new file and renames it.
	testkit.WriteFile(t, u.file+".new", "three")
	testkit.Check(t, os.Rename(u.file+".new", u.file))
	u.watch.Poll()
	testkit.Equal(t, u.applied.All(), []string{"one", "two", "one", "three"})
	testkit.Equal(t, len(u.rejected.All()), 0)
}

// Files that are just being written are bad for a moment.
func TestBadContentIsRejectedAtTheSecondLookAndOnce(t *testing.T) {
	t.Parallel()
	u := use(t, "one")
	testkit.Check(t, u.watch.Load())
	u.look(t, "bad")
	u.look(t, "two")
	u.look(t, "bad one")
	u.look(t, "bad two") // another content gets another look
	testkit.Equal(t, len(u.rejected.All()), 0)
	for range 3 {
		u.watch.Poll()
	}
	testkit.Equal(t, u.rejected.All(), []string{errBad.Error()})
	u.look(t, "two") // it was in use all the time
	testkit.Equal(t, u.applied.All(), []string{"one", "two"})
	u.look(t, "bad two")
	u.watch.Poll()
	testkit.Equal(t, len(u.rejected.All()), 2)
}

func TestAMissingFileIsRejectedAtTheSecondLook(t *testing.T) {
	t.Parallel()
	u := use(t, "one")
	testkit.Check(t, u.watch.Load())
	testkit.Check(t, os.Remove(u.file))
	u.watch.Poll()
	testkit.Equal(t, len(u.rejected.All()), 0)
	u.watch.Poll()
	if got := u.rejected.All(); len(got) != 1 || !strings.Contains(got[0], u.file) {
		t.Errorf("rejected %q", got)
	}
	u.look(t, "two")
	testkit.Equal(t, u.applied.All(), []string{"one", "two"})
}

func TestRunLooksAtEachInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := use(t, "one")
		testkit.Check(t, u.watch.Load())
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		looks := 0
		var runs sync.WaitGroup
		runs.Go(func() { u.watch.Run(ctx, func() { looks++ }) })
		testkit.WriteFile(t, u.file, "two")
		testkit.Pass(pollInterval - 1)
		testkit.Equal(t, len(u.applied.All()), 1)
		testkit.Pass(1)
		testkit.Equal(t, u.applied.All(), []string{"one", "two"})
		testkit.Pass(3 * pollInterval)
		cancel()
		runs.Wait()
		testkit.Equal(t, looks, 4)
	})
}

// Looks come one after the other, whoever takes them: what Apply does needs no lock
// of its own, which the race detector checks.
func TestPollBesideRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := use(t, "one")
		applied, each := 0, 0 // without a lock
		u.watch.Apply = func([][]byte) error { applied++; return nil }
		testkit.Check(t, u.watch.Load())
		ctx, cancel := context.WithCancel(t.Context())
		var runs, polls sync.WaitGroup
		runs.Go(func() { u.watch.Run(ctx, func() { each++ }) })
		for i := range 8 {
			testkit.WriteFile(t, u.file, strings.Repeat("x", i))
			for range 4 {
				polls.Go(func() {
					<-time.After(pollInterval) // when Run looks
					u.watch.Poll()
				})
			}
			polls.Wait()
			synctest.Wait()
		}
		cancel()
		runs.Wait()
		testkit.Equal(t, applied, 1+8)
		testkit.Equal(t, each, 8)
	})
}

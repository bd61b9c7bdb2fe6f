package testkit

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Golden compares a text with a file, or writes the file if the test program has a
// flag -update and it is given.
func Golden(tb testing.TB, file, got string) {
	tb.Helper()
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		Check(tb, errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(got), 0o644)))
	}
	want, err := os.ReadFile(file)
	Check(tb, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		tb.Errorf("%s (-update rewrites it): want -, got +:\n%s", file, diff)
	}
}

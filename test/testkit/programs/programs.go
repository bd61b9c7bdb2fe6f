// Package programs builds the programs of this module for tests, which run them as
// users do. It is test support.
package programs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"dsiem/internal/cli"
	"dsiem/test/testkit"
)

// linked is the program, here so that a change of it finds no cached result of tests:
// the linker leaves out what nothing refers to, a blank import as a whole.
var linked = cli.Main //nolint:gochecknoglobals // see above

// built is where the programs are, for the tests of one package.
var built struct { //nolint:gochecknoglobals // they are built once
	once  sync.Once
	dir   string // "" as long as no test needed it
	flags []string
	err   error
}

// Run runs the tests of a package, with flags of "go build" for the programs that
// they ask for. Its caller is TestMain, which ends with its exit code.
func Run(m *testing.M, flags ...string) (code int) {
	built.flags = flags
	code = m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	return code
}

// Dir returns the directory with dsiem, dsiem-backend and dsiem-frontend. The
// first call builds them, those after it wait for that. Run removes it.
func Dir(tb testing.TB) string {
	tb.Helper()
	built.once.Do(build)
	testkit.Check(tb, built.err)
	return built.dir
}

// Path returns the path of a program.
func Path(tb testing.TB, name string) string {
	tb.Helper()
	return filepath.Join(Dir(tb), name)
}

func build() {
	if built.dir, built.err = os.MkdirTemp("", "dsiem-programs-"); built.err != nil || linked == nil {
		return
	}
	args := append([]string{"build", "-o", built.dir + string(filepath.Separator)}, built.flags...)
	args = append(args, "dsiem/cmd/dsiem", "dsiem/cmd/dsiem-backend", "dsiem/cmd/dsiem-frontend")
	cmd := exec.CommandContext(context.Background(), "go", args...) //nolint:gosec // a test says with which flags
	if out, err := cmd.CombinedOutput(); err != nil {
		built.err = fmt.Errorf("building the programs: %w\n%s", err, out)
	}
}

package options

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"testing"

	"dsiem/internal/node"
)

var _ = flag.Bool("update", false, "rewrite docs/options.md") // see testkit.Golden

// The exit codes of the programs.
const (
	exitDone = iota
	exitFailed
	exitUsage
)

// outcome is what a command line of serve came to.
type outcome struct {
	code    int
	err     string
	options *node.Options // nil if there is nothing to run
}

// runAs reads a command line of serve in a process of its own making.
func runAs(t *testing.T, p Program, args, environ []string) outcome {
	t.Helper()
	o, asked, err := p.Serve(args, &System{
		Environ:    environ,
		Executable: func() (string, error) { return filepath.FromSlash("/opt/dsiem/dsiem"), nil },
		Directory:  func() (string, error) { return filepath.FromSlash("/home/me/dsiem"), nil },
	})
	if asked != "" {
		t.Fatalf("%s %q asks for %s", p.Called, args, asked)
	}
	if err == nil {
		return outcome{code: exitDone, options: o}
	}
	if o != nil {
		t.Errorf("%s %q: options beside the error %v", p.Called, args, err)
	}
	got := outcome{code: exitFailed, err: fmt.Sprintf("%s: %s\n", p.Called, err)}
	if _, isUsage := errors.AsType[UsageError](err); isUsage {
		got.code = exitUsage
	}
	return got
}

// served reads a command line that must be one of a node.
func served(t *testing.T, p Program, args []string, environ ...string) *node.Options {
	t.Helper()
	o := runAs(t, p, args, environ)
	if o.code != exitDone || o.options == nil {
		t.Fatalf("%s %q with %q: exit code %d\n%s", p.Called, args, environ, o.code, o.err)
	}
	return o.options
}

// The programs by their names.
var (
	dsiem    = Program{Called: "dsiem"}
	frontend = Program{Called: "dsiem-frontend", Mode: "cluster-frontend"}
	backend  = Program{Called: "dsiem-backend", Mode: "cluster-backend"}
)

// everyProgram are the three programs.
func everyProgram() []Program { return []Program{dsiem, frontend, backend} }

package cli

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"dsiem/internal/cli/options"
	"dsiem/internal/node"
)

// outcome is what a command line came to.
type outcome struct {
	code     int
	out, err string
	options  *node.Options // nil if no node was run
}

// runAs runs a program in a process of its own making, whose node does nothing
// but keep its options.
func runAs(t *testing.T, p options.Program, args, environ []string) outcome {
	t.Helper()
	var out, err bytes.Buffer
	var o outcome
	o.code = run(t.Context(), &process{
		Streams:    Streams{In: bytes.NewReader(nil), Out: &out, Err: &err},
		environ:    environ,
		executable: func() (string, error) { return filepath.FromSlash("/opt/dsiem/dsiem"), nil },
		directory:  func() (string, error) { return filepath.FromSlash("/home/me/dsiem"), nil },
		serve: func(_ context.Context, given *node.Options) error {
			o.options = given
			return nil
		},
		exit: func(int) { panic("nothing here ends the process") },
	}, p, args)
	o.out, o.err = out.String(), err.String()
	return o
}

// served runs a program that must run a node.
func served(t *testing.T, p options.Program, args []string, environ ...string) *node.Options {
	t.Helper()
	o := runAs(t, p, args, environ)
	if o.code != exitDone || o.options == nil {
		t.Fatalf("%s %q with %q: exit code %d\n%s%s", p.Called, args, environ, o.code, o.out, o.err)
	}
	return o.options
}

// The programs by their names.
var (
	dsiem    = options.Program{Called: "dsiem"}
	frontend = options.Program{Called: "dsiem-frontend", Mode: "cluster-frontend"}
	backend  = options.Program{Called: "dsiem-backend", Mode: "cluster-backend"}
	// seed is dsiem-backend under the name that it has in the seed's container.
	seed = programCalled("/dsiem/dsiem", backend)
)

// everyProgram are the three programs.
func everyProgram() []options.Program { return []options.Program{dsiem, frontend, backend} }

package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"dsiem/internal/cli/options"
	"dsiem/internal/node"

	"github.com/google/go-cmp/cmp"
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

// effective returns a setting as it is logged, nil if it is not.
func effective(o *node.Options, name string) any {
	for _, a := range o.Effective {
		if a.Key == name {
			return a.Value.Any()
		}
	}
	return nil
}

// notes returns the remarks as text: LEVEL message key=value.
func notes(o *node.Options) []string {
	var texts []string
	for _, n := range o.Notes {
		text := n.Level.String() + " " + n.Message
		for _, a := range n.Attrs {
			text += " " + a.String()
		}
		texts = append(texts, text)
	}
	return texts
}

// golden compares a text with a file, or writes the file if the flag -update of
// package cli_test is given.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-update rewrites it): want -, got +:\n%s", file, diff)
	}
}

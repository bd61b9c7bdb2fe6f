package cli_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"dsiem/internal/cli"
	"dsiem/internal/node"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

func TestMain(m *testing.M) {
	program := func() {
		os.Exit(cli.MainWith(context.Background(), os.Args[0], os.Args[1:],
			cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, printOptions))
	}
	testscript.Main(m, map[string]func(){"dsiem": program, "dsiem-frontend": program, "dsiem-backend": program})
}

// printOptions prints the settings of a node and the remarks on them, as they
// would be logged, instead of running one.
func printOptions(_ context.Context, o *node.Options) error {
	for _, a := range o.Effective {
		fmt.Fprintln(o.Out, a)
	}
	for _, n := range o.Notes {
		fmt.Fprintln(o.Out, n.Level, n.Message, n.Attrs)
	}
	return nil
}

// TestScripts runs the command line as a user does. Besides the commands of
// testscript the scripts have those of scriptCommands.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setUp,
		Cmds:                scriptCommands(),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, errors.New("unknown condition " + strconv.Quote(name))
		},
	})
}

// setUp gives every script the configuration and the events of testdata/base.
func setUp(env *testscript.Env) error {
	// Under the race detector every program would sleep a second at its end.
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	return os.CopyFS(env.WorkDir, os.DirFS("testdata/base"))
}

func scriptCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(ts *testscript.TestScript, neg bool, args []string){
		"exits":  exits,
		"json":   jsonValue,
		"whole":  whole,
		"gzip":   gzipFile,
		"cut":    cut,
		"text":   text,
		"ndjson": ndjson,
	}
}

// exits CODE PROGRAM ARG... runs a program and wants an exit code. Standard
// input, output and error are those of "exec".
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("%s ended with exit code %d, want %s", strings.Join(args[1:], " "), code, want)
	}
}

// json FILE PATH WANT compares a value of a JSON document with the JSON text it
// should have. PATH is made of keys and array indexes, separated by points;
// "." is the whole document. FILE may be stdout, which must hold that document
// and nothing else.
func jsonValue(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH WANT")
	}
	var v any
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	d.UseNumber()
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("%s holds more than one JSON document", args[0])
	}
	for key := range strings.SplitSeq(strings.Trim(args[1], "."), ".") {
		if key == "" {
			continue
		}
		switch in := v.(type) {
		case map[string]any:
			found, ok := in[key]
			if !ok {
				ts.Fatalf("%s: there is no %s", args[1], key)
			}
			v = found
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				ts.Fatalf("%s: there is no %s among %d elements", args[1], key, len(in))
			}
			v = in[i]
		default:
			ts.Fatalf("%s: %s is looked for in %v", args[1], key, v)
		}
	}
	var got strings.Builder
	e := json.NewEncoder(&got)
	e.SetEscapeHTML(false)
	ts.Check(e.Encode(v))
	if same := strings.TrimSpace(got.String()) == args[2]; same == neg {
		ts.Fatalf("%s is %s", args[1], got.String())
	}
}

// whole FILE N wants a file of N whole lines, each a JSON document.
func whole(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: whole FILE N")
	}
	content := ts.ReadFile(args[0])
	if content != "" && !strings.HasSuffix(content, "\n") {
		ts.Fatalf("%s does not end with a newline", args[0])
	}
	n := 0
	for line := range strings.Lines(content) {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("%s:%d is not JSON: %s", args[0], n+1, line)
		}
		n++
	}
	if strconv.Itoa(n) != args[1] {
		ts.Fatalf("%s has %d lines, want %s:\n%s", args[0], n, args[1], content)
	}
}

// gzip SOURCE DESTINATION compresses a file.
func gzipFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: gzip SOURCE DESTINATION")
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o600))
}

// cut FILE BYTES takes bytes off the end of a file.
func cut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cut FILE BYTES")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	path := ts.MkAbs(args[0])
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.Truncate(path, info.Size()-n))
}

// text FILE TEXT [N] appends a text to a file, with the escapes of a Go string,
// once or N times.
func text(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: text FILE TEXT [N]")
	}
	n := 1
	if len(args) == 3 {
		var err error
		n, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	unquoted, err := strconv.Unquote(`"` + strings.ReplaceAll(args[1], `"`, `\"`) + `"`)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	ts.Check(err)
	_, err = f.WriteString(strings.Repeat(unquoted, n))
	ts.Check(errors.Join(err, f.Close()))
}

// ndjson SOURCE DESTINATION makes lines of the elements of a JSON array.
func ndjson(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ndjson SOURCE DESTINATION")
	}
	var elements []json.RawMessage
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &elements))
	var b bytes.Buffer
	for _, e := range elements {
		ts.Check(json.Compact(&b, e))
		b.WriteByte('\n')
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o600))
}

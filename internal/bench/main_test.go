package bench_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"dsiem/internal/bench"
	"dsiem/internal/cli"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes this test the program under test, which plays its roles, and the
// server that it measures: by its name in a script, or by what it is to do.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && filepath.Base(os.Args[0]) != "dsiem-bench" {
		switch first, _, _ := strings.Cut(os.Args[1], "="); first {
		case "serve", "replay", "version":
			runServer()
		case "--role", "--transport":
			runProgram()
		}
	}
	testscript.Main(m, map[string]func(){"dsiem-bench": runProgram, "dsiem": runServer})
}

func runProgram() {
	ctx, stop := untilSignal()
	defer stop()
	os.Exit(bench.Main(ctx, os.Args[1:], bench.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

func runServer() {
	ctx, stop := untilSignal()
	defer stop()
	os.Exit(cli.Main(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// self returns the path of this program.
func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestScripts runs the command line as a user does, with a dsiem beside it.
// Besides the commands of testscript the scripts have "exits CODE PROGRAM ARG...",
// which wants an exit code.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Under the race detector every program would sleep a second at its end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

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

package bench_test

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"dsiem/internal/cli"
)

// TestMain is the real program when the program under test starts it: this test
// is both, as dsiem is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "bench", "serve", "replay":
			os.Exit(program())
		}
	}
	os.Exit(m.Run())
}

func program() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return cli.Main(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
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

package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// serverName is the program that is measured unless another one is named, and
// serverPackage what it is built from.
const (
	serverName    = "dsiem"
	serverPackage = "dsiem/cmd/dsiem"
)

// findServer returns the path of the program to measure: the one that is named,
// or dsiem beside this program, or else one that is built from the source around
// the working directory, as for go run, into a directory that remove removes.
func findServer(ctx context.Context, named, self string) (path string, remove func() error, err error) {
	nothing := func() error { return nil }
	if named != "" {
		if path, err = exec.LookPath(named); err != nil {
			return "", nil, fmt.Errorf("looking for the program to measure: %w", err)
		}
		return path, nothing, nil
	}
	name := serverName
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	beside := filepath.Join(filepath.Dir(self), name)
	if _, err := exec.LookPath(beside); err == nil {
		return beside, nothing, nil
	}
	dir, err := os.MkdirTemp("", "dsiem-bench-built-")
	if err != nil {
		return "", nil, fmt.Errorf("making a directory for the program to measure: %w", err)
	}
	remove = func() error { return os.RemoveAll(dir) }
	path = filepath.Join(dir, name)
	build := exec.CommandContext(ctx, "go", "build", "-o", path, serverPackage) //nolint:gosec // a path of our own making
	if out, err := build.CombinedOutput(); err != nil {
		_ = remove() // the other error says more
		return "", nil, fmt.Errorf("there is no program to measure: no %s, and go build %s says: %w\n%suse --dsiem=FILE",
			beside, serverPackage, err, out)
	}
	return path, remove, nil
}

// versionOf returns the version that a program says it has.
func versionOf(ctx context.Context, program string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "version").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its version: %w", program, err)
	}
	_, version, _ := strings.Cut(strings.TrimSpace(string(out)), " ") // behind its name
	return version, nil
}

package options

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
)

// builtByGoRun matches the directory of a program that go run has built: one of
// its own for the time of the run, or the build cache, where the go command
// keeps the program for the next time.
var builtByGoRun = regexp.MustCompile(`(^|/)(go-build\d+/b\d+/exe|[0-9a-f]{2}/[0-9a-f]{64}-d)$`)

// locate sets the directories of a mode that are not set to those below the root
// directory (docs/spec/interfaces.md §7.1).
func (s *settings) locate(r *resolved, system *System) error {
	wanted := map[*string]string{&s.ConfigDir: "configs", &s.LogDir: "logs"}
	if r.mode&intakeModes != 0 {
		wanted[&s.HTTP.WebDir] = filepath.Join("web", "dist")
	}
	for dir := range wanted {
		if *dir != "" {
			delete(wanted, dir)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	root, err := s.root(r, system)
	if err != nil {
		return err
	}
	for dir, below := range wanted {
		*dir = filepath.Join(root, below)
	}
	return nil
}

// root returns the root directory: the one that is set, or that of the program.
// Symbolic links to the program are followed, as Linux does for the references.
// What go run builds lies where nobody would look for configs: then it is the
// working directory.
func (s *settings) root(r *resolved, system *System) (string, error) {
	if s.rootDir != "" {
		return s.rootDir, nil
	}
	path, err := system.Executable()
	if err != nil {
		return "", fmt.Errorf("looking for the program's directory, use --root-dir: %w", err)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	dir := filepath.Dir(path)
	if !builtByGoRun.MatchString(filepath.ToSlash(dir)) {
		return dir, nil
	}
	dir, err = system.Directory()
	if err != nil {
		return "", fmt.Errorf("looking for the working directory, use --root-dir: %w", err)
	}
	r.note(slog.LevelInfo, "started by go run: directories are those of the working directory", slog.String("directory", dir))
	return dir, nil
}

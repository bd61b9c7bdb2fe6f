package main

import (
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// contextOf returns the files that .dockerignore lets into a build, with paths from the
// top directory.
func contextOf(repo string) ([]string, error) {
	file, err := os.Open(filepath.Join(repo, dockerignoreName))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dockerignoreName, err)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", dockerignoreName, err)
	}
	var kept []string
	err = filepath.WalkDir(repo, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == ".git" {
				return filepath.SkipDir
			}
			return nil
		}
		name, err := filepath.Rel(repo, path)
		if err != nil {
			return err
		}
		ignored, err := matcher.MatchesOrParentMatches(filepath.ToSlash(name))
		if err == nil && !ignored {
			kept = append(kept, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the files of the build context: %w", err)
	}
	return kept, nil
}

// inContext tells if a source of COPY is in the build context: a file, or a
// directory with files.
func inContext(image []string, source string) bool {
	source = strings.Trim(strings.TrimPrefix(source, "./"), "/")
	return slices.ContainsFunc(image, func(name string) bool {
		if name == source || strings.HasPrefix(name, source+"/") {
			return true
		}
		matched, err := filepath.Match(source, name)
		return err == nil && matched
	})
}

// buildProgram does what the Dockerfile's first stage does: it builds dsiem from
// the build context alone. It must be static, since the image has no libraries.
func buildProgram(ctx context.Context, repo string, image []string) error {
	dir, err := os.MkdirTemp("", "deploylint-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	source, program := filepath.Join(dir, "src"), filepath.Join(dir, "dsiem")
	for _, name := range image {
		if err := copyFile(filepath.Join(repo, name), filepath.Join(source, name)); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", program, "./cmd/dsiem")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("dsiem cannot be built from what is in the build context: %w\n%s", err, text)
	}
	file, err := elf.Open(program)
	if err != nil {
		return fmt.Errorf("looking at the program: %w", err)
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("looking at the program: %w", err)
	}
	if len(libraries) > 0 {
		return fmt.Errorf("dsiem is not static: it needs %v", libraries)
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

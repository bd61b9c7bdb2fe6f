// Package sample is the sample configuration that a newcomer can read and edit,
// and writes it into a directory. It keeps no state and never writes over a
// configuration that is there, unless it is told to (Write).
package sample

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// settingsName is the file that every frontend writes into its configuration.
const settingsName = "dsiem_config.json"

// WriteIfNone writes the sample configuration into a directory that has no
// configuration, making it if need be, and returns the names of the files, none
// if there was one.
func WriteIfNone(dir string) ([]string, error) {
	present, err := fs.Glob(os.DirFS(dir), "*.json")
	if err != nil {
		panic(err) // cannot happen: the pattern is valid
	}
	for _, name := range present {
		if name != settingsName { // which a frontend writes by itself
			return nil, nil
		}
	}
	return Write(dir)
}

// Write writes the sample configuration into a directory.
func Write(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a directory for the sample configuration: %w", err)
	}
	sample := Files()
	names, err := fs.Glob(sample, "*.json")
	if err != nil {
		return nil, fmt.Errorf("listing the sample configuration: %w", err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(sample, name)
		if err != nil {
			return nil, fmt.Errorf("reading the sample configuration: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return nil, fmt.Errorf("writing the sample configuration: %w", err)
		}
	}
	return names, nil
}

package app

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"dsiem/internal/demo"
)

// settingsName is the file that every frontend writes into its configuration.
const settingsName = "dsiem_config.json"

// writeSamples writes the sample configuration into a directory that has no
// configuration, making it if need be, and returns the names of the files, none
// if there was one.
func writeSamples(dir string) ([]string, error) {
	present, err := fs.Glob(os.DirFS(dir), "*.json")
	if err != nil {
		panic(err) // cannot happen: the pattern is valid
	}
	for _, name := range present {
		if name != settingsName { // which a frontend writes by itself
			return nil, nil
		}
	}
	return copySamples(dir)
}

// copySamples writes the sample configuration into a directory.
func copySamples(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a directory for the sample configuration: %w", err)
	}
	sample := demo.Configs()
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

// sampleEvent is an event that raises an alarm at once with the sample
// configuration.
const sampleEvent = `{"event_id":"my-first-event","timestamp":"%s","sensor":"waf1","title":"SQL injection attempt",` +
	`"product":"Web Application Firewall","category":"Web Attack","src_ip":"198.51.100.7","src_port":50000,` +
	`"dst_ip":"10.20.10.22","dst_port":443,"protocol":"TCP"}`

// seed writes the sample configuration for a standalone node that has none.
func (n *node) seed() (written bool, err error) {
	names, err := writeSamples(n.options.ConfigDir)
	if errors.Is(err, fs.ErrPermission) {
		n.target("config").Warn("sample configuration not written", "error", err)
		return false, nil // that there is none will be told
	}
	if len(names) == 0 {
		return false, err
	}
	n.target("config").Info("no configuration found, sample configuration written",
		slog.String("directory", n.options.ConfigDir), slog.Any("files", names))
	return true, nil
}

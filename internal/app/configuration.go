// Package app is the program as a library: it wires the stages and runs them.
// It is the only package that knows them all; it owns no correlation state.
package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"dsiem/internal/asset"
	"dsiem/internal/config"
	"dsiem/internal/directive"
)

// ErrConfiguration is the error of a configuration with errors in it, after
// these have been shown.
var ErrConfiguration = errors.New("the configuration has errors")

// configuration is what a directory of configuration files holds.
type configuration struct {
	assets     *asset.Table
	directives []*directive.Directive
	report     config.Report
	files      int
}

// loadConfiguration reads all configuration files of a directory. Files that
// cannot be read are an error; everything that is wrong inside files is in the
// report. name is put before file names where they are shown.
func loadConfiguration(dir fs.FS, name string) (*configuration, error) {
	c := &configuration{}
	assets, err := readFiles(dir, name, "assets_*.json")
	if err != nil {
		return nil, err
	}
	directives, err := readFiles(dir, name, "directives_*.json")
	if err != nil {
		return nil, err
	}
	c.files = len(assets) + len(directives)
	c.assets = asset.Load(assets, &c.report)
	c.directives = directive.Load(directives, &c.report)
	c.warnOfSilence()
	c.report.Sort()
	return c, nil
}

// readFiles reads the files of a directory that match a pattern, in lexical
// order (§2.1).
func readFiles(dir fs.FS, name, pattern string) ([]*config.File, error) {
	if _, err := fs.Stat(dir, "."); err != nil {
		return nil, fmt.Errorf("reading the configuration directory %s: %w", name, cause(err))
	}
	names, err := fs.Glob(dir, pattern)
	if err != nil {
		return nil, fmt.Errorf("looking for %s in %s: %w", pattern, name, err)
	}
	files := make([]*config.File, 0, len(names))
	for _, file := range names {
		shown := file
		if name != "" {
			shown = name + "/" + file
		}
		content, err := fs.ReadFile(dir, file)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", shown, cause(err))
		}
		files = append(files, config.NewFile(shown, content))
	}
	return files, nil
}

// cause returns the reason inside a path error, whose path is relative to the
// directory and of no use to a reader.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// riskDivisor is that of the risk formula (§7).
const riskDivisor = 25

// warnOfSilence warns of directives that cannot raise an alarm, whatever
// happens, because their risk stays below 1 for the most valuable asset.
func (c *configuration) warnOfSilence() {
	highest := c.assets.MaxValue()
	for _, d := range c.directives {
		reliability := 0
		for i := range d.Rules {
			reliability = max(reliability, d.Rules[i].Reliability)
		}
		if d.Priority*reliability*highest >= riskDivisor || highest == 0 {
			continue
		}
		c.report.Add(config.Problem{
			File: d.File, Line: d.Line, Column: 1, Severity: config.Warning, Where: fmt.Sprintf("directive %d", d.ID),
			Msg: fmt.Sprintf("it can never raise an alarm: priority %d × reliability %d × the highest asset value %d is below %d",
				d.Priority, reliability, highest, riskDivisor),
		})
	}
}

// show prints every problem, each with its source line.
func show(w io.Writer, report *config.Report) error {
	for i := range report.Problems {
		if err := report.Problems[i].Write(w); err != nil {
			return fmt.Errorf("writing diagnostics: %w", err)
		}
	}
	return nil
}

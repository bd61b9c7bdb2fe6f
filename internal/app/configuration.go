// Package app is the program as a library: it wires the stages and runs them.
// It is the only package that knows them all; it owns no correlation state.
package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/config"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
)

// ErrConfiguration is the error of a configuration with errors in it, after
// these have been shown.
var ErrConfiguration = errors.New("the configuration has errors")

// configuration is what a directory of configuration files holds.
type configuration struct {
	assets *asset.Table
	// plans are those of the directives, which nobody else holds on to.
	plans  []correlate.Planned
	report config.Report
	files  int
	names  []string // of the files, as they are shown
	// assetErrors is the number of errors that are not about directives.
	assetErrors int
}

// usable returns ErrConfiguration if a start with this configuration is not to
// be: because of any error, or, if invalid directives are to be left out, of an
// error in the assets, on which every alarm depends, or of no directive that
// is left.
func (c *configuration) usable(skipInvalid bool) error {
	failed := c.report.Count(config.Error)
	if failed == 0 || skipInvalid && c.assetErrors == 0 && len(c.plans) > 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrConfiguration, count(failed, "problem"))
}

// loadConfiguration reads all configuration files of a directory. A directory
// that cannot be read is an error; everything that is wrong with the files in it
// is in the report. name is put before file names where they are shown.
func loadConfiguration(dir fs.FS, name string) (*configuration, error) {
	if _, err := fs.ReadDir(dir, "."); err != nil {
		return nil, fmt.Errorf("reading the configuration directory %s: %w", name, cause(err))
	}
	c := &configuration{assets: &asset.Table{}}
	// What is in files that cannot be read is not known, so nothing can be said
	// to be missing.
	if files, unreadable := c.read(dir, name, "assets_*.json"); len(files) > 0 || !unreadable {
		c.assets = asset.Load(files, &c.report)
	}
	c.assetErrors = c.report.Count(config.Error)
	if files, unreadable := c.read(dir, name, "directives_*.json"); len(files) > 0 || !unreadable {
		directives := directive.Load(files, &c.report)
		c.warnOfSilence(directives)
		c.plans = correlate.Plans(directives)
	}
	c.report.Sort()
	return c, nil
}

// ids returns the ids of the directives in load order.
func (c *configuration) ids() []uint64 {
	ids := make([]uint64, len(c.plans))
	for i, p := range c.plans {
		ids[i] = p.Plan.ID
	}
	return ids
}

// read reads the files of a directory that match a pattern, in lexical order
// (§2.1). It reports those that it cannot read, and whether there are any.
func (c *configuration) read(dir fs.FS, name, pattern string) (files []*config.File, unreadable bool) {
	names, err := fs.Glob(dir, pattern)
	if err != nil {
		panic(err) // cannot happen: the patterns are valid
	}
	c.files += len(names)
	for _, file := range names {
		shown := file
		if name != "" {
			shown = strings.TrimRight(name, "/") + "/" + file
		}
		c.names = append(c.names, shown)
		content, err := readRegular(dir, file)
		if err != nil {
			c.report.Add(config.Problem{File: shown, Msg: fmt.Sprintf("the file cannot be read: %v", cause(err))})
			unreadable = true
			continue
		}
		files = append(files, config.NewFile(shown, content))
	}
	return files, unreadable
}

// readRegular reads a file, which must not be a pipe or a device: they could
// keep a reader waiting for ever.
func readRegular(dir fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(dir, name)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("is a directory")
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	}
	return fs.ReadFile(dir, name)
}

// cause returns the reason inside a path error, whose path is relative to the
// directory and of no use to a reader.
func cause(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// warnOfSilence warns of directives that cannot raise an alarm, whatever
// happens, because their risk stays below 1 for the most valuable asset.
func (c *configuration) warnOfSilence(directives []*directive.Directive) {
	highest := c.assets.MaxValue()
	for _, d := range directives {
		reliability := 0
		for i := range d.Rules {
			reliability = max(reliability, d.Rules[i].Reliability)
		}
		if alarm.Risk(d.Priority, reliability, highest) >= 1 || highest == 0 {
			continue
		}
		c.report.Add(config.Problem{
			File: d.File, Line: d.Line, Column: 1, Severity: config.Warning, Where: fmt.Sprintf("directive %d", d.ID),
			Msg: fmt.Sprintf("it can never raise an alarm: priority %d × reliability %d × the highest asset value %d is below 25",
				d.Priority, reliability, highest),
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

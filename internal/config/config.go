// Package config is the configuration of a node or a replay as one value: the
// assets, the plans of the directives, the services to ask, and every problem of
// the files with its place. It also checks files that are to be uploaded.
//
// A Config is made once, never changes, and may be shared. The package keeps no
// state, writes nothing and repairs nothing.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/enrich"
	"dsiem/internal/jsonfile"
	"dsiem/internal/text"
)

// ErrInvalid is the error of a configuration with errors in it, after these
// have been shown.
var ErrInvalid = errors.New("the configuration has errors")

// Config is what a directory of configuration files holds. It never changes
// after loading.
type Config struct {
	Assets *asset.Table
	// Plans are those of the directives, which nobody else holds on to.
	Plans []correlate.Planned
	// Intel and Vuln are the services to ask; LoadAll reads them.
	Intel, Vuln []enrich.Service
	Report      jsonfile.Report
	// Names are those of the files, as they are shown.
	Names []string
	// Hash stands for the names and contents of all files that were loaded, "" if there
	// were none; LoadAll makes it.
	Hash string
	sum  sum
	// errors is the number of errors in the files of each kind.
	errors map[kind]int
}

// kind is a kind of configuration files, in the references' words.
type kind string

const (
	assets     kind = "assets"
	directives kind = "directives"
	intels     kind = "intels"
	vulns      kind = "vulns"
)

// Load reads the assets and directives of a directory. A directory that cannot
// be read is an error; everything that is wrong with the files in it is in the
// report. name is put before file names where they are shown,
// off names warnings that are left out.
func Load(dir fs.FS, name string, off ...jsonfile.Lint) (*Config, error) {
	entries, err := list(dir, name)
	if err != nil {
		return nil, err
	}
	c := &Config{Assets: &asset.Table{}, errors: map[kind]int{}}
	c.Report.SwitchOff(off...)
	// What is in files that cannot be read is not known, so nothing can be said
	// to be missing.
	c.load(assets, func() {
		if files, unreadable := c.read(dir, name, assets.pattern()); len(files) > 0 || !unreadable {
			c.Assets = asset.Load(files, &c.Report)
		}
	})
	c.load(directives, func() {
		if files, unreadable := c.read(dir, name, directives.pattern()); len(files) > 0 || !unreadable {
			loaded := directive.Load(files, &c.Report)
			c.warnOfSilence(files, loaded)
			c.Plans = correlate.Plans(loaded)
		}
	})
	c.warnOfNames(dir, name, entries)
	c.Report.Sort()
	return c, nil
}

// Readable returns why a directory cannot be read, nil if it can. What is in it is
// not looked at.
func Readable(dir fs.FS, name string) error {
	_, err := list(dir, name)
	return err
}

// list returns what is in a directory, or an error that says what to do.
func list(dir fs.FS, name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(dir, ".")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading the configuration directory %s: %w; "+
			"correct the name, or make the directory and put assets_*.json and directives_*.json into it", name, cause(err))
	case err != nil:
		return nil, fmt.Errorf("reading the configuration directory %s: %w; name a directory that this user may read", name, cause(err))
	}
	return entries, nil
}

// LoadAll reads what Load reads, and the services to ask.
func LoadAll(dir fs.FS, name string) (*Config, error) {
	c, err := Load(dir, name)
	if err != nil {
		return nil, err
	}
	client := enrich.NewClient(0)
	c.load(intels, func() {
		files, _ := c.read(dir, name, intels.pattern())
		c.Intel = enrich.LoadIntel(files, client, &c.Report)
	})
	c.load(vulns, func() {
		files, _ := c.read(dir, name, vulns.pattern())
		c.Vuln = enrich.LoadVuln(files, client, &c.Report)
	})
	c.Hash = c.sum.String()
	return c, nil
}

// load loads files of a kind and counts the errors in them.
func (c *Config) load(k kind, files func()) {
	before := c.Report.Count(jsonfile.Error)
	files()
	c.errors[k] = c.Report.Count(jsonfile.Error) - before
}

// Usable returns ErrInvalid if a replay with this configuration is not to
// be: because of any error, or, if invalid directives are to be left out, of an
// error in the assets, on which every alarm depends, or of no directive that
// is left.
func (c *Config) Usable(skipInvalid bool) error {
	failed := c.Report.Count(jsonfile.Error)
	if failed == 0 || skipInvalid && c.errors[assets] == 0 && len(c.Plans) > 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInvalid, text.Count(failed, "problem"))
}

// Startable returns why a backend cannot start with this configuration, in the
// references' words for what it was doing (docs/spec/interfaces.md §6.3).
func (c *Config) Startable(skipInvalid bool) error {
	switch {
	case c.Assets.Len() == 0:
		return errors.New("loading assets: cannot load any asset; put your networks into assets_*.json of the configuration directory")
	case c.errors[assets] > 0:
		return c.failed(assets)
	case len(c.Plans) == 0:
		return errors.New("loading directives: cannot load any directive; put some into directives_*.json of the configuration directory")
	case c.errors[directives] > 0 && !skipInvalid:
		return c.failed(directives)
	case c.errors[intels] > 0:
		return c.failed(intels)
	case c.errors[vulns] > 0:
		return c.failed(vulns)
	}
	return nil
}

func (c *Config) failed(k kind) error {
	return fmt.Errorf("loading %s: %w: %s; correct what the lines before this one name", k, ErrInvalid, text.Count(c.errors[k], "problem"))
}

// Directives returns the ids of the directives in load order.
func (c *Config) Directives() []uint64 {
	ids := make([]uint64, len(c.Plans))
	for i, p := range c.Plans {
		ids[i] = p.Plan.ID
	}
	return ids
}

// read reads the files of a directory that match a pattern, in lexical order
// (§2.1). It reports those that it cannot read, and whether there are any.
func (c *Config) read(dir fs.FS, name, pattern string) (files []*jsonfile.File, unreadable bool) {
	names, err := fs.Glob(dir, pattern)
	if err != nil {
		panic(err) // cannot happen: the patterns are valid
	}
	for _, file := range names {
		shown := shown(name, file)
		c.Names = append(c.Names, shown)
		content, err := readRegular(dir, file)
		c.sum.add(file, content, err != nil)
		if err != nil {
			c.Report.Add(jsonfile.Problem{File: shown, Msg: fmt.Sprintf("the file cannot be read: %v", cause(err))})
			unreadable = true
			continue
		}
		files = append(files, jsonfile.NewFile(shown, content))
	}
	return files, unreadable
}

// shown returns how messages call a file of a directory.
func shown(dir, file string) string {
	if dir == "" {
		return file
	}
	return strings.TrimRight(dir, "/") + "/" + file
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

// warnOfSilence warns of directives of the files that cannot raise an alarm,
// whatever happens, because their risk stays below 1 for the most valuable asset.
func (c *Config) warnOfSilence(files []*jsonfile.File, directives []*directive.Directive) {
	highest := c.Assets.MaxValue()
	for _, d := range directives {
		reliability := 0
		for i := range d.Rules {
			reliability = max(reliability, d.Rules[i].Reliability)
		}
		if alarm.Risk(d.Priority, reliability, highest) >= 1 || highest == 0 {
			continue
		}
		if slices.Contains(d.LintOff, jsonfile.NeverAlarms) {
			c.Report.SwitchedOff++
			continue
		}
		i := slices.IndexFunc(files, func(f *jsonfile.File) bool { return f.Name == d.File })
		c.Report.Add(files[i].Warning(jsonfile.NeverAlarms, d.PriorityAt, fmt.Sprintf("directive %d, priority", d.ID), fmt.Sprintf(
			"the directive can never raise an alarm: priority %d × reliability %d × the highest asset value %d is below 25; raise one of them",
			d.Priority, reliability, highest)))
	}
}

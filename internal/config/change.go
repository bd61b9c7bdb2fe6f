package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"dsiem/internal/asset"
	"dsiem/internal/directive"
	"dsiem/internal/enrich"
	"dsiem/internal/jsonfile"
)

// CheckUpload returns what the engine's loader has to say against a file by itself:
// every error with its place, in the words of validate. Warnings are no obstacle.
// Files of no known kind are not looked at. Change has the files beside it.
func CheckUpload(name string, content []byte) error {
	k := kindOfFile(name)
	if k == "" {
		return nil
	}
	var report jsonfile.Report
	check(k, []*jsonfile.File{jsonfile.NewFile(name, content)}, &report)
	report.Sort()
	return refusal(report.Problems)
}

// Change is a change of one file in a directory of configuration files.
type Change struct {
	// Dir is the directory before the change.
	Dir fs.FS
	// Name is the file's name, Content what it is to hold; Delete removes it instead.
	Name    string
	Content []byte
	Delete  bool
	// PerNode says that backends download from the directory: a file
	// directives_NODE_*.json is for the backend NODE alone, and two of them may have
	// directives of one id. Otherwise one node loads all of it.
	PerNode bool
}

// Check returns what the engine's loader would have to say against the directory
// after the change that it does not say against it now, in the words of validate: an
// id that is given twice, or no asset that is left. Errors that are there already
// are no obstacle, so that a broken directory can be repaired file by file.
func (c *Change) Check() error {
	k := kindOfFile(c.Name)
	if k == "" {
		return nil
	}
	after, err := c.files(k, true)
	if err != nil {
		return err
	}
	for _, prefix := range c.loads(k, after) {
		var report jsonfile.Report
		check(k, withPrefix(after, prefix), &report)
		if report.Count(jsonfile.Error) == 0 {
			continue
		}
		before, err := c.files(k, false)
		if err != nil {
			return err
		}
		var now jsonfile.Report
		check(k, withPrefix(before, prefix), &now)
		report.Sort()
		if err := refusal(c.added(now.Problems, report.Problems)); err != nil {
			return err
		}
	}
	return nil
}

// kindOfFile returns the kind of a file that a node loads, "" for another one.
func kindOfFile(name string) kind {
	if !isRead(name) {
		return ""
	}
	prefix, _, _ := strings.Cut(name, "_")
	return map[string]kind{"assets": assets, "directives": directives, "intel": intels, "vuln": vulns}[prefix]
}

// pattern returns the names of the files of a kind, as fs.Glob takes them.
func (k kind) pattern() string {
	if k == intels || k == vulns { // the references' words have an s
		return strings.TrimSuffix(string(k), "s") + "_*.json"
	}
	return string(k) + "_*.json"
}

// check loads files of a kind and adds what is wrong with them to a report.
func check(k kind, files []*jsonfile.File, report *jsonfile.Report) {
	switch k {
	case assets:
		asset.Load(files, report)
	case directives:
		directive.Load(files, report)
	case intels:
		enrich.LoadIntel(files, enrich.NewClient(0), report)
	case vulns:
		enrich.LoadVuln(files, enrich.NewClient(0), report)
	}
}

// files returns the files of a kind in lexical order (§2.1), before the change or
// after it. What cannot be read is left out, as it is so before and after.
func (c *Change) files(k kind, after bool) ([]*jsonfile.File, error) {
	names, err := fs.Glob(c.Dir, k.pattern())
	if err != nil {
		return nil, fmt.Errorf("reading the configuration directory: %w", cause(err))
	}
	if after && !slices.Contains(names, c.Name) {
		names = append(names, c.Name)
		slices.Sort(names)
	}
	var all []*jsonfile.File
	for _, name := range names {
		content := c.Content
		switch {
		case after && name == c.Name && c.Delete:
			continue
		case !after || name != c.Name:
			if content, err = readRegular(c.Dir, name); err != nil {
				continue
			}
		}
		all = append(all, jsonfile.NewFile(name, content))
	}
	return all, nil
}

// loads returns the prefixes of the sets of files that nodes load together and that
// the change concerns.
//
// Which backends there are nobody knows here. A file directives_NODE_*.json is taken
// to be for the node whose name ends before its last underscore, and such a node
// loads all files that begin with directives_NODE_, as docs/spec/interfaces.md §2.5
// has it. A node for which no file is left is gone, and wants none.
func (c *Change) loads(k kind, after []*jsonfile.File) []string {
	if !c.PerNode || k != directives {
		return []string{""}
	}
	nodes := map[string]bool{}
	for _, f := range after {
		if prefix := f.Name[:strings.LastIndex(f.Name, "_")+1]; prefix != "directives_" && strings.HasPrefix(c.Name, prefix) {
			nodes[prefix] = true
		}
	}
	return slices.Sorted(maps.Keys(nodes))
}

func withPrefix(all []*jsonfile.File, prefix string) (some []*jsonfile.File) {
	for _, f := range all {
		if strings.HasPrefix(f.Name, prefix) {
			some = append(some, f)
		}
	}
	return some
}

// added returns the errors of which there are more after the change than now.
func (c *Change) added(now, after []jsonfile.Problem) (added []jsonfile.Problem) {
	known, total := map[string]int{}, map[string]int{}
	for i := range now {
		known[about(&now[i])]++
	}
	for i := range after {
		total[about(&after[i])]++
	}
	for _, p := range after {
		if total[about(&p)] <= known[about(&p)] {
			continue
		}
		if p.File != c.Name { // whoever may write need not be allowed to read
			p.Source, p.Caret = "", 0
		}
		added = append(added, p)
	}
	return added
}

var placeInText = regexp.MustCompile(`\S+:\d+`)

// about returns what a problem is about. It is the same before and after a change
// that moves it: of two directives with one id the second one has the error,
// whichever that is.
func about(p *jsonfile.Problem) string {
	file := p.File
	if p.Where != "" {
		file = ""
	}
	return file + ": " + p.Where + ": " + placeInText.ReplaceAllString(p.Msg, "")
}

// refusal returns the errors among problems with their places, nil if there are none.
func refusal(problems []jsonfile.Problem) error {
	var report jsonfile.Report
	for _, p := range problems {
		if p.Severity == jsonfile.Error {
			report.Add(p)
		}
	}
	if len(report.Problems) == 0 {
		return nil
	}
	var b bytes.Buffer
	if err := report.Write(&b); err != nil {
		return err
	}
	return errors.New(strings.TrimSpace(b.String()))
}

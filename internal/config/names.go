package config

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"dsiem/internal/jsonfile"
)

// warnOfNames warns of files that are not read because of their names, although
// there are assets or directives in them.
func (c *Config) warnOfNames(dir fs.FS, name string, entries []fs.DirEntry) {
	for _, entry := range entries {
		file := entry.Name()
		if info, err := fs.Stat(dir, file); err != nil || !info.Mode().IsRegular() || isRead(file) {
			continue
		}
		k := cmp.Or(kindOfName(file), kindOfContent(dir, file))
		if k == "" {
			continue
		}
		remedy := fmt.Sprintf("rename it to %s_*.json, in small letters", k)
		if !isJSON(file) {
			remedy = fmt.Sprintf("write %s as JSON, into files called %s_*.json", k, k)
		}
		c.Report.Add(jsonfile.Problem{
			File: shown(name, file), Severity: jsonfile.Warning, Lint: jsonfile.FileNotRead,
			Msg: "this file is not read; " + remedy,
		})
	}
}

// isRead reports whether a node reads a file of this name.
func isRead(file string) bool {
	for _, start := range []string{"assets_", "directives_", "intel_", "vuln_"} {
		if strings.HasPrefix(file, start) && strings.HasSuffix(file, ".json") {
			return true
		}
	}
	return false
}

// isJSON reports whether a file is JSON by its name, whatever Windows has put
// behind it.
func isJSON(file string) bool {
	return strings.HasSuffix(strings.TrimSuffix(strings.ToLower(file), ".txt"), ".json")
}

// kindOfName returns what a file is meant to be by a name that is nearly right;
// "" if it is not. What somebody put behind ".json" to switch a file off is not
// nearly right, but for what Windows hides.
func kindOfName(file string) kind {
	file = strings.ToLower(file)
	if ext := path.Ext(file); !isJSON(file) && ext != ".yaml" && ext != ".yml" {
		return ""
	}
	switch {
	case strings.HasPrefix(file, "directive"):
		return directives
	case strings.HasPrefix(file, "asset"):
		return assets
	}
	return ""
}

// kindOfContent returns whether there are assets or directives in a JSON file of
// any name; "" if there are not.
func kindOfContent(dir fs.FS, name string) kind {
	if !isJSON(name) {
		return ""
	}
	file, err := dir.Open(name)
	if err != nil {
		return "" // nobody has asked to read it
	}
	defer file.Close() //nolint:errcheck // it was only read
	dec := jsontext.NewDecoder(file, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return ""
	}
	for dec.PeekKind() == '"' {
		key, err := dec.ReadToken()
		if err != nil {
			return ""
		}
		if k := kind(key.String()); (k == assets || k == directives) && dec.PeekKind() == '[' {
			return k
		}
		if dec.SkipValue() != nil {
			return ""
		}
	}
	return ""
}

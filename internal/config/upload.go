package config

import (
	"bytes"
	"errors"
	"strings"

	"dsiem/internal/asset"
	"dsiem/internal/directive"
	"dsiem/internal/enrich"
	"dsiem/internal/jsonfile"
)

// CheckUpload returns what the engine's loader has to say against a file: every
// error with its place, in the words of validate. Warnings are no obstacle.
// Files of no known kind are not looked at.
//
// A file is checked by itself: the files beside it may be for other nodes, which
// may well have directives of the same id.
func CheckUpload(name string, content []byte) error {
	var report jsonfile.Report
	files := []*jsonfile.File{jsonfile.NewFile(name, content)}
	switch {
	case strings.HasPrefix(name, "assets_"):
		asset.Load(files, &report)
	case strings.HasPrefix(name, "directives_"):
		directive.Load(files, &report)
	case strings.HasPrefix(name, "intel_"):
		enrich.LoadIntel(files, enrich.NewClient(0), &report)
	case strings.HasPrefix(name, "vuln_"):
		enrich.LoadVuln(files, enrich.NewClient(0), &report)
	default:
		return nil
	}
	if report.Count(jsonfile.Error) == 0 {
		return nil
	}
	report.Sort()
	var b bytes.Buffer
	if err := report.Write(&b); err != nil {
		return err
	}
	return errors.New(strings.TrimSpace(b.String()))
}

package confdist

import (
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
)

// preview is a folder as it will be after an installation: the new files, and those of
// the folder that are neither replaced nor removed.
type preview struct {
	staged, target fs.FS
	isNew, isGone  map[string]bool
}

// preview shows the folder as install would leave it.
func (s *staging) preview(files, listed []string, log *slog.Logger) fs.FS {
	p := &preview{
		staged: os.DirFS(s.dir), target: os.DirFS(s.target),
		isNew: set(files), isGone: map[string]bool{stagingName: true},
	}
	stillListed := set(listed)
	for _, name := range s.managed(log) {
		p.isGone[name] = !p.isNew[name] && !stillListed[name]
	}
	return p
}

// Open implements fs.FS for the files of the folder.
func (p *preview) Open(name string) (fs.File, error) {
	switch {
	case p.isNew[name]:
		return p.staged.Open(name)
	case p.isGone[name]:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return p.target.Open(name)
}

// ReadDir implements fs.ReadDirFS for the folder itself.
func (p *preview) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(p.target, name)
	if err != nil || name != "." {
		return entries, err
	}
	staged, err := fs.ReadDir(p.staged, name)
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return p.isNew[e.Name()] || p.isGone[e.Name()] })
	entries = append(entries, staged...)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

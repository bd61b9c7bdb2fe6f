package confdist

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	// manifestName is the file with the names of the files that Download brought
	// into a folder, stagingName the folder in it for files on the way.
	manifestName = ".dsiem-managed.json"
	stagingName  = ".dsiem-download"

	dirMode fs.FileMode = 0o755
	// Intel files hold keys to paid services.
	fileMode fs.FileMode = 0o640
)

// local returns the error of something that failed on this machine, which
// another attempt to download does not heal; nil for nil.
func local(doing string, err error) error {
	if err == nil {
		return nil
	}
	return backoff.Permanent(fmt.Errorf("%s: %w", doing, err))
}

// staging holds new files until all have arrived. It is a folder in the one
// they go to, so that renaming them cannot fail for another file system.
type staging struct {
	dir, target string
}

func newStaging(target string) (*staging, error) {
	s := &staging{dir: filepath.Join(target, stagingName), target: target}
	err := os.MkdirAll(target, dirMode)
	if err == nil {
		err = os.RemoveAll(s.dir) // Left by a run that was killed.
	}
	if err == nil {
		err = os.Mkdir(s.dir, 0o700)
	}
	return s, local("making the folder for downloads", err)
}

func (s *staging) discard(log *slog.Logger) {
	if err := os.RemoveAll(s.dir); err != nil {
		log.Warn("cannot remove the folder for downloads", "error", err)
	}
}

// add writes a file that must hold one JSON value.
func (s *staging) add(name string, content io.Reader) error {
	file, err := os.OpenFile(filepath.Join(s.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return local("writing a download", err)
	}
	write := &localWriter{to: file}
	err = validJSON("the answer", io.TeeReader(content, write))
	switch {
	case write.err != nil:
		err = write.err
	case err == nil:
		err = local("writing a download", file.Sync())
	}
	if e := file.Close(); err == nil {
		err = local("writing a download", e)
	}
	return err
}

// localWriter remembers that it failed, which a reader that feeds it hides.
type localWriter struct {
	to  io.Writer
	err error
}

// Write implements io.Writer.
func (w *localWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if err != nil {
		w.err = local("writing a download", err)
	}
	return n, err
}

// install gives the new files their place and removes those that an earlier
// download brought and that are not listed any more. It returns the names of
// these.
//
// A file that is listed but no longer for this node stays: the folder may be
// the frontend's own, and then it is the only copy.
func (s *staging) install(node string, files, listed []string, log *slog.Logger) (removed []string, err error) {
	old := s.managed(log)
	// If the machine stops from here on, the list knows every file that is ours, and
	// that they may not go together.
	if err := s.writeManifest(manifest{Files: union(old, files)}); err != nil {
		return nil, err
	}
	for _, name := range files {
		if err := os.Rename(filepath.Join(s.dir, name), filepath.Join(s.target, name)); err != nil {
			return nil, local("installing a download", err)
		}
	}
	keep, installed, stillListed := slices.Clone(files), set(files), set(listed)
	for _, name := range old {
		if installed[name] {
			continue
		}
		file := filepath.Join(s.target, name)
		if stillListed[name] {
			if _, err := os.Lstat(file); err == nil {
				log.Warn("configuration file was downloaded for another node and is still in use, remove it by hand if it should not be", "file", file)
				keep = append(keep, name)
			}
			continue
		}
		switch err := os.Remove(file); {
		case err == nil:
			log.Info("removed configuration file that the frontend no longer has", "file", file)
			removed = append(removed, name)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, local("removing a configuration file that the frontend no longer has", err)
		}
	}
	return removed, s.writeManifest(manifest{Files: union(keep, nil), CompleteFor: node})
}

// manifest is the content of the file that names the downloaded files.
type manifest struct {
	Files []string `json:"files"`
	// CompleteFor is the node that the files were downloaded for, "" until all of
	// them are in place.
	CompleteFor string `json:"complete_for,omitzero"`
}

func readManifest(dir string) (m manifest, err error) {
	content, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err == nil {
		err = json.Unmarshal(content, &m)
	}
	return m, err
}

// lastGood reports whether a folder holds a whole configuration that was downloaded for
// a node, and when that was.
func lastGood(dir, node string) (downloaded time.Time, ok bool) {
	m, err := readManifest(dir)
	if err != nil || m.CompleteFor != node {
		return time.Time{}, false
	}
	for _, name := range m.Files {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return time.Time{}, false
		}
	}
	info, err := os.Stat(filepath.Join(dir, manifestName))
	if err != nil {
		return time.Time{}, false
	}
	return info.ModTime(), true
}

// managed returns the names of files of earlier downloads, sorted. Names that no
// download can have are left out.
func (s *staging) managed(log *slog.Logger) []string {
	m, err := readManifest(s.target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		log.Warn("cannot read the list of downloaded files, older ones stay in use",
			"file", filepath.Join(s.target, manifestName), "error", err)
		return nil
	}
	return union(slices.DeleteFunc(m.Files, func(name string) bool { return !ValidName(name) }), nil)
}

func (s *staging) writeManifest(m manifest) error {
	content, err := json.Marshal(m, jsontext.Multiline(true))
	if err == nil {
		err = writeFile(filepath.Join(s.target, manifestName), append(content, '\n'), fileMode)
	}
	return local("writing the list of downloaded files", err)
}

func set(names []string) map[string]bool {
	all := make(map[string]bool, len(names))
	for _, name := range names {
		all[name] = true
	}
	return all
}

// union returns the names of both lists, sorted, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

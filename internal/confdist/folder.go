package confdist

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"dsiem/internal/pending"
)

// errForeign is the error of a name under which there is something, but no file
// of the folder: a folder, a device, a pipe, or a symbolic link that is broken
// or leads out.
var errForeign = errors.New("not a regular file in the folder")

// folder is the directory of configuration files during one request. It is
// opened for each, so that one that is mounted or replaced later is found.
//
// Nothing outside can be reached through it, also not by symbolic links. Those
// that stay inside work: a ConfigMap of Kubernetes consists of them.
type folder struct {
	root *os.Root
}

func openFolder(dir string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &folder{root}, nil
}

func (f *folder) close() { _ = f.root.Close() } // it was only read from

// stat returns what is known of a file. The error is fs.ErrNotExist if there is
// nothing of this name, and errForeign if there is something else.
func (f *folder) stat(name string) (fs.FileInfo, error) {
	info, err := f.root.Stat(name)
	switch {
	case err == nil && info.Mode().IsRegular():
		return info, nil
	case err == nil:
		return nil, fmt.Errorf("%w: %s", errForeign, info.Mode().Type())
	}
	if link, e := f.root.Lstat(name); e == nil && link.Mode().Type() == fs.ModeSymlink {
		return nil, fmt.Errorf("%w: a symbolic link that is absolute, broken or leads out of it", errForeign)
	}
	return nil, err
}

// open opens a file to read. Its errors are those of stat.
func (f *folder) open(name string) (*os.File, fs.FileInfo, error) {
	// Opening alone may do something to a device.
	if _, err := f.stat(name); err != nil {
		return nil, nil, err
	}
	// A pipe that has taken the file's place must not block.
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errForeign
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// tag returns the ETag of a file. Its errors are those of stat.
func (f *folder) tag(name string) (string, error) {
	file, _, err := f.open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return tagOf(file)
}

// names returns the names of the files that have a valid one, sorted. What has
// a valid name and is no file is given to foreign.
func (f *folder) names(foreign func(name string, err error)) ([]string, error) {
	found, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range found {
		name := entry.Name()
		if !ValidName(name) {
			continue
		}
		if !entry.Type().IsRegular() {
			_, err := f.stat(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // removed in between
			}
			if err != nil {
				foreign(name, err)
				continue
			}
		}
		names = append(names, name)
	}
	return names, nil
}

// pendingFile is a new file that has not taken its place yet.
type pendingFile struct {
	*pending.File
}

// create makes a file that will take the place of the named one. What an upload
// of the same name left when the machine stopped is removed first.
func (f *folder) create(name string, mode fs.FileMode) (pendingFile, error) {
	f.sweep(name)
	file, err := pending.CreateIn(f.root, name, mode)
	return pendingFile{file}, err
}

// replace writes the content and puts it in place, or removes the new file.
func (p pendingFile) replace(content []byte) error {
	_, err := p.Write(content)
	if err == nil {
		err = p.CloseAtomicallyReplace()
	}
	if err != nil {
		return errors.Join(err, p.Cleanup())
	}
	return nil
}

// writeFile writes a file that takes the place of path when it is complete.
func writeFile(path string, content []byte, mode fs.FileMode) error {
	file, err := pending.Create(path, mode)
	if err != nil {
		return err
	}
	return pendingFile{file}.replace(content)
}

// sweep removes temporary files of a name: a dot, the name and digits. It does
// what it can; the files are in nobody's way.
func (f *folder) sweep(name string) {
	prefix := "." + name
	left, _ := fs.Glob(f.root.FS(), prefix+"[0-9]*")
	for _, file := range left {
		if strings.Trim(file[len(prefix):], "0123456789") == "" {
			_ = f.root.Remove(file)
		}
	}
}

// sync brings the folder's entries to disk, where the file system can.
func (f *folder) sync() error {
	dir, err := f.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return pending.SyncFolder(dir)
}

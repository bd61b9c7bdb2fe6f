package pending

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a new file that has not taken its place yet.
type File struct {
	*os.File
	folder *os.Root
	// owned says that the folder is to be closed with the file.
	owned, done     bool
	name, temporary string
}

// Create makes a file that will take the place of path. Until then it has another name
// in the same folder.
func Create(path string, mode fs.FileMode) (*File, error) {
	folder, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	f, err := CreateIn(folder, filepath.Base(path), mode)
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	f.owned = true
	return f, nil
}

// CreateIn makes a file that will take the place of name in a folder.
func CreateIn(folder *os.Root, name string, mode fs.FileMode) (*File, error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	temporary := fmt.Sprintf(".%s%d", name, binary.LittleEndian.Uint64(random[:]))
	file, err := folder.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	return &File{File: file, folder: folder, name: name, temporary: temporary}, nil
}

// CloseAtomicallyReplace brings the file to disk and puts it in its place.
func (f *File) CloseAtomicallyReplace() error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := f.folder.Rename(f.temporary, f.name); err != nil {
		return err
	}
	f.done = true
	return f.leave()
}

// Cleanup removes a file that has not taken its place, else it does nothing.
func (f *File) Cleanup() error {
	if f.done {
		return nil
	}
	f.done = true
	_ = f.Close() // the file is not wanted any more
	return errors.Join(f.folder.Remove(f.temporary), f.leave())
}

func (f *File) leave() error {
	if f.owned {
		return f.folder.Close()
	}
	return nil
}

// Package pending writes files that take their place when they are complete and on the
// disk, so that nobody ever sees half of one (docs/spec/correlation.md §11.5). It owns
// nothing; a File belongs to who has made it.
package pending

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"syscall"
)

// SyncFolder brings the entries of a folder to disk, where the system can.
func SyncFolder(folder *os.File) error {
	if runtime.GOOS == "windows" { // which brings no folder to disk when told
		return nil
	}
	err := folder.Sync()
	if slices.ContainsFunc([]error{syscall.EINVAL, syscall.ENOTSUP}, func(e error) bool { return errors.Is(err, e) }) {
		return nil
	}
	return err
}

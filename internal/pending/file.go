//go:build !windows

package pending

import (
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// File is a new file that has not taken its place yet.
type File = renameio.PendingFile

// Create makes a file that will take the place of path, with a mode from which the umask
// is taken. Until then it has another name in the same folder.
func Create(path string, mode fs.FileMode) (*File, error) {
	return renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(mode))
}

// CreateIn makes a file that will take the place of name in a folder, with exactly this
// mode.
func CreateIn(folder *os.Root, name string, mode fs.FileMode) (*File, error) {
	return renameio.NewPendingFile(name, renameio.WithRoot(folder), renameio.WithStaticPermissions(mode))
}

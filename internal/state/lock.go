package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// lockName is the file of the lock on a log directory.
const lockName = ".lock"

// lockDir makes a log directory that of this process until it ends or closes
// the file, so that a second node does not write over its alarm files and its
// state. ok is false, without an error, where the file system has no locks.
func lockDir(dir string) (lock *os.File, ok bool, err error) {
	lock, err = os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, false, fmt.Errorf("locking the log directory: %w; name a directory that this user may write to with --log-dir", err)
	}
	locked, busy := lockFile(lock)
	if busy {
		return nil, false, errors.Join(fmt.Errorf("another node is using the log directory %s; give each node its own with --log-dir", dir), lock.Close())
	}
	return lock, locked, nil
}

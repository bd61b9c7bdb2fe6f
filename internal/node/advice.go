package node

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// adviseAddress returns why an address cannot be listened at, with what to do about it.
// flags are those that choose another one.
func adviseAddress(err error, flags string) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; end the program that has it, or choose another one with %s", err, flags)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; choose a port above 1023 with %s", err, flags)
	}
	return fmt.Errorf("%w; choose an address of this machine with %s", err, flags)
}

// adviseFile returns why files cannot be used that flags name, with what to do about it
// if they cannot be read.
func adviseFile(err error, flags string) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; correct the name in %s", err, flags)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w; let this user read what %s names", err, flags)
	}
	return err
}

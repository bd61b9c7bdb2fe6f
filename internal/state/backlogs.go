package state

import (
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"dsiem/internal/alarm"
)

const suffix = ".json"

// fileName returns the name of the file of a directive's backlogs.
func fileName(directive uint64) string {
	return strconv.FormatUint(directive, 10) + suffix
}

// isFileName reports whether a name is that of some directive's file.
func isFileName(name string) bool {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok {
		return false
	}
	id, err := strconv.ParseUint(digits, 10, 64)
	return err == nil && name == fileName(id)
}

// leftoverOf returns the name of the file that Save was writing under the given
// name when it was killed: that of the file between a dot and a random number.
func leftoverOf(name string) (final string, ok bool) {
	hidden, ok := strings.CutPrefix(name, ".")
	final = strings.TrimRight(hidden, "0123456789")
	return final, ok && final != hidden && isFileName(final)
}

// SaveInPlaceOf writes backlogs to a folder and then deletes the files of an
// earlier save that were not written again, so that no moment is without
// either and no backlog that has ended comes back.
func SaveInPlaceOf(dir string, earlier []string, saved iter.Seq2[uint64, alarm.Saved]) (Written, error) {
	again := map[string]bool{}
	written, err := Save(dir, func(yield func(uint64, alarm.Saved) bool) {
		for id, s := range saved {
			again[filepath.Join(dir, fmt.Sprint(id, ".json"))] = true
			if !yield(id, s) {
				return
			}
		}
	})
	if err != nil {
		return written, err
	}
	return written, Discard(slices.DeleteFunc(slices.Clone(earlier), func(file string) bool { return again[filepath.Clean(file)] }))
}

package confdist

import "regexp"

// maxNameLength leaves room for what a temporary file adds to the name within
// the 255 bytes that a file system takes.
const maxNameLength = 230

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*\.json$`)

// ValidName reports whether a name is one of a configuration file: a letter or
// digit, then letters, digits, underscores and hyphens, then .json
// (docs/spec/interfaces.md §2.2), 230 bytes at most. Such a name cannot leave its
// folder.
func ValidName(name string) bool {
	return len(name) <= maxNameLength && fileName.MatchString(name)
}

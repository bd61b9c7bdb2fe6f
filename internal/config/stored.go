package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"dsiem/internal/jsonfile"
)

// hashDigits is the length of the hash of a configuration: 64 bits, which tell apart
// all that a person will ever have stored.
const hashDigits = 16

// sum is the hash of files that a node loads, of their names and contents. The zero
// value is that of none.
type sum struct{ h hash.Hash }

// add adds a file, in the order in which they are loaded. One that cannot be read
// counts as such.
func (s *sum) add(name string, content []byte, unreadable bool) {
	if s.h == nil {
		s.h = sha256.New()
	}
	if unreadable {
		fmt.Fprintf(s.h, "%q unreadable\n", name)
		return
	}
	fmt.Fprintf(s.h, "%q %d\n", name, len(content))
	s.h.Write(content)
}

// String returns the hash, "" if there is no file.
func (s *sum) String() string {
	if s.h == nil {
		return ""
	}
	return hex.EncodeToString(s.h.Sum(nil))[:hashDigits]
}

// LeftOut is something in the files that is not in use because of an error.
type LeftOut struct {
	// File is the name of the file, Directive what it is called in messages, as
	// "directive 12"; "" is all of the file.
	File, Directive string
}

// LeftOut returns the directives that were left out because of errors in them, in the
// order of the files.
func (c *Config) LeftOut() (all []LeftOut) {
	for i := range c.Report.Problems {
		p := &c.Report.Problems[i]
		name := path.Base(p.File)
		if p.Severity != jsonfile.Error || kindOfFile(name) != directives {
			continue
		}
		where, _, _ := strings.Cut(p.Where, ",")
		if out := (LeftOut{File: name, Directive: where}); !slices.Contains(all, out) {
			all = append(all, out)
		}
	}
	return all
}

// settled is how old the last change of a file must be for its time and size to say
// that nothing has changed since: a second change may follow within one tick of the
// file system's clock.
const settled = 2 * time.Second

// Stored tells which configuration is stored in a directory. It reads the files again
// only when their names, sizes or times have changed, or did a moment ago. It is safe
// for concurrent use.
type Stored struct {
	dir fs.FS

	mu   sync.Mutex
	seen []seenFile
	hash string
	// read is when the files were read last.
	read time.Time
}

// seenFile is what is known of a file without reading it.
type seenFile struct {
	name    string
	size    int64
	changed time.Time
}

// NewStored returns a Stored for a directory, which need not exist.
func NewStored(dir fs.FS) *Stored { return &Stored{dir: dir} }

// Hash returns what Config.Hash would be if the directory were loaded at a moment,
// which is now. It is "" if there is no file.
func (s *Stored) Hash(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	files := s.look()
	moved := func(f seenFile) bool { return s.read.Sub(f.changed) < settled }
	if slices.Equal(files, s.seen) && !slices.ContainsFunc(files, moved) {
		return s.hash
	}
	var all sum
	for _, f := range files {
		content, err := readRegular(s.dir, f.name)
		all.add(f.name, content, err != nil)
	}
	s.seen, s.hash, s.read = files, all.String(), now
	return s.hash
}

// look returns the files that a node would load, in that order.
func (s *Stored) look() (files []seenFile) {
	for _, k := range []kind{assets, directives, intels, vulns} {
		names, err := fs.Glob(s.dir, k.pattern())
		if err != nil {
			panic(err) // cannot happen: the patterns are valid
		}
		for _, name := range names {
			f := seenFile{name: name, size: -1}
			if info, err := fs.Stat(s.dir, name); err == nil {
				f.size, f.changed = info.Size(), info.ModTime()
			}
			files = append(files, f)
		}
	}
	return files
}

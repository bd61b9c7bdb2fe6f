// Package watch reads files again when their content changes, as those of
// rights and certificates. A watch belongs to the goroutine that runs it and
// owns nothing but what it remembers of the files (a digest). It never writes,
// and never decides whether new content is good: its caller does.
package watch

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// pollInterval is the time between two looks at a file.
const pollInterval = 2 * time.Second

// digest is the SHA-256 of what files hold.
type digest [sha256.Size]byte

// maxFile is the size in bytes of the largest file that is read.
const maxFile = 1 << 20

// Watch reads files again when their content changes. It compares content, not
// times and inodes: the files are small, and that alone is right for an
// editor's rename, the links that Kubernetes swaps, a network file system, and
// two writes within one tick of the file system's clock.
//
// Looks come one after the other, whoever takes them.
type Watch struct {
	Files []string
	// Apply takes new content into use, or leaves everything as it was.
	Apply func(contents [][]byte) error
	// Reject is told why content is not in use, once.
	Reject func(err error)

	mu      sync.Mutex // around a look
	current digest     // of the content in use
	refused digest     // of the content that apply refused last
	err     error      // why; nil when reject knows it
}

// Load reads the files for the first time.
func (w *Watch) Load() error {
	contents, err := readFiles(w.Files)
	if err != nil {
		return err
	}
	w.current = contentDigest(contents, nil)
	return w.Apply(contents)
}

// Run looks at the files at each interval until the end of ctx, and calls each
// after every look, before the next one.
func (w *Watch) Run(ctx context.Context, each func()) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			w.mu.Lock()
			w.poll()
			each()
			w.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// Poll looks at the files once, between two looks of Run.
func (w *Watch) Poll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.poll()
}

// poll looks at the files once. Bad content is only reported when it is still
// there at the next look, because files that are just being written, or a
// certificate whose key comes a moment later, are bad for a moment too.
func (w *Watch) poll() {
	contents, err := readFiles(w.Files)
	sum := contentDigest(contents, err)
	switch sum {
	case w.current:
		w.refused, w.err = digest{}, nil
	case w.refused:
		if w.err != nil {
			w.Reject(w.err)
			w.err = nil
		}
	default:
		if err == nil {
			err = w.Apply(contents)
		}
		if err != nil {
			w.refused, w.err = sum, err
			return
		}
		w.current, w.refused, w.err = sum, digest{}, nil
	}
}

// readFiles returns the contents of files.
func readFiles(names []string) ([][]byte, error) {
	contents := make([][]byte, 0, len(names))
	for _, name := range names {
		content, err := readFile(name)
		if err != nil {
			return nil, err
		}
		contents = append(contents, content)
	}
	return contents, nil
}

// readFile returns the content of a regular file of at most maxFile bytes.
func readFile(name string) ([]byte, error) {
	// A look before it is opened: opening a pipe would wait for its writer.
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxFile)
	}
	return content, nil
}

// contentDigest returns the digest of the contents of some files, or of why
// they cannot be read.
func contentDigest(contents [][]byte, err error) digest {
	h := sha256.New()
	if err != nil {
		fmt.Fprintf(h, "error: %s", err)
	}
	for _, content := range contents {
		var length [8]byte
		binary.LittleEndian.PutUint64(length[:], uint64(len(content)))
		h.Write(length[:])
		h.Write(content)
	}
	return digest(h.Sum(nil))
}

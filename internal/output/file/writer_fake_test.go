package file

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dsiem/internal/alarm"
)

// The operations of the fake file system that can be made to fail.
const (
	opOpen     = "open"
	opWrite    = "write"
	opNamed    = "named"
	opSize     = "size"
	opTruncate = "truncate"
	opSync     = "sync"
	opClose    = "close"
)

// fault makes one call fail.
type fault struct {
	err error
	// allow is the number of bytes that a write still writes.
	allow int
	// block, if there is one, keeps the call until it is closed.
	block chan struct{}
}

// fakeFiles is a file system in memory that keeps everything that was ever
// written, and fails when told.
type fakeFiles struct {
	mu     sync.Mutex
	now    map[string]*inode   // by name
	all    map[string][]*inode // by name, in the order of their content
	faults map[string][]fault  // by operation, and by operation and name
	always map[string]error    // the same, for every call
	calls  map[string]int      // by operation
	lines  []string            // in the order they were completed
	syncs  map[string]int      // by name
}

// inode is a file, whatever its name is now.
type inode struct {
	data   []byte
	isCopy bool
}

func newFakeFiles() *fakeFiles {
	return &fakeFiles{
		now: map[string]*inode{}, all: map[string][]*inode{}, faults: map[string][]fault{},
		always: map[string]error{}, calls: map[string]int{}, syncs: map[string]int{},
	}
}

// begin counts a call and returns the fault it has, if any.
func (f *fakeFiles) begin(op, name string) (fault, bool) {
	f.mu.Lock()
	f.calls[op]++
	var found fault
	failing := false
	for _, key := range []string{op, op + " " + name} {
		if list := f.faults[key]; len(list) > 0 && !failing {
			found, failing = list[0], true
			f.faults[key] = list[1:]
		}
		if err := f.always[key]; err != nil && !failing {
			found, failing = fault{err: err}, true
		}
	}
	f.mu.Unlock()
	if found.block != nil {
		<-found.block
	}
	return found, failing && found.err != nil
}

func (f *fakeFiles) fail(key string, list ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[key] = append(f.faults[key], list...)
}

// failAlways makes every call fail, or none any more.
func (f *fakeFiles) failAlways(key string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always[key] = err
}

func (f *fakeFiles) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.faults)
	clear(f.always)
}

func (f *fakeFiles) called(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

func (f *fakeFiles) synced(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.syncs[name]
}

// create makes an empty file of a name. It is called with the lock held.
func (f *fakeFiles) create(name string) *inode {
	made := &inode{}
	f.now[name] = made
	f.all[name] = append(f.all[name], made)
	return made
}

// rename takes the name away from its file.
func (f *fakeFiles) rename(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.now, name)
}

// renameAndCreate does what log rotators do with "create".
func (f *fakeFiles) renameAndCreate(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.create(name)
}

func (f *fakeFiles) copyAndTruncate(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	current := f.now[name]
	if current == nil {
		return
	}
	list := f.all[name]
	f.all[name] = append(list[:len(list)-1:len(list)-1], &inode{data: current.data, isCopy: true}, current)
	current.data = nil
}

// content returns what all files of a name hold together.
func (f *fakeFiles) content(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, one := range f.all[name] {
		b.Write(one.data)
	}
	return b.String()
}

func (f *fakeFiles) current(name string) (content string, exists bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one, exists := f.now[name]
	if !exists {
		return "", false
	}
	return string(one.data), true
}

func (f *fakeFiles) open(path string) (file appendFile, size int64, whole bool, err error) {
	name := filepath.Base(path)
	if fail, ok := f.begin(opOpen, name); ok {
		return nil, 0, false, fail.err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.now[name]
	if one == nil {
		one = f.create(name)
	}
	n := len(one.data)
	return &fakeFile{files: f, name: name, inode: one}, int64(n), n == 0 || one.data[n-1] == '\n', nil
}

func (f *fakeFiles) syncDir(string) error { return nil }

type fakeFile struct {
	files  *fakeFiles
	name   string
	inode  *inode
	closed bool
}

func (f *fakeFile) Write(p []byte) (int, error) {
	fail, failing := f.files.begin(opWrite, f.name)
	f.files.mu.Lock()
	defer f.files.mu.Unlock()
	if f.closed {
		return 0, fs.ErrClosed
	}
	n := len(p)
	if failing {
		n = min(fail.allow, len(p))
	}
	start := 0
	if at := strings.LastIndexByte(string(f.inode.data), '\n'); at >= 0 {
		start = at + 1
	}
	f.inode.data = append(f.inode.data, p[:n]...)
	for line := range strings.Lines(string(f.inode.data[start:])) {
		if whole, ended := strings.CutSuffix(line, "\n"); ended {
			f.files.lines = append(f.files.lines, whole)
		}
	}
	return n, fail.err
}

func (f *fakeFile) Sync() error {
	fail, _ := f.files.begin(opSync, f.name)
	f.files.mu.Lock()
	defer f.files.mu.Unlock()
	f.files.syncs[f.name]++
	return fail.err
}

func (f *fakeFile) Truncate(size int64) error {
	if fail, ok := f.files.begin(opTruncate, f.name); ok {
		return fail.err
	}
	f.files.mu.Lock()
	defer f.files.mu.Unlock()
	f.inode.data = f.inode.data[:size:size]
	return nil
}

func (f *fakeFile) size() (int64, error) {
	if fail, ok := f.files.begin(opSize, f.name); ok {
		return 0, fail.err
	}
	f.files.mu.Lock()
	defer f.files.mu.Unlock()
	return int64(len(f.inode.data)), nil
}

func (f *fakeFile) named(path string) (same bool, size int64, err error) {
	if fail, ok := f.files.begin(opNamed, f.name); ok {
		return false, 0, fail.err
	}
	f.files.mu.Lock()
	defer f.files.mu.Unlock()
	one := f.files.now[filepath.Base(path)]
	if one == nil {
		return false, 0, nil
	}
	return one == f.inode, int64(len(one.data)), nil
}

func (f *fakeFile) Close() error {
	fail, _ := f.files.begin(opClose, f.name)
	f.files.mu.Lock()
	defer f.files.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	return fail.err
}

// startFake opens a writer on a fake file system and runs it until the end of
// the test. ended tells what Run returned; it is read by whoever wants to know.
func startFake(t *testing.T, files *fakeFiles, o Options) (w *Writer, ended chan error) {
	t.Helper()
	w, err := openWriter("logs", o, files)
	if err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	go func() { ended <- w.Run(context.WithoutCancel(t.Context())) }()
	return w, ended
}

// write hands over lines and fails the test if they are not taken.
func write(t *testing.T, w *Writer, events, alarms string) {
	t.Helper()
	if err := w.Write(t.Context(), batchOf([]byte(events), []byte(alarms))); err != nil {
		t.Fatalf("writing %q, %q: %v", events, alarms, err)
	}
}

func closeIn(t *testing.T, w *Writer, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), d)
	defer cancel()
	return w.Close(ctx)
}

// batchOf is a batch of lines.
func batchOf(events, alarms []byte) *alarm.Batch {
	return &alarm.Batch{EventLines: events, AlarmLines: alarms}
}

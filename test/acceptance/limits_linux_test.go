package acceptance

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"dsiem/test/testkit"
)

// limitFileSize lets no file of a process grow beyond a size.
func limitFileSize(t *testing.T, n *node, bytes uint64) {
	t.Helper()
	limit := unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}
	testkit.Check(t, unix.Prlimit(n.Cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil))
}

// mountSmall mounts a small file system, where the tests may do so.
func mountSmall(t *testing.T, dir string) {
	t.Helper()
	testkit.Check(t, os.MkdirAll(dir, 0o750))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { testkit.Check(t, unix.Unmount(dir, unix.MNT_DETACH)) })
}

// fill returns as many bytes as there is room for.
func fill(t *testing.T, dir string) []byte {
	t.Helper()
	var room unix.Statfs_t
	testkit.Check(t, unix.Statfs(dir, &room))
	return make([]byte, room.Bavail*uint64(room.Bsize))
}

// memory returns the resident memory of a process in MB, now and at most.
func memory(t *testing.T, n *node) (now, most int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Cmd.Process.Pid))
	testkit.Check(t, err)
	for line := range strings.Lines(string(status)) {
		var kB int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kB); err == nil {
			now = kB / 1024
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kB); err == nil {
			most = kB / 1024
		}
	}
	return now, most
}

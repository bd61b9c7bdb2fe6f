package bus_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
)

// sockets returns the TCP sockets of this process that listen.
func sockets(t *testing.T) []string {
	t.Helper()
	own := map[string]bool{}
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if target, err := os.Readlink(file); err == nil {
			own[target] = true
		}
	}
	var list []string
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		content, err := os.ReadFile(table)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			const local, state, inode, listening = 1, 3, 9, "0A"
			f := strings.Fields(line)
			if len(f) > inode && f[state] == listening && own["socket:["+f[inode]+"]"] {
				list = append(list, f[local])
			}
		}
	}
	slices.Sort(list)
	return list
}

func TestNothingListensWithoutAnAddress(t *testing.T) {
	before := sockets(t)
	s, _ := serve(t, bus.ServerOptions{Name: "b0"})
	subscribe(t, inside(t, s, nil))
	testkit.Equal(t, sockets(t), before)
	listening, _ := serve(t, bus.ServerOptions{Listen: "127.0.0.1:0"})
	if len(sockets(t)) != len(before)+1 {
		t.Errorf("nothing listens on %s, or more: this test sees nothing", listening.Addr())
	}
}

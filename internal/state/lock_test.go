package state

import (
	"strings"
	"testing"
)

func TestALogDirectoryHasOneNode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, ok, err := lockDir(dir)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, _, err := lockDir(dir); err == nil || !strings.Contains(err.Error(), "another node is using the log directory "+dir) {
		t.Errorf("a second node gets %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, ok, err := lockDir(dir)
	if err != nil || !ok {
		t.Fatal("after the end of the first node:", ok, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

//go:build !linux

package acceptance

import "testing"

func limitFileSize(t *testing.T, _ *node, _ uint64) {
	t.Helper()
	t.Skip("the limits of another process cannot be set here")
}

func mountSmall(t *testing.T, _ string) {
	t.Helper()
	t.Skip("a file system cannot be mounted here")
}

func fill(*testing.T, string) []byte { return nil }

func memory(t *testing.T, _ *node) (now, most int) {
	t.Helper()
	t.Skip("there is no /proc here")
	return 0, 0
}

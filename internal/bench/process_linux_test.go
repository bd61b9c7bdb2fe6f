package bench_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"dsiem/test/testkit"
)

var listens = regexp.MustCompile(`diagnostics server listening address="(127\.0\.0\.1:[0-9]+)"`)

// Not even a run that is killed leaves its server behind.
func TestServerEndsWithARunThatIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := exec.Command(self(t), "--transport=nats", "--dsiem="+self(t), "--duration=1h", "--rate=10", "--limit-time=0", "--out="+dir)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	address := ""
	testkit.Eventually(t, "the server listens", func() bool {
		log, _ := os.ReadFile(filepath.Join(dir, "nats-1", "server.log")) // not there at first
		if found := listens.FindSubmatch(log); found != nil {
			address = string(found[1])
		}
		return address != ""
	})
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait() // it was killed
	testkit.Eventually(t, "nobody listens any more", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

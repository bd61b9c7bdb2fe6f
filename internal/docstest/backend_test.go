package docstest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/bus"
	"dsiem/internal/bus/bustest"
	"dsiem/internal/telemetry"
)

const backendPage = "docs/backend.md"

// TestBackendRun runs a real backend with the files of docs/backend.md: it
// downloads them from a frontend, takes the page's events from a NATS server and
// asks servers that answer as the page says. What the page shows of its log, its
// alarms, its health and its metrics must be what comes.
func TestBackendRun(t *testing.T) {
	t.Parallel()
	p := pageNamed(t, backendPage)
	services := serviceMock(t, p)
	frontend := httptest.NewServer(frontendMock(t, p, services.URL))
	t.Cleanup(frontend.Close)
	nats := bustest.Start(t, bustest.Options{})
	dir := t.TempDir()
	b := startBackend(t, nil, "--node=backend0", "--frontend="+frontend.URL, "--msq="+nats.URL(),
		"--config-dir="+filepath.Join(dir, "configs"), "--log-dir="+filepath.Join(dir, "logs"), "--metrics-address=127.0.0.1:0")
	address := b.says(t, regexp.MustCompile(`diagnostics server listening address="([^"]+)"`))[1]
	b.says(t, regexp.MustCompile(`backend started`))
	b.says(t, regexp.MustCompile(`watchdog report`))

	events := blocksOf(p, "events")
	if len(events) != 1 {
		t.Fatalf("%s has %d blocks of events", backendPage, len(events))
	}
	nats.Publish(bus.EventsSubject, strings.Split(strings.TrimSpace(events[0].text), "\n")...)
	b.says(t, regexp.MustCompile(`reached max stage and occurrence, deleting backlog`))
	checkHealth(t, p, "http://"+address)
	checkMetrics(t, get(t, "http://"+address+"/metrics"))
	b.stop(t)

	for _, block := range p.blocks {
		switch {
		case block.kind == "log":
			t.Run("log, line "+block.words["_at"], func(t *testing.T) { checkLog(t, block, b.log.String()) })
		case block.kind == "written":
			compareOutput(t, filepath.Join(dir, block.words["file"]), block)
		}
	}
}

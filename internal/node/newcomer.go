package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"dsiem/internal/alarm"
	"dsiem/internal/sample"
)

// sampleEvent is an event that raises an alarm at once with the sample
// configuration.
const sampleEvent = `{"event_id":"my-first-event","timestamp":"%s","sensor":"waf1","title":"SQL injection attempt",` +
	`"product":"Web Application Firewall","category":"Web Attack","src_ip":"198.51.100.7","src_port":50000,` +
	`"dst_ip":"10.20.10.22","dst_port":443,"protocol":"TCP"}`

// writeSample writes the sample configuration if there is none.
func writeSample(c *basis) (written bool, err error) {
	names, err := sample.WriteIfNone(c.options.ConfigDir)
	if errors.Is(err, fs.ErrPermission) {
		c.target("config").Warn("sample configuration not written", "error", err)
		return false, nil // that there is none will be told
	}
	if len(names) == 0 {
		return false, err
	}
	c.target("config").Info("no configuration found, sample configuration written",
		slog.String("directory", c.options.ConfigDir), slog.Any("files", names))
	return true, nil
}

// logNextSteps tells a newcomer what to do with the sample configuration of a node
// that listens at an address.
func logNextSteps(c *basis, address string, encrypted, guarded bool) {
	logger := c.logger
	_, port, _ := net.SplitHostPort(address)
	base, options := "http://localhost:"+port, ""
	if encrypted {
		base, options = "https://localhost:"+port, "--insecure "
	}
	if guarded {
		options += "--oauth2-bearer TOKEN "
	}
	event := fmt.Sprintf(sampleEvent, c.clock().UTC().Format(time.RFC3339))
	logger.Info("next: send an event, as with: curl " + options + "-d '" + event + "' " + base + "/events") //nolint:sloglint // one command to copy
	logger.Info("next: see the alarm", "file", filepath.Join(c.options.LogDir, alarm.AlarmsFile), "status_page", base+"/")
	logger.Info("next: describe your hosts and attacks, check them with dsiem validate, and restart",
		"directory", c.options.ConfigDir, "manual", "docs/directives.md")
}

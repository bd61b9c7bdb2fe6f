package node

import (
	"errors"
	"io/fs"
	"log/slog"

	"dsiem/internal/sample"
)

// sampleEvent is an event that raises an alarm at once with the sample
// configuration.
const sampleEvent = `{"event_id":"my-first-event","timestamp":"%s","sensor":"waf1","title":"SQL injection attempt",` +
	`"product":"Web Application Firewall","category":"Web Attack","src_ip":"198.51.100.7","src_port":50000,` +
	`"dst_ip":"10.20.10.22","dst_port":443,"protocol":"TCP"}`

// seed writes the sample configuration for a standalone node that has none.
func (n *Node) seed() (written bool, err error) {
	names, err := sample.WriteIfNone(n.options.ConfigDir)
	if errors.Is(err, fs.ErrPermission) {
		n.target("config").Warn("sample configuration not written", "error", err)
		return false, nil // that there is none will be told
	}
	if len(names) == 0 {
		return false, err
	}
	n.target("config").Info("no configuration found, sample configuration written",
		slog.String("directory", n.options.ConfigDir), slog.Any("files", names))
	return true, nil
}

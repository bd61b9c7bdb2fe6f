package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// The files and directories of a run.
const (
	configsName     = "configs"
	logsName        = "logs"
	stateName       = "backlogs" // below logsName
	alarmsName      = "siem_alarms.json"
	alarmEventsName = "siem_alarm_events.json"
	eventsName      = "events.ndjson"
)

const loopback = "127.0.0.1"

// host is the processes of a run and where they are.
type host struct {
	dir string
	// server is what is measured, queue the NATS server, nil without one.
	server, queue *process
	queueURL      string
	// address is where a server takes events over HTTP, diagnostics where it shows
	// its metrics; empty if it does not.
	address, diagnostics string
	// ready is how long the server took to start, resident what memory it had then.
	ready    time.Duration
	resident uint64
}

func (h *host) eventsFile() string { return filepath.Join(h.dir, logsName, alarmEventsName) }
func (h *host) alarmsFile() string { return filepath.Join(h.dir, logsName, alarmsName) }

// programs are the programs that a run starts.
type programs struct {
	// self has the roles of this package, server is what is measured.
	self, server string
	flags        []string // more of the server's
}

// start starts the processes of a cell.
func (ps *programs) start(ctx context.Context, c *Cell, p *plan, dir string) (*host, error) {
	h := &host{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, logsName), 0o750); err != nil {
		return nil, fmt.Errorf("making a directory for the run: %w", err)
	}
	err := ps.startAll(ctx, c, p, h)
	if err != nil {
		return nil, errors.Join(err, h.stop())
	}
	return h, nil
}

func (ps *programs) startAll(ctx context.Context, c *Cell, p *plan, h *host) error {
	if c.Transport == NATS || c.Transport == Subscriber {
		if err := ps.startQueue(ctx, h); err != nil {
			return err
		}
	}
	if c.Transport == Subscriber {
		return ps.startSubscriber(ctx, h)
	}
	if err := p.writeConfiguration(filepath.Join(h.dir, configsName)); err != nil {
		return err
	}
	return ps.startServer(ctx, c, h)
}

// startQueue starts a NATS server in a process of its own, so that its CPU time
// is known.
func (ps *programs) startQueue(ctx context.Context, h *host) (err error) {
	h.queue, err = startProcess(ctx, "NATS server", filepath.Join(h.dir, "nats.log"), ps.self, "--role="+roleQueue)
	if err != nil {
		return err
	}
	h.queueURL, err = h.queue.find(ctx, listeningText, natsURL)
	return err
}

func (ps *programs) startSubscriber(ctx context.Context, h *host) (err error) {
	h.server, err = startProcess(ctx, "subscriber", filepath.Join(h.dir, "subscriber.log"),
		ps.self, "--role="+roleSubscriber, "--role-url="+h.queueURL, "--role-file="+h.eventsFile())
	if err != nil {
		return err
	}
	_, err = h.server.says(ctx, subscribedText)
	return err
}

func (ps *programs) startServer(ctx context.Context, c *Cell, h *host) (err error) {
	args := append(h.flags(c), ps.flags...)
	h.server, err = startProcess(ctx, "server", filepath.Join(h.dir, "server.log"), ps.server, args...)
	if err != nil {
		return err
	}
	if _, err = h.server.says(ctx, "backend started"); err != nil {
		return err
	}
	h.ready, h.resident = time.Since(h.server.started), h.server.usage().resident
	if h.diagnostics, err = h.server.find(ctx, "diagnostics server listening", hostPort); err != nil {
		return err
	}
	if c.Transport != NATS {
		h.address, err = h.server.find(ctx, "Server mode standalone listening on", hostPort)
	}
	return err
}

// flags returns the command line of the server.
func (h *host) flags(c *Cell) []string {
	flags := []string{
		"serve", "--config-dir=" + filepath.Join(h.dir, configsName), "--log-dir=" + filepath.Join(h.dir, logsName),
		"--metrics-address=" + loopback + ":0",
	}
	if c.Weigh {
		flags = append(flags, "--pprof")
	}
	if c.Transport == NATS {
		flags = append(flags, "--mode=cluster-backend", "--node=bench", "--frontend=file:", "--msq="+h.queueURL)
	} else {
		flags = append(flags, "--mode=standalone", "--address="+loopback, "--port=0")
	}
	switch {
	case c.Defaults:
	case c.Transport == NATS:
		flags = append(flags, "--reload-backlogs=false")
	default:
		flags = append(flags, "--reload-backlogs=false", "--max-eps=0", "--min-eps=0")
	}
	return append(flags, c.Flags...)
}

// stop ends the processes, those first that use others.
func (h *host) stop() error {
	var errs []error
	for _, p := range []*process{h.server, h.queue} {
		if p != nil {
			errs = append(errs, p.stop())
		}
	}
	return errors.Join(errs...)
}

// What is looked for in lines of logs.
var (
	hostPort = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`)
	natsURL  = regexp.MustCompile(`nats://127\.0\.0\.1:[0-9]+`)
)

// find waits for a line with a text and returns what a pattern finds in it.
func (p *process) find(ctx context.Context, text string, pattern *regexp.Regexp) (string, error) {
	line, err := p.says(ctx, text)
	if err != nil {
		return "", err
	}
	found := pattern.FindString(line)
	if found == "" {
		return "", fmt.Errorf("starting the %s: its log does not say where: %q", p.name, line)
	}
	return found, nil
}

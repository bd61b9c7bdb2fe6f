package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"dsiem/internal/correlate"
	"dsiem/internal/live"
	"dsiem/internal/node"
)

// demoServer is the standalone server of the demo.
type demoServer struct {
	node   *node.Node
	client *http.Client
	log    *os.File
	// now is the time of the story, in UNIX nanoseconds; 0 is the real time.
	now atomic.Int64
	// played has an element when an event has been played.
	played chan struct{}
}

// audience shows what the server correlates.
type audience struct {
	live.Silent

	watch  func(now int64, changes []correlate.Change)
	clock  func() time.Time
	played chan<- struct{}
}

// Changed implements live.Observer.
func (a audience) Changed(now time.Time, changes []correlate.Change) { a.watch(now.Unix(), changes) }

// Played implements live.Observer.
func (a audience) Played(*live.Played) {
	a.watch(a.clock().Unix(), nil)
	select {
	case a.played <- struct{}{}:
	default: // nobody waits for the events of others
	}
}

// startDemoServer starts a server on the demo's files and waits until it takes
// events. watch is told what changes, on the goroutine that correlates.
func startDemoServer(ctx context.Context, o *Options, dir, configs string,
	watch func(now int64, changes []correlate.Change),
) (*demoServer, error) {
	log, err := os.Create(filepath.Join(dir, demoLog))
	if err != nil {
		return nil, fmt.Errorf("making the demo's log file: %w", err)
	}
	d := &demoServer{client: &http.Client{Transport: &http.Transport{}}, log: log, played: make(chan struct{}, 1)}
	d.now.Store(o.Start.UnixNano())
	options, err := serverOptions(o, dir, configs, log)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	options.Clock = d.clock
	options.Observers = []live.Observer{audience{watch: watch, clock: d.clock, played: d.played}}
	d.node = node.New(options)
	if err := d.node.Start(ctx); err != nil {
		return nil, errors.Join(serverError(err), log.Close())
	}
	select {
	case <-d.node.Ready():
		return d, nil
	case <-d.node.Failed():
		return nil, d.stop(ctx)
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), d.stop(ctx))
	}
}

// serverOptions are the defaults of a standalone server, without what would
// hold back the story or outlive it.
func serverOptions(o *Options, dir, configs string, log io.Writer) (*node.Options, error) {
	address, port := "127.0.0.1", 0
	if o.Address != "" {
		host, text, err := net.SplitHostPort(o.Address)
		if err == nil {
			port, err = strconv.Atoi(text)
		}
		if err != nil {
			return nil, fmt.Errorf("reading the address of the server: %w", err)
		}
		address = host
	}
	options := &node.Options{
		Mode: node.ModeStandalone, Node: "demo", ConfigDir: configs, LogDir: dir, MaxQueue: demoQueue,
		Statuses: strings.Split(node.DefaultStatuses, ","), Tags: strings.Split(node.DefaultTags, ","),
		HTTP: node.HTTPOptions{Address: address, Port: port, MaxBody: demoBody}, HoldDuration: time.Second,
		Version: "demo", Fsync: "never", Out: log,
	}
	options.Engine.Status, options.Engine.Tag = options.Statuses[0], options.Tags[0]
	return options, nil
}

const (
	demoQueue = 25_000
	demoBody  = 10 << 20
)

func (d *demoServer) clock() time.Time {
	if at := d.now.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Now()
}

// send lets it be the time of an event, sends it, and waits until it has been
// played.
func (d *demoServer) send(ctx context.Context, at time.Time, line []byte) error {
	d.now.Store(at.UnixNano())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.node.URL()+"/events", bytes.NewReader(line))
	if err != nil {
		return fmt.Errorf("sending an event: %w", err)
	}
	answer, err := d.client.Do(request)
	if err != nil {
		return fmt.Errorf("sending an event: %w", err)
	}
	reason, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // it is for the message only
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("sending an event: the server answers %s: %s", answer.Status, bytes.TrimSpace(reason))
	}
	select {
	case <-d.played:
		return nil
	case <-d.node.Failed():
		return errors.New("the server has ended")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stay serves in real time until ctx ends.
func (d *demoServer) stay(ctx context.Context) {
	d.now.Store(0)
	select {
	case <-ctx.Done():
	case <-d.node.Failed():
	}
}

// stop ends the server and returns why it failed, if it did.
func (d *demoServer) stop(ctx context.Context) error {
	err := d.node.Stop(context.WithoutCancel(ctx))
	d.client.CloseIdleConnections()
	return errors.Join(serverError(err), d.log.Close())
}

func serverError(err error) error {
	if err != nil {
		err = fmt.Errorf("the demo's server: %w", err)
	}
	return err
}

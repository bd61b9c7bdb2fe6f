package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// readyTime is the longest that a program may take to start.
	readyTime = 5 * time.Minute
	// stopTime is the longest that one may take to end before it is killed.
	stopTime = time.Minute
	// listenEvery is the time between two looks at the log of a program that
	// starts.
	listenEvery = time.Millisecond
	// tailLines is how much of a log an error shows.
	tailLines = 12
)

// process is a program that runs beside this one.
type process struct {
	name    string
	cmd     *exec.Cmd
	log     string // the file that it writes to
	started time.Time
	stdin   io.Closer
	exited  chan struct{} // closed when err is valid
	err     error
}

// startProcess starts a program whose output goes to a file. It ends with ctx, or
// by stop.
func startProcess(ctx context.Context, name, log, program string, args ...string) (*process, error) {
	p := &process{name: name, log: log, exited: make(chan struct{})}
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	defer out.Close()
	p.cmd = exec.CommandContext(ctx, program, args...) //nolint:gosec // that is what this is for: who runs it names the program
	p.cmd.Env = environment(os.Environ())
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopTime
	// A role ends with its standard input, so it cannot outlive this process.
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	if err := p.start(); err != nil {
		return nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	return p, nil
}

// start starts the process on a thread that stays as long as it does, because it
// ends with that.
func (p *process) start() error {
	endWithParent(p.cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p.started = time.Now()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
			close(p.exited)
		}
	}()
	return <-started
}

// environment leaves out what would change the settings of a node.
func environment(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(variable string) bool {
		return strings.HasPrefix(variable, "DSIEM_") || strings.HasPrefix(variable, "MAX_EPS=")
	})
}

// says waits for a line with a text in the log and returns it.
func (p *process) says(ctx context.Context, text string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTime, errors.New("it takes too long"))
	defer cancel()
	found := ""
	f := follower{name: p.log, buf: make([]byte, 1<<16), fn: func(_ time.Time, line []byte) {
		if found == "" && strings.Contains(string(line), text) {
			found = string(line)
		}
	}}
	defer f.close()
	ticker := time.NewTicker(listenEvery)
	defer ticker.Stop()
	for {
		ended := isClosed(p.exited)
		if err := f.look(); err != nil {
			return "", fmt.Errorf("reading the log of the %s: %w", p.name, err)
		}
		switch {
		case found != "":
			return found, nil
		case ended:
			return "", fmt.Errorf("starting the %s: %w", p.name, p.ended())
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return "", fmt.Errorf("starting the %s: %w", p.name, context.Cause(ctx))
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// ended returns why a process has ended that should not have, with the end of
// its log.
func (p *process) ended() error {
	reason := "it has ended"
	if p.err != nil {
		reason += ": " + p.err.Error()
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		return errors.New(reason)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%s; its last words:\n%s", reason, strings.Join(lines[max(0, len(lines)-tailLines):], "\n"))
}

// bound returns a context that ends when the process does.
func (p *process) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-p.exited:
			cancel(fmt.Errorf("the %s is gone: %w", p.name, p.ended()))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// stop lets the process end and waits for it. A second call does nothing.
func (p *process) stop() error {
	if isClosed(p.exited) {
		return p.failure()
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the %s: %w", p.name, err)
	}
	timer := time.AfterFunc(stopTime, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	return p.wait()
}

// wait waits for the end of the process.
func (p *process) wait() error {
	<-p.exited
	_ = p.stdin.Close()
	return p.failure()
}

func (p *process) failure() error {
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("the %s failed: %w", p.name, p.ended())
}

// usage is what a process has used.
type usage struct {
	cpu time.Duration
	// resident is the memory that it has now, peak the most that it had.
	resident, peak uint64
}

// usage returns what the process has used so far. Where there is no /proc, it is
// nothing.
func (p *process) usage() usage { return readUsage(strconv.Itoa(p.cmd.Process.Pid)) }

// readUsage reads what the system says of a process, by its number or "self".
func readUsage(pid string) (u usage) {
	if text, err := os.ReadFile(filepath.Join("/proc", pid, "stat")); err == nil {
		u.cpu = parseStat(string(text))
	}
	if text, err := os.ReadFile(filepath.Join("/proc", pid, "status")); err == nil {
		u.resident, u.peak = parseStatus(string(text))
	}
	return u
}

// parseStat returns the CPU time in /proc/PID/stat.
func parseStat(text string) time.Duration {
	// The second field, a name in parentheses, may hold anything.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	const user, system = 11, 12 // behind the name
	if len(fields) <= system {
		return 0
	}
	const ticksPerSecond = 100 // USER_HZ, the same on all systems that Go runs on
	return time.Duration(number(fields[user])+number(fields[system])) * (time.Second / ticksPerSecond)
}

// parseStatus returns resident memory and its peak, in bytes, in
// /proc/PID/status.
func parseStatus(text string) (resident, peak uint64) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		const kib = 1024
		switch value := strings.TrimSuffix(strings.TrimSpace(value), " kB"); name {
		case "VmRSS":
			resident = kib * uint64(number(value)) //nolint:gosec // not negative
		case "VmHWM":
			peak = kib * uint64(number(value)) //nolint:gosec // not negative
		}
	}
	return resident, peak
}

package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"dsiem/internal/observe/log"
	"dsiem/internal/text"
)

const (
	// maxServerLine is the longest text of the server in a log line, in bytes.
	maxServerLine = 500
	// serverLogInterval is the time in which warningBurst warnings and errors of
	// the server are logged.
	serverLogInterval = 10 * time.Second

	// What the server reports at a level that is not ours.
	slowConsumer = "Slow Consumer"
	hashAdvice   = "Plaintext passwords detected"
)

// userNames is where the server's texts show who logged in or tried to.
var userNames = regexp.MustCompile(`((?:User|Nkey) "|/(?:user|nkey):)(?:[^"\\]|\\.)*`)

// serverLog writes the server's log to ours.
type serverLog struct {
	log   *slog.Logger
	limit log.Limit

	mu       sync.Mutex // guards what follows
	starting bool
	ended    error // why the server could not start
}

var _ server.Logger = (*serverLog)(nil)

func newServerLog(logger *slog.Logger) *serverLog {
	return &serverLog{log: logger, limit: log.Limit{Burst: warningBurst, Per: serverLogInterval}, starting: true}
}

// Noticef takes what is informational for an operator of a NATS server, which
// ours is not, and lost messages.
func (l *serverLog) Noticef(format string, v ...any) {
	level := slog.LevelDebug
	if strings.Contains(format, slowConsumer) {
		level = slog.LevelWarn
	}
	l.write(level, format, v)
}

// Warnf takes warnings. The one about passwords advises what cannot be done
// here.
func (l *serverLog) Warnf(format string, v ...any) {
	level := slog.LevelWarn
	if strings.Contains(format, hashAdvice) {
		level = slog.LevelDebug
	}
	l.write(level, format, v)
}

// Errorf takes errors, which are those of single clients.
func (l *serverLog) Errorf(format string, v ...any) { l.write(slog.LevelWarn, format, v) }

// Fatalf takes why the server cannot go on, for the caller of started or, after
// that, for the log. It does not end the process.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.starting {
		l.write(slog.LevelError, format, v)
	} else if l.ended == nil {
		l.ended = errors.New(serverText(format, v))
	}
}

// Debugf takes what is for debugging.
func (l *serverLog) Debugf(format string, v ...any) { l.write(slog.LevelDebug, format, v) }

// Tracef takes the protocol, which is nobody's business.
func (l *serverLog) Tracef(string, ...any) {}

// started ends the start and returns why it failed, nil if it did not.
func (l *serverLog) started() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starting = false
	return l.ended
}

func (l *serverLog) write(level slog.Level, format string, v []any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{slog.String("report", serverText(format, v))}
	if level >= slog.LevelWarn {
		if !l.limit.Allow(time.Now()) {
			return
		}
		if hidden := l.limit.LeftOut(); hidden > 0 {
			attrs = append(attrs, slog.Uint64("not_shown", hidden))
		}
	}
	l.log.LogAttrs(ctx, level, "message queue server reports", attrs...)
}

// serverText returns a text of the server without what is secret in it.
func serverText(format string, v []any) string {
	return text.Clip(userNames.ReplaceAllString(fmt.Sprintf(format, v...), "${1}"+log.Mask), maxServerLine)
}

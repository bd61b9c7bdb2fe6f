package httpin

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// turnWait is the longest that a body waits for those of the same client before it.
const turnWait = 3 * time.Second

// turns lets a client have half of the processors at most for its bodies that cost
// much: what it owes shows only when one has been read, and until then any number of
// them may come over any number of connections.
type turns struct {
	mu    sync.Mutex
	lines map[string]*line // of the clients that have such a body now
	spare sync.Pool
}

// line is where the bodies of a client wait for their turn.
type line struct {
	client string
	bodies int           // in their turn or waiting
	turn   chan struct{} // what has its turn holds a place in it
}

func newLine() *line {
	return &line{turn: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// wait waits for the turn of a body of a client. It returns nil if that took too long,
// or if ctx ended.
func (t *turns) wait(ctx context.Context, client string) *line {
	l := t.join(client)
	select {
	case l.turn <- struct{}{}:
		return l
	default:
	}
	timer := time.NewTimer(turnWait)
	defer timer.Stop()
	select {
	case l.turn <- struct{}{}:
		return l
	case <-timer.C:
	case <-ctx.Done():
	}
	t.leave(l)
	return nil
}

// end ends the turn of a body.
func (t *turns) end(l *line) {
	<-l.turn
	t.leave(l)
}

func (t *turns) join(client string) *line {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lines[client]
	if l == nil {
		l, _ = t.spare.Get().(*line)
		if l == nil {
			l = newLine()
		}
		if t.lines == nil {
			t.lines = map[string]*line{}
		}
		l.client = client
		t.lines[client] = l
	}
	l.bodies++
	return l
}

func (t *turns) leave(l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.bodies--; l.bodies == 0 {
		delete(t.lines, l.client)
		l.client = ""
		t.spare.Put(l)
	}
}

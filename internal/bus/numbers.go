package bus

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"dsiem/internal/event"
	"dsiem/internal/text"
)

// lastNumber is what a frontend that has nothing to publish says about what it has
// published, so that a backend which misses its last messages finds out although
// no other one follows (decision D44 of docs/spec/correlation.md). It has a subject
// of its own: who takes events must never get something else.
type lastNumber struct {
	Frontend string `json:"frontend_id"`
	// Number is that of the last message that NATS has confirmed, 0 before the first.
	Number uint64 `json:"conn_id"`
	// Idle is how long ago that was at least, in seconds.
	Idle uint64 `json:"idle_seconds"`
}

// readLastNumber reads what a frontend says.
func readLastNumber(data []byte) (lastNumber, error) {
	var l lastNumber
	err := json.Unmarshal(data, &l)
	switch {
	case err != nil:
	case !event.IsFrontendID(l.Frontend):
		err = errors.New("frontend_id is not the id of a frontend")
	case l.Number > math.MaxInt64:
		err = errors.New("conn_id is out of range")
	}
	return l, err
}

// tick says what the last number is if nothing was published for an interval. It
// is called at the end of each one.
func (p *publisher) tick(c *Conn, interval time.Duration) {
	p.quiet++
	if p.quiet > 0 {
		p.tell(c, interval)
	}
}

// tell says what the last number is. Nobody waits for an answer: what gets lost is
// said again.
func (p *publisher) tell(c *Conn, interval time.Duration) {
	if p.frontend == "" || p.silenced.Load() || !c.Connected() {
		return
	}
	idle := time.Duration(max(p.quiet, 0)) * interval
	data, err := json.Marshal(lastNumber{p.frontend, p.confirmed, uint64(idle / time.Second)}) //nolint:gosec // not negative
	if err == nil {
		err = c.nc.Publish(NumbersSubject, data)
	}
	if err != nil {
		c.log.Debug("last number not published", "error", err)
	}
}

// numbersDenied reports whether an error is that NATS does not permit the subject of
// last numbers, and says so: it may know the subjects of an older version only.
// Events pass all the same. What is published in vain is not tried again on this
// connection.
func (c *Conn) numbersDenied(err error) bool {
	switch {
	case violates(err, "Subscription", NumbersSubject):
		c.log.Warn("this node will not see if it misses the last events of a frontend, allow it to subscribe to their last numbers",
			"subject", NumbersSubject, "error", err)
	case !violates(err, "Publish", NumbersSubject):
		return false
	case c.publisher.silenced.CompareAndSwap(false, true):
		c.log.Warn("backends will not see if they miss the last events of this frontend, allow it to publish its last number",
			"subject", NumbersSubject, "error", err)
	}
	return true
}

// subscribeNumbers takes the last numbers of frontends from some moment on. Nobody
// has to wait for it, and what fails is told as other errors of the connection are.
func (c *Conn) subscribeNumbers() error {
	_, err := c.listen(NumbersSubject, 0, func(m *nats.Msg) { c.takeNumber(m.Data) })
	return err
}

// takeNumber notes the last number of a frontend when all events have been seen
// that came before it: subscriptions do not wait for each other.
func (c *Conn) takeNumber(data []byte) {
	l, err := readLastNumber(data)
	if err == nil {
		// It fails when the connection has ended, and there is nothing more to find out.
		_ = c.nc.Barrier(func() { c.arrivals.told(l) })
		return
	}
	if c.warnings.Allow(time.Now()) {
		c.log.Warn("last number of a frontend cannot be read, ignoring it",
			"payload", strconv.Quote(text.ClipRunes(data, loggedPayload)), "error", err)
	}
}

// violates reports whether an error is the server's answer to something that it
// does not permit for a subject.
func violates(err error, what, subject string) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), fmt.Sprintf("%s to %q", what, subject))
}

package bus

import "time"

// warningBurst is the number of warnings per interval that are logged of what
// other nodes and clients can cause as often as they like.
const warningBurst = 10

// reports writes a report at each interval, and looks for messages that have not
// come, until the connection is closed.
func (c *Conn) reports(interval time.Duration) {
	ticker, ticks := time.NewTicker(interval), time.NewTicker(tickInterval)
	defer ticker.Stop()
	defer ticks.Stop()
	for {
		select {
		case now := <-ticks.C:
			c.arrivals.tick(now)
			c.reportMissed(func() bool { return c.missedWarnings.Allow(now) })
		case <-ticker.C:
			c.report()
			c.reportOutage()
		case <-c.stopReport:
			return
		}
	}
}

// report logs what was lost since the last report, if anything.
func (c *Conn) report() {
	c.mu.Lock()
	c.count()
	fresh, total := c.dropped-c.reported, c.dropped
	c.reported = total
	c.mu.Unlock()
	if fresh > 0 {
		c.log.Warn("events dropped, the message queue delivers them faster than they are taken",
			"dropped", fresh, "dropped_total", total)
	}
	if n := c.warnings.LeftOut(); n > 0 {
		c.log.Warn("more warnings about the message queue were not shown", "count", n)
	}
}

// reportMissed logs which frontends' messages have not come since they were
// reported last, as long as another line is allowed.
func (c *Conn) reportMissed(allowed func() bool) {
	c.arrivals.news(func(frontend string, fresh, total uint64) bool {
		if !allowed() {
			return false
		}
		c.log.Warn("events missed, the message queue did not deliver all that a frontend published",
			"frontend", frontend, "missed", fresh, "missed_total", total)
		return true
	})
}

// reportOutage logs why the connection is not up, if it is not. The library
// tells most reasons nobody.
func (c *Conn) reportOutage() {
	if c.Connected() || c.closing.Load() {
		return
	}
	err := c.dialer.lastError()
	if err == nil {
		err = c.nc.LastError()
	}
	// Meanwhile all may be well, or we may be closing.
	if !c.Connected() && c.dialer.life.Err() == nil {
		c.log.Warn("error from message queue, reconnecting", "error", reason(err))
	}
}

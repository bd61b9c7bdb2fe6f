package acceptance

import (
	"fmt"
	"testing"
	"time"

	"dsiem/test/scenario"
	"dsiem/test/testkit"
)

// configs returns configuration files written in the notation of scenarios:
// assets, unless empty, and directives.
func configs(t testing.TB, assets, directives string) files {
	t.Helper()
	text := "Configuration.\n"
	if assets != "" {
		text += "-- assets --\n" + assets + "\n"
	}
	text += "-- directives --\n" + directives + "\n-- events --\ne1\n-- want --\nnothing\n"
	s, err := scenario.Parse("configs.txtar", []byte(text))
	testkit.Check(t, err)
	return s.Runs[0].Config
}

// ev is an event. Its zero values stand for plugin 1001 and SID 1, 10.0.0.1 to
// 10.0.0.2, now.
type ev struct {
	id       string
	sid      int
	src, dst string
	port     int // destination port
	from     int // source port
	at       time.Time
	received int64 // rcvd_time
}

func (e ev) String() string {
	if e.sid == 0 {
		e.sid = 1
	}
	if e.src == "" {
		e.src = "10.0.0.1"
	}
	if e.dst == "" {
		e.dst = "10.0.0.2"
	}
	if e.at.IsZero() {
		e.at = time.Now()
	}
	return fmt.Sprintf(`{"event_id":%q,"timestamp":%q,"title":"t","sensor":"s","plugin_id":1001,"plugin_sid":%d,`+
		`"src_ip":%q,"src_port":%d,"dst_ip":%q,"dst_port":%d,"protocol":"TCP","rcvd_time":%d}`,
		e.id, e.at.UTC().Format(time.RFC3339Nano), e.sid, e.src, e.from, e.dst, e.port, e.received)
}

// address returns the i-th address of 10.0.0.0/8.
func address(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255) }

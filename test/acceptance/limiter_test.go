package acceptance

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
)

// The limit begins half-way, at 3 events a second. Three pass at once, and those
// wait whose turn comes within three seconds.
func TestT39_RateLimit(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t, "--maxEPS=5", "--minEPS=1") {
		const posts = 40
		var connections [posts]io.ReadWriter
		for c := range connections {
			connections[c] = i.dial()
		}
		var statuses [posts]int
		var done sync.WaitGroup
		begun := time.Now()
		for c := range connections {
			done.Go(func() {
				fmt.Fprintf(connections[c], "POST /events HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%s", len(theEvent), theEvent)
				a, err := tryAnswer(bufio.NewReader(connections[c]))
				if err != nil {
					t.Error(err)
				}
				statuses[c] = a.status
				if a.status == 429 && (a.header.Get("Retry-After") != "1" || !strings.Contains(a.body, "Too many requests")) {
					t.Errorf("429 with Retry-After %q, body %q", a.header.Get("Retry-After"), a.body)
				}
			})
		}
		done.Wait()
		took := time.Since(begun)
		count := map[int]int{}
		for _, status := range statuses {
			count[status]++
		}
		t.Logf("answers by status %v, in %v", count, took)
		most := max(17, 4+int(3*took.Seconds())) // more only if there was time for more tokens
		if count[200] < 11 || count[200] > most || count[200]+count[429] != posts {
			t.Errorf("answers by status %v, want about 14 of 200, and otherwise 429", count)
		}
		i.wantPublished(count[200])
	}
}

// D70: events count, not requests. An array is not refused for ever because it
// is larger than the limit.
func TestT39_ArraysCountByTheirEvents(t *testing.T) {
	t.Parallel()
	i := startIntakes(t, "--max-eps=20", "--min-eps=20")[0]
	array := make([]string, 400)
	for e := range array {
		array[e] = theEvent
	}
	i.takesPosted(array...) // which leaves a debt of 19 seconds
	a := i.post(theEvent)
	if a.status != 429 {
		t.Errorf("an event after 400 events is answered %d, want 429", a.status)
	}
	i.wantPublished(400)
}

// One small body of 76,538 events leaves a debt of more than a minute. It is that of its
// client alone, who is known by the credentials, or else by the address.
func TestT64_ADebtIsThatOfOneClientAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "auth.json")
	attacker, other := newUser(t, "attacker", "intake"), newUser(t, "other", "intake")
	authFile(t, file, []string{"intake", "diagnostics"}, attacker, other)
	n := startStandalone(t, takeAll, "--auth-file="+file, diagnostics)
	const tiny = `{"timestamp":"2024-01-01T00:00:00Z","plugin_id":1,"plugin_sid":1,"src_ip":"192.168.0.1","dst_ip":"10.0.0.2","title":"abcdefghijklmno"}` + "\n"
	attack := gzipped(t, strings.Repeat(tiny, 76_538))
	if a := n.ask(http.MethodPost, "/events", attack, "Content-Encoding: gzip", attacker.bearer()); a.status != 200 {
		t.Fatalf("a body of %d bytes is answered %d %s", len(attack), a.status, a.body)
	}
	for range 20 {
		for _, body := range []string{attack, theEvent} {
			headers := []string{attacker.bearer()}
			if body == attack {
				headers = append(headers, "Content-Encoding: gzip")
			}
			a := n.ask(http.MethodPost, "/events", body, headers...)
			after, err := strconv.Atoi(a.header.Get("Retry-After"))
			if a.status != 429 || err != nil || after < 60 || after > 300 || !strings.Contains(a.body, "Too many requests: attacker is ") {
				t.Fatalf("the next one is answered %d %q, Retry-After %q", a.status, a.body, a.header.Get("Retry-After"))
			}
		}
		n.wantTaken200(n.ask(http.MethodPost, "/events", theEvent, other.bearer()))
		n.wantTaken200(n.post(theEvent))
	}
	if m := n.metrics(); m["dsiem_eps_clients_in_debt"] != 1 || m[`dsiem_http_events_total{outcome="limited"}`] != 40 {
		t.Errorf("metrics %v", m)
	}
	n.says("WARN", "events refused, they come faster than the limit", "client=\"attacker\"")
}

var limitChange = regexp.MustCompile(`Overload status is (true|false), EPS limit changed from (\d+) to (\d+)`)

// limitChanges waits for a change of the limit in the log from line number from
// on, and returns by how much and to what.
func (n *node) limitChanges(from int, overloaded bool) (by, to, next int) {
	n.t.Helper()
	line, next := n.saysAfter(from, fmt.Sprintf("Overload status is %t, EPS limit changed", overloaded))
	match := limitChange.FindStringSubmatch(line)
	if match == nil {
		n.t.Fatalf("log line %q", line)
	}
	before, err := strconv.Atoi(match[2])
	testkit.Check(n.t, err)
	to, err = strconv.Atoi(match[3])
	testkit.Check(n.t, err)
	return to - before, to, next
}

// D08, D09, D29: the limit moves by a tenth of the span every five seconds, and
// by a hundredth back. A signal of relief counts when there was none of overload
// for the hold time.
func TestT40_OverloadMovesTheLimit(t *testing.T) {
	t.Parallel()
	for number, i := range startIntakes(t, "--hold-duration=7", diagnostics) {
		t.Run(frontends[number].program, func(t *testing.T) {
			t.Parallel()
			i.server.Publish(bus.OverloadSubject, "true")
			_, next := i.saysAfter(0, "Received overload status change from false to true from backend")
			sent := time.Now()
			i.server.Publish(bus.OverloadSubject, "false") // another backend is well
			by, to, next := i.limitChanges(next, true)
			if m := i.metrics(); by != -90 || m["dsiem_eps_limit"] != float64(to) || m["dsiem_overloaded"] != 1 {
				t.Errorf("the limit changes by %d, the metrics say %v and %v", by, m["dsiem_eps_limit"], m["dsiem_overloaded"])
			}
			_, next = i.saysAfter(next, "Received overload status change from true to false from backend")
			if held := time.Since(sent); held < 6*time.Second {
				t.Errorf("the overload ended after %v, want 7 s", held)
			}
			if by, _, _ = i.limitChanges(next, false); by != 9 {
				t.Errorf("the limit changes by %d, want 9", by)
			}
		})
	}
}

// Anything but the two literals changes nothing.
func TestT41_OtherSignalsAreIgnored(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t, diagnostics) {
		i.server.Publish(bus.OverloadSubject, "TRUE", `"true"`, "1", "", "true\n")
		i.says("WARN", "overload signal is neither true nor false, ignoring it")
		i.server.Publish(bus.OverloadSubject, "true") // the first one that counts
		i.says("Received overload status change from false to true from backend")
		i.stop()
		got := i.said("overload signal is neither true nor false, ignoring it")
		if len(got) == 0 || len(got) > 5 {
			t.Errorf("log lines %q, want one of each at most", got)
		}
		if got := i.said("Received overload status change"); len(got) != 1 {
			t.Errorf("changes %q, want 1", got)
		}
	}
}

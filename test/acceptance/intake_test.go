package acceptance

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// theEvent is EV of docs/spec/interfaces.md §11.
const theEvent = `{"event_id":"e1","timestamp":"2024-01-01T00:00:00Z","title":"t","sensor":"s","plugin_id":1001,"plugin_sid":2100384,"src_ip":"192.168.0.1","dst_ip":"10.0.0.2","src_port":0,"dst_port":0,"protocol":"ICMP"}`

// intake is a frontend and the messages that it publishes.
type intake struct {
	*node
	server    *natstest.Server
	published *natstest.Collector
}

// startIntakes starts a frontend in each of the two ways.
func startIntakes(t *testing.T, flags ...string) (all []intake) {
	t.Helper()
	for _, i := range frontends {
		server := startNATS(t)
		published := server.Collect(bus.EventsSubject)
		all = append(all, intake{i.startFrontend(newHome(t, nil), server.URL(), flags...), server, published})
	}
	return all
}

// wantPublished checks how many events were published so far, and returns them.
func (i intake) wantPublished(n int) []string {
	i.t.Helper()
	all := i.published.All()
	if len(all) != n {
		i.t.Fatalf("%d messages are published, want %d: %q", len(all), n, all)
	}
	return all
}

// wantRefused posts something that is refused, and checks that nothing is
// published.
func (i intake) wantRefused(status int, body string) {
	i.t.Helper()
	i.wantRefusedBy("/events", status, body)
}

// allOrNothing is where a request is taken or refused as a whole (D40).
const allOrNothing = "/events?all_or_nothing=true"

// wantRefusedBy is wantRefused for a path.
func (i intake) wantRefusedBy(path string, status int, body string) {
	i.t.Helper()
	before := len(i.published.All())
	a := i.ask(http.MethodPost, path, body, formType)
	if a.status != status || a.body == "" || strings.Count(a.body, "\n") != 1 || strings.Contains(a.body, "accepted") {
		i.t.Errorf("%s: %.80q is answered %d %q, want %d and a reason on one line", path, body, a.status, a.body, status)
	}
	i.wantPublished(before)
}

// wantTaken posts one event that is taken, and returns the members of the one
// message that is published of it.
func (i intake) wantTaken(body string) map[string]any {
	i.t.Helper()
	before := len(i.published.All())
	if a := i.post(body); a.status != http.StatusOK || a.body != "" {
		i.t.Fatalf("%q is answered %d %q, want 200 and no body", body, a.status, a.body)
	}
	return members(i.t, i.wantPublished(before + 1)[before])
}

// wantPartlyTaken posts a body with records that are rejected. The answer must name
// them (a JSON list), and only the events with these ids are published, in this order.
func (i intake) wantPartlyTaken(body, rejected string, ids ...string) {
	i.t.Helper()
	before := len(i.published.All())
	want := partlyTaken(len(ids), rejected)
	if a := i.post(body); a.status != http.StatusOK || a.body != want || a.header.Get("Content-Type") != "application/json" {
		i.t.Errorf("%q is answered %d %q (%s), want 200 %q", body, a.status, a.body, a.header.Get("Content-Type"), want)
	}
	var got []string
	for _, message := range i.wantPublished(before + len(ids))[before:] {
		got = append(got, fmt.Sprint(members(i.t, message)["event_id"]))
	}
	if !slices.Equal(got, ids) {
		i.t.Errorf("of %q %q are published, want %q", body, got, ids)
	}
}

// partlyTaken is the answer to a body of which some records are rejected (D40).
func partlyTaken(accepted int, rejected string) string {
	return fmt.Sprintf("{\"accepted\":%d,\"rejected\":%s}\n", accepted, rejected)
}

// members returns the members of a message.
func members(t testing.TB, message string) map[string]any {
	t.Helper()
	var all map[string]any
	testkit.Check(t, json.Unmarshal([]byte(message), &all))
	return all
}

func TestT30_EventsOfAnyContentType(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		types := []string{formType, "Content-Type: application/json", "Content-Type: application/json; charset=utf-8", "Content-Type: text/plain", "X-No-Type: 1"}
		for _, contentType := range types {
			i.wantTaken200(i.ask(http.MethodPost, "/events", theEvent, contentType))
		}
		i.wantPublished(len(types))
		if a := i.raw("POST /events HTTP/1.1\nHost: d\nConnection: close\nContent-Length: "+fmt.Sprint(len(theEvent)), theEvent); a.status != 200 || a.header.Get("Content-Length") != "0" {
			t.Errorf("answer %v, want 200 with no body", a)
		}
	}
}

// dtester closes its connections and follows no redirect.
func TestT31_TrailingSlash(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		i.wantTaken200(i.ask(http.MethodPost, "/events/", theEvent, formType))
		header := "POST /events/ HTTP/1.1\nHost: d\nContent-Type: application/json\nConnection: close\nContent-Length: " + fmt.Sprint(len(theEvent))
		i.wantTaken200(i.raw(header, theEvent))
		i.wantPublished(2)
		if a := i.ask(http.MethodGet, "/events", ""); a.status != http.StatusMethodNotAllowed || !strings.Contains(a.header.Get("Allow"), "POST") {
			t.Errorf("GET is answered %d, Allow %q", a.status, a.header.Get("Allow"))
		}
	}
}

func TestT32_Arrays(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		i.takesPosted(theEvent, strings.Replace(theEvent, `"e1"`, `"e2"`, 1))
		for number, message := range i.wantPublished(2) {
			m := members(t, message)
			if m["event_id"] != fmt.Sprint("e", number+1) || m["conn_id"] != float64(number+1) {
				t.Errorf("message %d is %s", number, message)
			}
		}
		i.wantTaken200(i.post("[]"))
		i.wantPublished(2)
	}
}

// D39 and D40: a poison event is not asked for again, and is not dumped into the
// log.
func TestT33_WhatCannotBeParsed(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2-hunter2"
	for _, i := range startIntakes(t) {
		for _, body := range []string{"not json", "", "  ", "[" + theEvent, theEvent[:50], "[" + theEvent + ",", "\x00", `"text"`, "12", "true"} {
			i.wantRefused(http.StatusBadRequest, body)
		}
		long := `{"event_id":` + strings.Repeat("x", 2000) + secret
		i.wantRefused(http.StatusBadRequest, long)
		i.wantTaken200(i.post(theEvent))
		i.stop()
		if got := i.said(secret); len(got) > 0 {
			t.Errorf("a body is in the log as a whole: %q", got)
		}
		if got := i.said("WARN"); len(got) == 0 {
			t.Error("nothing is said about what was refused")
		}
	}
}

// D34 and D39: who sent an event, and its id, cannot reject it. Without what
// correlation needs it is none.
func TestT34_WhatIsNoEvent(t *testing.T) {
	t.Parallel()
	without := func(member string) string {
		all := members(t, theEvent)
		delete(all, member)
		text, err := json.Marshal(all)
		testkit.Check(t, err)
		return string(text)
	}
	with := func(from, to string) string { return strings.Replace(theEvent, from, to, 1) }
	for _, i := range startIntakes(t) {
		i.wantRefused(http.StatusTeapot, "{}")
		for _, member := range []string{"timestamp", "src_ip", "dst_ip", "plugin_id", "plugin_sid"} {
			i.wantRefused(http.StatusTeapot, without(member))
		}
		// D42: what would be lost later is refused here.
		for from, to := range map[string]string{
			`"192.168.0.1"`: `"no address"`, `"2024-01-01T00:00:00Z"`: `"yesterday"`, `"src_port":0`: `"src_port":65536`,
		} {
			i.wantRefused(http.StatusTeapot, with(from, to))
		}
		// D34: an event without an id gets one, and is no other one, sent twice either.
		withoutID := []string{
			without("event_id"), without("event_id"), with(`"e1"`, `null`), with(`"e1"`, `""`), with(`"e1"`, `{"a":1}`), with(`"e1"`, `["e1"]`),
		}
		ids := map[string]bool{}
		for _, body := range withoutID {
			m := i.wantTaken(body)
			id, _ := m["event_id"].(string)
			if !givenID.MatchString(id) || ids[id] {
				t.Errorf("%q gets the id %v, want a new one of 16 letters and digits", body, m["event_id"])
			}
			ids[id] = true
			if m["sensor"] != "s" || m["timestamp"] != "2024-01-01T00:00:00Z" || m["plugin_sid"] != 2100384.0 || m["src_ip"] != "192.168.0.1" {
				t.Errorf("%q becomes %v", body, m)
			}
		}
		if text := i.ask(http.MethodGet, "/metrics", "").body; !strings.Contains(text, fmt.Sprintf("\ndsiem_http_events_without_id_total %d\n", len(withoutID))) {
			t.Errorf("the %d events without an id are not counted", len(withoutID))
		}
		// D39: so does one without a sensor, which is empty in the message.
		for _, body := range []string{without("sensor"), with(`"s"`, `null`), with(`"s"`, `""`), with(`"s"`, `{"name":"s"}`), with(`"s"`, `["s"]`)} {
			m := i.wantTaken(body)
			if sensor, ok := m["sensor"].(string); !ok || sensor != "" || m["event_id"] != "e1" {
				t.Errorf("%q becomes %v", body, m)
			}
		}
	}
}

// D40: one bad record does not take the batch, unless the sender wants all of a
// request or nothing.
func TestT35_OneBadEventInAnArray(t *testing.T) {
	t.Parallel()
	const (
		e2     = `{"event_id":"e2","timestamp":"2024-01-01T00:00:01Z","plugin_id":1001,"plugin_sid":2100384,"src_ip":"192.168.0.1","dst_ip":"10.0.0.2"}`
		noTime = `"reason":"bad_timestamp","detail":"timestamp: missing"}`
		noID   = `"reason":"bad_type","detail":"plugin_id: want a number"}`
		badID  = `{"plugin_id":"x"}`
	)
	for _, i := range startIntakes(t) {
		i.wantPartlyTaken("["+theEvent+", {}]", `[{"index":1,`+noTime+`]`, "e1")
		i.wantPartlyTaken("[{}, "+theEvent+"]", `[{"index":0,`+noTime+`]`, "e1")
		i.wantPartlyTaken("["+theEvent+", "+badID+"]", `[{"index":1,`+noID+`]`, "e1")
		i.wantPartlyTaken("["+theEvent+", {}, "+e2+", "+badID+"]", `[{"index":1,`+noTime+`,{"index":3,`+noID+`]`, "e1", "e2")
		i.wantPartlyTaken(theEvent+"\n{}\n"+e2, `[{"index":1,`+noTime+`]`, "e1", "e2")
		i.wantPartlyTaken("["+theEvent+", 7]", `[{"index":1,"reason":"bad_json","detail":"not an object"}]`, "e1")

		// If none is taken, the first one decides, as before.
		i.wantRefused(http.StatusTeapot, "[{}, {}]")
		i.wantRefused(http.StatusTeapot, "[{}, "+badID+"]")
		i.wantRefused(http.StatusBadRequest, "["+badID+", {}]")
		// A body that is not well-formed as a whole may have been cut off.
		i.wantRefused(http.StatusBadRequest, theEvent+"\n"+theEvent+"\nnot json")
		i.wantRefused(http.StatusBadRequest, "["+theEvent+", "+e2)

		// The old rule.
		i.wantRefusedBy(allOrNothing, http.StatusTeapot, "["+theEvent+", {}]")
		i.wantRefusedBy(allOrNothing, http.StatusTeapot, "[{}, "+theEvent+"]")
		i.wantRefusedBy(allOrNothing, http.StatusBadRequest, "["+theEvent+", "+badID+"]")
		i.wantRefusedBy(allOrNothing, http.StatusTeapot, theEvent+"\n{}\n"+e2)
		i.wantRefusedBy(allOrNothing, http.StatusBadRequest, theEvent+"\n"+theEvent+"\nnot json")
		before := len(i.published.All())
		i.wantTaken200(i.ask(http.MethodPost, allOrNothing, "["+theEvent+", "+e2+"]", formType))
		i.wantPublished(before + 2)
	}
}

// The successor's backend wants a title, and all members that the original omits
// when they are empty.
func TestT36_NoTitle(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		i.takesPosted(strings.Replace(theEvent, `"title":"t",`, "", 1))
		message := i.wantPublished(1)[0]
		m := members(t, message)
		if title, ok := m["title"].(string); !ok || title != "" {
			t.Errorf("title is %v: %s", m["title"], message)
		}
		// And so does a backend of this generation.
		server := startNATS(t)
		n := newHome(t, configs(t, "", "r1 sid2100384 from=192.168.0.1 rel10\nr2 occ5 rel10")).startReady(setup{nats: server.URL()})
		publish(server, message)
		n.takes("e1")
	}
}

func TestT37_NullAndUnknownMembers(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		i.takesPosted(strings.Replace(theEvent, `{`, `{"custom_data1":null,"x":1,"y":{"event_id":"e9"},`, 1))
		m := members(t, i.wantPublished(1)[0])
		for _, unknown := range []string{"x", "y"} {
			if _, there := m[unknown]; there {
				t.Errorf("%s is forwarded", unknown)
			}
		}
		if m["event_id"] != "e1" || m["custom_data1"] != nil && m["custom_data1"] != "" {
			t.Errorf("message %v", m)
		}
	}
}

// D39: what says clearly which number or text it is, is taken for it.
func TestT38_NumberInQuotes(t *testing.T) {
	t.Parallel()
	with := func(from, to string) string { return strings.Replace(theEvent, from, to, 1) }
	for _, i := range startIntakes(t) {
		for _, c := range []struct {
			from, to, name string
			want           any
		}{
			{`1001`, `"1001"`, "plugin_id", 1001.0},
			{`2100384`, `"2100384"`, "plugin_sid", 2100384.0},
			{`"dst_port":0`, `"dst_port":"80"`, "dst_port", 80.0},
			{`"dst_port":0`, `"dst_port":""`, "dst_port", 0.0},
			{`"dst_port":0`, `"dst_port":80.0`, "dst_port", 80.0},
			{`"dst_port":0`, `"dst_port":8e1`, "dst_port", 80.0},
			{`"s"`, `1`, "sensor", "1"},
			{`"s"`, `1.50`, "sensor", "1.50"},
			{`"s"`, `true`, "sensor", "true"},
			{`{`, `{"custom_data1":7,`, "custom_data1", "7"},
			{`{`, `{"custom_data1":false,`, "custom_data1", "false"},
			{`"t"`, `{"text":"t"}`, "title", ""}, // only informs
			{`"t"`, `"x","title":"t"`, "title", "t"},
		} {
			if m := i.wantTaken(with(c.from, c.to)); m[c.name] != c.want {
				t.Errorf("with %s %s is %#v, want %#v: %v", c.to, c.name, m[c.name], c.want, m)
			}
		}
		for _, value := range []string{`" 80"`, `"80 "`, `"80.5"`, `"80.0"`, `"8e1"`, `"+80"`, `"-1"`, `"https"`, `true`, `false`, `[80]`, `{"port":80}`} {
			i.wantRefused(http.StatusBadRequest, with(`"dst_port":0`, `"dst_port":`+value))
			i.wantRefused(http.StatusBadRequest, with(`1001`, value))
		}
		// These are numbers, but none that the member can be.
		for _, value := range []string{`80.5`, `-1`, `65536`, `"65536"`} {
			i.wantRefused(http.StatusTeapot, with(`"dst_port":0`, `"dst_port":`+value))
		}
		i.wantRefused(http.StatusBadRequest, with(`{`, `{"custom_data1":{"user":"root"},`))
		i.wantRefused(http.StatusBadRequest, with(`{`, `{"category":["c"],`))
		i.wantRefused(http.StatusBadRequest, with(`"dst_port":0`, `"dst_port":80,"dst_port":80`))
	}
}

func TestT42_WhatIsPublished(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		before := time.Now()
		i.takesPosted(theEvent)
		after := time.Now()
		i.takesPosted(theEvent)
		messages := i.wantPublished(2)
		for number, message := range messages {
			m := members(t, message)
			for name, want := range map[string]any{
				"event_id": "e1", "timestamp": "2024-01-01T00:00:00Z", "title": "t", "sensor": "s", "plugin_id": 1001.0, "plugin_sid": 2100384.0,
				"src_ip": "192.168.0.1", "dst_ip": "10.0.0.2", "src_port": 0.0, "dst_port": 0.0, "protocol": "ICMP", "conn_id": float64(number + 1),
			} {
				if m[name] != want {
					t.Errorf("%s is %v, want %v: %s", name, m[name], want, message)
				}
			}
			if strings.ContainsAny(message, "\n ") {
				t.Errorf("the message is not compact: %q", message)
			}
		}
		var stamp struct {
			Received int64 `json:"rcvd_time"` // a float64 would lose digits
		}
		testkit.Check(t, json.Unmarshal([]byte(messages[0]), &stamp))
		if at := time.Unix(0, stamp.Received); at.Before(before) || at.After(after) {
			t.Errorf("rcvd_time is %v, want one from %v to %v", at, before, after)
		}
	}
}

// What the successor's backend requires, and what the original's one does, is in
// every message, whatever the event had; and a message of one frontend, posted to
// another, comes out as it was.
func TestFrontendMessagesSuitAllBackends(t *testing.T) {
	t.Parallel()
	required := []string{
		"event_id", "timestamp", "sensor", "title", "src_ip", "dst_ip", "src_port", "dst_port", "protocol",
		"plugin_id", "plugin_sid", "product", "category", "conn_id", "rcvd_time",
	}
	for _, i := range startIntakes(t) {
		i.takesPosted(`{"event_id":"e1","timestamp":"2024-01-01T07:00:00+07:00","sensor":"s","src_ip":"::ffff:10.0.0.1","dst_ip":"fe80::1","product":"P","category":"C"}`)
		i.takesPosted(messageOfOriginal)
		i.takesPosted(messageOfSuccessor)
		messages := i.wantPublished(3)
		for _, message := range messages {
			m := members(t, message)
			for _, name := range required {
				if _, there := m[name]; !there {
					t.Errorf("%s is missing: %s", name, message)
				}
			}
		}
		if m := members(t, messages[0]); m["timestamp"] != "2024-01-01T00:00:00Z" {
			t.Errorf("timestamp %v", m["timestamp"])
		}
		for number, posted := range []string{messageOfOriginal, messageOfSuccessor} {
			want, got := members(t, posted), members(t, messages[number+1])
			for _, name := range required {
				was, there := want[name]
				if stamped := name == "conn_id" || name == "rcvd_time"; there && !stamped && got[name] != was {
					t.Errorf("%s was %v and is %v", name, was, got[name])
				}
			}
		}
	}
}

// A standalone node answers as frontends do, and takes what they take (D34, D39,
// D40).
func TestStandaloneAnswersAsFrontendsDo(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll)
	front := newHome(t, nil).startReady(setup{role: frontendRole, nats: startNATS(t).URL()})
	with := func(e ev, from, to string) string { return strings.Replace(e.String(), from, to, 1) }
	const noTime = `{"index":1,"reason":"bad_timestamp","detail":"timestamp: missing"}`
	for _, c := range []struct {
		path, body string
		status     int
		want       string // the body of a 200
	}{
		{"/events", ev{id: "e1"}.String(), 200, ""},
		{"/events", "[" + ev{id: "e2"}.String() + "]", 200, ""},
		{"/events", ev{id: "e3"}.String() + "\n" + ev{id: "e4"}.String(), 200, ""},
		{"/events", "[]", 200, ""},
		{"/events", "not json", 400, ""},
		{"/events", "", 400, ""},
		{"/events", "{}", 418, ""},
		{"/events", "[" + ev{id: "e5"}.String() + ",{}]", 200, partlyTaken(1, "["+noTime+"]")},
		{allOrNothing, "[" + ev{id: "n1"}.String() + ",{}]", 418, ""},
		{"/events", ev{id: "n2"}.String() + "\n{", 400, ""},
		{"/events", `{"event_id":"n3","plugin_id":"1001"}`, 418, ""}, // 1001 is one, but there is no timestamp
		{"/events", `{"event_id":"n4","plugin_id":"x"}`, 400, ""},
		{"/events", with(ev{id: "n5"}, `"timestamp"`, `"time"`), 418, ""},
		{"/events", with(ev{id: "n6"}, `"src_ip"`, `"src"`), 418, ""},
		{"/events", with(ev{id: "n7"}, `1001`, `" 1001"`), 400, ""},
		{"/events", with(ev{id: "n8"}, `1001`, `1001.5`), 418, ""},
		{"/events", with(ev{id: "e6"}, `1001`, `"1001"`), 200, ""},
		{"/events", with(ev{id: "e7"}, `"sensor":"s",`, ``), 200, ""},
		{"/events", ev{}.String(), 200, ""},
		{"/events", with(ev{}, `"event_id":"",`, ``), 200, ""},
	} {
		a := n.ask(http.MethodPost, c.path, c.body, formType)
		if a.status != c.status || a.status == 200 && a.body != c.want || a.status != 200 && a.body == "" {
			t.Errorf("%s: %q is answered %d %q, want %d %q", c.path, c.body, a.status, a.body, c.status, c.want)
		}
		if b := front.ask(http.MethodPost, c.path, c.body, formType); b.status != a.status || b.body != a.body {
			t.Errorf("%s: %q is answered %d %q, and by a frontend %d %q", c.path, c.body, a.status, a.body, b.status, b.body)
		}
	}
	n.stop()
	got := map[string]bool{}
	given := 0
	for _, e := range n.alarmEvents() {
		got[e.EventID] = true
		if len(e.EventID) == 16 {
			given++
		}
	}
	if len(got) != 9 || len(n.alarmEvents()) != 9 || given != 2 {
		t.Errorf("taken are %v, want e1 to e7 and two without an id", n.alarmEvents())
	}
	for number := 1; number <= 7; number++ {
		if id := fmt.Sprint("e", number); !got[id] {
			t.Errorf("%s is not taken", id)
		}
	}

	// D40: what was rejected is kept, for its owner.
	name := filepath.Join(n.logs, "rejected_events.ndjson")
	var reasons []string
	for _, r := range decodeLines[struct {
		Reason string `json:"reason"`
	}](t, name) {
		reasons = append(reasons, r.Reason)
	}
	if want := []string{
		"bad_json", "bad_json", "bad_timestamp", "bad_timestamp", "bad_timestamp", "bad_json", "bad_timestamp", "bad_type", "bad_timestamp",
		"bad_address", "bad_type", "out_of_range",
	}; !slices.Equal(reasons, want) {
		t.Errorf("kept are records rejected as %q, want %q", reasons, want)
	}
	info, err := os.Stat(name)
	testkit.Check(t, err)
	if info.Mode() != fs.FileMode(0o600) {
		t.Errorf("the mode of what is kept is %v", info.Mode())
	}
}

// Alerts of Suricata need no converter.
func TestSuricataAlertsAreTaken(t *testing.T) {
	t.Parallel()
	const alert = `{"timestamp":"2024-01-01T00:00:00.000000+0000","flow_id":1,"event_type":"alert","src_ip":"10.0.0.1","src_port":1,"dest_ip":"10.0.0.2","dest_port":80,` +
		`"proto":"TCP","host":"s","alert":{"gid":1,"signature_id":2100384,"rev":1,"signature":"t","category":"c","severity":2}}`
	for _, i := range startIntakes(t) {
		if a := i.ask(http.MethodPost, "/events/suricata-eve", alert+"\n"+`{"timestamp":"2024-01-01T00:00:00.000000+0000","event_type":"dns"}`+"\n"); a.status != 200 {
			t.Errorf("answer %d %s", a.status, a.body)
		}
		if m := members(t, i.wantPublished(1)[0]); m["plugin_sid"] != 2100384.0 || m["dst_port"] != 80.0 {
			t.Errorf("message %v", m)
		}
	}
}

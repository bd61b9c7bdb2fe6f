package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/natstest"
)

// theEvent is EV of spec/interfaces.md §11.
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
	before := len(i.published.All())
	a := i.post(body)
	if a.status != status || a.body == "" || strings.Count(a.body, "\n") != 1 {
		i.t.Errorf("%.80q is answered %d %q, want %d and a reason on one line", body, a.status, a.body, status)
	}
	i.wantPublished(before)
}

// members returns the members of a message.
func members(t *testing.T, message string) map[string]any {
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

func TestT34_WhatIsNoEvent(t *testing.T) {
	t.Parallel()
	without := func(member string) string {
		all := members(t, theEvent)
		delete(all, member)
		text, err := json.Marshal(all)
		testkit.Check(t, err)
		return string(text)
	}
	for _, i := range startIntakes(t) {
		i.wantRefused(http.StatusTeapot, "{}")
		for _, member := range []string{"event_id", "timestamp", "sensor", "src_ip", "dst_ip", "plugin_id", "plugin_sid"} {
			i.wantRefused(http.StatusTeapot, without(member))
		}
		// D42: what would be lost later is refused here.
		for from, to := range map[string]string{
			`"192.168.0.1"`: `"no address"`, `"2024-01-01T00:00:00Z"`: `"yesterday"`, `"src_port":0`: `"src_port":65536`,
		} {
			i.wantRefused(http.StatusTeapot, strings.Replace(theEvent, from, to, 1))
		}
	}
}

// D41: all of a request or nothing.
func TestT35_OneBadEventInAnArray(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		i.wantRefused(http.StatusTeapot, "["+theEvent+", {}]")
		i.wantRefused(http.StatusTeapot, "[{}, "+theEvent+"]")
		i.wantRefused(http.StatusBadRequest, "["+theEvent+`, {"plugin_id":"x"}]`)
		i.wantRefused(http.StatusBadRequest, theEvent+"\n"+theEvent+"\nnot json")
		i.wantPublished(0)
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

func TestT38_NumberInQuotes(t *testing.T) {
	t.Parallel()
	for _, i := range startIntakes(t) {
		i.wantRefused(http.StatusBadRequest, strings.Replace(theEvent, "1001", `"1001"`, 1))
		i.wantRefused(http.StatusBadRequest, strings.Replace(theEvent, `"s"`, `1`, 1))
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

// A standalone node answers as frontends do.
func TestStandaloneAnswersAsFrontendsDo(t *testing.T) {
	t.Parallel()
	n := startStandalone(t, takeAll)
	for body, want := range map[string]int{
		ev{id: "e1"}.String():                                200,
		"[" + ev{id: "e2"}.String() + "]":                    200,
		ev{id: "e3"}.String() + "\n" + ev{id: "e4"}.String(): 200,
		"[]":                                   200,
		"not json":                             400,
		"":                                     400,
		"{}":                                   418,
		"[" + ev{id: "e5"}.String() + ",{}]":   418,
		`{"event_id":"e6","plugin_id":"1001"}`: 400,
	} {
		if a := n.post(body); a.status != want {
			t.Errorf("%q is answered %d %s, want %d", body, a.status, a.body, want)
		}
	}
	n.stop()
	got := map[string]bool{}
	for _, e := range n.alarmEvents() {
		got[e.EventID] = true
	}
	if len(got) != 4 || len(n.alarmEvents()) != 4 || got["e5"] {
		t.Errorf("taken are %v, want e1 to e4", n.alarmEvents())
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

package acceptance

import (
	"encoding/json"
	"testing"

	"dsiem/internal/bus"
	"dsiem/test/testkit"
	"dsiem/test/testkit/oteltest"
)

// traced are the variables of a node that sends traces to a collector.
func traced(c *oteltest.Collector) []string {
	return []string{"DSIEM_OTEL_TRACING_ENABLED=true", "DSIEM_OTEL_ENDPOINT=" + c.Endpoint()}
}

// wantTrace waits for the trace of an event that a backlog took, and checks its
// spans. The frontend's span is of one node, the others of another.
func wantTrace(t *testing.T, c *oteltest.Collector, id, frontend, backend string) {
	t.Helper()
	span := func(name, node string, parent oteltest.Span) oteltest.Span {
		t.Helper()
		found := c.WaitForSpan(name+" of "+id, func(s oteltest.Span) bool {
			return s.Name == name && s.Attributes["event.id"] == id && s.Resource["service.name"] == node
		})
		if found.ParentID != parent.SpanID || parent.TraceID != "" && found.TraceID != parent.TraceID {
			t.Errorf("%s is of trace %s below %q, want %s below %q", name, found.TraceID, found.ParentID, parent.TraceID, parent.SpanID)
		}
		if found.End.Before(found.Start) || found.Failed {
			t.Errorf("span %+v", found)
		}
		return found
	}
	root := span("frontend handler", frontend, oteltest.Span{})
	handled := span("backend handler", backend, root)
	distributed := span("event distribution", backend, handled)
	processed := span("backlog processing", backend, distributed)
	if root.Attributes["conn.id"] == nil || processed.Attributes["directive.id"] != int64(1) || processed.Attributes["backlog.id"] == "" {
		t.Errorf("attributes %v and %v", root.Attributes, processed.Attributes)
	}
}

func TestT63_TraceOverNATS(t *testing.T) {
	t.Parallel()
	collector := oteltest.Start(t)
	server := startNATS(t)
	published := server.Collect(bus.EventsSubject)
	front := newHome(t, nil).startReady(setup{role: frontendRole, nats: server.URL(), env: traced(collector)})
	back := newHome(t, configs(t, "", takeAll)).startReady(setup{nats: server.URL(), env: traced(collector)})
	front.takesPosted(ev{id: "e1"}.String(), ev{id: "e2"}.String())
	back.takes("e2")
	front.stop() // what is left is sent
	back.stop()
	for _, id := range []string{"e1", "e2"} {
		wantTrace(t, collector, id, "dsiem-frontend-1", "dsiem-backend-1")
	}
	for _, message := range published.All() {
		var m struct {
			EventID     string            `json:"event_id"`
			Carrier     map[string]string `json:"carrier"`
			TraceParent string            `json:"trace_parent"`
		}
		testkit.Check(t, json.Unmarshal([]byte(message), &m))
		root := collector.WaitForSpan("the frontend's", func(s oteltest.Span) bool {
			return s.Name == "frontend handler" && s.Attributes["event.id"] == m.EventID
		})
		if want := "00-" + root.TraceID + "-" + root.SpanID + "-01"; m.Carrier["traceparent"] != want || m.TraceParent != want {
			t.Errorf("carrier %v, trace_parent %q, want %q", m.Carrier, m.TraceParent, want)
		}
	}
}

// The trace of a frontend of another generation goes on.
func TestT63_TraceOfAnotherGeneration(t *testing.T) {
	t.Parallel()
	collector := oteltest.Start(t)
	server := startNATS(t)
	back := newHome(t, configs(t, "", "r1 sid2100384 rel10\nr2 sid2100384 from=:1 occ5 rel10")).startReady(setup{nats: server.URL(), env: traced(collector)})
	publish(server, messageOfSuccessor)
	back.stop()
	handled := collector.WaitForSpan("the backend's", func(s oteltest.Span) bool { return s.Name == "backend handler" })
	if handled.TraceID != "0af7651916cd43dd8448eb211c80319c" || handled.ParentID != "b7ad6b7169203331" {
		t.Errorf("it is of trace %s below %s", handled.TraceID, handled.ParentID)
	}
}

func TestT63_TraceInAStandaloneNode(t *testing.T) {
	t.Parallel()
	collector := oteltest.Start(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{role: standaloneRole, env: traced(collector)})
	n.takesPosted(ev{id: "e1"}.String())
	n.takes("e1")
	n.takesPosted(ev{id: "e2"}.String(), ev{id: "e3"}.String())
	n.takes("e3")
	n.stop()
	for _, id := range []string{"e1", "e2", "e3"} {
		wantTrace(t, collector, id, "dsiem", "dsiem")
	}
}

// A collector that is away costs no event and no time.
func TestTracesWithoutCollector(t *testing.T) {
	t.Parallel()
	collector := oteltest.Reserve(t)
	n := newHome(t, configs(t, "", takeAll)).startReady(setup{role: standaloneRole, env: traced(collector)})
	n.takesPosted(ev{id: "e1"}.String())
	n.takes("e1")
	n.stop()
	if got := len(n.alarmEvents()); got != 1 {
		t.Errorf("%d events taken", got)
	}
}

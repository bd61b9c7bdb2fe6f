package docs

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dsiem/internal/alarm"
	"dsiem/internal/event"
)

// fullSaved returns a saved backlog in which every key is written.
func fullSaved() alarm.Saved {
	addr := []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	hit := []alarm.Hit{{Provider: "p", Term: "t", Result: "r"}}
	texts := [event.CustomFields]string{"a", "b", "c"}
	return alarm.Saved{
		Alarm: alarm.Alarm{
			ID: "id", Created: 1, Updated: 1, Risk: 1, Class: alarm.Low,
			Rules: []alarm.Rule{{
				Stage: 1, PluginSID: []uint64{1}, Product: []string{"p"}, Category: "c", Subcategory: []string{"s"},
				Type: "PluginRule", Start: 1, End: 1, Status: alarm.Finished, StickyDifferent: "SRC_IP",
				CustomData: texts, CustomLabel: texts,
			}},
			SrcIPs: addr, DstIPs: addr, Networks: []string{"10.0.0.0/8"},
			IntelHits: hit, Vulnerabilities: hit, CustomData: []alarm.CustomData{{Label: "l", Content: "c"}},
			Truncated: alarm.Truncated{SrcIPs: 1},
		},
		Extras: []alarm.Extra{{
			EventIDs: []event.IDHash{1}, Events: []alarm.Identity{{}}, Others: []alarm.OtherEvent{{}},
			StickyTexts: []string{"t"}, StickyNumbers: []uint64{1}, Origin: []string{},
		}},
		LastSrcPort: 1, LastDstPort: 1, ExpandedTitle: "t", Arrival: 1, Opened: 1, Latest: 1, Opener: addr[0], Opening: alarm.OtherEvent{ID: 1},
		LineTime: 1, LineDue: true, LongData: [event.CustomFields]event.IDHash{1, 2, 3}, Unlisted: alarm.Unlisted{Value: 1},
	}
}

// keysOf returns the keys of an object in their order.
func keysOf(t *testing.T, text []byte) []string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	var keys []string
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// member returns the text of a member, or of the first element if it is a list.
func member(t *testing.T, text []byte, key string) []byte {
	t.Helper()
	var o map[string]json.RawMessage
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(o[key], &list); err == nil {
		if len(list) == 0 {
			return nil
		}
		return list[0]
	}
	return o[key]
}

// TestAlarmTables checks that the tables of keys have all keys of the documents
// in their order.
func TestAlarmTables(t *testing.T) {
	t.Parallel()
	saved := fullSaved()
	line := saved.AppendJSON(nil)
	var file []json.RawMessage
	if err := json.Unmarshal(alarm.AppendSaved(nil, []alarm.Saved{saved}), &file); err != nil {
		t.Fatal(err)
	}
	hidden := func(all, published []string) []string {
		return slices.DeleteFunc(all, func(key string) bool { return slices.Contains(published, key) })
	}
	rule := keysOf(t, member(t, line, "rules"))
	for first, want := range map[string][]string{
		"Key of an alarm":                    keysOf(t, line),
		"Key of an element of rules":         rule,
		"Key of an alarm event":              keysOf(t, (&alarm.Event{}).AppendJSON(nil)),
		"Further key of a saved backlog":     hidden(keysOf(t, file[0]), keysOf(t, line)),
		"Further key of an element of rules": hidden(keysOf(t, member(t, file[0], "rules")), rule),
	} {
		if diff := cmp.Diff(want, firstColumn(t, "docs/alarms.md", first)); diff != "" {
			t.Errorf("%s: real - documented +:\n%s", first, diff)
		}
	}
}

// TestEventTables checks the tables of an event's keys and of the reasons.
func TestEventTables(t *testing.T) {
	t.Parallel()
	var reasons []string
	for r := event.Accepted + 1; r < event.Reasons; r++ {
		if r != event.Unwanted && r != event.Whitelisted { // no mistakes, see the page
			reasons = append(reasons, r.String())
		}
	}
	if diff := cmp.Diff(reasons, firstColumn(t, "docs/events.md", "Reason")); diff != "" {
		t.Errorf("reasons: real - documented +:\n%s", diff)
	}
	texts := [event.CustomFields]string{"a", "b", "c"}
	addr := netip.MustParseAddr("10.0.0.1")
	all := event.AppendJSON(nil, &event.Event{
		ID: "a", Sensor: "a", Title: "a", Protocol: "a", SrcIP: addr, DstIP: addr, SrcPort: 1, DstPort: 1,
		PluginID: 1, PluginSID: 1, Product: "a", Category: "a", Subcategory: "a",
		CustomData: texts, CustomLabel: texts, ConnID: 1, ReceivedAt: 1,
	})
	want, got := keysOf(t, all), firstColumn(t, "docs/events.md", "Key of an event")
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys of an event: real - documented +:\n%s", diff)
	}
}

// knownKeys returns keys that a table of a configuration file must have.
func knownKeys(first string) []string {
	if first != "Key of a rule" {
		return nil
	}
	saved := fullSaved()
	var keys []string
	var o map[string][]map[string]any
	_ = json.Unmarshal(saved.AppendJSON(nil), &o) // other members are of other types
	for key := range o["rules"][0] {
		if key != "start_time" && key != "end_time" && key != "status" { // state, see the page
			keys = append(keys, key)
		}
	}
	return keys
}

// firstColumn returns the first column of the tables of a page with this first
// header.
func firstColumn(t *testing.T, name, header string) []string {
	t.Helper()
	var column []string
	for _, table := range pageNamed(t, name).tables {
		if table.header[0] != header {
			continue
		}
		for _, row := range table.rows {
			for key := range strings.SplitSeq(row[0], ", ") {
				column = append(column, plain(key))
			}
		}
	}
	return column
}

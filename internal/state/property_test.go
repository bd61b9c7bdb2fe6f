package state_test

import (
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate"
	"dsiem/internal/correlate/resume"
	"dsiem/internal/event"
)

// scratch calls fn with an empty folder of its own, which a rapid.T cannot give.
func scratch(t *rapid.T, fn func(dir string)) {
	dir, err := os.MkdirTemp("", "backlogs")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fn(dir)
}

func aText() *rapid.Generator[string] {
	return rapid.Map(rapid.OneOf(
		rapid.SampledFrom([]string{"", "ANY", ":1", "\"\\/<&>\u2028\x00\x7f", "é"}), rapid.StringN(0, 8, -1),
	), func(s string) string { return strings.ToValidUTF8(s, "") })
}

func anAddr() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		if rapid.Bool().Draw(t, "v4") {
			return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes")))
		}
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))).Unmap()
	})
}

// few returns a list of up to two.
func few[T any](t *rapid.T, name string, g *rapid.Generator[T]) []T {
	return rapid.SliceOfN(g, 0, 2).Draw(t, name)
}

func aRule(stage int) *rapid.Generator[alarm.Rule] {
	return rapid.Custom(func(t *rapid.T) alarm.Rule {
		text := func(name string) string { return aText().Draw(t, name) }
		r := alarm.Rule{
			Name: text("name"), Stage: stage, Occurrence: rapid.Uint64Range(1, 1<<63-1).Draw(t, "occurrence"),
			From: text("from"), To: text("to"), PortFrom: text("port_from"), PortTo: text("port_to"),
			PluginID: rapid.Uint64().Draw(t, "plugin_id"), PluginSID: few(t, "plugin_sid", rapid.Uint64()),
			Product: few(t, "product", aText()), Category: text("category"), Subcategory: few(t, "subcategory", aText()),
			Type: text("type"), Protocol: text("protocol"), Reliability: rapid.IntRange(0, 10).Draw(t, "reliability"),
			Timeout: rapid.Int64Range(0, 1<<32-1).Draw(t, "timeout"),
			Start:   rapid.Int64Range(0, 8210266876799).Draw(t, "start"), End: rapid.Int64Range(0, 8210266876799).Draw(t, "end"),
			Status:          rapid.SampledFrom([]alarm.Status{alarm.Pending, alarm.Finished, alarm.Timeout}).Draw(t, "status"),
			StickyDifferent: text("sticky_different"),
		}
		for i := range event.CustomFields {
			r.CustomData[i], r.CustomLabel[i] = text("custom_data"), text("custom_label")
		}
		return r
	})
}

func aSaved(id string) *rapid.Generator[alarm.Saved] {
	return rapid.Custom(func(t *rapid.T) alarm.Saved {
		text := func(name string) string { return aText().Draw(t, name) }
		hit := rapid.Custom(func(*rapid.T) alarm.Hit {
			return alarm.Hit{Provider: text("provider"), Term: text("term"), Result: text("result")}
		})
		seconds := rapid.Int64Range(-8334601228800, 8210266876799)
		s := alarm.Saved{
			Alarm: alarm.Alarm{
				ID: id, Title: text("title"), Status: text("status"), Tag: text("tag"), Kingdom: text("kingdom"), Category: text("category"),
				Created: seconds.Draw(t, "created"), Updated: seconds.Draw(t, "updated"),
				Risk: rapid.IntRange(0, alarm.MaxRisk).Draw(t, "risk"), Class: alarm.Class(rapid.IntRange(0, int(alarm.High)).Draw(t, "class")),
				SrcIPs: few(t, "src_ips", anAddr()), DstIPs: few(t, "dst_ips", anAddr()), Networks: few(t, "networks", aText()),
				IntelHits: few(t, "intel_hits", hit), Vulnerabilities: few(t, "vulnerabilities", hit),
				CustomData: few(t, "custom_data", rapid.Custom(func(*rapid.T) alarm.CustomData {
					return alarm.CustomData{Label: text("label"), Content: text("content")}
				})),
			},
			LastSrcPort: rapid.Uint16().Draw(t, "src port"), LastDstPort: rapid.Uint16().Draw(t, "dst port"),
			ExpandedTitle: text("expanded title"),
			Arrival:       rapid.Int64Range(0, 9223372036).Draw(t, "arrival"),
			Opened:        rapid.Int64Min(0).Draw(t, "opened"), Latest: rapid.Int64Min(0).Draw(t, "latest"),
			Opener: anAddr().Draw(t, "opener"),
			Opening: alarm.OtherEvent{
				ID:       event.IDHash(rapid.Uint64().Draw(t, "opening id")),
				Identity: alarm.Identity{Same: rapid.Uint64().Draw(t, "opening"), Mark: rapid.Uint64().Draw(t, "opening mark")},
			},
			LineTime: rapid.Int64Range(0, 9223372036).Draw(t, "line time"), LineDue: rapid.Bool().Draw(t, "line due"),
		}
		for i := range s.LongData {
			s.LongData[i] = event.IDHash(rapid.Uint64().Draw(t, "long data"))
		}
		if rapid.Bool().Draw(t, "truncated") {
			count := func(name string) uint64 { return rapid.Uint64Range(0, math.MaxInt64).Draw(t, name) }
			s.Truncated = alarm.Truncated{SrcIPs: count("src_ips"), DstIPs: count("dst_ips"), CustomData: count("custom_data")}
			s.Unlisted = alarm.Unlisted{
				Value:       rapid.IntRange(0, 255).Draw(t, "value"),
				SrcNetworks: few(t, "src_networks", aText()), DstNetworks: few(t, "dst_networks", aText()),
			}
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "rules") {
			s.Rules = append(s.Rules, aRule(i+1).Draw(t, "rule"))
			s.Extras = append(s.Extras, alarm.Extra{
				EventIDs: few(t, "ids", rapid.Map(rapid.Uint64(), func(n uint64) event.IDHash { return event.IDHash(n) })),
				Events: few(t, "events", rapid.Custom(func(t *rapid.T) alarm.Identity {
					return alarm.Identity{Same: rapid.Uint64().Draw(t, "same"), Mark: rapid.Uint64().Draw(t, "mark")}
				})),
				Others: few(t, "others", rapid.Custom(func(t *rapid.T) alarm.OtherEvent {
					return alarm.OtherEvent{
						ID:       event.IDHash(rapid.Uint64().Draw(t, "id")),
						Identity: alarm.Identity{Same: rapid.Uint64().Draw(t, "same"), Mark: rapid.Uint64().Draw(t, "mark")},
					}
				})),
				StickyTexts: few(t, "texts", aText()), StickyNumbers: few(t, "numbers", rapid.Uint64()),
			})
		}
		return s
	})
}

func TestLoadReadsWhatSaveWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		scratch(t, func(dir string) {
			var want []entry
			for i := range rapid.IntRange(1, 4).Draw(t, "backlogs") {
				want = append(want, entry{1, aSaved(strings.Repeat("x", i+1)).Draw(t, "backlog")})
			}
			save(t, dir, each(want))
			all, loaded := collect(t, dir)
			if len(loaded.Problems) > 0 {
				t.Fatalf("%s", messages(loaded.Problems, dir))
			}
			got := make([]entry, len(all))
			for i := range all {
				got[i] = entry{1, all[i]}
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{}), cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
		})
	})
}

// anEventOfTheZoo draws from small sets, so that the rules of
// zoo_directives.json and events meet often.
func anEventOfTheZoo(t *rapid.T, now int64) *event.Event {
	address := rapid.Map(rapid.SampledFrom([]string{
		"10.0.0.1", "10.0.0.1", "10.0.0.2", "10.1.0.3", "8.8.8.8", "2001:db8::1", "0.0.0.0",
	}), netip.MustParseAddr)
	ev := &event.Event{
		ID: rapid.StringMatching("[a-j][0-9]?").Draw(t, "id"), Seconds: now + rapid.Int64Range(-2, 0).Draw(t, "late"),
		SrcIP: address.Draw(t, "src_ip"), DstIP: address.Draw(t, "dst_ip"),
		SrcPort: rapid.Uint16Range(0, 2).Draw(t, "src_port"), DstPort: rapid.SampledFrom([]uint16{0, 22, 80}).Draw(t, "dst_port"),
		PluginID: 1001, PluginSID: rapid.Uint64Range(1, 3).Draw(t, "plugin_sid"),
	}
	if rapid.IntRange(0, 3).Draw(t, "taxonomy") == 0 {
		ev.Product, ev.Category, ev.Subcategory = "IDS", "Deny", "x"
	}
	ev.CustomData[0] = rapid.SampledFrom([]string{"", "joe", "JOE", "!joe", "a,b", "ANY"}).Draw(t, "custom_data")
	ev.CustomLabel[0] = rapid.SampledFrom([]string{"", "user"}).Draw(t, "custom_label")
	return ev
}

// An engine that is saved to files and restored from them at any point is saved
// to the same files again, and goes on as if nothing had happened.
func TestRestartThroughFilesChangesNothing(t *testing.T) {
	t.Parallel()
	directives := fixture(t, "zoo_directives.json")
	rapid.Check(t, func(t *rapid.T) {
		before := newEngine(t, directives)
		now := int64(start)
		for range rapid.IntRange(1, 80).Draw(t, "before") {
			now += rapid.Int64Range(0, 3).Draw(t, "pause")
			before.Step(now*1e9, anEventOfTheZoo(t, now))
		}
		after := newEngine(t, directives)
		scratch(t, func(dir string) {
			save(t, dir, before.Save())
			loadClean(t, dir, after, 1, 2, 3)
		})
		// What an engine remembers beside its backlogs is another part of its state. Ids that
		// are known as text are there.
		after.RestoreRemembered(now*1e9, resume.Collect(before.Remembered()))
		if diff := cmp.Diff(files(before.Save()), files(after.Save())); diff != "" {
			t.Fatalf("saved again (-want +got):\n%s", diff)
		}
		for range rapid.IntRange(1, 40).Draw(t, "after") {
			now += rapid.Int64Range(0, 3).Draw(t, "pause")
			ev := anEventOfTheZoo(t, now)
			if want, got := lines(before.Step(now*1e9, ev)), lines(after.Step(now*1e9, ev)); want != got {
				t.Fatalf("without restart:\n%s\nwith:\n%s", want, got)
			}
		}
	})
}

// lines returns what changes write, the lines of each alarm in their order.
// Backlogs of different directives that expire in the same second may change
// places in a restart: files do not tell which was opened first.
func lines(changes []correlate.Change) string {
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b correlate.Change) int { return strings.Compare(a.AlarmID, b.AlarmID) })
	var out []byte
	for i := range changes {
		switch c := &changes[i]; c.Kind {
		case correlate.Accepted:
			out = (&alarm.Event{AlarmID: c.AlarmID, Stage: c.Stage, EventID: c.EventID}).AppendJSON(out)
		case correlate.Updated:
			out = c.Alarm.AppendJSON(append(out, c.Before.String()...))
		default:
		}
	}
	return string(out)
}

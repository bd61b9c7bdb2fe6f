package docs

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
	"dsiem/internal/jsonfile"
)

// rowCheck returns what the last cell of a row must be.
type rowCheck func(t *testing.T, p *page, row []string) string

// rowChecks are the tables that are checked, by their header.
func rowChecks() map[string]rowCheck {
	return map[string]rowCheck{
		"Where|You write|Dsiem says":                                   directiveSays,
		"You write|Dsiem says":                                         assetsSay,
		"In the event|Dsiem says":                                      eventSays,
		"Timestamp|Taken as":                                           timestamp,
		"Address|Taken as":                                             address,
		"List of addresses|Address|Matches":                            addressList,
		"List of ports|Port|Matches":                                   portList,
		"custom_data in the rule|Event has|Match":                      text,
		"Priority|Reliability|Asset value|Risk":                        risk,
		"Key in stage 1|Opening event has|Then `:1` is":                reference,
		"Address of an event|Name|Value|Whitelisted|HOME_NET|Networks": knownOf,
	}
}

// TestTables checks the rows of every table whose header is known.
func TestTables(t *testing.T) {
	t.Parallel()
	missing := rowChecks()
	for _, p := range pages(t) {
		for _, table := range p.tables {
			header := strings.Join(table.header, "|")
			check := rowChecks()[header]
			if check == nil {
				continue
			}
			delete(missing, header)
			t.Run(fmt.Sprintf("%s line %d", p.name, table.at), func(t *testing.T) {
				for _, row := range table.rows {
					if got := check(t, p, row); got != plain(row[len(row)-1]) {
						t.Errorf("%s\nreally: %s", strings.Join(row, " | "), got)
					}
				}
			})
		}
	}
	for header := range missing {
		t.Errorf("no page has a table %q", header)
	}
}

// object is a JSON object that can be changed.
type object = map[string]any

func decode(t *testing.T, text string) object {
	t.Helper()
	var o object
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&o); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return o
}

func encode(t *testing.T, o object) []byte {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var without = regexp.MustCompile("^no `([a-z0-9_]+)`$")

// change makes the change that a cell describes: members to set, or "no `key`".
func change(t *testing.T, o object, cell string) {
	t.Helper()
	if m := without.FindStringSubmatch(cell); m != nil {
		delete(o, m[1])
		return
	}
	maps.Copy(o, decode(t, "{"+plain(cell)+"}"))
}

// element returns element i of a list of objects.
func element(t *testing.T, o object, key string, i int) object {
	t.Helper()
	list, ok := o[key].([]any)
	if !ok || i >= len(list) {
		t.Fatalf("there is no %s[%d]", key, i)
	}
	e, ok := list[i].(object)
	if !ok {
		t.Fatalf("%s[%d] is no object", key, i)
	}
	return e
}

// directiveSays makes a change in the base directive, in one of its stages or in
// itself, and returns what loading it reports.
func directiveSays(t *testing.T, p *page, row []string) string {
	t.Helper()
	o := decode(t, p.base(t))
	place := element(t, o, "directives", 0)
	if number, ok := strings.CutPrefix(row[0], "stage "); ok {
		stage, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		place = element(t, place, "rules", stage-1)
	}
	change(t, place, row[1])
	report := &jsonfile.Report{}
	directive.Load([]*jsonfile.File{jsonfile.NewFile("f", encode(t, o))}, report)
	return says(report)
}

// assetsSay does so with the first asset of the base.
func assetsSay(t *testing.T, p *page, row []string) string {
	t.Helper()
	o := decode(t, p.base(t))
	change(t, element(t, o, "assets", 0), row[0])
	report := &jsonfile.Report{}
	asset.Load([]*jsonfile.File{jsonfile.NewFile("f", encode(t, o))}, report)
	return says(report)
}

func says(report *jsonfile.Report) string {
	if len(report.Problems) == 0 {
		return "nothing"
	}
	return strings.Join(messages(report), " AND ")
}

// eventSays makes a change in the base event.
func eventSays(t *testing.T, p *page, row []string) string {
	t.Helper()
	o := decode(t, p.base(t))
	change(t, o, row[0])
	if rej := event.Decode(encode(t, o), &event.Event{}); rej != nil {
		return rej.Error()
	}
	return "accepted"
}

// knownOf looks an address up in the base assets and returns its networks, after
// checking the other columns.
func knownOf(t *testing.T, p *page, row []string) string {
	t.Helper()
	assets := asset.Load([]*jsonfile.File{jsonfile.NewFile("f", []byte(p.base(t)))}, &jsonfile.Report{})
	addr := netip.MustParseAddr(plain(row[0]))
	got := []string{
		cmp.Or(assets.Name(addr), "none"), strconv.Itoa(assets.Value(addr)),
		yes(assets.Whitelisted(addr)), yes(assets.Home(addr)),
	}
	if !slices.Equal(got, row[1:5]) {
		t.Errorf("%s: really %q", row, got)
	}
	return cmp.Or(strings.Join(assets.Networks(addr), ", "), "none")
}

// timestamp and address return how an event's value is taken.
func timestamp(t *testing.T, _ *page, row []string) string {
	t.Helper()
	ev, rej := decodeWith(t, "timestamp", plain(row[0]))
	if rej != nil {
		return "rejected: " + strings.TrimPrefix(rej.Detail, strconv.Quote(plain(row[0]))+": ")
	}
	return time.Unix(ev.Seconds, int64(ev.Nanos)).UTC().Format(time.RFC3339Nano)
}

func address(t *testing.T, _ *page, row []string) string {
	t.Helper()
	ev, rej := decodeWith(t, "src_ip", plain(row[0]))
	if rej != nil {
		return "rejected: " + strings.TrimPrefix(rej.Detail, strconv.Quote(plain(row[0]))+": ")
	}
	return ev.SrcIP.String()
}

func decodeWith(t *testing.T, key, value string) (event.Event, *event.Rejection) {
	t.Helper()
	o := object{
		"timestamp": "2026-01-01T09:00:00Z", "src_ip": "10.0.0.1", "dst_ip": "10.0.0.2", "plugin_id": 1, "plugin_sid": 1,
	}
	o[key] = value
	var ev event.Event
	rej := event.Decode(encode(t, o), &ev)
	return ev, rej
}

func yes(ok bool) string {
	if ok {
		return "yes"
	}
	return "no"
}

func addressList(t *testing.T, _ *page, row []string) string {
	t.Helper()
	term, err := directive.ParseAddress(plain(row[0]))
	if err != nil {
		t.Fatal(err)
	}
	return yes(term.List.Match(netip.MustParseAddr(plain(row[1]))))
}

func portList(t *testing.T, _ *page, row []string) string {
	t.Helper()
	term, err := directive.ParsePort(plain(row[0]))
	if err != nil {
		t.Fatal(err)
	}
	port, parseErr := strconv.ParseUint(plain(row[1]), 10, 16)
	if parseErr != nil {
		t.Fatal(parseErr)
	}
	return yes(term.List.Match(uint16(port)))
}

// text matches a custom data term; a cell "nothing" is an event without it.
func text(t *testing.T, _ *page, row []string) string {
	t.Helper()
	value := plain(row[1])
	if row[1] == "nothing" {
		value = ""
	}
	term := directive.ParseText(plain(row[0]))
	return yes(term.Match(value))
}

// risk lets a stage complete and returns the alarm's risk and class.
func risk(t *testing.T, _ *page, row []string) string {
	t.Helper()
	var n [3]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(row[i]); err != nil {
			t.Fatal(err)
		}
	}
	rule := directive.Rule{
		Stage: 1, Occurrence: 1, From: "ANY", To: "ANY", PortFrom: "ANY", PortTo: "ANY",
		Reliability: n[1], PluginID: 1, PluginSID: []uint64{1},
	}
	d := &directive.Directive{ID: 1, Name: "D", Priority: n[0], Rules: []directive.Rule{rule, rule}}
	d.Rules[1].Stage = 2
	addr := netip.MustParseAddr("10.0.0.1")
	assets := asset.NewTable([]asset.Asset{{Name: "a", Prefix: netip.PrefixFrom(addr, 32), Value: n[2]}})
	engine := correlate.New(correlate.Plans([]*directive.Directive{d}), assets, correlate.Options{})
	ev := &event.Event{PluginID: 1, PluginSID: 1, SrcIP: addr, DstIP: addr}
	for _, c := range engine.Step(0, ev) {
		if c.Kind == correlate.Updated {
			return fmt.Sprintf("%d, %s", c.Alarm.Risk, c.Alarm.Class)
		}
	}
	return "0, no alarm"
}

// reference opens a backlog of a directive whose second stage has ":1" for all
// keys, and returns what that is for the key of the row.
func reference(t *testing.T, _ *page, row []string) string {
	t.Helper()
	first := object{
		"stage": 1, "type": "PluginRule", "plugin_id": 1, "plugin_sid": []int{1},
		"occurrence": 1, "from": "ANY", "to": "ANY", "reliability": 10,
	}
	change(t, first, row[0])
	second := maps.Clone(first)
	second["stage"] = 2
	var key string
	for key = range decode(t, "{"+plain(row[0])+"}") {
		second[key] = ":1"
	}
	report := &jsonfile.Report{}
	directives := directive.Load([]*jsonfile.File{jsonfile.NewFile("f", encode(t, object{"directives": []any{object{
		"id": 1, "name": "D", "priority": 5, "kingdom": "K", "category": "C", "rules": []any{first, second},
	}}}))}, report)
	if len(directives) == 0 {
		t.Fatal(says(report))
	}
	o := object{
		"timestamp": "2026-01-01T09:00:00Z", "src_ip": "10.0.0.1", "dst_ip": "10.0.0.2", "plugin_id": 1, "plugin_sid": 1,
	}
	change(t, o, row[1])
	var ev event.Event
	if rej := event.Decode(encode(t, o), &ev); rej != nil {
		t.Fatal(rej)
	}
	assets := asset.NewTable([]asset.Asset{{Name: "a", Prefix: netip.MustParsePrefix("0.0.0.0/0"), Value: 5}})
	for _, c := range correlate.New(correlate.Plans(directives), assets, correlate.Options{}).Step(ev.Seconds*1e9, &ev) {
		if c.Kind == correlate.Updated {
			line := decode(t, string(c.Alarm.AppendJSON(nil)))
			value, ok := element(t, line, "rules", 1)[key].(string)
			if !ok {
				return ""
			}
			return value
		}
	}
	t.Fatal("there is no alarm")
	return ""
}

var missingKey = regexp.MustCompile(`^(?:[^:]*:)?the key is missing`)

// TestKeyTables checks the tables of the keys of configuration files: each key
// is known, and needed or not, as the table says.
func TestKeyTables(t *testing.T) {
	t.Parallel()
	checkKeys(t, "docs/directives.md", "Key of a directive", func(t *testing.T, o object) object {
		return element(t, o, "directives", 0)
	})
	checkKeys(t, "docs/directives.md", "Key of a rule", func(t *testing.T, o object) object {
		return element(t, element(t, o, "directives", 0), "rules", 1)
	})
	checkKeys(t, "docs/assets.md", "Key of an asset", func(t *testing.T, o object) object {
		return element(t, o, "assets", 0)
	})
}

// checkKeys checks the tables of a page whose header begins with "first".
func checkKeys(t *testing.T, name, first string, place func(*testing.T, object) object) {
	t.Helper()
	p := pageNamed(t, name)
	documented := map[string]bool{}
	for _, table := range p.tables {
		if table.header[0] != first {
			continue
		}
		for _, row := range table.rows {
			needed := row[1]
			for key := range strings.SplitSeq(row[0], ", ") {
				key = plain(key)
				documented[key] = true
				for _, kind := range []string{"PluginRule", "TaxonomyRule"} {
					o := decode(t, p.base(t))
					at := place(t, o)
					if kind == "TaxonomyRule" && at["type"] != nil {
						at["type"], at["product"], at["category"] = kind, []string{"Firewall"}, "Deny"
					}
					delete(at, key)
					want := needed == "yes" || needed == kind
					if got := missingKeys(t, o)[key]; got != want {
						t.Errorf("%s, %s, in a %s: missing it is an error: %v, the table says %q", name, key, kind, got, needed)
					}
				}
				o := decode(t, p.base(t))
				if at := place(t, o); at[key] == nil {
					at[key] = "x"
				}
				for _, problem := range problems(t, o) {
					if strings.Contains(problem.Msg, "unknown key") {
						t.Errorf("%s, %s: %s", name, key, problem.Msg)
					}
				}
			}
		}
	}
	o := decode(t, p.base(t))
	at := place(t, o)
	for key := range at {
		delete(at, key)
	}
	for key := range missingKeys(t, o) {
		if !documented[key] {
			t.Errorf("%s: %s is not in the table %q", name, key, first)
		}
	}
	for _, key := range knownKeys(first) {
		if !documented[key] {
			t.Errorf("%s: %s is not in the table %q", name, key, first)
		}
	}
}

// problems loads a file of directives or assets.
func problems(t *testing.T, o object) []jsonfile.Problem {
	t.Helper()
	report := &jsonfile.Report{}
	files := []*jsonfile.File{jsonfile.NewFile("f", encode(t, o))}
	if o["assets"] != nil {
		asset.Load(files, report)
	} else {
		directive.Load(files, report)
	}
	return report.Problems
}

func missingKeys(t *testing.T, o object) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	for _, p := range problems(t, o) {
		if missingKey.MatchString(p.Msg) {
			where := strings.Split(p.Where, ", ")
			keys[where[len(where)-1]] = true
		}
	}
	return keys
}

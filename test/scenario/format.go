package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// field is one key of a line format, in its place.
type field struct {
	name     string
	optional bool // left out when empty; a required one is always there
}

// alarmEventFields is the format of siem_alarm_events.json (§8.1).
func alarmEventFields() []field {
	return fields("alarm_id stage event_id")
}

// alarmFields is the format of siem_alarms.json (§8.2).
func alarmFields() []field {
	return fields("alarm_id title status tag kingdom category created_time update_time risk risk_class" +
		" rules src_ips dst_ips networks intel_hits? vulnerabilities? custom_data? truncated?")
}

// ruleFields is the format of a rule in an alarm (§8.3, decision D5).
func ruleFields() []field {
	return fields("name stage occurrence from to plugin_id plugin_sid product? category? subcategory? type" +
		" port_from port_to protocol reliability timeout start_time? end_time? status? sticky_different?" +
		" custom_data1? custom_label1? custom_data2? custom_label2? custom_data3? custom_label3?")
}

// savedBacklogFields is the format of a saved backlog (§11.2).
func savedBacklogFields() []field {
	return append(alarmFields(), fields("saved_last_srcport? saved_last_dstport? saved_expanded_title? saved_arrival? saved_opened? saved_latest?"+
		" saved_opener? saved_opening_event? saved_line_time? saved_line_due? saved_long_data1? saved_long_data2? saved_long_data3? saved_unlisted?")...)
}

// savedRuleFields is the format of a rule in a saved backlog (§11.2).
func savedRuleFields() []field {
	return append(ruleFields(), fields("saved_sticky_diffdata? saved_event_ids? saved_origin? saved_events? saved_other_events?")...)
}

// fields reads a list of keys; ? marks those left out when empty.
func fields(names string) []field {
	var out []field
	for name := range strings.FieldsSeq(names) {
		base, optional := strings.CutSuffix(name, "?")
		out = append(out, field{name: base, optional: optional})
	}
	return out
}

// member is one key of a JSON object with its value.
type member struct {
	name  string
	value jsontext.Value
}

// members returns the members of a JSON object in their order. Duplicate keys
// and invalid UTF-8 are errors.
func members(data []byte) ([]member, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	if t, err := dec.ReadToken(); err != nil {
		return nil, err
	} else if t.Kind() != '{' {
		return nil, errors.New("not a JSON object")
	}
	var out []member
	for dec.PeekKind() == '"' {
		t, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		name := t.String()
		v, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		out = append(out, member{name: name, value: v.Clone()})
	}
	_, err := dec.ReadToken()
	return out, err
}

// checkFields compares an object with its format: no key missing, unknown, out
// of order or null, and no optional one empty.
func checkFields(object []member, format []field) error {
	var problems []error
	next := 0
	for _, m := range object {
		i := slices.IndexFunc(format, func(f field) bool { return f.name == m.name })
		switch {
		case i < 0:
			problems = append(problems, fmt.Errorf("key %q does not belong here", m.name))
			continue
		case i < next:
			problems = append(problems, fmt.Errorf("key %q comes too late", m.name))
		default:
			next = i + 1
		}
		emptyCounts := format[i].optional && m.name != "saved_origin" // an empty one says that there is none
		if text := string(m.value); text == "null" || emptyCounts && isEmpty(text) {
			problems = append(problems, fmt.Errorf("key %q is %s", m.name, text))
		}
	}
	for _, f := range format {
		has := slices.ContainsFunc(object, func(m member) bool { return m.name == f.name })
		if !has && !f.optional {
			problems = append(problems, fmt.Errorf("key %q is missing", f.name))
		}
	}
	return errors.Join(problems...)
}

// isEmpty reports whether a JSON value is one that omission rules leave out.
func isEmpty(text string) bool {
	return slices.Contains([]string{`""`, "[]", "{}", "0", "false"}, text)
}

// hit is an element of intel_hits and vulnerabilities.
type hit struct {
	Provider string `json:"provider"`
	Term     string `json:"term"`
	Result   string `json:"result"`
}

// alarmDoc is an alarm line, or a saved backlog.
type alarmDoc struct {
	ID         string    `json:"alarm_id"`
	Title      string    `json:"title"`
	Status     string    `json:"status"`
	Tag        string    `json:"tag"`
	Kingdom    string    `json:"kingdom"`
	Category   string    `json:"category"`
	Created    int64     `json:"created_time"`
	Updated    int64     `json:"update_time"`
	Risk       int       `json:"risk"`
	RiskClass  string    `json:"risk_class"`
	Rules      []ruleDoc `json:"rules"`
	SrcIPs     []string  `json:"src_ips"`
	DstIPs     []string  `json:"dst_ips"`
	Networks   []string  `json:"networks"`
	Intel      []hit     `json:"intel_hits"`
	Vulns      []hit     `json:"vulnerabilities"`
	CustomData []struct {
		Label   string `json:"label"`
		Content string `json:"content"`
	} `json:"custom_data"`
	LastSrcPort uint16 `json:"saved_last_srcport"`
	LastDstPort uint16 `json:"saved_last_dstport"`
	Expanded    string `json:"saved_expanded_title"`
	Opened      int64  `json:"saved_opened"`
	Latest      int64  `json:"saved_latest"`
	LineTime    int64  `json:"saved_line_time"`
	LineDue     bool   `json:"saved_line_due"`
	Truncated   struct {
		SrcIPs     uint64 `json:"src_ips"`
		DstIPs     uint64 `json:"dst_ips"`
		CustomData uint64 `json:"custom_data"`
	} `json:"truncated"`
	Unlisted struct {
		Value       int      `json:"value"`
		SrcNetworks []string `json:"src_networks"`
		DstNetworks []string `json:"dst_networks"`
	} `json:"saved_unlisted"`
}

// ruleDoc is a rule in an alarm line or a saved backlog.
type ruleDoc struct {
	Name         string   `json:"name"`
	Stage        int      `json:"stage"`
	Occurrence   int      `json:"occurrence"`
	From         string   `json:"from"`
	To           string   `json:"to"`
	PluginID     uint64   `json:"plugin_id"`
	PluginSID    []uint64 `json:"plugin_sid"`
	Product      []string `json:"product"`
	TaxCategory  string   `json:"category"`
	Subcategory  []string `json:"subcategory"`
	Type         string   `json:"type"`
	PortFrom     string   `json:"port_from"`
	PortTo       string   `json:"port_to"`
	Protocol     string   `json:"protocol"`
	Reliability  int      `json:"reliability"`
	Timeout      int64    `json:"timeout"`
	Start        int64    `json:"start_time"`
	End          int64    `json:"end_time"`
	Status       string   `json:"status"`
	Sticky       string   `json:"sticky_different"`
	CustomData1  string   `json:"custom_data1"`
	CustomLabel1 string   `json:"custom_label1"`
	CustomData2  string   `json:"custom_data2"`
	CustomLabel2 string   `json:"custom_label2"`
	CustomData3  string   `json:"custom_data3"`
	CustomLabel3 string   `json:"custom_label3"`

	SavedSticky struct {
		Strings  []string `json:"sdiff_string"`
		Integers []uint64 `json:"sdiff_int"`
	} `json:"saved_sticky_diffdata"`
	SavedEventIDs []string `json:"saved_event_ids"`
	SavedEvents   []string `json:"saved_events"`
	SavedOrigin   []string `json:"saved_origin"`
}

// shape returns the alarm in short.
func (a *alarmDoc) shape() shape {
	letters := make([]byte, len(a.Rules))
	for i, r := range a.Rules {
		letters[i] = map[string]byte{"": '-', "finished": 'F', "timeout": 'T'}[r.Status]
	}
	return shape{risk: a.Risk, rules: string(letters), class: a.RiskClass}
}

// parseAlarm decodes an alarm line and checks its form (§8.2, §8.3).
func parseAlarm(line []byte) (*alarmDoc, error) {
	for _, escape := range []string{`\u003c`, `\u003e`, `\u0026`} {
		if bytes.Contains(line, []byte(escape)) {
			return nil, fmt.Errorf("text is HTML-escaped: %s", escape)
		}
	}
	doc, err := parseDoc(line, alarmFields(), ruleFields())
	if err != nil {
		return nil, err
	}
	if doc.Risk < 0 || doc.Risk > 255 {
		return nil, fmt.Errorf("risk is %d, want 0..255", doc.Risk)
	}
	if doc.Created < 1 || doc.Updated < 1 {
		return nil, errors.New("created_time and update_time must be set")
	}
	return doc, nil
}

// parseDoc decodes an alarm or a saved backlog and checks its keys and values.
func parseDoc(data []byte, top, inRule []field) (*alarmDoc, error) {
	object, err := members(data)
	if err != nil {
		return nil, err
	}
	problems := []error{checkFields(object, top)}
	var rules []json.RawMessage
	if i := slices.IndexFunc(object, func(m member) bool { return m.name == "rules" }); i >= 0 {
		problems = append(problems, json.Unmarshal(object[i].value, &rules))
	}
	for i, raw := range rules {
		rule, err := members(raw)
		if err == nil {
			err = checkFields(rule, inRule)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("rules[%d]: %w", i, err))
		}
	}
	doc := new(alarmDoc)
	problems = append(problems, json.Unmarshal(data, doc))
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return doc, doc.checkValues()
}

// checkValues checks what every alarm has in common, whatever its scenario.
func (a *alarmDoc) checkValues() error {
	if !isAlarmID(a.ID) {
		return fmt.Errorf("alarm_id %q is not 16 characters of 0-9A-Za-z", a.ID)
	}
	for i, r := range a.Rules {
		where := fmt.Sprintf("rules[%d]", i)
		if !slices.Contains([]string{"", "finished", "timeout"}, r.Status) {
			return fmt.Errorf("%s: status is %q", where, r.Status)
		}
		// Times up to 1970 are left out (§8.3).
		if finished := r.Status == "finished"; r.End != 0 && !finished || r.End == 0 && finished && r.Start != 0 {
			return fmt.Errorf("%s: end_time is %d with status %q", where, r.End, r.Status)
		}
		if i > 0 && r.Stage <= a.Rules[i-1].Stage {
			return fmt.Errorf("%s: stage %d after stage %d", where, r.Stage, a.Rules[i-1].Stage)
		}
	}
	return nil
}

// isAlarmID reports whether an id has the form of decision D13.
func isAlarmID(id string) bool {
	return len(id) == 16 && isID(id) && !strings.ContainsAny(id, "-_")
}

// checkIDs checks that each saved event id is the hash of one, or that of an event that
// was taken (§11.2).
func (a *alarmDoc) checkIDs(taken map[string]bool) error {
	for i, r := range a.Rules {
		for _, id := range r.SavedEventIDs {
			if !isIDHash(id) && !taken[id] {
				return fmt.Errorf("rules[%d]: saved event id %q is neither h: and 16 hex digits nor that of an event", i, id)
			}
		}
	}
	return nil
}

// isIDHash reports whether an event id has the form of those that are saved as hashes.
func isIDHash(id string) bool {
	digits, ok := strings.CutPrefix(id, "h:")
	return ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

// alarmEventDoc is a line of siem_alarm_events.json.
type alarmEventDoc struct {
	ID      string `json:"alarm_id"`
	Stage   int    `json:"stage"`
	EventID string `json:"event_id"`
}

// parseAlarmEvent decodes an alarm-event line and checks its form (§8.1).
func parseAlarmEvent(line []byte) (*alarmEventDoc, error) {
	object, err := members(line)
	if err != nil {
		return nil, err
	}
	if err := checkFields(object, alarmEventFields()); err != nil {
		return nil, err
	}
	doc := new(alarmEventDoc)
	if err := json.Unmarshal(line, doc); err != nil {
		return nil, err
	}
	if !isAlarmID(doc.ID) {
		return nil, fmt.Errorf("alarm_id %q is not 16 characters of 0-9A-Za-z", doc.ID)
	}
	return doc, nil
}

// lines cuts a log file into its lines; every one must end with a newline.
func lines(data []byte) ([][]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	rest, ok := bytes.CutSuffix(data, []byte("\n"))
	if !ok {
		return nil, errors.New("the last line has no newline")
	}
	return bytes.Split(rest, []byte("\n")), nil
}

package correlate_test

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/asset"
	"dsiem/internal/correlate"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// reference is a second engine, written from the specification alone: no
// index, no plan, no shared code with the real one but documents and events.
// It scans every rule of every live backlog and reads every text anew for
// every event.
type reference struct {
	directives []*directive.Directive
	assets     []asset.Asset
	opts       correlate.Options
	live       []*refBacklog // in order of opening
	lines      []string
}

type refBacklog struct {
	d       *directive.Directive
	order   int
	id      string
	creator event.Event
	rules   []refRule
	current int
	created int64
	updated int64
	risk    int
	class   alarm.Class
	src     []netip.Addr
	dst     []netip.Addr
	nets    []string
	custom  []alarm.CustomData
}

// refRule is a rule with resolved texts. literal marks custom data copied from
// an event.
type refRule struct {
	directive.Rule
	literal    [event.CustomFields]bool
	start, end int64
	status     alarm.Status
	ids        []string
	seen       []string
}

func (r *reference) home(a netip.Addr) bool {
	return slices.ContainsFunc(r.assets, func(x asset.Asset) bool { return !x.Whitelisted && x.Prefix.Contains(a) })
}

func (r *reference) value(a netip.Addr) int {
	value := 0
	for _, x := range r.assets {
		if x.Prefix.Contains(a) {
			value = max(value, x.Value)
		}
	}
	return value
}

func (r *reference) name(a netip.Addr) string {
	for _, x := range r.assets {
		if x.Prefix.IsSingleIP() && x.Prefix.Contains(a) {
			return x.Name
		}
	}
	return a.String()
}

// decide is the list algorithm of §3.3.
func decide(list string, inside func(element string) bool) bool {
	result := false
	for element := range strings.SplitSeq(list, ",") {
		element, negated := strings.CutPrefix(strings.TrimSpace(element), "!")
		if inside(strings.TrimSpace(element)) {
			return !negated
		}
		result = result || negated
	}
	return result
}

func (r *reference) address(text string, a netip.Addr) bool {
	switch text {
	case "ANY":
		return true
	case "HOME_NET":
		return r.home(a)
	case "!HOME_NET":
		return !r.home(a)
	}
	return decide(text, func(element string) bool {
		if !strings.Contains(element, "/") {
			return netip.MustParseAddr(element) == a
		}
		return netip.MustParsePrefix(element).Contains(a)
	})
}

func port(text string, p uint16) bool {
	return text == "ANY" || decide(text, func(element string) bool { return element == strconv.Itoa(int(p)) })
}

func customData(text string, literal bool, value string) bool {
	switch {
	case literal:
		return text == "" || strings.EqualFold(text, value)
	case text == "" || text == "ANY":
		return true
	case strings.Contains(text, ","):
		return decide(text, func(element string) bool { return element == value })
	}
	text, negated := strings.CutPrefix(strings.TrimSpace(text), "!")
	return strings.EqualFold(strings.TrimSpace(text), value) != negated
}

func (r *reference) matches(rule *refRule, ev *event.Event) bool {
	if rule.Type == directive.PluginRule {
		if ev.PluginID == 0 || rule.PluginID != ev.PluginID || !slices.Contains(rule.PluginSID, ev.PluginSID) {
			return false
		}
		for i := range rule.CustomData {
			if !customData(rule.CustomData[i], rule.literal[i], ev.CustomData[i]) {
				return false
			}
		}
	} else {
		if ev.Product == "" || !slices.Contains(rule.Product, ev.Product) || rule.Category != ev.Category {
			return false
		}
		if len(rule.Subcategory) > 0 && !slices.Contains(rule.Subcategory, "ANY") && !slices.Contains(rule.Subcategory, ev.Subcategory) {
			return false
		}
	}
	return r.address(rule.From, ev.SrcIP) && r.address(rule.To, ev.DstIP) &&
		port(rule.PortFrom, ev.SrcPort) && port(rule.PortTo, ev.DstPort)
}

// resolve copies a directive's rules for a backlog (§5.1).
func resolve(d *directive.Directive, ev *event.Event) []refRule {
	rules := make([]refRule, len(d.Rules))
	for i := range d.Rules {
		r := &rules[i]
		r.Rule = d.Rules[i]
		lookup := func(text string, field func(*refRule) string) (string, bool) {
			for j := range rules[:i] {
				if ":"+strconv.Itoa(rules[j].Stage) == text {
					return field(&rules[j]), true
				}
			}
			return text, false
		}
		anywhere := func(text string) bool { return text == "ANY" || text == "HOME_NET" || text == "!HOME_NET" }
		if text, ok := lookup(r.From, func(o *refRule) string { return o.From }); ok {
			if r.From = text; anywhere(text) {
				r.From = ev.SrcIP.String()
			}
		}
		if text, ok := lookup(r.To, func(o *refRule) string { return o.To }); ok {
			if r.To = text; anywhere(text) {
				r.To = ev.DstIP.String()
			}
		}
		if text, ok := lookup(r.PortFrom, func(o *refRule) string { return o.PortFrom }); ok {
			if r.PortFrom = text; text == "ANY" {
				r.PortFrom = strconv.Itoa(int(ev.SrcPort))
			}
		}
		if text, ok := lookup(r.PortTo, func(o *refRule) string { return o.PortTo }); ok {
			if r.PortTo = text; text == "ANY" {
				r.PortTo = strconv.Itoa(int(ev.DstPort))
			}
		}
		for n := range r.CustomData {
			literal := false
			text, ok := lookup(r.CustomData[n], func(o *refRule) string { literal = o.literal[n]; return o.CustomData[n] })
			if !ok {
				continue
			}
			r.CustomData[n], r.literal[n] = text, literal
			if text == "ANY" && !literal {
				r.CustomData[n], r.literal[n] = ev.CustomData[n], true
			}
		}
	}
	if d.AllRulesAlwaysActive {
		for text, addr := range map[*string]netip.Addr{&rules[0].From: ev.SrcIP, &rules[0].To: ev.DstIP} {
			if *text == "ANY" || *text == "HOME_NET" || *text == "!HOME_NET" {
				*text = addr.String()
			}
		}
	}
	return rules
}

func stickyValue(kind directive.Sticky, ev *event.Event) string {
	switch kind {
	case directive.StickyPluginSID:
		return strconv.FormatUint(ev.PluginSID, 10)
	case directive.StickySrcIP:
		return ev.SrcIP.String()
	case directive.StickyDstIP:
		return ev.DstIP.String()
	case directive.StickySrcPort:
		return strconv.Itoa(int(ev.SrcPort))
	case directive.StickyDstPort:
		return strconv.Itoa(int(ev.DstPort))
	default:
		return ev.CustomData[kind-directive.StickyCustomData1]
	}
}

func (r *reference) step(now int64, ev *event.Event) {
	r.expire(now)
	for order, d := range r.directives {
		r.dispatch(now, order, d, ev)
	}
}

func (r *reference) expire(now int64) {
	for {
		var due *refBacklog
		for _, b := range r.live {
			deadline := func(b *refBacklog) int64 { return b.rules[b.current].start + b.rules[b.current].Timeout }
			if deadline(b) < now-r.opts.MinAlarmLifetime && (due == nil || deadline(b) < deadline(due)) {
				due = b
			}
		}
		if due == nil {
			return
		}
		due.rules[due.current].status = alarm.Timeout
		r.alarm(due)
		r.drop(due)
	}
}

func (r *reference) drop(b *refBacklog) {
	r.live = slices.DeleteFunc(r.live, func(o *refBacklog) bool { return o == b })
}

func (r *reference) dispatch(now int64, order int, d *directive.Directive, ev *event.Event) {
	consumed, known := false, false
	for _, b := range slices.Clone(r.live) {
		if b.order != order {
			continue
		}
		for i := range b.rules {
			known = known || slices.Contains(b.rules[i].ids, ev.ID)
		}
		consumed = r.offer(now, b, ev) || consumed
	}
	first := refRule{Rule: d.Rules[0]}
	if consumed || !r.matches(&first, ev) || known {
		return
	}
	b := &refBacklog{
		d: d, order: order, creator: *ev, rules: resolve(d, ev),
		id: d.Name + "/" + ev.ID + "/" + strconv.FormatInt(ev.Seconds, 10) + ev.SrcIP.String() + ev.DstIP.String(),
	}
	b.rules[0].start = ev.Seconds
	r.live = append(r.live, b)
	r.accept(now, b, 0, ev)
	r.complete(b, ev)
}

func (r *reference) offer(now int64, b *refBacklog, ev *event.Event) bool {
	c := &b.rules[b.current]
	if !r.matches(c, ev) {
		if !b.d.AllRulesAlwaysActive {
			return false
		}
		for i := range b.rules[:b.current] {
			if r.matches(&b.rules[i], ev) {
				r.accept(now, b, i, ev)
				r.alarm(b)
				return true
			}
		}
		return false
	}
	if c.StickyDifferent != directive.NoSticky && slices.Contains(c.seen, stickyValue(c.StickyDifferent, ev)) {
		return true
	}
	for i := range b.rules[:b.current] {
		if ev.Seconds < b.rules[i].end {
			return true
		}
	}
	r.accept(now, b, b.current, ev)
	if uint64(len(c.ids)) >= c.Occurrence {
		r.complete(b, ev)
	}
	return true
}

func addOnce[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

func withoutUnspecified(list []netip.Addr) []netip.Addr {
	if len(list) > 1 {
		list = slices.DeleteFunc(list, func(a netip.Addr) bool { return a == netip.IPv4Unspecified() })
	}
	return list
}

func (r *reference) accept(now int64, b *refBacklog, i int, ev *event.Event) {
	rule := &b.rules[i]
	rule.ids = addOnce(rule.ids, ev.ID)
	if rule.StickyDifferent != directive.NoSticky {
		rule.seen = addOnce(rule.seen, stickyValue(rule.StickyDifferent, ev))
	}
	b.src = withoutUnspecified(addOnce(b.src, ev.SrcIP))
	b.dst = withoutUnspecified(addOnce(b.dst, ev.DstIP))
	for n, content := range ev.CustomData {
		if content != "" {
			b.custom = addOnce(b.custom, alarm.CustomData{Label: ev.CustomLabel[n], Content: content})
		}
	}
	b.updated = now
	line := alarm.Event{AlarmID: b.id, Stage: rule.Stage, EventID: ev.ID}
	r.lines = append(r.lines, string(line.AppendJSON(nil)))
}

func (r *reference) complete(b *refBacklog, ev *event.Event) {
	rule := &b.rules[b.current]
	rule.status, rule.end = alarm.Finished, ev.Seconds
	value := 0
	for _, a := range slices.Concat(b.src, b.dst) {
		value = max(value, r.value(a))
	}
	if risk := b.d.Priority * rule.Reliability * value / 25; risk != b.risk {
		b.risk = risk
		switch {
		case risk < r.opts.MedRiskMin:
			b.class = alarm.Low
		case risk <= r.opts.MedRiskMax:
			b.class = alarm.Medium
		default:
			b.class = alarm.High
		}
	}
	if b.current == len(b.rules)-1 {
		r.alarm(b)
		r.drop(b)
		return
	}
	b.current++
	b.rules[b.current].start = ev.Seconds
	r.alarm(b)
}

func (r *reference) alarm(b *refBacklog) {
	if b.risk < 1 {
		return
	}
	if b.created == 0 {
		b.created = b.updated
	}
	for _, a := range slices.Concat(b.src, b.dst) {
		for _, x := range r.assets {
			if !x.Whitelisted && !x.Prefix.IsSingleIP() && x.Prefix.Contains(a) {
				b.nets = addOnce(b.nets, x.Prefix.String())
			}
		}
	}
	title := strings.ReplaceAll(b.d.Name, "SRC_IP", r.name(b.creator.SrcIP))
	title = strings.ReplaceAll(title, "DST_IP", r.name(b.creator.DstIP))
	doc := alarm.Alarm{
		ID: b.id, Title: title, Status: r.opts.Status, Tag: r.opts.Tag,
		Kingdom: b.d.Kingdom, Category: b.d.Category, Created: b.created, Updated: b.updated,
		Risk: min(b.risk, 255), Class: b.class, SrcIPs: b.src, DstIPs: b.dst, Networks: b.nets, CustomData: b.custom,
	}
	for i := range b.rules {
		x := &b.rules[i]
		doc.Rules = append(doc.Rules, alarm.Rule{
			Name: x.Name, Stage: x.Stage, Occurrence: x.Occurrence, From: x.From, To: x.To,
			PluginID: x.PluginID, PluginSID: x.PluginSID, Product: x.Product, Category: x.Category,
			Subcategory: x.Subcategory, Type: x.Type.String(), PortFrom: x.PortFrom, PortTo: x.PortTo,
			Protocol: x.Protocol, Reliability: x.Reliability, Timeout: x.Timeout,
			Start: x.start, End: x.end, Status: x.status, StickyDifferent: x.StickyDifferent.String(),
			CustomData: x.CustomData, CustomLabel: x.CustomLabel,
		})
	}
	r.lines = append(r.lines, string(doc.AppendJSON(nil)))
}

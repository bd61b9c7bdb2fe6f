package correlate

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"dsiem/internal/alarm"
	"dsiem/internal/correlate/memory"
	"dsiem/internal/directive"
	"dsiem/internal/event"
)

// What an alarm shows has bounds, so that no sender makes its lines long (D37, D38).
const (
	// mostText is the length in bytes to which a text is cut that is shown. What is
	// longer is compared by the hash of the whole.
	mostText = 4096
	// mostHits is the number of findings of an alarm.
	mostHits = 1000
)

// cut returns the beginning of a text that is not longer than mostText, in whole
// characters.
func cut(text string) string {
	if len(text) <= mostText {
		return text
	}
	n := mostText
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// longHash returns a hash of a text as custom data is compared, 0 if it is not too
// long to be kept.
func longHash(text string) uint64 {
	if len(text) <= mostText/2 { // no letter is twice as long in lower case
		return 0
	}
	folded := directive.Fold(text)
	if len(folded) <= mostText {
		return 0
	}
	return max(1, xxhash.Sum64String(folded))
}

// openerData is the custom data of an opening event, as rules refer to it.
type openerData struct {
	// texts are cut, and whole are the hashes of those that were longer, 0 of others.
	texts [event.CustomFields]string
	whole [event.CustomFields]uint64
}

// dataOf returns the custom data of an event. Its texts are the event's.
func dataOf(ev *event.Event) openerData {
	d := openerData{texts: ev.CustomData}
	d.shorten()
	return d
}

// shorten cuts what is too long.
func (d *openerData) shorten() {
	for i, text := range d.texts {
		if d.whole[i] = longHash(text); d.whole[i] != 0 {
			d.texts[i] = cut(text)
		}
	}
}

// clone returns a copy that holds on to nothing of the event.
func (d *openerData) clone() *openerData {
	c := *d
	for i := range c.texts {
		c.texts[i] = strings.Clone(c.texts[i])
	}
	return &c
}

// equals reports whether an event has the custom data.
func (d *openerData) equals(i int, text string) bool {
	if d.whole[i] != 0 {
		return longHash(text) == d.whole[i]
	}
	return directive.EqualFolded(text, directive.Fold(d.texts[i]))
}

// over is what an alarm does not list for want of room.
type over struct {
	counts alarm.Truncated
	// value is the largest asset value of addresses that are not listed, and src and
	// dst are their networks.
	value    int
	src, dst []string
}

func (x *extra) overs() *over {
	if x.over == nil {
		x.over = &over{}
	}
	return x.over
}

// limits are what an alarm lists at most (D37).
type limits struct {
	// values is the number of addresses of a side, and of custom data values of one label.
	values int
	// customData is the number of custom data values in all, and listed the size in bytes
	// that addresses and custom data have in a line.
	customData, listed int
}

// addSource adds an address to the sources of a backlog, and reports whether there was
// room.
func (s *store) addSource(b *backlog, a memory.Address) bool {
	if a == b.origin.src && s.extra(b).sources() == nil {
		return true
	}
	return s.addAddress(b, &s.more(b).src, b.origin.src, a)
}

// addDestination adds an address to the destinations of a backlog, and reports whether
// there was room.
func (s *store) addDestination(b *backlog, a memory.Address) bool {
	if a == b.origin.dst && s.extra(b).destinations() == nil {
		return true
	}
	return s.addAddress(b, &s.more(b).dst, b.origin.dst, a)
}

func (x *extra) sources() *memory.Set[memory.Address] {
	if x == nil {
		return nil
	}
	return x.src
}

func (x *extra) destinations() *memory.Set[memory.Address] {
	if x == nil {
		return nil
	}
	return x.dst
}

// addAddress adds an address to a set of sources or destinations, nil standing
// for the creating event's address alone, and reports whether there was room.
// 0.0.0.0 stays only as long as it is alone (§6.4.2).
func (s *store) addAddress(b *backlog, into **memory.Set[memory.Address], only, a memory.Address) bool {
	set := *into
	if a.Unspecified() && (set == nil || set.Len() > 0) || set == nil && a == only || set != nil && set.Has(a) {
		return true
	}
	replaced := only
	if set != nil && set.Len() > 0 {
		replaced = set.First
	}
	alone := (set == nil || set.Len() == 1) && replaced.Unspecified()
	size := s.addressSize(a)
	if alone {
		size -= s.addressSize(replaced)
	} else if set != nil && set.Len() >= s.limits.values || set == nil && s.limits.values < 2 {
		return false
	}
	if !s.list(b, size) {
		return false
	}
	if set == nil {
		set = &memory.Set[memory.Address]{}
		set.Add(only)
		*into = set
	}
	if alone {
		set.Replace(a)
	} else {
		set.Add(a)
	}
	return true
}

// list notes that what is listed grows by so many bytes in a line, and reports
// whether there is room.
func (s *store) list(b *backlog, size int) bool {
	x := s.more(b)
	if x.listed == 0 {
		x.listed = int32(s.listedSize(b))
	}
	if int(x.listed)+size > s.limits.listed {
		return false
	}
	x.listed += int32(size)
	return true
}

// listedSize returns the size of what is listed.
func (s *store) listedSize(b *backlog) int {
	size := 0
	for _, addresses := range [...][]memory.Address{s.sources(b), s.destinations(b)} {
		for _, a := range addresses {
			size += s.addressSize(a)
		}
	}
	if x := s.extra(b); x != nil && x.custom != nil {
		for _, c := range x.custom.All() {
			size += s.customSize(c)
		}
	}
	return size
}

func (s *store) addressSize(a memory.Address) int {
	s.scratch = a.Addr().AppendTo(s.scratch[:0])
	return len(s.scratch) + len(`""`)
}

func (s *store) customSize(c alarm.CustomData) int {
	s.scratch = c.AppendJSON(s.scratch[:0])
	return len(s.scratch)
}

// addCustomData adds an event's custom data to the backlog's, and reports whether there
// was room for all.
func (s *store) addCustomData(b *backlog, ev *event.Event) (room bool) {
	room = true
	for i, content := range ev.CustomData {
		if content != "" && !s.addOneCustomData(b, cut(ev.CustomLabel[i]), cut(content)) {
			room = false
		}
	}
	return room
}

// addOneCustomData adds a value of custom data and reports whether there was room.
func (s *store) addOneCustomData(b *backlog, label, content string) bool {
	x := s.more(b)
	if x.custom == nil {
		x.custom = &memory.Set[alarm.CustomData]{}
	}
	c := alarm.CustomData{Label: label, Content: content}
	if x.custom.Has(c) {
		return true
	}
	if x.custom.Len() >= s.limits.customData || x.labelled(label) >= s.limits.values || !s.list(b, s.customSize(c)) {
		return false
	}
	c = alarm.CustomData{Label: strings.Clone(label), Content: strings.Clone(content)}
	x.custom.Add(c)
	if x.labels != nil {
		x.labels[c.Label]++
	}
	return true
}

// worthCounting is the number of values of custom data from which they are counted
// by label.
const worthCounting = 16

// labelled returns the number of values with a label.
func (x *extra) labelled(label string) int {
	all := x.custom.All()
	if len(all) < worthCounting {
		n := 0
		for i := range all {
			if all[i].Label == label {
				n++
			}
		}
		return n
	}
	if x.labels == nil {
		x.labels = map[string]int{}
		for i := range all {
			x.labels[all[i].Label]++
		}
	}
	return x.labels[label]
}

// truncated returns what the alarm does not list.
func (x *extra) truncated() alarm.Truncated {
	if x == nil || x.over == nil {
		return alarm.Truncated{}
	}
	return x.over.counts
}

// found is what look-ups have found about an alarm's addresses.
type found struct{ intel, vulns memory.Set[alarm.Hit] }

// addHits adds findings to those of a backlog, and returns how many found no room.
func (s *store) addHits(b *backlog, intel, vulns []alarm.Hit) (forgotten uint64) {
	x := s.more(b)
	if x.found == nil {
		x.found = &found{}
	}
	for _, some := range [...]struct {
		into *memory.Set[alarm.Hit]
		hits []alarm.Hit
	}{{&x.found.intel, intel}, {&x.found.vulns, vulns}} {
		for _, hit := range some.hits {
			hit.Term, hit.Result = cut(hit.Term), cut(hit.Result)
			switch {
			case some.into.Has(hit):
			case x.found.intel.Len()+x.found.vulns.Len() >= mostHits:
				forgotten++
			default:
				some.into.Add(hit)
			}
		}
	}
	return forgotten
}

// hits returns the findings, in order of their coming.
func (f *found) hits() (intel, vulns []alarm.Hit) {
	return slices.Clone(f.intel.All()), slices.Clone(f.vulns.All())
}

package backlogs

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
	// MostText is the length in bytes to which a text is cut that is shown. What is
	// longer is compared by the hash of the whole.
	MostText = 4096
	// mostHits is the number of findings of an alarm.
	mostHits = 1000
)

// Cut returns the beginning of a text that is not longer than mostText, in whole
// characters.
func Cut(text string) string {
	if len(text) <= MostText {
		return text
	}
	n := MostText
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// longHash returns a hash of a text as custom data is compared, 0 if it is not too
// long to be kept.
func longHash(text string) uint64 {
	if len(text) <= MostText/2 { // no letter is twice as long in lower case
		return 0
	}
	folded := directive.Fold(text)
	if len(folded) <= MostText {
		return 0
	}
	return max(1, xxhash.Sum64String(folded))
}

// OpeningData is the custom data of an opening event, as rules refer to it.
type OpeningData struct {
	// Texts are cut, and whole are the hashes of those that were longer, 0 of others.
	Texts [event.CustomFields]string
	Whole [event.CustomFields]uint64
}

// DataOf returns the custom data of an event. Its texts are the event's.
func DataOf(ev *event.Event) OpeningData {
	d := OpeningData{Texts: ev.CustomData}
	d.Shorten()
	return d
}

// Shorten cuts what is too long.
func (d *OpeningData) Shorten() {
	for i, text := range d.Texts {
		if d.Whole[i] = longHash(text); d.Whole[i] != 0 {
			d.Texts[i] = Cut(text)
		}
	}
}

// Clone returns a copy that holds on to nothing of the event.
func (d *OpeningData) Clone() *OpeningData {
	c := *d
	for i := range c.Texts {
		c.Texts[i] = strings.Clone(c.Texts[i])
	}
	return &c
}

// equals reports whether an event has the custom data.
func (d *OpeningData) equals(i int, text string) bool {
	if d.Whole[i] != 0 {
		return longHash(text) == d.Whole[i]
	}
	return directive.EqualFolded(text, directive.Fold(d.Texts[i]))
}

// Over is what an alarm does not list for want of room.
type Over struct {
	Counts alarm.Truncated
	// Value is the largest asset value of addresses that are not listed, and Src and
	// Dst are their networks.
	Value    int
	Src, Dst []string
}

// Overs returns what is not listed, made if there is nothing.
func (x *Extra) Overs() *Over {
	if x.Over == nil {
		x.Over = &Over{}
	}
	return x.Over
}

// Limits are what an alarm lists at most (D37).
type Limits struct {
	// Values is the number of addresses of a side, and of custom data values of one label.
	Values int
	// CustomData is the number of custom data values in all, and Listed the size in bytes
	// that addresses and custom data have in a line.
	CustomData, Listed int
}

// AddSource adds an address to the sources of a backlog, and reports whether there was
// room.
func (s *Store) AddSource(b *Backlog, a memory.Address) bool {
	if a == b.Origin.Src && s.Extra(b).sources() == nil {
		return true
	}
	return s.addAddress(b, &s.More(b).Src, b.Origin.Src, a)
}

// AddDestination adds an address to the destinations of a backlog, and reports whether
// there was room.
func (s *Store) AddDestination(b *Backlog, a memory.Address) bool {
	if a == b.Origin.Dst && s.Extra(b).destinations() == nil {
		return true
	}
	return s.addAddress(b, &s.More(b).Dst, b.Origin.Dst, a)
}

func (x *Extra) sources() *memory.Set[memory.Address] {
	if x == nil {
		return nil
	}
	return x.Src
}

func (x *Extra) destinations() *memory.Set[memory.Address] {
	if x == nil {
		return nil
	}
	return x.Dst
}

// addAddress adds an address to a set of sources or destinations, nil standing
// for the creating event's address alone, and reports whether there was room.
// 0.0.0.0 stays only as long as it is alone (§6.4.2).
func (s *Store) addAddress(b *Backlog, into **memory.Set[memory.Address], only, a memory.Address) bool {
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
	} else if set != nil && set.Len() >= s.Limits.Values || set == nil && s.Limits.Values < 2 {
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
		s.charge(b, valueBytes)
	}
	return true
}

// list notes that what is listed grows by so many bytes in a line, and reports
// whether there is room.
func (s *Store) list(b *Backlog, size int) bool {
	x := s.More(b)
	if x.listed == 0 {
		x.listed = int32(s.listedSize(b))
	}
	if int(x.listed)+size > s.Limits.Listed {
		return false
	}
	x.listed += int32(size)
	return true
}

// listedSize returns the size of what is listed.
func (s *Store) listedSize(b *Backlog) int {
	size := 0
	for _, addresses := range [...][]memory.Address{s.Sources(b), s.Destinations(b)} {
		for _, a := range addresses {
			size += s.addressSize(a)
		}
	}
	if x := s.Extra(b); x != nil && x.Custom != nil {
		for _, c := range x.Custom.All() {
			size += s.customSize(c)
		}
	}
	return size
}

func (s *Store) addressSize(a memory.Address) int {
	s.scratch = a.Addr().AppendTo(s.scratch[:0])
	return len(s.scratch) + len(`""`)
}

func (s *Store) customSize(c alarm.CustomData) int {
	s.scratch = c.AppendJSON(s.scratch[:0])
	return len(s.scratch)
}

// AddCustomData adds an event's custom data to the backlog's, and reports whether there
// was room for all.
func (s *Store) AddCustomData(b *Backlog, ev *event.Event) (room bool) {
	room = true
	for i, content := range ev.CustomData {
		if content != "" && !s.AddOneCustomData(b, Cut(ev.CustomLabel[i]), Cut(content)) {
			room = false
		}
	}
	return room
}

// AddOneCustomData adds a value of custom data and reports whether there was room.
func (s *Store) AddOneCustomData(b *Backlog, label, content string) bool {
	x := s.More(b)
	if x.Custom == nil {
		x.Custom = &memory.Set[alarm.CustomData]{}
	}
	c := alarm.CustomData{Label: label, Content: content}
	if x.Custom.Has(c) {
		return true
	}
	if x.Custom.Len() >= s.Limits.CustomData || x.labelled(label) >= s.Limits.Values || !s.list(b, s.customSize(c)) {
		return false
	}
	c = alarm.CustomData{Label: strings.Clone(label), Content: strings.Clone(content)}
	x.Custom.Add(c)
	s.charge(b, valueBytes+len(label)+len(content))
	if x.labels != nil {
		x.labels[c.Label]++
	}
	return true
}

// worthCounting is the number of values of custom data from which they are counted
// by label.
const worthCounting = 16

// labelled returns the number of values with a label.
func (x *Extra) labelled(label string) int {
	all := x.Custom.All()
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

// Truncated returns what the alarm does not list.
func (x *Extra) Truncated() alarm.Truncated {
	if x == nil || x.Over == nil {
		return alarm.Truncated{}
	}
	return x.Over.Counts
}

// found is what look-ups have found about an alarm's addresses.
type found struct{ intel, vulns memory.Set[alarm.Hit] }

// AddHits adds findings to those of a backlog, and returns how many found no room.
func (s *Store) AddHits(b *Backlog, intel, vulns []alarm.Hit) (forgotten uint64) {
	x := s.More(b)
	if x.Found == nil {
		x.Found = &found{}
	}
	for _, some := range [...]struct {
		into *memory.Set[alarm.Hit]
		hits []alarm.Hit
	}{{&x.Found.intel, intel}, {&x.Found.vulns, vulns}} {
		for _, hit := range some.hits {
			hit.Term, hit.Result = Cut(hit.Term), Cut(hit.Result)
			switch {
			case some.into.Has(hit):
			case x.Found.intel.Len()+x.Found.vulns.Len() >= mostHits:
				forgotten++
			default:
				some.into.Add(hit)
				s.charge(b, valueBytes+len(hit.Provider)+len(hit.Term)+len(hit.Result))
			}
		}
	}
	return forgotten
}

// Hits returns the findings, in order of their coming.
func (f *found) Hits() (intel, vulns []alarm.Hit) {
	return slices.Clone(f.intel.All()), slices.Clone(f.vulns.All())
}

package bench

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"dsiem/internal/event"
)

// The numbers in events and directives. All have a fixed width, so that they
// can be put into a text of which everything else stays.
const (
	firstPlugin  = 100_000 // of directive 0
	noisePlugin  = 900_000 // no directive has it, nor those behind
	noisePlugins = 1000
	firstSID     = 2000 // and the number of the stage
	lowestSID    = 1000
	lowestPort   = 10_000
	ports        = 50_000

	// Octets of addresses have three digits.
	lowestOctet, octets = 100, 156
	// Sources of attacks and of noise are in 203.0.0.0/8, those of events that
	// nearly match in 198.0.0.0/8, all destinations in 10.0.0.0/8.
	sourceNet, nearNet, homeNet = "203", "198", "10"

	maxEventSize = event.MaxSize / 2
	// idPrefix and what follows it make an event id: where it comes from, the
	// stream and the number of the event.
	idLength                = 36
	streamDigits, idDigits  = 3, 12
	streamOffset, idOffset  = 20, 24
	receivedDigits          = 19
	timeForm                = "2006-01-02T15:04:05.000Z"
	samplePadding           = "An ordinary signature of a network sensor "
	hexadecimal, decimal    = 16, 10
	pluginDigits, sidDigits = 6, 4
	portDigits              = 5
	octetDigits             = 3
)

// template is the text of an event and the offsets of what is different in each.
type template struct {
	text                                                       []byte
	id, time, src, dst, plugin, sid, srcPort, dstPort, receipt int
}

// newTemplate returns a template of a size; the title is as long as it takes.
func newTemplate(seed uint64, size int) template {
	var t template
	add := func(text string) { t.text = append(t.text, text...) }
	place := func(before, sample string) int {
		add(before)
		at := len(t.text)
		add(sample)
		return at
	}
	t.id = place(`{"event_id":"`, idPrefix(seed)+strings.Repeat("0", streamDigits)+"-"+strings.Repeat("0", idDigits))
	t.time = place(`","timestamp":"`, timeForm)
	title := place(`","sensor":"bench-sensor","title":"`, "")
	t.src = place(`","src_ip":"`, sourceNet+".000.000.000")
	t.dst = place(`","dst_ip":"`, homeNet+".000.000.000")
	t.plugin = place(`","plugin_id":`, "000000")
	t.sid = place(`,"plugin_sid":`, "0000")
	t.srcPort = place(`,"product":"Intrusion Detection System","category":"Benchmark","src_port":`, "00000")
	t.dstPort = place(`,"dst_port":`, "00000")
	t.receipt = place(`,"protocol":"TCP","conn_id":1,"rcvd_time":`, strings.Repeat("0", receivedDigits))
	add("}")
	padding := max(0, size-len(t.text))
	text := strings.Repeat(samplePadding, padding/len(samplePadding)+1)[:padding]
	t.text = append(append(append([]byte{}, t.text[:title]...), text...), t.text[title:]...)
	for _, at := range []*int{&t.src, &t.dst, &t.plugin, &t.sid, &t.srcPort, &t.dstPort, &t.receipt} {
		*at += padding
	}
	return t
}

// leastEventSize is the size of an event without a title.
func leastEventSize() int { return len(newTemplate(0, 0).text) }

// idPrefix returns how the ids of a workload's events begin.
func idPrefix(seed uint64) string { return fmt.Sprintf("%08x-0000-4000-8", uint32(seed)) } //nolint:gosec // the lower half is enough

// stream makes the events of one connection. It belongs to one goroutine.
type stream struct {
	*plan

	number int
	text   template // with the time that setTime gave
}

func (p *plan) stream(number int) *stream {
	s := &stream{plan: p, number: number, text: p.text}
	s.text.text = bytes.Clone(p.text.text)
	put(s.text.text[s.text.id+streamOffset:], uint64(number), streamDigits, hexadecimal) //nolint:gosec // not negative
	return s
}

// setTime sets the time of the events that are made from now on; it must not go
// back.
func (s *stream) setTime(at time.Time) {
	t := &s.text
	var text [2 * len(timeForm)]byte // AppendFormat uses room behind the text
	copy(t.text[t.time:], at.UTC().AppendFormat(text[:0], timeForm))
	put(t.text[t.receipt:], uint64(at.UnixNano()), receivedDigits, decimal)
}

// append appends the text of event n.
func (s *stream) append(dst []byte, n uint64) []byte {
	t := &s.text
	start := len(dst)
	dst = append(dst, t.text...)
	text := dst[start:]
	put(text[t.id+idOffset:], n, idDigits, hexadecimal)
	var to target
	var plugin, sid uint64
	drawn := s.random(n, 1)
	switch m := s.part(n); m.kind {
	case matched, abandoned:
		to = s.target(s.number, m)
		plugin, sid = firstPlugin+to.directive, firstSID+uint64(s.stage(m.position)) //nolint:gosec // 1 to 3
	case near:
		copy(text[t.src:], nearNet)
		to = s.drawn(n)
		plugin, sid = firstPlugin+to.directive, firstSID+2+drawn%2 // stage 1 would take it
	case noise:
		to = s.drawn(n)
		plugin, sid = noisePlugin+drawn%noisePlugins, lowestSID+drawn>>16%lowestSID
	}
	s.putAddress(text[t.src+len(sourceNet):], to.src)
	s.putAddress(text[t.dst+len(homeNet):], to.dst)
	put(text[t.plugin:], plugin, pluginDigits, decimal)
	put(text[t.sid:], sid, sidDigits, decimal)
	put(text[t.srcPort:], lowestPort+drawn>>32%ports, portDigits, decimal)
	put(text[t.dstPort:], lowestPort+to.dst%ports, portDigits, decimal)
	return dst
}

// drawn returns what an event that does not match is about.
func (p *plan) drawn(n uint64) target {
	drawn, addresses := p.random(n, 2), uint64(p.Addresses) //nolint:gosec // checked
	return target{
		directive: drawn >> 48 % uint64(p.Directives), //nolint:gosec // checked
		src:       drawn & 0xffffff % addresses, dst: drawn >> 24 & 0xffffff % addresses,
	}
}

// octet returns an octet of the address with a number: number 0 is the second of
// the address, 2 the last. Neighbours are far from each other.
func (p *plan) octet(address uint64, number int) uint64 {
	const scatter = 1_000_003 // has no divisor in common with octets
	x := (address*scatter + p.Seed%maxAddresses) % maxAddresses
	for range 2 - number {
		x /= octets
	}
	return lowestOctet + x%octets
}

// putAddress writes the last three octets of an address, with points before.
func (p *plan) putAddress(dst []byte, address uint64) {
	for i := range 3 {
		put(dst[i*(octetDigits+1)+1:], p.octet(address, i), octetDigits, decimal)
		dst[i*(octetDigits+1)] = '.'
	}
}

// address returns the text of an address in a network.
func (p *plan) address(network string, number uint64) string {
	text := append([]byte(network), ".000.000.000"...)
	p.putAddress(text[len(network):], number)
	return string(text)
}

// put writes a number with a fixed number of digits.
func put(dst []byte, n uint64, digits int, base uint64) {
	for i := digits - 1; i >= 0; i-- {
		dst[i] = "0123456789abcdef"[n%base]
		n /= base
	}
}

// readID returns stream and number of an event id of this workload.
func (p *plan) readID(id []byte) (stream int, n uint64, ok bool) {
	if len(id) != idLength || !bytes.Equal(id[:streamOffset], p.text.text[p.text.id:p.text.id+streamOffset]) || id[idOffset-1] != '-' {
		return 0, 0, false
	}
	s, ok1 := readHex(id[streamOffset : streamOffset+streamDigits])
	n, ok2 := readHex(id[idOffset:])
	return int(s), n, ok1 && ok2 && s < uint64(p.streams) //nolint:gosec // three digits
}

// readHex reads a number as put writes it.
func readHex(text []byte) (n uint64, ok bool) {
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

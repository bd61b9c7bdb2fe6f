package enrich

import (
	"net/netip"
	"strconv"
	"strings"

	"dsiem/internal/alarm"
	"dsiem/internal/jsonfile"
)

// Request asks for look-ups for an alarm.
type Request struct {
	// Alarm is a snapshot that nobody changes any more. What is a term of one
	// of its findings is not asked again.
	Alarm *alarm.Alarm
	// LastSrcPort and LastDstPort are the ports of the alarm's last events, 0
	// if there was none.
	LastSrcPort, LastDstPort uint16
}

// maxTargets is the number of terms of one kind beyond which the rest of an
// alarm is not even looked at.
const maxTargets = 4096

// targets collects terms, each once, in order.
type targets struct {
	terms []Term
	seen  map[Term]bool
	known map[string]bool // terms of findings
	over  int             // terms beyond maxTargets
}

func newTargets(findings []alarm.Hit) *targets {
	t := &targets{seen: map[Term]bool{}, known: make(map[string]bool, len(findings))}
	for i := range findings {
		t.known[findings[i].Term] = true
	}
	return t
}

func (t *targets) add(term Term) {
	switch {
	case t.seen[term] || len(t.known) > 0 && t.known[term.String()]:
	case len(t.terms) == maxTargets:
		t.over++
	default:
		t.seen[term] = true
		t.terms = append(t.terms, term)
	}
}

// intelTargets returns the addresses of an alarm that are to be looked up:
// destinations, then sources; only global ones unless private is true (§9.2).
func intelTargets(a *alarm.Alarm, public *publicTable, private bool) *targets {
	t := newTargets(a.IntelHits)
	for _, addrs := range [][]netip.Addr{a.DstIPs, a.SrcIPs} {
		for _, addr := range addrs {
			addr = addr.Unmap()
			if private || public.global(addr) {
				t.add(Term{Addr: addr})
			}
		}
	}
	return t
}

// vulnTargets returns the addresses with ports that are to be looked up: those
// which the rules name, destination side first. Each address of a rule is asked
// with the last port of its side and with each port the rule names (§9.3, E10).
func vulnTargets(r *Request) *targets {
	t := newTargets(r.Alarm.Vulnerabilities)
	for i := range r.Alarm.Rules {
		rule := &r.Alarm.Rules[i]
		t.pairs(rule.To, r.LastDstPort, rule.PortTo)
	}
	for i := range r.Alarm.Rules {
		rule := &r.Alarm.Rules[i]
		t.pairs(rule.From, r.LastSrcPort, rule.PortFrom)
	}
	return t
}

// pairs adds each plain address in a list with the last port and with each
// plain port in a list. Port 0 stands for none (B38). Negated elements, CIDRs
// and words name no single host or port.
func (t *targets) pairs(addresses string, last uint16, ports string) {
	var numbers []uint16
	for elem := range strings.SplitSeq(addresses, ",") {
		elem = strings.TrimSpace(elem)
		prefix, err := jsonfile.ParsePrefix(elem)
		if err != nil || strings.Contains(elem, "/") {
			continue
		}
		if numbers == nil {
			numbers = plainPorts(last, ports)
		}
		for _, port := range numbers {
			t.add(Term{Addr: prefix.Addr(), Port: port})
		}
	}
}

// plainPorts returns the last port and the plain numbers of a list, without 0.
func plainPorts(last uint16, list string) []uint16 {
	ports := []uint16{}
	if last != 0 {
		ports = append(ports, last)
	}
	for elem := range strings.SplitSeq(list, ",") {
		port, err := strconv.ParseUint(strings.TrimSpace(elem), 10, 16)
		if err == nil && port != 0 {
			ports = append(ports, uint16(port))
		}
	}
	return ports
}

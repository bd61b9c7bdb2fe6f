package directive

import (
	"strconv"
	"strings"

	"dsiem/internal/jsonfile"
)

// PortKind is the kind of a port term.
type PortKind uint8

// The kinds of port terms.
const (
	PortAny PortKind = iota
	PortReference
	PortInList
)

// PortTerm is the value of a rule's port_from or port_to.
type PortTerm struct {
	Kind PortKind
	// Stage is the stage a reference names.
	Stage int
	// List holds the elements of a PortInList.
	List PortList
}

// ParsePort parses a port_from or port_to: ANY, a reference such as ":1", or a
// comma list of numbers 1..65535, each optionally negated by a leading "!"
// (§2.4.1). An empty text is ANY (B30).
func ParsePort(text string) (PortTerm, *TermError) {
	if text == anyTerm || text == "" {
		return PortTerm{Kind: PortAny}, nil
	}
	if stage, ok := parseReference(text); ok {
		return PortTerm{Kind: PortReference, Stage: stage}, nil
	}
	if strings.TrimSpace(text) == "" {
		return PortTerm{}, &TermError{Msg: "must not be blank; use " + portForms}
	}
	elems := make([]portElement, 0, 1+strings.Count(text, ","))
	err := parseList(text, func(e element) string {
		port, err := strconv.ParseUint(e.text, 10, 16)
		if err != nil || port == 0 {
			return badPort(e.text)
		}
		elems = append(elems, portElement{port: uint16(port), negated: e.negated})
		return ""
	}, anyTerm)
	if err != nil {
		return PortTerm{}, err
	}
	return PortTerm{Kind: PortInList, List: newPortList(elems)}, nil
}

const portForms = `1-65535, ANY, a list like "80,443,!8080", or a reference like ":1"`

func badPort(text string) string {
	if strings.HasPrefix(text, ":") {
		return badReference(text)
	}
	isNumber := func(s string) bool { return s != "" && strings.Trim(s, "0123456789 ") == "" }
	if from, to, found := strings.Cut(text, "-"); found && isNumber(from) && isNumber(to) {
		return jsonfile.Quote(text) + ` is a range, which is not possible; list the ports, like "80,81,82"`
	}
	return jsonfile.Quote(text) + " is not a port; use " + portForms
}

// ParseResolvedPort parses a port of a saved backlog, which may besides be "0":
// the absent port of the event that opened it, which only an absent port
// equals (D18).
func ParseResolvedPort(text string) (PortTerm, *TermError) {
	if text == "0" {
		return PortTerm{Kind: PortInList, List: newPortList([]portElement{{}})}, nil
	}
	return ParsePort(text)
}

type portElement struct {
	port    uint16
	negated bool
}

// PortList is a comma list of ports: the first element equal to a port
// decides; if none is, the port matches if any element is negated (§3.4).
type PortList struct {
	elems      []portElement
	anyNegated bool
	// verdict holds the decision for each listed port. Long lists only.
	verdict map[uint16]bool
}

func newPortList(elems []portElement) PortList {
	l := PortList{elems: elems}
	if len(elems) >= listIndexFrom {
		l.verdict = make(map[uint16]bool, len(elems))
	}
	for _, e := range elems {
		l.anyNegated = l.anyNegated || e.negated
		if l.verdict == nil {
			continue
		}
		if _, ok := l.verdict[e.port]; !ok {
			l.verdict[e.port] = !e.negated
		}
	}
	return l
}

// Match reports whether the list matches a port. Port 0, an absent port, can
// only match a list with a negated element.
func (l *PortList) Match(port uint16) bool {
	if l.verdict != nil {
		if verdict, ok := l.verdict[port]; ok {
			return verdict
		}
		return l.anyNegated
	}
	for _, e := range l.elems {
		if e.port == port {
			return !e.negated
		}
	}
	return l.anyNegated
}

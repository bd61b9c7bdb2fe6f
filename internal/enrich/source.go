// Package enrich asks threat-intel and vulnerability services about the
// addresses and ports of alarms, beside correlation: nothing here ever makes
// an engine wait.
//
// LoadIntel and LoadVuln read the configured services. An Enricher owns the
// cache, the queues and the goroutines that ask; what it finds goes to the
// caller's callback. An Outbox, which belongs to the goroutine that writes
// alarm lines, holds a line for a moment until its findings are there. The
// package never writes lines and never changes an alarm it was given.
//
// Source of the behaviour: docs/spec/correlation.md §9, decision D9; defects B26,
// B27, B34–B36, B38 and B52 of the references.
package enrich

import (
	"context"
	"errors"
	"net/netip"
	"strconv"

	"dsiem/internal/alarm"
)

// Kind is what a service knows about.
type Kind uint8

const (
	// Intel services are asked about addresses (§9.2).
	Intel Kind = iota
	// Vuln services are asked about addresses with a port (§9.3).
	Vuln
)

// String returns "intel" or "vuln".
func (k Kind) String() string {
	if k == Vuln {
		return "vuln"
	}
	return "intel"
}

// Term is what a service is asked about.
type Term struct {
	Addr netip.Addr
	// Port is 0 for threat intel.
	Port uint16
}

// String returns the term as it stands in findings: the address in canonical
// form, then ":port" if there is one. IPv6 addresses get no brackets (§9.3).
func (t Term) String() string {
	if t.Port == 0 {
		return t.Addr.String()
	}
	return t.Addr.String() + ":" + strconv.Itoa(int(t.Port))
}

// Source answers questions about terms. Lookup is called by several
// goroutines at a time. It returns nothing and no error if nothing is known
// of the term, which is then remembered; after an error the term is asked
// again the next time. The caller must not change the hits.
type Source interface {
	Lookup(ctx context.Context, term Term) ([]alarm.Hit, error)
}

// ErrAnswer is wrapped by errors that are about one term: the service is alive,
// but its answer is of no use. Such an error says nothing about other terms, so
// it does not count as a failure of the service.
var ErrAnswer = errors.New("unusable answer")

// Service is a configured source.
type Service struct {
	// Name is the name in the configuration, for logs and metrics. It need not
	// be unique.
	Name string
	Kind Kind
	Source
}

package enrich

import (
	"context"
	"fmt"
	"net/http"

	"dsiem/internal/alarm"
	"dsiem/internal/jsonfile"
)

const wiseName = "Wise"

// wiseMinLen is the shortest finding that counts, in bytes as Wise gives them:
// the value and one more (§9.2).
const wiseMinLen = 5

// wise asks a Wise server about addresses (§9.2).
type wise struct{ endpoint endpoint }

func openWise(s *jsonfile.Scope, client *http.Client) Source {
	return &wise{openEndpoint(s, client, ipMark)}
}

// Lookup returns what Wise knows of an address. A status other than 200 is an
// error, also 404: Wise answers 200 and an empty list for addresses it does not
// know, so another status is no finding to remember.
func (w *wise) Lookup(ctx context.Context, term Term) ([]alarm.Hit, error) {
	status, body, err := w.endpoint.get(ctx, term)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, badStatus(status)
	}
	entries, err := parseWise(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	var hits []alarm.Hit
	for _, e := range entries {
		if e.counts() {
			hits = append(hits, alarm.Hit{Provider: wiseName, Term: term.String(), Result: e.field + ": " + e.value})
		}
	}
	return hits, nil
}

// counts reports whether an entry is a finding.
func (e *wiseEntry) counts() bool {
	return e.field != "" && e.value != "" && (!e.hasLen || e.len >= wiseMinLen)
}

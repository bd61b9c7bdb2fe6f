package enrich

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"dsiem/internal/alarm"
	"dsiem/internal/jsonfile"
)

const nesdName = "Nesd"

// nesdNothing is the answer for a pair without findings.
const nesdNothing = "no vulnerability found"

// nesd asks a Nesd server about an address with a port (§9.3).
type nesd struct {
	endpoint endpoint
	// low says that findings of low risk count.
	low bool
}

func openNesd(s *jsonfile.Scope, client *http.Client) Source {
	return &nesd{endpoint: openEndpoint(s, client, ipMark, portMark), low: s.Bool("allow_low_severity")}
}

// Lookup returns what Nesd knows of a pair. HTTP status 418, with which it
// refuses an address or port, is no finding (E9); other than that and 200 is an
// error.
func (n *nesd) Lookup(ctx context.Context, term Term) ([]alarm.Hit, error) {
	status, body, err := n.endpoint.get(ctx, term)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusTeapot:
		return nil, nil
	case status != http.StatusOK:
		return nil, badStatus(status)
	case strings.TrimSpace(string(body)) == nesdNothing:
		return nil, nil
	}
	var findings []struct {
		CVE  string `json:"cve"`
		Risk string `json:"risk"`
		Name string `json:"name"`
	}
	if err := json.Unmarshal(body, &findings); err != nil {
		return nil, fmt.Errorf("%w: it is no list of findings", ErrAnswer) // the error may quote it
	}
	var hits []alarm.Hit
	for _, f := range findings {
		if !n.counts(f.Risk) {
			continue
		}
		result := f.Risk + " - " + f.Name
		if f.CVE != "" {
			result += " (" + f.CVE + ")"
		}
		hits = append(hits, alarm.Hit{Provider: nesdName, Term: term.String(), Result: result})
	}
	return hits, nil
}

func (n *nesd) counts(risk string) bool {
	switch risk {
	case "Medium", "High", "Critical":
		return true
	case "Low":
		return n.low
	}
	return false
}

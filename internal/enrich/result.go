package enrich

import (
	"slices"

	"dsiem/internal/alarm"
)

// Result is what was found for a request: findings that its alarm did not have.
type Result struct{ Intel, Vulns []alarm.Hit }

// AddTo returns the alarm with the findings of the result after its own, and
// whether that is anything new; if not, it is a itself. The alarm a is
// unchanged. Findings are never taken away (B34).
func (r *Result) AddTo(a *alarm.Alarm) (*alarm.Alarm, bool) {
	intel, vulns := added(a.IntelHits, r.Intel), added(a.Vulnerabilities, r.Vulns)
	if len(intel)+len(vulns) == 0 {
		return a, false
	}
	out := *a
	out.IntelHits = slices.Concat(a.IntelHits, intel)
	out.Vulnerabilities = slices.Concat(a.Vulnerabilities, vulns)
	return &out, true
}

// merge adds the findings of another result.
func (r *Result) merge(other *Result) {
	r.Intel = append(r.Intel, added(r.Intel, other.Intel)...)
	r.Vulns = append(r.Vulns, added(r.Vulns, other.Vulns)...)
}

func (r *Result) empty() bool { return len(r.Intel)+len(r.Vulns) == 0 }

// added returns what is in more and not in known, each once.
func added(known, more []alarm.Hit) []alarm.Hit {
	if len(more) == 0 {
		return nil
	}
	seen := make(map[alarm.Hit]bool, len(known)+len(more))
	for _, h := range known {
		seen[h] = true
	}
	var fresh []alarm.Hit
	for _, h := range more {
		if !seen[h] {
			seen[h] = true
			fresh = append(fresh, h)
		}
	}
	return fresh
}

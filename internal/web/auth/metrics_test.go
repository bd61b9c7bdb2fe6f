package auth

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/test/testkit"
)

func TestRefusalsAreCountedByReason(t *testing.T) {
	t.Parallel()
	g := &Guard{}
	g.counts[admitted].Store(99)
	g.counts[noCredentials].Store(1)
	g.counts[wrongCredentials].Store(2)
	g.counts[missingRight].Store(3)
	g.counts[busy].Store(4)
	for _, test := range []struct {
		guard *Guard
		want  []string
	}{
		{g, []string{
			`dsiem_http_refused_total{reason="busy"} 4`, `dsiem_http_refused_total{reason="missing_right"} 3`,
			`dsiem_http_refused_total{reason="no_credentials"} 1`, `dsiem_http_refused_total{reason="wrong_credentials"} 2`,
		}},
		{nil, []string{
			`dsiem_http_refused_total{reason="busy"} 0`, `dsiem_http_refused_total{reason="missing_right"} 0`,
			`dsiem_http_refused_total{reason="no_credentials"} 0`, `dsiem_http_refused_total{reason="wrong_credentials"} 0`,
		}},
	} {
		reg := prometheus.NewPedanticRegistry()
		test.guard.Register(reg)
		if diff := cmp.Diff(test.want, testkit.Samples(t, reg)); diff != "" {
			t.Errorf("samples (-want +got):\n%s", diff)
		}
	}
}

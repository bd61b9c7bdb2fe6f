package limit_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/input/limit"
	"dsiem/test/testkit"
)

func TestLimitAndOverloadAreReadWhenAsked(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	l := limit.New(limit.Options{Max: 1000, Min: 100})
	l.Register(reg)
	testkit.Equal(t, testkit.Samples(t, reg), []string{`dsiem_eps_limit 550`, `dsiem_overloaded 0`})
	limit.Adjust(l, true)
	testkit.Equal(t, testkit.Samples(t, reg), []string{`dsiem_eps_limit 460`, `dsiem_overloaded 1`})
}

func TestMetricsWithoutALimiter(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	(*limit.Limiter)(nil).Register(reg)
	testkit.Equal(t, testkit.Samples(t, reg), []string{`dsiem_eps_limit 0`, `dsiem_overloaded 0`})
}

package limit_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/input/limit"
	"dsiem/test/testkit"
)

func TestLimitAndOverloadAreReadWhenAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, limitAndOverload) // so that no time passes
}

func limitAndOverload(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	l := limit.New(limit.Options{Max: 1000, Min: 100})
	l.Register(reg)
	testkit.Equal(t, testkit.Samples(t, reg), []string{
		`dsiem_eps_accounts_forgotten_total 0`, `dsiem_eps_clients 0`, `dsiem_eps_clients_in_debt 0`, `dsiem_eps_limit 550`, `dsiem_overloaded 0`,
	})
	limit.Adjust(l, true)
	if err := errors.Join(l.Take(t.Context(), "a", 1), l.Take(t.Context(), "b", 1_000_000)); err != nil {
		t.Fatal(err)
	}
	testkit.Equal(t, testkit.Samples(t, reg), []string{
		`dsiem_eps_accounts_forgotten_total 0`, `dsiem_eps_clients 2`, `dsiem_eps_clients_in_debt 1`, `dsiem_eps_limit 460`, `dsiem_overloaded 1`,
	})
}

func TestMetricsWithoutALimiter(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	(*limit.Limiter)(nil).Register(reg)
	testkit.Equal(t, testkit.Samples(t, reg), []string{
		`dsiem_eps_accounts_forgotten_total 0`, `dsiem_eps_clients 0`, `dsiem_eps_clients_in_debt 0`, `dsiem_eps_limit 0`, `dsiem_overloaded 0`,
	})
}

package options

import (
	"testing"
	"time"
)

// TestReachable: who listens on all addresses is asked at loopback.
func TestReachable(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "10.0.0.1": "10.0.0.1", "localhost": "localhost", "fe80::1%eth0": "fe80::1%eth0",
	} {
		if got := reachable(host); got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
	}
}

func TestHealthcheckWaits(t *testing.T) {
	t.Parallel()
	q, asked, err := dsiem.Healthcheck([]string{"healthcheck"}, nil)
	if err != nil || asked != "" || q.Timeout != 5*time.Second {
		t.Errorf("%+v, asked for %q, error %v", q, asked, err)
	}
}

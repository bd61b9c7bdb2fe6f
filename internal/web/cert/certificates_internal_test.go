package cert

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestExpiryIsToldOnceADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		var log strings.Builder
		c := &Certificates{log: slog.New(slog.NewTextHandler(&log, nil))}
		c.current.Store(&tls.Certificate{Leaf: &x509.Certificate{NotBefore: now.Add(time.Hour), NotAfter: now.Add(16*24*time.Hour + 12*time.Hour)}})
		for _, want := range []struct {
			until             time.Duration
			early, soon, gone int // warnings so far
		}{
			{30 * time.Minute, 1, 0, 0},
			{2 * time.Hour, 1, 0, 0},
			{60 * time.Hour, 1, 0, 0},
			{61 * time.Hour, 1, 1, 0},
			{84 * time.Hour, 1, 1, 0},
			{85 * time.Hour, 1, 2, 0},
			{396 * time.Hour, 1, 14, 0},
			{397 * time.Hour, 1, 14, 1},
			{420 * time.Hour, 1, 14, 1},
			{469 * time.Hour, 1, 14, 4},
		} {
			for ; time.Since(now) <= want.until; <-time.After(10 * time.Minute) {
				c.checkExpiry()
			}
			early := strings.Count(log.String(), "the TLS certificate is not valid yet")
			soon := strings.Count(log.String(), "the TLS certificate expires soon")
			gone := strings.Count(log.String(), "the TLS certificate has expired")
			if early != want.early || soon != want.soon || gone != want.gone {
				t.Errorf("%v: %d, %d and %d warnings, want %d, %d and %d", want.until, early, soon, gone, want.early, want.soon, want.gone)
			}
		}
	})
}

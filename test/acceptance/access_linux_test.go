package acceptance

import (
	"slices"
	"testing"

	"dsiem/test/testkit"
)

// A backend downloads over HTTPS when its system trusts the frontend's
// certificate; which certificates that are, Go lets a variable say here.
func TestDownloadOverHTTPS(t *testing.T) {
	t.Parallel()
	server := startNATS(t)
	authority := testkit.NewAuthority(t)
	cert, key := authority.ServerCert()
	n := newHome(t, withoutSources(t)).start(setup{role: frontendRole, flags: []string{"--tls-cert=" + cert, "--tls-key=" + key}})
	flags := []string{"--frontend=https://" + n.address()}
	b := newHome(t, nil).startReady(setup{nats: server.URL(), flags: flags, env: []string{"SSL_CERT_FILE=" + authority.CAFile()}})
	b.stop()
	if got, want := names(t, b.configs), []string{"assets_a.json", "directives_dsiem-backend-1_a.json"}; !slices.Equal(got, want) {
		t.Errorf("downloaded %q, want %q", got, want)
	}
	stranger := newHome(t, nil).start(setup{nats: server.URL(), flags: flags})
	stranger.says("WARN", "error downloading config, retrying", "certificate")
	stranger.stop()
}

package auth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"dsiem/internal/web/auth"
)

func TestClient(t *testing.T) {
	t.Parallel()
	token, sum := auth.NewToken()
	g := load(t, `{"users":[{"name":"logstash","token_sha256":"`+sum+`","password":"`+hashed(t, "sesame")+`","rights":["intake"]}],"anonymous":["intake"]}`)
	var open *auth.Guard
	for _, c := range []struct {
		guard                  *auth.Guard
		peer, credential, want string
	}{
		{open, "192.0.2.7:4000", "", "192.0.2.7"},
		{open, "192.0.2.7:4001", "Bearer " + token, "192.0.2.7"}, // nobody has verified it
		{open, "[::ffff:192.0.2.7]:4000", "", "192.0.2.7"},
		{open, "[2001:db8:1:2:3:4:5:6]:4000", "", "2001:db8:1:2::/64"},
		{open, "[2001:db8:1:2:ffff::1]:4000", "", "2001:db8:1:2::/64"},
		{open, "[2001:db8:1:3::1]:4000", "", "2001:db8:1:3::/64"},
		{open, "[fe80::1%eth0]:4000", "", "fe80::/64"},
		{open, "@", "", "@"},
		{g, "192.0.2.7:4000", "", "192.0.2.7"},
		{g, "192.0.2.7:4000", "Bearer " + token, "logstash"},
		{g, "192.0.2.8:4000", "bearer  " + token, "logstash"},
		{g, "192.0.2.7:4000", basic("logstash", token), "logstash"},
		{g, "192.0.2.7:4000", basic("logstash", "sesame"), "logstash"},
	} {
		got := ""
		h := c.guard.Require(auth.Intake, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = c.guard.Client(r) }))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", http.NoBody)
		r.RemoteAddr = c.peer
		if c.credential != "" {
			r.Header.Set("Authorization", c.credential)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != c.want {
			t.Errorf("from %s with %.10q: %q, want %q", c.peer, c.credential, got, c.want)
		}
	}
}

func TestClientCostsNoAllocation(t *testing.T) {
	token, sum := auth.NewToken()
	g := load(t, `{"users":[{"name":"logstash","token_sha256":"`+sum+`","rights":["intake"]}]}`)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", http.NoBody)
	for _, header := range []string{"", "Bearer " + token} {
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		if n := testing.AllocsPerRun(100, func() { g.Client(r) }); n > 0 {
			t.Errorf("with %.10q: %v allocations", header, n)
		}
	}
}

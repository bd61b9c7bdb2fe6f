package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"dsiem/internal/web/server"
	"dsiem/test/testkit"
)

func TestRoutesAreProtectedAndCounted(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	answer := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			if code != http.StatusOK {
				w.WriteHeader(code)
			}
			_, _ = io.WriteString(w, "answer")
		})
	}
	protect := func(right string, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != right {
				http.Error(w, "you may not "+right, http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	h := server.NewBrowsers([]string{"example.com"}, nil).Protect(server.Routes([]server.Route[string]{
		{Pattern: "GET /a", Name: "a", Right: "read", Handler: answer(http.StatusOK)},
		{Pattern: "POST /a", Name: "a", Right: "write", Handler: answer(http.StatusCreated)},
		{Pattern: "GET /b", Name: "b", Handler: answer(http.StatusTeapot)},
	}, protect, reg))
	for _, c := range []struct {
		method, path, may, site string
		want                    int
	}{
		{"GET", "/a", "read", "", 200},
		{"HEAD", "/a", "read", "", 200},
		{"GET", "/a", "write", "", 403},
		{"POST", "/a", "write", "", 201},
		{"POST", "/a", "read", "", 403},
		{"POST", "/a", "write", "cross-site", 403}, // not counted: no route has seen it
		{"GET", "/b", "", "", 418},
		{"DELETE", "/b", "", "", 405},
		{"GET", "/c", "", "", 404},
	} {
		r := httptest.NewRequest(c.method, c.path, http.NoBody)
		r.Header.Set("Authorization", c.may)
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		s := httptest.NewRecorder()
		h.ServeHTTP(final{s}, r)
		if s.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, s.Code, c.want)
		}
	}
	want := []string{
		`dsiem_http_requests_total{code="200",route="a"} 2`,
		`dsiem_http_requests_total{code="200",route="b"} 0`,
		`dsiem_http_requests_total{code="200",route="other"} 0`,
		`dsiem_http_requests_total{code="201",route="a"} 1`,
		`dsiem_http_requests_total{code="403",route="a"} 2`,
		`dsiem_http_requests_total{code="418",route="b"} 1`,
	}
	if diff := cmp.Diff(want, testkit.Samples(t, reg)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

// final is a recorder that lets informational answers pass, as a connection
// does.
type final struct{ *httptest.ResponseRecorder }

func (f final) WriteHeader(code int) {
	if code >= http.StatusOK {
		f.ResponseRecorder.WriteHeader(code)
	}
}

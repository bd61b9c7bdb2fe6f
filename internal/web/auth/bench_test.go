package auth_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"dsiem/internal/web/auth"
)

// request returns a request of a sender with an Authorization header, and a
// guarded handler that does nothing.
func request(tb testing.TB, header func(token, password string) string) (http.Handler, *http.Request) {
	tb.Helper()
	token, sum := auth.NewToken()
	g := load(tb, `{"users":[{"name":"logstash","token_sha256":"`+sum+`","password":"`+hashed(tb, "sesame")+`","rights":["intake"]}]}`)
	r := httptest.NewRequest(http.MethodPost, "/events", http.NoBody)
	r.Header.Set("Authorization", header(token, "sesame"))
	return g.Require(auth.Intake, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), r
}

func bearerHeader(token, _ string) string { return "Bearer " + token }

func basicHeader(_, password string) string { return basic("logstash", password) }

func TestATokenCostsNoAllocation(t *testing.T) {
	h, r := request(t, bearerHeader)
	w := httptest.NewRecorder()
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 0 || w.Code != http.StatusOK {
		t.Errorf("%v allocations, answer %d", n, w.Code)
	}
}

func BenchmarkToken(b *testing.B) { benchmark(b, bearerHeader) }

// The password is verified in the first request only.
func BenchmarkPassword(b *testing.B) { benchmark(b, basicHeader) }

func benchmark(b *testing.B, header func(token, password string) string) {
	h, r := request(b, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
	if w.Code != http.StatusOK {
		b.Fatal(w.Code)
	}
}

func BenchmarkTokenParallel(b *testing.B) {
	h, r := request(b, bearerHeader)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		w := httptest.NewRecorder()
		for pb.Next() {
			h.ServeHTTP(w, r)
		}
	})
}

// BenchmarkVerify is what a password costs that was not given before.
func BenchmarkVerify(b *testing.B) {
	g := load(b, `{"users":[{"name":"a","password":"`+hashed(b, "sesame")+`","rights":["intake"]}]}`)
	h := g.Require(auth.Intake, http.NotFoundHandler())
	header := basic("a", "guess")
	b.ReportAllocs()
	for b.Loop() {
		if w := ask(h, header); w.Code != http.StatusUnauthorized {
			b.Fatal(w.Code)
		}
	}
}

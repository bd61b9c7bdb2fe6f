package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"dsiem/internal/web/auth"
	"dsiem/test/testkit"
)

// authFile writes a file of rights.
func authFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.json")
	testkit.WriteFile(t, path, content)
	return path
}

// load returns the Guard of a file.
func load(t testing.TB, content string) *auth.Guard {
	t.Helper()
	g, err := auth.Load(authFile(t, content), nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// sha returns the SHA-256 of a token as the file holds it.
func sha(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// ok answers 200 with the name of the user.
func ok(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello "+auth.User(r)) }

// ask sends a request with some Authorization headers.
func ask(h http.Handler, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader("{}"))
	r.Header["Authorization"] = authorization
	if len(authorization) == 0 {
		r.Header.Del("Authorization")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// basic returns a header of basic authentication.
func basic(name, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, password)
	return r.Header.Get("Authorization")
}

package auth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The passwords in this file are verified by a Guard whose slots the test holds,
// so that it decides how far a verification gets.

const twoUsers = `{"users":[
	{"name":"ann","password":"HASH","rights":["intake"]},
	{"name":"bob","token_sha256":"97dd3707015dcf069cf73022ed7173b1165db6eff24b441cb57fd069a8c4e525","rights":["intake"]}]}`

// guarded returns a Guard with ann's password "sesame" in its file, and a
// function that asks with a password.
func guarded(t *testing.T) (g *Guard, path string, ask func(name, password string) *httptest.ResponseRecorder) {
	t.Helper()
	hash, err := HashPassword("sesame")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "auth.json")
	store(t, path, hash)
	g, err = Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := g.Require(Intake, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return g, path, func(name, password string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/events", http.NoBody)
		r.SetBasicAuth(name, password)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
}

func store(t *testing.T, path, hash string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Replace(twoUsers, "HASH", hash, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hold takes all slots; the function it returns gives them back.
func hold(g *Guard) (release func()) {
	for range cap(g.slots) {
		g.slots <- struct{}{}
	}
	return func() {
		for range cap(g.slots) {
			<-g.slots
		}
	}
}

func TestPasswordsThatWereRightAreRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, path, ask := guarded(t)
		type attempt struct {
			name, password string
			want           int
		}
		try := func(attempts ...attempt) {
			t.Helper()
			for _, a := range attempts {
				if code := ask(a.name, a.password).Code; code != a.want {
					t.Errorf("%s with %s: %d, want %d", a.name, a.password, code, a.want)
				}
			}
		}
		release := hold(g)
		try(attempt{"ann", "sesame", http.StatusServiceUnavailable})
		release()
		try(attempt{"ann", "sesame", http.StatusOK}, attempt{"ann", "guess", http.StatusUnauthorized})
		release = hold(g)
		try(attempt{"ann", "sesame", http.StatusOK}, attempt{"ann", "guess", http.StatusServiceUnavailable},
			// Whoever has no password, or does not exist, waits as long.
			attempt{"bob", "sesame", http.StatusServiceUnavailable}, attempt{"eve", "sesame", http.StatusServiceUnavailable},
			attempt{"bob", "bob-token", http.StatusOK})
		release()

		other, err := HashPassword("other")
		if err != nil {
			t.Fatal(err)
		}
		store(t, path, other)
		g.watch.Poll()
		try(attempt{"ann", "sesame", http.StatusUnauthorized}, attempt{"ann", "other", http.StatusOK})
	})
}

// However many passwords come, a few wait and the others are told to come back.
func TestPasswordsToVerifyAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, _, ask := guarded(t)
		release := hold(g)
		var mu sync.Mutex
		codes := map[int]int{}
		send := func() {
			code := ask("ann", "sesame").Code
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		}
		begin := time.Now()
		var waiting sync.WaitGroup
		for range maxWaiting {
			waiting.Go(send)
		}
		synctest.Wait()
		w := ask("ann", "sesame")
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || !time.Now().Equal(begin) {
			t.Errorf("one too many: %d after %v, Retry-After %q", w.Code, time.Since(begin), w.Header().Get("Retry-After"))
		}
		waiting.Wait()
		if codes[http.StatusServiceUnavailable] != maxWaiting || time.Since(begin) != maxWait {
			t.Errorf("after %v: %v", time.Since(begin), codes)
		}
		if n := g.Stats().Busy; n != maxWaiting+1 {
			t.Errorf("counted %d", n)
		}

		clear(codes)
		for range maxWaiting {
			waiting.Go(send)
		}
		synctest.Wait()
		release()
		waiting.Wait()
		if codes[http.StatusOK] != maxWaiting {
			t.Errorf("once there is time: %v", codes)
		}
	})
}

// A client that leaves gives its place in the queue to others.
func TestAClientThatLeavesDoesNotWaitOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, _, _ := guarded(t)
		defer hold(g)()
		begin := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/events", http.NoBody)
		r.SetBasicAuth("ann", "sesame")
		answered := make(chan int)
		go func() {
			w := httptest.NewRecorder()
			g.Require(Intake, http.NotFoundHandler()).ServeHTTP(w, r)
			answered <- w.Code
		}()
		synctest.Wait()
		cancel()
		if code := <-answered; code != http.StatusServiceUnavailable || !time.Now().Equal(begin) || g.waiting.Load() != 0 {
			t.Errorf("%d after %v, %d wait", code, time.Since(begin), g.waiting.Load())
		}
	})
}

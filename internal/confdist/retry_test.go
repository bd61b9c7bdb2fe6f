package confdist_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

func TestAFrontendThatComesLater(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}"})
	dir := t.TempDir()
	o, log := options(f, dir)
	o.GiveUp = 0 // a minute
	f.answer = func(w http.ResponseWriter, r *http.Request) bool {
		switch len(f.asked()) {
		case 1: // the connection breaks
			panic(http.ErrAbortHandler)
		case 2:
			w.WriteHeader(http.StatusBadGateway)
			return true
		case 4: // the second request of the third attempt
			return fails("/config/assets_a.json", http.StatusOK, "<html>")(w, r)
		}
		return false
	}
	mustDownload(t, o)
	testkit.Equal(t, content(t, dir), f.files)
	for i, want := range []string{"EOF", "status 502", "not valid JSON"} {
		attempt := "attempt=" + string(rune('1'+i))
		if lines := log.With("level=WARN", "error downloading config, retrying", attempt, want); len(lines) != 1 {
			t.Errorf("got %d warnings with %s and %q in %q", len(lines), attempt, want, log.All())
		}
	}
}

// roundTrip is an http.RoundTripper without a network, for tests of time.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestItGivesUpAfterAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		log := new(testkit.Logbook)
		start := time.Now()
		mustFail(t.Context(), t, confdist.Options{
			Frontend: "http://frontend:8080", Node: "b0", Dir: t.TempDir(), Logger: log.Logger(),
			Client: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				attempts++
				return nil, syscall.ECONNREFUSED
			})},
		}, "connection refused")
		took := time.Since(start)
		if took < time.Minute || took > 75*time.Second {
			t.Errorf("it gave up after %v", took)
		}
		if attempts < 7 || attempts > 20 {
			t.Errorf("it tried %d times", attempts)
		}
		if n := len(log.With("level=WARN", "retrying")); n != attempts-1 {
			t.Errorf("%d warnings for %d attempts, the last of which is the error", n, attempts)
		}
	})
}

func TestD25AFrontendThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(testkit.Logbook)
		mustFail(t.Context(), t, confdist.Options{
			Frontend: "http://frontend:8080", Node: "b0", Dir: t.TempDir(), Logger: log.Logger(),
			Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})},
		}, "http://frontend:8080/config/: no answer within 10s")
		if len(log.With("level=WARN", "attempt=4", "no answer within 10s")) != 1 {
			t.Errorf("the log is %q", log.All())
		}
	})
}

func TestD25ARealFrontendThatHangs(t *testing.T) {
	for _, path := range []string{"/config/", "/config/assets_a.json"} {
		for _, began := range []bool{false, true} {
			f := newFrontend(t, map[string]string{"assets_a.json": `{"a":1}`})
			f.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != path {
					return false
				}
				if began {
					_, _ = w.Write([]byte(`{"files":[`))
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
				return true
			}
			dir := t.TempDir()
			o, _ := options(f, dir)
			o.Timeout = 30 * time.Millisecond
			mustFail(t.Context(), t, o, path+": no answer within 30ms")
			testkit.Equal(t, content(t, dir), map[string]string{})
		}
	}
}

// slowly is a body that comes in pieces, each after a wait.
type slowly struct {
	text string
	wait time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	<-time.After(s.wait)
	p[0] = s.text[0]
	s.text = s.text[1:]
	return 1, nil
}

func TestALargeFileOnASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		answer := func(r *http.Request) (*http.Response, error) {
			body := &slowly{text: `{"a":1}`, wait: 9 * time.Second}
			if strings.HasSuffix(r.URL.Path, "/") {
				body = &slowly{text: `{"files":[{"filename":"assets_a.json"}]}`}
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
		}
		log := new(testkit.Logbook)
		mustDownload(t, confdist.Options{
			Frontend: "http://frontend:8080", Node: "b0", Dir: dir, Logger: log.Logger(),
			Client: &http.Client{Transport: roundTrip(answer)},
		})
		testkit.Equal(t, content(t, dir), map[string]string{"assets_a.json": `{"a":1}`})
		if lines := log.With("retrying"); len(lines) > 0 {
			t.Errorf("it took more than one attempt: %q", lines)
		}
	})
}

func TestASignalEndsADownload(t *testing.T) {
	f := newFrontend(t, map[string]string{"assets_a.json": "{}", "assets_b.json": "{}"})
	dir := t.TempDir()
	write(t, dir, "assets_a.json", `{"old":1}`)
	ctx, cancel := context.WithCancel(t.Context())
	f.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/config/assets_b.json" {
			return false
		}
		cancel()
		<-r.Context().Done()
		return true
	}
	o, log := options(f, dir)
	o.GiveUp, o.Timeout = time.Hour, time.Hour
	_, err := confdist.Download(ctx, o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
	testkit.Equal(t, content(t, dir), map[string]string{"assets_a.json": `{"old":1}`})
	if lines := log.With("retrying"); len(lines) > 0 {
		t.Errorf("a signal is reported as a failure: %q", lines)
	}
}

func TestASignalEndsTheWaitForTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := confdist.Download(ctx, confdist.Options{
			Frontend: "http://frontend:8080", Node: "b0", Dir: t.TempDir(),
			Client: &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				return nil, errors.New("connection refused")
			})},
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("got error %v after %v", err, time.Since(start))
		}
	})
}

package confdist_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dsiem/internal/confdist"
	"dsiem/test/testkit"
)

// frontend is a frontend with configuration files. Its fields may be changed
// between downloads.
type frontend struct {
	*httptest.Server

	mu    sync.Mutex
	files map[string]string
	// listed replaces the names of files in the list.
	listed []string
	// answer, if it returns true, has answered the request itself.
	answer func(w http.ResponseWriter, r *http.Request) bool
	// requests are the paths asked for.
	requests []string
}

func newFrontend(t *testing.T, files map[string]string) *frontend {
	t.Helper()
	f := &frontend{files: files}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config/{$}", func(w http.ResponseWriter, _ *http.Request) { f.list(w) })
	mux.HandleFunc("GET /config/{name}", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		content, ok := f.files[r.PathValue("name")]
		f.mu.Unlock()
		if !ok {
			http.Error(w, "cannot open "+r.PathValue("name"), http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(content))
	})
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.URL.Path)
		answer := f.answer
		f.mu.Unlock()
		if answer == nil || !answer(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *frontend) list(w http.ResponseWriter) {
	f.mu.Lock()
	names := f.listed
	if names == nil {
		names = slices.Sorted(maps.Keys(f.files))
	}
	f.mu.Unlock()
	type entry struct {
		Filename string `json:"filename"`
	}
	list := struct {
		Files []entry `json:"files"`
	}{}
	for _, name := range names {
		list.Files = append(list.Files, entry{name})
	}
	content, _ := json.MarshalIndent(list, "", "  ")
	_, _ = w.Write(content)
}

// set changes a field while the frontend may be at work.
func (f *frontend) set(change func(f *frontend)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *frontend) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// fails makes the frontend answer a path with a status and a body.
func fails(path string, status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
		return true
	}
}

// options returns options for a frontend that give up soon.
func options(f *frontend, dir string) (confdist.Options, *testkit.Logbook) {
	log := new(testkit.Logbook)
	return confdist.Options{
		Frontend:      f.URL,
		Node:          "dsiem-backend-1",
		Dir:           dir,
		RetryInterval: time.Millisecond,
		GiveUp:        20 * time.Millisecond,
		Logger:        log.Logger(),
	}, log
}

func mustDownload(t *testing.T, o confdist.Options) confdist.Result {
	t.Helper()
	result, err := confdist.Download(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func mustFail(ctx context.Context, t *testing.T, o confdist.Options, want string) {
	t.Helper()
	_, err := confdist.Download(ctx, o)
	if err == nil {
		t.Fatal("the download succeeded")
	}
	if !strings.HasPrefix(err.Error(), "downloading config: ") || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %q, want one with %q", err, want)
	}
}

// mustStay wants a download that leaves the folder with the last good configuration.
func mustStay(t *testing.T, o confdist.Options, want string) {
	t.Helper()
	result := mustDownload(t, o)
	if result.Outdated == nil || !strings.Contains(result.Outdated.Error(), want) || result.Downloaded.IsZero() {
		t.Errorf("got %+v, want the last good configuration because of %q", result, want)
	}
}

// content returns the files of a folder without the list of managed files.
func content(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == ".dsiem-managed.json" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
